// Bounds: requests in flight, memory, idle time, connections, and the end of a server.
#include <gtest/gtest.h>

#include "broker/server/server_for_tests.h"

namespace broker::server {
namespace {

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

TEST_F(ServerTest, WhoDoesNotLogInIsCut) {
  auto& tls = add("TLS", SecurityProtocol::kSsl);
  use_tls(tls, io::ClientAuth::kNone);
  tls.limits.max_login = 50ms;
  add("SASL", SecurityProtocol::kSaslPlaintext).limits.max_login = 50ms;
  add("OPEN").limits.max_login = 50ms;
  start();
  auto known = connect("SASL");
  EXPECT_EQ(known->authenticate("PLAIN", "alice", "secret"), 0);
  auto open = connect("OPEN");
  auto half_open = connect("TLS");
  half_open->send_bytes("\x16\x03\x01");  // the begin of a handshake
  EXPECT_TRUE(half_open->is_closed());
  auto curious = connect("SASL");
  curious->send(0, 1, ApiVersionsRequest());
  EXPECT_EQ(curious->read_correlation_id(), 1);
  EXPECT_TRUE(curious->is_closed());
  for (auto* client : {known.get(), open.get()}) {
    client->send(4, 3, HeartbeatRequest());
    EXPECT_EQ(client->read_correlation_id(), 3);
  }
  EXPECT_EQ(server->metrics("TLS").handshake_failures.value(), 1);
}

TEST_F(ServerTest, OfTooManyStrangersTheOldestIsCut) {
  add("L", SecurityProtocol::kSaslPlaintext);
  options.max_strangers = 2;  // on each of two strands
  start();
  auto known = connect();
  EXPECT_EQ(known->authenticate("PLAIN", "alice", "secret"), 0);
  std::vector<std::unique_ptr<TestClient>> strangers;
  for (int i = 0; i < 6; ++i) {
    strangers.push_back(connect());
    strangers.back()->send(0, i, ApiVersionsRequest());
    EXPECT_EQ(strangers.back()->read_correlation_id(), i);
  }
  for (std::size_t i = 0; i < 2; ++i) EXPECT_TRUE(strangers[i]->is_closed());
  for (std::size_t i = 2; i < 6; ++i)
    EXPECT_EQ(strangers[i]->authenticate("PLAIN", "alice", "secret"), 0);
  known->send(4, 3, HeartbeatRequest());
  EXPECT_EQ(known->read_correlation_id(), 3);
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
  EXPECT_TRUE(reaches(&ListenerMetrics::connections_closed_idle, 1));
  const std::lock_guard lock(sink.mutex);
  sink.answer(sink.kept[0].request, std::move(sink.kept[0].responder));
  EXPECT_EQ(waiting->read_correlation_id(), 1);
}

TEST_F(ServerTest, RefusesConnectionsOfAnAddressAboveItsLimit) {
  add("L");
  options.connections.max_per_ip = 2;
  start();
  std::vector<std::unique_ptr<TestClient>> open;
  const auto served = [&] {
    open.push_back(connect());
    open.back()->send(4, 1, HeartbeatRequest());
    return open.back()->read_correlation_id() == 1;
  };
  EXPECT_TRUE(served());
  EXPECT_TRUE(served());
  EXPECT_FALSE(served()) << "two per address";
  EXPECT_TRUE(reaches(&ListenerMetrics::connections_refused, 1));
  open.clear();
  // Their ends are noticed a moment later.
  bool again = false;
  for (int i = 0; i < 1000 && !again; ++i) {
    again = served();
    open.clear();
  }
  EXPECT_TRUE(again);
}

TEST_F(ServerTest, ConnectionsAboveTheLimitWaitForOneToEnd) {
  add("L");
  options.connections.max_connections = 2;
  options.max_waiting_connections = 1;
  start();
  auto first = connect();
  auto second = connect();
  for (auto* client : {first.get(), second.get()}) {
    client->send(4, 1, HeartbeatRequest());
    ASSERT_EQ(client->read_correlation_id(), 1);
  }
  auto third = connect();
  third->send(4, 3, HeartbeatRequest());
  auto fourth = connect();
  EXPECT_TRUE(fourth->is_closed()) << "one may wait";
  first->send(4, 2, HeartbeatRequest());
  EXPECT_EQ(first->read_correlation_id(), 2);
  {
    const std::lock_guard lock(sink.mutex);
    EXPECT_EQ(sink.started, (std::vector<std::int32_t>{1, 1, 2}));
  }
  first.reset();
  EXPECT_EQ(third->read_correlation_id(), 3);
}

TEST_F(ServerTest, WhenFewerMayBeOpenTheLeastActiveEnd) {
  add("L");
  add("OWN");
  start();
  auto own = connect("OWN");
  auto idle = connect();
  auto busy = connect();
  for (auto* client : {own.get(), idle.get(), busy.get()}) {
    client->send(4, 1, HeartbeatRequest());
    ASSERT_EQ(client->read_correlation_id(), 1);
  }
  ConnectionLimits limits;
  limits.max_connections = 1;
  limits.listeners = {{"L", {}}, {"OWN", {}}};
  limits.protected_listener = "OWN";
  server->set_connection_limits(limits);
  EXPECT_TRUE(idle->is_closed());
  EXPECT_TRUE(busy->is_closed());
  own->send(4, 2, HeartbeatRequest());
  EXPECT_EQ(own->read_correlation_id(), 2);
  auto another = connect("OWN");  // its own listener is let in
  another->send(4, 3, HeartbeatRequest());
  EXPECT_EQ(another->read_correlation_id(), 3);
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
  EXPECT_TRUE(reaches(&ListenerMetrics::connections_active, 1000));
}

TEST_F(ServerTest, StopWaitsForRequestsInFlightThenCloses) {
  add("L");
  sink.keep = [](const Request&) { return true; };
  start();
  auto client = connect();
  auto idle = connect();
  client->send(4, 1, HeartbeatRequest());
  ASSERT_TRUE(sink.wait_kept(1));
  std::thread stopper([&] { stop(10s); });
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
  stop(50ms);
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
              l.sasl.mechanisms = {"GSSAPI"};
            }).find("GSSAPI"),
            std::string::npos);
  EXPECT_NE(failure([](auto& l) { l.principal_mapping_rules = "RULE:("; }).find("mapping.rules"),
            std::string::npos);
}

}  // namespace
}  // namespace broker::server
