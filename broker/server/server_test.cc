#include "broker/server/server.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <mutex>

#include "broker/io/posix/certificates_for_tests.h"
#include "broker/io/posix/event_loop.h"
#include "broker/io/posix/transport.h"
#include "broker/protocol/messages/api_versions_request.h"
#include "broker/protocol/messages/api_versions_response.h"
#include "broker/protocol/messages/heartbeat_request.h"
#include "broker/protocol/messages/heartbeat_response.h"
#include "broker/server/client_for_tests.h"

namespace broker::server {
namespace {

using namespace std::chrono_literals;
using protocol::ApiKey;
using protocol::ApiVersionsRequest;
using protocol::ApiVersionsResponse;
using protocol::HeartbeatRequest;
using protocol::HeartbeatResponse;

/// Answers Heartbeat and ApiVersions; a test may keep requests instead.
struct TestSink final : RequestSink {
  struct Kept {
    Request request;
    Responder responder;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::function<bool(const Request&)> keep;  // set before start
  std::size_t answer_padding = 0;
  std::vector<Kept> kept;
  std::vector<std::int32_t> started;
  std::shared_ptr<const Session> last_session;

  bool accepts(const std::string&, std::int16_t key, std::int16_t version) const override {
    if (key == static_cast<std::int16_t>(ApiKey::kApiVersions)) return version >= 0 && version <= 4;
    return key == static_cast<std::int16_t>(ApiKey::kHeartbeat) && version >= 0 && version <= 4;
  }
  void on_request(Request request, Responder responder) override {
    const std::lock_guard lock(mutex);
    request.strand->check_current();
    started.push_back(request.header.correlation_id);
    last_session = request.session;
    if (keep && keep(request))
      kept.push_back({std::move(request), std::move(responder)});
    else
      answer(request, std::move(responder));
    changed.notify_all();
  }
  void answer(const Request& request, Responder responder) const {
    const auto& header = request.header;
    Slices framed = header.api_key == ApiKey::kApiVersions
                        ? *protocol::encode_response(header.api_key, header.api_version,
                                                     header.correlation_id, ApiVersionsResponse())
                        : *protocol::encode_response(header.api_key, header.api_version,
                                                     header.correlation_id, HeartbeatResponse());
    if (answer_padding != 0) {
      // A frame of any size: only its size and correlation id matter to these tests.
      std::string bytes(8 + answer_padding, '\0');
      for (int i = 0; i < 4; ++i) {
        bytes[static_cast<std::size_t>(i)] = static_cast<char>((bytes.size() - 4) >> (24 - 8 * i));
        bytes[static_cast<std::size_t>(4 + i)] =
            static_cast<char>(header.correlation_id >> (24 - 8 * i));
      }
      framed = {Slice::copy_of(bytes)};
    }
    responder.send(std::move(framed));
  }
  bool wait(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 10s, condition);
  }
  bool wait_kept(std::size_t n) {
    return wait([&] { return kept.size() >= n; });
  }
};

std::string heartbeat(std::int32_t correlation_id) {
  const Slices frame = *protocol::encode_request(4, correlation_id, "c", HeartbeatRequest());
  std::string bytes;
  for (const Slice& piece : frame) bytes += piece.view();
  return bytes;
}

struct Store final : CredentialStore {
  security::ScramCredential sha256 =
      *security::make_scram_credential("secret", security::ScramMechanism::kSha256);
  security::ScramCredential sha512 =
      *security::make_scram_credential("secret", security::ScramMechanism::kSha512);

  std::optional<security::ScramCredential> scram(security::ScramMechanism mechanism,
                                                 std::string_view user) const override {
    if (user != "alice") return std::nullopt;
    return mechanism == security::ScramMechanism::kSha256 ? sha256 : sha512;
  }
  std::optional<std::string> plain_password(std::string_view user) const override {
    return user == "alice" ? std::optional<std::string>("secret") : std::nullopt;
  }
};

struct ServerTest : ::testing::Test {
  io::posix::EventLoop loops[2];
  std::unique_ptr<io::Transport> transport = io::posix::make_posix_transport();
  TestSink sink;
  Store credentials;
  ServerOptions options;
  std::unique_ptr<Server> server;
  io::posix::TemporaryDirectory files;

  ServerTest() {
    for (auto& loop : loops) loop.start();
  }
  ~ServerTest() override {
    server.reset();
    sink.kept.clear();
  }

