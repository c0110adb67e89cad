#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <thread>

#include "broker/common/base64.h"
#include "operator/kube/api_server.h"
#include "operator/kube/client.h"
#include "operator/kube/informer.h"
#include "operator/kube/json_items.h"
#include "operator/kube/service_account.h"

namespace op::kube {
namespace {

using namespace std::chrono_literals;

/// Plays an API server on loopback: each accepted connection is answered by the next script, which
/// gets the request's first line and the socket.
class FakeApi {
 public:
  using Script = std::function<void(int fd, const std::string& request_line)>;

  explicit FakeApi(std::deque<Script> scripts) : scripts_(std::move(scripts)) {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 16), 0);
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~FakeApi() {
    shutdown(listener_, SHUT_RDWR);
    close(listener_);
    thread_.join();
  }
  ApiServer address() const {
    ApiServer server;
    server.url = "http://127.0.0.1:" + std::to_string(port_);
    return server;
  }
  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

  static void send_text(int fd, const std::string& text) {
    EXPECT_EQ(send(fd, text.data(), text.size(), MSG_NOSIGNAL), static_cast<ssize_t>(text.size()));
  }
  static Script reply(int status, std::string body) {
    return [status, body = std::move(body)](int fd, const std::string&) {
      send_text(fd, "HTTP/1.1 " + std::to_string(status) +
                        " X\r\nContent-Type: application/json\r\nConnection: close\r\n"
                        "Content-Length: " +
                        std::to_string(body.size()) + "\r\n\r\n" + body);
    };
  }
  /// A chunked stream: each text is one HTTP chunk; closes properly at the end.
  static Script chunks(std::vector<std::string> texts, bool finish = true) {
    return [texts = std::move(texts), finish](int fd, const std::string&) {
      send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
      for (const auto& text : texts) {
        char size[16];
        std::snprintf(size, sizeof size, "%zx\r\n", text.size());
        send_text(fd, size + text + "\r\n");
      }
      if (finish) send_text(fd, "0\r\n\r\n");
    };
  }
  /// Sends the head and nothing more until the client goes.
  static void hang(int fd, const std::string&) {
    send_text(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    char byte = 0;
    while (recv(fd, &byte, 1, 0) > 0) {
    }
  }

 private:
  void serve() {
    for (;;) {
      const int fd = accept(listener_, nullptr, nullptr);
      if (fd < 0) return;
      std::string head;
      char buffer[4096];
      while (head.find("\r\n\r\n") == std::string::npos) {
        const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
        if (n <= 0) break;
        head.append(buffer, static_cast<std::size_t>(n));
      }
      const std::string line = head.substr(0, head.find("\r\n"));
      Script script = reply(500, "{}");
      if (!line.empty()) {
        const std::lock_guard lock(mutex_);
        requests_.push_back(line);
        if (!scripts_.empty()) {
          script = std::move(scripts_.front());
          scripts_.pop_front();
        } else {
          script = &FakeApi::hang;
        }
      }
      script(fd, line);
      shutdown(fd, SHUT_RDWR);
      close(fd);
    }
  }

  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
  std::mutex mutex_;
  std::deque<Script> scripts_;
  std::vector<std::string> requests_;
};

std::string pod(const std::string& name, int version) {
  return R"({"metadata":{"name":")" + name + R"(","namespace":"n","uid":"u-)" + name +
         R"(","resourceVersion":")" + std::to_string(version) +
         R"(","managedFields":[{"manager":"x"}]},"spec":{"x":"a\"}]"}})";
}
std::string event(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}
std::string pod_list(const std::vector<std::string>& items, int version,
                     const std::string& token = "") {
  std::string text = R"({"kind":"PodList","metadata":{"resourceVersion":")" +
                     std::to_string(version) + R"(","continue":")" + token + R"("},"items":[)";
  for (std::size_t i = 0; i < items.size(); ++i) text += (i == 0 ? "" : ",") + items[i];
  return text + "]}";
}

/// An informer of pods over a fake server, recording "name@version" or "-name" per change.
class InformerOf {
 public:
  explicit InformerOf(FakeApi& api, std::chrono::milliseconds doubt = 1min)
      : transport_(make_cpprest_transport(api.address())),
        client_(*transport_),
        informer_(client_, cache_, {.kind = &kPod, .backoff = {1ms, 10ms, 0.0}, .doubt = doubt},
                  [this](const ObjectPtr& old, const ObjectPtr& now) {
                    const std::lock_guard lock(mutex_);
                    changes_.push_back(now ? now->key.name + "@" + now->resource_version
                                           : "-" + old->key.name);
                    wake_.notify_all();
                  }) {
    informer_.start();
  }
  std::vector<std::string> wait_for(std::size_t n) {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, 10s, [&] { return changes_.size() >= n; });
    return changes_;
  }
  Informer::Cache cache_;
  std::unique_ptr<HttpTransport> transport_;
  KubeClient client_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::string> changes_;
  Informer informer_;
};

