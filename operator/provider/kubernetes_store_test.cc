#include "operator/provider/kubernetes_store.h"

#include <arpa/inet.h>
#include <glob.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "operator/kube/api_server.h"
#include "operator/provider/child_process.h"

namespace op::provider {
namespace {

using namespace std::chrono_literals;
using kube::kConfigMap;
using kube::kNamespace;
using nlohmann::json;

std::uint16_t free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

/// "" when the local Kubernetes was never built on this machine.
std::string find_api_server() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  const std::string base =
      cache != nullptr ? cache : std::string(home == nullptr ? "/root" : home) + "/.cache";
  glob_t hits{};
  glob((base + "/millrace/localkube/*/bin/kube-apiserver").c_str(), 0, nullptr, &hits);
  const std::string found = hits.gl_pathc > 0 ? hits.gl_pathv[0] : "";
  globfree(&hits);
  return found;
}

/// A real etcd and API server on loopback, for one test.
class ApiServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string program = find_api_server();
    if (program.empty() || access("/usr/bin/etcd", X_OK) != 0) {
      GTEST_SKIP() << "no kube-apiserver or etcd on this machine";
    }
    folder_ = ::testing::TempDir() + "api_server_test_" + std::to_string(getpid());
    std::filesystem::create_directories(folder_);
    std::ofstream(folder_ + "/tokens.csv") << "tok,admin,1,\"system:masters\"\n";
    ASSERT_EQ(
        std::system(
            ("openssl genpkey -algorithm RSA -out " + folder_ + "/sa.key 2>/dev/null").c_str()),
        0);
    const std::string etcd = "http://127.0.0.1:" + std::to_string(free_port());
    const std::string port = std::to_string(free_port());
    run({"/usr/bin/etcd", "--data-dir", folder_ + "/etcd", "--listen-client-urls", etcd,
         "--advertise-client-urls", etcd, "--listen-peer-urls",
         "http://127.0.0.1:" + std::to_string(free_port())});
    run({program,
         "--etcd-servers",
         etcd,
         "--secure-port",
         port,
         "--bind-address",
         "127.0.0.1",
         "--cert-dir",
         folder_ + "/certs",
         "--service-account-key-file",
         folder_ + "/sa.key",
         "--service-account-signing-key-file",
         folder_ + "/sa.key",
         "--service-account-issuer",
         "https://test",
         "--token-auth-file",
         folder_ + "/tokens.csv",
         "--authorization-mode",
         "RBAC",
         "--disable-admission-plugins",
         "ServiceAccount",
         "--service-cluster-ip-range",
         "10.96.0.0/16"});
    kube::ApiServer server;
    server.url = "https://127.0.0.1:" + port;
    server.token = "tok";
    server.insecure_skip_tls_verify = true;
    transport_ = kube::make_cpprest_transport(server);
    client_ = std::make_unique<kube::KubeClient>(*transport_);
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (!client_->get(kNamespace, {"", "default"}).ok()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "see " << folder_;
      std::this_thread::sleep_for(100ms);
    }
  }
  void TearDown() override {
    while (!children_.empty()) children_.pop_back();  // the API server before etcd
    if (!folder_.empty() && !HasFailure()) std::filesystem::remove_all(folder_);
  }
  void run(std::vector<std::string> arguments) {
    const std::string log = folder_ + "/" + std::to_string(children_.size()) + ".log";
    auto child = ChildProcess::start({std::move(arguments), {}, log});
    ASSERT_TRUE(child.ok()) << child.error().detail;
    children_.push_back(std::move(*child));
  }

  std::string folder_;
  std::vector<ChildProcess> children_;
  std::unique_ptr<kube::HttpTransport> transport_;
  std::unique_ptr<kube::KubeClient> client_;
};

json config(const char* name, json data) {
  return {{"apiVersion", "v1"},
          {"kind", "ConfigMap"},
          {"metadata", {{"name", name}, {"namespace", "default"}, {"labels", {{"mine", "yes"}}}}},
          {"data", std::move(data)}};
}

/// Answers by path, without a server; notes every write.
class FakeTransport final : public kube::HttpTransport {
 public:
  broker::Result<kube::HttpResponse> call(const kube::HttpRequest& request) override {
    if (request.method == "GET") {
      const auto found = objects.find(request.path.substr(0, request.path.find('?')));
      if (found == objects.end()) return kube::HttpResponse{404, "{}", {}};
      return kube::HttpResponse{200, found->second.dump(), {}};
    }
    writes.push_back(json::parse(request.body));
    return kube::HttpResponse{status_of_writes, request.body, {}};
  }
  broker::Result<kube::HttpResponse> stream(const kube::HttpRequest&, std::stop_token,
                                            const LineHandler&) override {
    return kube::HttpResponse{};
  }
  std::map<std::string, json> objects;
  std::vector<json> writes;
  int status_of_writes = 200;
};

json secret(const char* owner) {
  return {{"metadata",
           {{"name", "ca"}, {"namespace", "n"}, {"uid", "1"}, {"labels", {{"mine", owner}}}}}};
}