  ListenerOptions& add(const std::string& name,
                       SecurityProtocol protocol = SecurityProtocol::kPlaintext) {
    ListenerOptions listener;
    listener.name = name;
    listener.protocol = protocol;
    listener.bind = {"127.0.0.1", 0};
    if (security::uses_sasl(protocol))
      listener.sasl_mechanisms = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"};
    listener.limits.failed_authentication_delay = 20ms;
    options.listeners.push_back(listener);
    return options.listeners.back();
  }
  void use_tls(ListenerOptions& listener, io::ClientAuth client_auth) {
    const io::posix::TestCa ca("cluster");
    io::posix::write_text(files.file("ca.crt"), ca.pem());
    io::posix::write_pair(files, "server", ca.issue("server"));
    io::posix::write_pair(files, "client", ca.issue("orders-main-0", {.organization = "millrace"}));
    listener.tls = io::TlsServerOptions{.certificate_chain_path = files.file("server.crt"),
                                        .private_key_path = files.file("server.key"),
                                        .client_ca_path = files.file("ca.crt"),
                                        .client_auth = client_auth};
  }
  void start() {
    server = std::make_unique<Server>(
        Server::Ports{*transport, {&loops[0], &loops[1]}, sink, &credentials}, options);
    const auto started = server->start();
    ASSERT_TRUE(started.ok()) << to_string(started.error());
  }
  std::unique_ptr<TestClient> connect(const std::string& listener = "L") {
    return std::make_unique<TestClient>(server->bound_endpoints().at(listener));
  }
  std::int64_t metric(Counter ListenerMetrics::*counter, const std::string& listener = "L") {
    return (server->metrics(listener).*counter).value();
  }
};

TEST_F(ServerTest, AnswersARequestAndKnowsItsClient) {
  add("L");
  start();
  auto client = connect();
  ApiVersionsRequest versions;
  versions.client_software_name = "millrace-test";
  versions.client_software_version = "1.2.3";
  client->send(3, 7, versions);
  EXPECT_EQ(client->read_correlation_id(), 7);
  client->send(4, 8, HeartbeatRequest());
  EXPECT_EQ(client->read_correlation_id(), 8);
  const std::lock_guard lock(sink.mutex);
  EXPECT_EQ(to_string(sink.last_session->principal), "User:ANONYMOUS");
  EXPECT_EQ(sink.last_session->client_software_name, "millrace-test");
  EXPECT_EQ(sink.last_session->peer.host, "127.0.0.1");
  EXPECT_EQ(sink.last_session->listener, "L");
}

TEST_F(ServerTest, KeepsTheOrderOfAnswersWhateverTheOrderOfTheHandlers) {
  add("L");
  sink.keep = [](const Request& request) { return request.header.correlation_id % 3 != 0; };
  start();
  auto client = connect();
  std::string pipelined;
  for (int i = 0; i < 30; ++i) pipelined += heartbeat(i);
  client->send_bytes(pipelined);
  ASSERT_TRUE(sink.wait_kept(20));
  {
    const std::lock_guard lock(sink.mutex);
    EXPECT_TRUE(std::is_sorted(sink.started.begin(), sink.started.end()));
    while (!sink.kept.empty()) {  // last first, from a thread that is no strand
      sink.answer(sink.kept.back().request, std::move(sink.kept.back().responder));
      sink.kept.pop_back();
    }
  }
  for (int i = 0; i < 30; ++i) EXPECT_EQ(client->read_correlation_id(), i);
}

TEST_F(ServerTest, SendNothingLeavesNoTraceInTheOrder) {
  add("L");
  sink.keep = [](const Request& request) { return request.header.correlation_id == 1; };
  start();
  auto client = connect();
  client->send(4, 1, HeartbeatRequest());
  client->send(4, 2, HeartbeatRequest());
  ASSERT_TRUE(sink.wait_kept(1));
  {
    const std::lock_guard lock(sink.mutex);
    sink.kept[0].responder.send_nothing();
  }
  EXPECT_EQ(client->read_correlation_id(), 2);
}

TEST_F(ServerTest, ADroppedRequestClosesItsConnectionOnly) {
  add("L");
  sink.keep = [](const Request& request) { return request.header.correlation_id == 1; };
  start();
  auto doomed = connect();
  auto other = connect();
  doomed->send(4, 1, HeartbeatRequest());
  ASSERT_TRUE(sink.wait_kept(1));
  {
    const std::lock_guard lock(sink.mutex);
    sink.kept.clear();
  }
  EXPECT_TRUE(doomed->is_closed());
  other->send(4, 2, HeartbeatRequest());
  EXPECT_EQ(other->read_correlation_id(), 2);
}

TEST_F(ServerTest, ApiVersionsAboveOursIsAnsweredInVersionZero) {
  add("L");
  start();
  auto client = connect();
  // The header of version 2 and a body of the future.
  client->send_bytes(std::string("\0\0\0\x10\0\x12\0\x63\0\0\0\x05\0\x01x\0\x09\x09\x09", 20));
  const auto response = client->read<ApiVersionsResponse>(0);
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(response->error_code, 35);
  ASSERT_EQ(response->api_keys.size(), 1u);
  EXPECT_EQ(response->api_keys[0].api_key, 18);
  EXPECT_EQ(response->api_keys[0].max_version, 4);
  client->send(0, 6, ApiVersionsRequest());
  EXPECT_EQ(client->read_correlation_id(), 6);
}

TEST_F(ServerTest, UnsupportedOrMalformedRequestsCloseAfterWhatWasAskedBefore) {
  add("L").limits.max_request_bytes = 10'000;
  start();
  using namespace std::string_literals;
  const std::vector<std::string> bad{
      "\0\0\0\x0a\0\x03\0\x01\0\0\0\x01\xff\xff"s,    // Metadata, which the sink does not serve
      "\0\0\0\x0a\x7f\x03\0\x01\0\0\0\x01\xff\xff"s,  // no such API
      "\0\0\0\x03\0\x0c\0"s,                          // a header cut short
      "\0\0\0\0"s,
      "\xff\xff\xff\xff"s,
      "\0\0\x27\x11"s,
      "GET / HTTP/1.1\r\n\r\n"s};
  for (const std::string& bytes : bad) {
    auto client = connect();
    client->send(4, 9, HeartbeatRequest());
    client->send_bytes(bytes);
    EXPECT_EQ(client->read_correlation_id(), 9);
    EXPECT_TRUE(client->is_closed());
  }
  EXPECT_EQ(metric(&ListenerMetrics::malformed_requests), static_cast<std::int64_t>(bad.size()));
}

TEST_F(ServerTest, SaslRequestsOnAPlainListenerAreAnIllegalState) {
  add("L");
  start();
  auto client = connect();
  client->send(1, 1, protocol::SaslHandshakeRequest());
  EXPECT_EQ(client->read<protocol::SaslHandshakeResponse>(1)->error_code, 34);
  client->send(4, 2, HeartbeatRequest());
  EXPECT_EQ(client->read_correlation_id(), 2);
}

TEST_F(ServerTest, EverySaslMechanismLetsTheRightPasswordIn) {
  add("L", SecurityProtocol::kSaslPlaintext);
  start();
  for (const char* mechanism : {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}) {
    auto client = connect();
    client->send(0, 1, ApiVersionsRequest());  // allowed before
    EXPECT_EQ(client->read_correlation_id(), 1);
    EXPECT_EQ(client->authenticate(mechanism, "alice", "secret"), 0) << mechanism;
    client->send(4, 3, HeartbeatRequest());
    EXPECT_EQ(client->read_correlation_id(), 3);
    EXPECT_EQ(to_string(sink.last_session->principal), "User:alice");

    auto wrong = connect();
    EXPECT_EQ(wrong->authenticate(mechanism, "alice", "wrong"), 58) << mechanism;
    EXPECT_TRUE(wrong->is_closed());
    auto unknown = connect();
    EXPECT_EQ(unknown->authenticate(mechanism, "bob", "secret"), 58) << mechanism;
  }
  EXPECT_EQ(metric(&ListenerMetrics::authentication_successes), 3);
  EXPECT_EQ(metric(&ListenerMetrics::authentication_failures), 6);
}

TEST_F(ServerTest, AFailedLoginIsAnsweredLate) {
  add("L", SecurityProtocol::kSaslPlaintext).limits.failed_authentication_delay = 150ms;
  start();
  auto client = connect();
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(client->authenticate("PLAIN", "alice", "wrong"), 58);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 150ms);
}

TEST_F(ServerTest, BareTokensFollowAHandshakeOfVersionZero) {
  add("L", SecurityProtocol::kSaslPlaintext);
  start();
  using namespace std::string_literals;
  auto client = connect();
  protocol::SaslHandshakeRequest handshake;
  handshake.mechanism = "PLAIN";
  client->send(0, 1, handshake);
  EXPECT_EQ(client->read<protocol::SaslHandshakeResponse>(0)->error_code, 0);
  client->send_bytes("\0\0\0\x0d\0alice\0secret"s);
  EXPECT_EQ(client->read_frame(), "");
  client->send(4, 2, HeartbeatRequest());
  EXPECT_EQ(client->read_correlation_id(), 2);

  auto wrong = connect();
  wrong->send(0, 1, handshake);
  ASSERT_TRUE(wrong->read_frame().has_value());
  wrong->send_bytes("\0\0\0\x0c\0alice\0wrong"s);
  EXPECT_TRUE(wrong->is_closed());
}

TEST_F(ServerTest, IllegalSaslStepsEndTheConnection) {
  add("L", SecurityProtocol::kSaslPlaintext);
  start();
  auto early = connect();
  early->send(4, 1, HeartbeatRequest());
  EXPECT_TRUE(early->is_closed());

  auto unknown = connect();
  protocol::SaslHandshakeRequest handshake;
  handshake.mechanism = "GSSAPI";
  unknown->send(1, 1, handshake);
  const auto response = unknown->read<protocol::SaslHandshakeResponse>(1);
  EXPECT_EQ(response->error_code, 33);
  EXPECT_EQ(response->mechanisms,
            (std::vector<std::string>{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}));
  EXPECT_TRUE(unknown->is_closed());

  auto no_handshake = connect();
  no_handshake->send(1, 1, protocol::SaslAuthenticateRequest());
  EXPECT_EQ(no_handshake->read<protocol::SaslAuthenticateResponse>(1)->error_code, 34);
  EXPECT_TRUE(no_handshake->is_closed());

  auto large = connect();  // bounded more tightly until we know who it is
  large->send_bytes(std::string("\0\x10\0\0", 4));
  EXPECT_TRUE(large->is_closed());

  auto again = connect();
  EXPECT_EQ(again->authenticate("PLAIN", "alice", "secret"), 0);
  again->send(1, 5, handshake);
  EXPECT_EQ(again->read<protocol::SaslHandshakeResponse>(1)->error_code, 34);
}

TEST_F(ServerTest, ServesSaslOverTls) {
  use_tls(add("L", SecurityProtocol::kSaslSsl), io::ClientAuth::kNone);
  start();
  auto client = connect();
  ASSERT_TRUE(client->start_tls(files.file("ca.crt")));
  EXPECT_EQ(client->authenticate("SCRAM-SHA-512", "alice", "secret"), 0);
  client->send(4, 3, HeartbeatRequest());
  EXPECT_EQ(client->read_correlation_id(), 3);
}

TEST_F(ServerTest, ACertificateNamesThePrincipal) {
  auto& listener = add("L", SecurityProtocol::kSsl);
  use_tls(listener, io::ClientAuth::kRequired);
  listener.principal_mapping_rules = "RULE:^CN=(.*?),O=millrace$/$1/";
  auto same = listener;
  same.name = "DN";
  same.principal_mapping_rules = "";
  options.listeners.push_back(same);
  start();
  const auto principal = [&](const std::string& name) {
    auto client = connect(name);
    EXPECT_TRUE(client->start_tls(files.file("ca.crt"), files.file("client.crt"),
                                  files.file("client.key")));
    client->send(4, 3, HeartbeatRequest());
    EXPECT_EQ(client->read_correlation_id(), 3);
    return to_string(sink.last_session->principal);
  };
  EXPECT_EQ(principal("L"), "User:orders-main-0");
  EXPECT_EQ(principal("DN"), "User:CN=orders-main-0,O=millrace");
  auto nobody = connect();
  nobody->start_tls(files.file("ca.crt"));  // TLS 1.3: refused after the client believes it is in
  EXPECT_TRUE(nobody->is_closed());
  EXPECT_EQ(metric(&ListenerMetrics::handshake_failures), 1);
}

TEST_F(ServerTest, ReloadKeepsTheOldCertificateOnAnError) {
  use_tls(add("L", SecurityProtocol::kSsl), io::ClientAuth::kNone);
  start();
  EXPECT_EQ(*server->reload_tls(), false);
  io::posix::write_text(files.file("server.crt"), "nonsense");
  const auto failed = server->reload_tls();
  EXPECT_EQ(failed.code(), ErrorCode::kInvalidConfig);
  EXPECT_NE(failed.error().detail.find("listener L"), std::string::npos);
  EXPECT_TRUE(connect()->start_tls(files.file("ca.crt")));
}

TEST_F(ServerTest, ManyPipelinedRequestsPassTheInFlightBound) {
  add("L").limits.max_in_flight_requests = 4;
  start();
  auto client = connect();
  std::string pipelined;
  constexpr int kRequests = 3000;
  for (int i = 0; i < kRequests; ++i) pipelined += heartbeat(i);
  client->send_bytes(pipelined);
  for (int i = 0; i < kRequests; ++i) ASSERT_EQ(client->read_correlation_id(), i);
}

TEST_F(ServerTest, StopsReadingAtTheInFlightBoundAndGoesOnAfterAnswers) {
  add("L").limits.max_in_flight_requests = 2;
  sink.keep = [](const Request&) { return true; };
  start();
  auto client = connect();
  for (int i = 0; i < 5; ++i) client->send(4, i, HeartbeatRequest());
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(
        sink.wait([&] { return static_cast<int>(sink.started.size()) == std::min(i + 2, 5); }));
    const std::lock_guard lock(sink.mutex);
    auto first = std::move(sink.kept.front());
    sink.kept.erase(sink.kept.begin());
    sink.answer(first.request, std::move(first.responder));
  }
  for (int i = 0; i < 5; ++i) EXPECT_EQ(client->read_correlation_id(), i);
}