using Names = std::vector<std::string>;

TEST(Items, AreSplitWithoutParsingThem) {
  Names items;
  const auto metadata = split_items(
      R"( {"a":[{"items":[1]}], "items" : [ {"s":"]}\"\\"} , 2,[3] ] ,"metadata":{"k":{}}} )",
      [&](std::string_view item) { items.emplace_back(item); });
  ASSERT_TRUE(metadata.ok());
  EXPECT_EQ(*metadata, R"({"k":{}})");
  EXPECT_EQ(items, (Names{R"({"s":"]}\"\\"})", "2", "[3]"}));
  for (const char* bad : {"", "[", "{", R"({"items":[)", R"({"items":[{"a":"})", "{1}"}) {
    EXPECT_FALSE(split_items(bad, [](std::string_view) {}).ok()) << bad;
  }
}

TEST(Object, DropsManagedFieldsAndKnowsItsKind) {
  const auto object = parse_object(pod("a", 3), &kPod);
  ASSERT_TRUE(object.ok());
  EXPECT_EQ((*object)->json.find("managedFields"), std::string::npos);
  EXPECT_NE((*object)->json.find(R"("kind":"Pod")"), std::string::npos);
  EXPECT_EQ((*object)->key, (ObjectKey{"n", "a"}));
}

TEST(Selector, WantsEveryTerm) {
  const std::map<std::string, std::string> labels{{"a", "1"}, {"b", "2"}};
  EXPECT_TRUE(matches_selector(labels, ""));
  EXPECT_TRUE(matches_selector(labels, "a=1,b"));
  EXPECT_FALSE(matches_selector(labels, "a=1,b=3"));
  EXPECT_FALSE(matches_selector(labels, "c"));
}

TEST(Informer, FollowsEventsThatArriveInPiecesAndMerged) {
  const std::string first = event("ADDED", pod("b", 11));
  const std::string both = event("MODIFIED", pod("a", 12)) + event("DELETED", pod("b", 13));
  FakeApi api(
      {FakeApi::reply(200, pod_list({pod("a", 9)}, 10)),
       FakeApi::chunks({first.substr(0, 5), first.substr(5, 40), first.substr(45) + both})});
  InformerOf informer(api);
  EXPECT_EQ(informer.wait_for(4), (Names{"a@9", "b@11", "a@12", "-b"}));
}

TEST(Informer, ReadsAListPageByPage) {
  FakeApi api({FakeApi::reply(200, pod_list({pod("a", 1), pod("b", 2)}, 10, "more+/=")),
               FakeApi::reply(200, pod_list({pod("c", 3)}, 10))});
  InformerOf informer(api);
  EXPECT_EQ(informer.wait_for(3), (Names{"a@1", "b@2", "c@3"}));
  EXPECT_NE(api.requests()[1].find("continue=more%2B%2F%3D"), std::string::npos);
}

TEST(Informer, ResumesFromTheLastBookmarkAfterTheStreamEnds) {
  FakeApi api({FakeApi::reply(200, pod_list({}, 10)),
               FakeApi::chunks({event("ADDED", pod("a", 11)),
                                event("BOOKMARK", R"({"metadata":{"resourceVersion":"40"}})")}),
               FakeApi::chunks({event("ADDED", pod("b", 41))}, /*finish=*/false)});
  InformerOf informer(api);
  EXPECT_EQ(informer.wait_for(2), (Names{"a@11", "b@41"}));
  EXPECT_NE(api.requests()[1].find("resourceVersion=10&"), std::string::npos);
  EXPECT_NE(api.requests()[2].find("resourceVersion=40&"), std::string::npos);
  EXPECT_EQ(informer.informer_.lists(), 1u);
}

TEST(Informer, ListsAnewWhenItsVersionExpiredAndReportsOnlyTheDifference) {
  const std::string gone = R"({"kind":"Status","code":410,"reason":"Expired","message":"too old"})";
  FakeApi api({FakeApi::reply(200, pod_list({pod("a", 1), pod("b", 2)}, 10)),
               FakeApi::chunks({event("ERROR", gone)}),
               FakeApi::reply(200, pod_list({pod("b", 2), pod("c", 20)}, 30)),
               FakeApi::reply(410, gone), FakeApi::reply(200, pod_list({pod("c", 21)}, 31))});
  InformerOf informer(api);
  EXPECT_EQ(informer.wait_for(6), (Names{"a@1", "b@2", "c@20", "-a", "c@21", "-b"}));
}