TEST(KubernetesStore, ASecretThatItsCacheHasNotSeenYetIsNotDrawnAgain) {
  FakeTransport transport;
  kube::KubeClient client(transport);
  KubernetesStoreOptions options;
  options.watched = {{&kube::kSecret, "mine=yes"}};
  KubernetesStore store(client, options);
  EXPECT_TRUE(store.apply(kube::kSecret, {"n", "ca"}, secret("yes").dump()).ok());
  transport.objects["/api/v1/namespaces/n/secrets/ca"] = secret("yes");
  const auto refused = store.apply(kube::kSecret, {"n", "ca"}, secret("yes").dump());
  EXPECT_EQ(refused.code(), broker::ErrorCode::kInvalidUpdateVersion);
  EXPECT_EQ(transport.writes.size(), 1u);
  // One without our label is never in the cache; whose it is, was looked at before.
  transport.objects["/api/v1/namespaces/n/secrets/ca"] = secret("no");
  EXPECT_TRUE(store.apply(kube::kSecret, {"n", "ca"}, secret("yes").dump()).ok());
}

TEST(KubernetesStore, AFirstStatusOfAClusterIsWrittenOnlyOnWhatWasSeen) {
  FakeTransport transport;
  kube::KubeClient client(transport);
  KubernetesStore store(client, {});
  kube::Object cluster;
  cluster.kind = &kube::kCluster;
  cluster.key = {"n", "c"};
  cluster.resource_version = "7";
  cluster.json = R"({"spec":{}})";
  ASSERT_TRUE(store.write_status(cluster, R"({"clusterId":"drawn"})").ok());
  EXPECT_EQ(transport.writes.back()["metadata"].value("resourceVersion", ""), "7");
  cluster.json = R"({"spec":{},"status":{"clusterId":"drawn"}})";
  ASSERT_TRUE(store.write_status(cluster, "{}").ok());
  EXPECT_FALSE(transport.writes.back()["metadata"].contains("resourceVersion"));
}

TEST(KubernetesStore, TakingAFinalizerFromWhatIsGoneIsDone) {
  FakeTransport transport;
  transport.status_of_writes = 404;
  kube::KubeClient client(transport);
  KubernetesStore store(client, {});
  kube::Object topic;
  topic.kind = &kube::kTopic;
  topic.key = {"n", "t"};
  EXPECT_TRUE(store.set_finalizer(topic, "millrace.io/x", false).ok());
  EXPECT_EQ(store.set_finalizer(topic, "millrace.io/x", true).code(),
            broker::ErrorCode::kResourceNotFound);
}

// One start of the server for the whole story: it takes seconds.
TEST_F(ApiServerTest, StoreFollowsARealServerThroughItsLife) {
  std::mutex mutex;
  std::condition_variable wake;
  std::vector<std::string> seen;
  KubernetesStoreOptions options;
  options.watched = {{&kConfigMap, "mine=yes"}};
  KubernetesStore store(*client_, options);
  store.subscribe(kConfigMap, [&](const ObjectPtr& old, const ObjectPtr& now) {
    const std::lock_guard lock(mutex);
    seen.push_back(!old ? "new" : now ? "changed" : "gone");
    wake.notify_all();
  });
  const auto wait_for = [&](std::size_t n) {
    std::unique_lock lock(mutex);
    return wake.wait_for(lock, 10s, [&] { return seen.size() >= n; });
  };
  ASSERT_TRUE(store.start().ok());
  while (!store.synced()) std::this_thread::sleep_for(1ms);

  const ObjectKey key{"default", "c"};
  ASSERT_TRUE(store.apply(kConfigMap, key, config("c", {{"a", "1"}}).dump()).ok());
  ASSERT_TRUE(wait_for(1));
  const auto first = store.get(kConfigMap, key);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->json.find("managedFields"), std::string::npos);

  // Applying the same again is no write for the server.
  const auto again = store.apply(kConfigMap, key, config("c", {{"a", "1"}}).dump());
  ASSERT_TRUE(again.ok());
  EXPECT_EQ((*again)->resource_version, first->resource_version);

  // Somebody edits; our next apply takes their entry out and ours back.
  ASSERT_TRUE(client_->merge_patch(kConfigMap, key, R"({"data":{"a":"2","theirs":"x"}})").ok());
  ASSERT_TRUE(wait_for(2));
  const auto repaired = store.apply(kConfigMap, key, config("c", {{"a", "1"}}).dump());
  ASSERT_TRUE(repaired.ok());
  EXPECT_EQ(json::parse((*repaired)->json)["data"], (json{{"a", "1"}}));

  EXPECT_EQ(store.remove(kConfigMap, key, "another-uid").code(),
            broker::ErrorCode::kInvalidUpdateVersion);
  ASSERT_TRUE(store.remove(kConfigMap, key, first->uid).ok());
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (store.get(kConfigMap, key)) ASSERT_LT(std::chrono::steady_clock::now(), deadline);

  // Leases: of two writers with one version, one wins.
  kube::LeaseSpec lease{.key = {"default", "l"}, .holder = "a"};
  lease.renew_time = lease.acquire_time = kube::rfc3339_now(true);
  const auto version = client_->put_lease(lease, "");
  ASSERT_TRUE(version.ok()) << version.error().detail;
  EXPECT_EQ(client_->put_lease(lease, "").code(), broker::ErrorCode::kDuplicateResource);
  lease.renew_time = kube::rfc3339_now(true);
  ASSERT_TRUE(client_->put_lease(lease, *version).ok());
  lease.holder = "b";
  EXPECT_EQ(client_->put_lease(lease, *version).code(), broker::ErrorCode::kInvalidUpdateVersion);
  EXPECT_EQ((*client_->get_lease(lease.key))->record.holder, "a");
  store.stop();
}

}  // namespace
}  // namespace op::provider