TEST_F(ServerTest, RequestMemoryIsSharedFairlyAndGivenBack) {
  add("L");
  options.max_request_memory = 2 * 100'000;  // 100,000 per strand
  sink.keep = [](const Request&) { return true; };
  start();
  HeartbeatRequest large;
  large.member_id = std::string(30'000, 'm');
  std::vector<std::unique_ptr<TestClient>> clients;
  constexpr int kClients = 12;  // six on each strand, three fit
  for (int i = 0; i < kClients; ++i) {
    clients.push_back(connect());
    clients.back()->send(3, i, large);
  }
  for (int answered = 0; answered < kClients; ++answered) {
    ASSERT_TRUE(sink.wait([&] { return !sink.kept.empty(); })) << answered;
    const std::lock_guard lock(sink.mutex);
    EXPECT_LE(sink.kept.size(), 6u);
    auto first = std::move(sink.kept.front());
    sink.kept.erase(sink.kept.begin());
    sink.answer(first.request, std::move(first.responder));
  }
  for (int i = 0; i < kClients; ++i)
    EXPECT_EQ(clients[static_cast<std::size_t>(i)]->read_correlation_id(), i);
}

TEST_F(ServerTest, AClientThatDoesNotReadIsNotReadFrom) {
  auto& limits = add("L").limits;
  limits.max_unsent_bytes = 1 << 20;
  limits.max_in_flight_requests = 10;
  sink.answer_padding = 1 << 20;
  start();
  auto client = connect();
  constexpr int kRequests = 200;
  for (int i = 0; i < kRequests; ++i) client->send(4, i, HeartbeatRequest());
  // Sockets hold a few MiB; far from all 200 MiB may have been produced.
  ASSERT_TRUE(sink.wait([&] { return sink.started.size() >= 2; }));
  auto prober = connect();
  for (int i = 0; i < 20; ++i) {
    prober->send(4, 1000 + i, HeartbeatRequest());
    EXPECT_EQ(prober->read_correlation_id(), 1000 + i);
  }
  {
    const std::lock_guard lock(sink.mutex);
    EXPECT_LT(sink.started.size(), 20u + 100u);
  }
  for (int i = 0; i < kRequests; ++i) ASSERT_EQ(client->read_correlation_id(), i);
}

TEST_F(ServerTest, ALargeRequestArrivesWhole) {
  add("L");
  sink.keep = [](const Request&) { return true; };
  start();
  auto client = connect();
  HeartbeatRequest large;
  large.member_id = std::string(32'000, 'm');
  client->send(3, 1, large);
  client->send(3, 2, large);
  ASSERT_TRUE(sink.wait_kept(2));
  const std::lock_guard lock(sink.mutex);
  for (const auto& kept : sink.kept)
    EXPECT_EQ(protocol::decode<HeartbeatRequest>(kept.request.body, 3)->member_id, large.member_id);
}

TEST_F(ServerTest, IdleConnectionsAreClosedButNotThoseThatWaitForUs) {
  add("L").limits.max_idle = 100ms;
  sink.keep = [](const Request& request) { return request.header.correlation_id == 1; };
  start();
  auto waiting = connect();
  waiting->send(4, 1, HeartbeatRequest());
  auto idle = connect();
  EXPECT_TRUE(idle->is_closed());
  EXPECT_EQ(metric(&ListenerMetrics::connections_closed_idle), 1);
  const std::lock_guard lock(sink.mutex);
  sink.answer(sink.kept[0].request, std::move(sink.kept[0].responder));
  EXPECT_EQ(waiting->read_correlation_id(), 1);
}

TEST_F(ServerTest, RefusesConnectionsAboveTheLimits) {
  add("L").limits.max_connections_per_ip = 2;
  add("M");
  options.max_connections = 3;
  start();
  std::vector<std::unique_ptr<TestClient>> open;
  const auto served = [&](const std::string& listener) {
    open.push_back(connect(listener));
    open.back()->send(4, 1, HeartbeatRequest());
    return open.back()->read_correlation_id() == 1;
  };
  EXPECT_TRUE(served("L"));
  EXPECT_TRUE(served("L"));
  EXPECT_FALSE(served("L")) << "two per address";
  EXPECT_TRUE(served("M"));
  EXPECT_FALSE(served("M")) << "three in all";
  EXPECT_EQ(metric(&ListenerMetrics::connections_refused, "L"), 1);
  open.clear();
  // Their ends are noticed a moment later.
  bool again = false;
  for (int i = 0; i < 1000 && !again; ++i) {
    again = served("L");
    open.clear();
  }
  EXPECT_TRUE(again);
}

TEST_F(ServerTest, ServesAThousandConnections) {
  add("L");
  start();
  std::vector<std::unique_ptr<TestClient>> clients;
  for (int i = 0; i < 1000; ++i) clients.push_back(connect());
  for (int i = 0; i < 1000; ++i)
    clients[static_cast<std::size_t>(i)]->send(4, i, HeartbeatRequest());
  for (int i = 0; i < 1000; ++i)
    ASSERT_EQ(clients[static_cast<std::size_t>(i)]->read_correlation_id(), i);
  EXPECT_EQ(metric(&ListenerMetrics::connections_active), 1000);
}

TEST_F(ServerTest, StopWaitsForRequestsInFlightThenCloses) {
  add("L");
  sink.keep = [](const Request&) { return true; };
  start();
  auto client = connect();
  auto idle = connect();
  client->send(4, 1, HeartbeatRequest());
  ASSERT_TRUE(sink.wait_kept(1));
  std::thread stopper([&] { server->stop(10s); });
  EXPECT_TRUE(idle->is_closed());
  {
    const std::lock_guard lock(sink.mutex);
    sink.answer(sink.kept[0].request, std::move(sink.kept[0].responder));
  }
  stopper.join();
  EXPECT_EQ(client->read_correlation_id(), 1);
  EXPECT_TRUE(client->is_closed());
}

TEST_F(ServerTest, StopLosesPatience) {
  add("L");
  sink.keep = [](const Request&) { return true; };
  start();
  auto client = connect();
  client->send(4, 1, HeartbeatRequest());
  ASSERT_TRUE(sink.wait_kept(1));
  server->stop(50ms);
  EXPECT_TRUE(client->is_closed());
  sink.kept[0].responder.send_nothing();  // too late, and harmless
}

TEST_F(ServerTest, AListenerThatCannotBeOpenedStopsTheStartWithItsName) {
  const auto failure = [&](const std::function<void(ListenerOptions&)>& change) {
    options.listeners.clear();
    change(add("BAD"));
    Server bad({*transport, {&loops[0]}, sink, &credentials}, options);
    const auto started = bad.start();
    EXPECT_FALSE(started.ok());
    return started.ok() ? std::string() : started.error().detail;
  };
  EXPECT_NE(failure([](auto& l) { l.protocol = SecurityProtocol::kSsl; }).find("listener BAD"),
            std::string::npos);
  EXPECT_NE(failure([](auto& l) { l.bind.host = "192.0.2.1"; }).find("192.0.2.1"),
            std::string::npos);
  EXPECT_NE(failure([](auto& l) {
              l.protocol = SecurityProtocol::kSaslPlaintext;
              l.sasl_mechanisms = {"GSSAPI"};
            }).find("GSSAPI"),
            std::string::npos);
  EXPECT_NE(failure([](auto& l) { l.principal_mapping_rules = "RULE:("; }).find("mapping.rules"),
            std::string::npos);
}

}  // namespace
}  // namespace broker::server