TEST(Informer, DoubtsAListThatIsOlderThanWhatItSaw) {
  const std::string gone = R"({"kind":"Status","code":410,"reason":"Expired","message":"too old"})";
  const std::string behind = pod_list({pod("a", 5), pod("old", 6)}, 8);
  FakeApi api({FakeApi::reply(200, pod_list({pod("a", 5)}, 10)),
               FakeApi::chunks({event("ADDED", pod("b", 20)), event("ERROR", gone)}),
               FakeApi::reply(200, behind), FakeApi::reply(200, behind),
               FakeApi::reply(200, pod_list({pod("a", 5), pod("b", 20), pod("c", 21)}, 22))});
  InformerOf informer(api);
  EXPECT_EQ(informer.wait_for(3), (Names{"a@5", "b@20", "c@21"}));
}

TEST(Informer, TakesWhatWasRestoredOnceItStaysOld) {
  const std::string gone = R"({"kind":"Status","code":410,"reason":"Expired","message":"too old"})";
  const auto restored = FakeApi::reply(200, pod_list({pod("a", 4), pod("old", 6)}, 8));
  FakeApi api({FakeApi::reply(200, pod_list({pod("a", 5), pod("b", 6)}, 10)),
               FakeApi::chunks({event("ERROR", gone)}), restored, restored, restored, restored,
               restored, restored, restored, restored});
  InformerOf informer(api, 1ms);
  EXPECT_EQ(informer.wait_for(5), (Names{"a@5", "b@6", "a@4", "old@6", "-b"}));
}

TEST(Informer, SurvivesErrorsAndGarbage) {
  FakeApi api({FakeApi::reply(500, "oops"), FakeApi::reply(200, "not json"),
               FakeApi::reply(200, pod_list({}, 10)), FakeApi::chunks({"garbage\n"}),
               FakeApi::reply(403, R"({"message":"no","reason":"Forbidden"})"),
               FakeApi::chunks({event("ADDED", pod("a", 11))})});
  InformerOf informer(api);
  EXPECT_EQ(informer.wait_for(1), (Names{"a@11"}));
}

TEST(Informer, DoesNotLetAnOlderEventUndoOurOwnWrite) {
  FakeApi api({FakeApi::reply(200, pod_list({pod("a", 5)}, 10)),
               FakeApi::chunks({event("ADDED", pod("b", 11))}),
               FakeApi::chunks({event("MODIFIED", pod("a", 12)), event("ADDED", pod("c", 21))})});
  InformerOf informer(api);
  informer.wait_for(1);
  informer.cache_.put({"n", "a"}, *parse_object(pod("a", 20), &kPod));
  informer.wait_for(3);
  EXPECT_EQ(informer.cache_.get({"n", "a"})->resource_version, "20");
}

TEST(Informer, StopsASilentWatchAtOnce) {
  FakeApi api({FakeApi::reply(200, pod_list({}, 10)), &FakeApi::hang});
  InformerOf informer(api);
  while (api.requests().size() < 2) std::this_thread::yield();
  const auto before = std::chrono::steady_clock::now();
  informer.informer_.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before, 1s);
}

TEST(KubeClient, MapsTheServersRefusals) {
  FakeApi api({FakeApi::reply(409, R"({"reason":"AlreadyExists","message":"there"})"),
               FakeApi::reply(409, R"({"reason":"Conflict","message":"newer"})"),
               FakeApi::reply(404, R"({"reason":"NotFound","message":"gone"})"),
               FakeApi::reply(422, R"({"reason":"Invalid","message":"spec.x: bad"})")});
  const auto transport = make_cpprest_transport(api.address());
  KubeClient client(*transport);
  EXPECT_EQ(client.create(kPod, {"n", "a"}, "{}").code(), broker::ErrorCode::kDuplicateResource);
  EXPECT_EQ(client.apply(kPod, {"n", "a"}, "{}").code(), broker::ErrorCode::kInvalidUpdateVersion);
  EXPECT_EQ(client.get(kPod, {"n", "a"}).code(), broker::ErrorCode::kResourceNotFound);
  const auto refused = client.apply(kPod, {"n", "a"}, "{}");
  EXPECT_EQ(refused.code(), broker::ErrorCode::kInvalidRequest);
  EXPECT_NE(refused.error().detail.find("spec.x: bad"), std::string::npos);
  EXPECT_EQ(api.requests()[1],
            "PATCH /api/v1/namespaces/n/pods/a?fieldManager=millrace-operator&force=true HTTP/1.1");
}

TEST(KubeClient, SendsNothingBeforeTheServersRetryAfterIsOver) {
  class Busy final : public HttpTransport {
   public:
    broker::Result<HttpResponse> call(const HttpRequest&) override {
      ++calls;
      return HttpResponse{429, R"({"message":"too many requests"})", std::chrono::seconds(50)};
    }
    broker::Result<HttpResponse> stream(const HttpRequest&, std::stop_token,
                                        const LineHandler&) override {
      return HttpResponse{};
    }
    int calls = 0;
  };
  Busy busy;
  KubeClient client(busy);
  EXPECT_EQ(client.pause_left(), broker::Duration::zero());
  EXPECT_EQ(client.get(kPod, {"n", "a"}).code(), broker::ErrorCode::kThrottlingQuotaExceeded);
  EXPECT_GT(client.pause_left(), 45s);
  const auto second = client.apply(kPod, {"n", "a"}, "{}");
  EXPECT_EQ(second.code(), broker::ErrorCode::kThrottlingQuotaExceeded);
  EXPECT_NE(second.error().detail.find("not sent"), std::string::npos);
  EXPECT_EQ(busy.calls, 1);
  EXPECT_FALSE(client.get_lease({"n", "l"}).ok());  // a leader must know where it stands
  EXPECT_EQ(busy.calls, 2);
}

TEST(KubeClient, RefusedConnectionIsANetworkError) {
  ApiServer nowhere;
  nowhere.url = "http://127.0.0.1:1";
  const auto transport = make_cpprest_transport(nowhere);
  KubeClient client(*transport);
  EXPECT_EQ(client.get(kPod, {"n", "a"}).code(), broker::ErrorCode::kNetworkException);
}

TEST(KubeClient, OneFailureShowsThatAllConnectionsOfBeforeAreGone) {
  constexpr int kConnections = 6;
  // Says nothing about closing, and closes: so a server goes that is restarted.
  const FakeApi::Script fickle = [](int fd, const std::string&) {
    FakeApi::send_text(fd,
                       "HTTP/1.1 200 X\r\nContent-Type: application/json\r\n"
                       "Content-Length: 2\r\n\r\n{}");
  };
  FakeApi api(std::deque<FakeApi::Script>(4 * kConnections, fickle));
  const auto transport = make_cpprest_transport(api.address());
  std::vector<std::thread> threads;
  for (int i = 0; i < kConnections; ++i) {
    threads.emplace_back([&] { EXPECT_TRUE(transport->call({.path = "/version"}).ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  int failures = 0;
  while (failures < kConnections &&
         !transport->call({.method = "PATCH", .path = "/x", .body = "{}"}).ok())
    ++failures;
  EXPECT_LE(failures, 1);
}

TEST(Kubeconfig, ReadsTheCurrentContextAndRefusesPlugins) {
  const std::string path = ::testing::TempDir() + "kubeconfig_test.yaml";
  const auto write = [&](const std::string& user) {
    std::ofstream(path)
        << "current-context: c\n"
           "contexts: [{name: c, context: {cluster: k, user: u, namespace: kafka}}]\n"
           "clusters: [{name: k, cluster: {server: 'https://127.0.0.1:6443', "
           "certificate-authority: ca.crt}}]\n"
           "users: [{name: u, user: "
        << user << "}]\n";
  };
  write("{token: abc, client-certificate-data: Y2VydA==}");
  const auto server = load_kubeconfig(path);
  ASSERT_TRUE(server.ok()) << server.error().detail;
  EXPECT_EQ(server->url, "https://127.0.0.1:6443");
  EXPECT_EQ(server->token, "abc");
  EXPECT_EQ(server->client_certificate_pem, "cert");
  EXPECT_EQ(server->ns, "kafka");
  EXPECT_EQ(server->ca_path.front(), '/');
  write("{exec: {command: aws}}");
  EXPECT_EQ(load_kubeconfig(path).code(), broker::ErrorCode::kUnsupportedVersion);
  EXPECT_FALSE(load_kubeconfig(path, "other").ok());
  unlink(path.c_str());
}

TEST(ServiceAccount, ItsUidIsReadFromTheTokenAndAnythingElseHasNone) {
  const auto token = [](std::string_view claims) {
    return "e30." + broker::base64_encode(claims, broker::Base64::kUrlSafeNoPadding) + ".c2ln";
  };
  EXPECT_EQ(service_account_uid(
                token(R"({"kubernetes.io":{"serviceaccount":{"name":"operator","uid":"u-1"}}})")),
            "u-1");
  for (const std::string& other :
       {std::string(), std::string("opaque"), token("[]"), token(R"({"kubernetes.io":7})"),
        token(R"({"kubernetes.io":{"serviceaccount":{"uid":7}}})"), std::string("e30.!.c2ln")}) {
    EXPECT_EQ(service_account_uid(other), "") << other;
  }
}

}  // namespace
}  // namespace op::kube
