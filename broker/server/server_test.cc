#include <gtest/gtest.h>

#include "broker/server/server_for_tests.h"

namespace broker::server {
namespace {

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
  EXPECT_TRUE(reaches(&ListenerMetrics::malformed_requests, static_cast<std::int64_t>(bad.size())));
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
  EXPECT_TRUE(reaches(&ListenerMetrics::authentication_successes, 3));
  EXPECT_TRUE(reaches(&ListenerMetrics::authentication_failures, 6));
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

TEST_F(ServerTest, ASessionGoesOnWhenItsUserProvesHimselfAgain) {
  for (const char* mechanism : {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}) {
    add(mechanism, SecurityProtocol::kSaslPlaintext).sasl.max_reauth[mechanism] = 1h;
  }
  start();
  for (const char* mechanism : {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}) {
    auto client = connect(mechanism);
    EXPECT_EQ(client->authenticate(mechanism, "alice", "secret"), 0);
    EXPECT_EQ(client->session_lifetime_ms, 3'600'000);
    EXPECT_EQ(client->authenticate(mechanism, "alice", "secret"), 0) << mechanism;
    EXPECT_EQ(client->session_lifetime_ms, 3'600'000);
    client->send(4, 3, HeartbeatRequest());
    EXPECT_EQ(client->read_correlation_id(), 3);
    // Not twice within a second; the session stays as it is.
    EXPECT_EQ(client->authenticate(mechanism, "alice", "secret"), 34);
    client->send(4, 4, HeartbeatRequest());
    EXPECT_EQ(client->read_correlation_id(), 4);
    EXPECT_EQ(server->metrics(mechanism).reauthentication_successes.value(), 1);
    EXPECT_EQ(server->metrics(mechanism).authentication_successes.value(), 1);
  }
}

TEST_F(ServerTest, AnExpiredSessionEndsWithItsNextRequestAndCanBeRenewedBefore) {
  add("L", SecurityProtocol::kSaslPlaintext).sasl.max_reauth["PLAIN"] = 1ms;
  start();
  auto client = connect();
  EXPECT_EQ(client->authenticate("PLAIN", "alice", "secret"), 0);
  std::int32_t id = 1;
  do {
    client->send(4, id, HeartbeatRequest());
  } while (client->read_correlation_id() == id++);
  EXPECT_TRUE(client->is_closed());
  EXPECT_TRUE(reaches(&ListenerMetrics::expired_connections_killed, 1));

  // A mechanism without a limit has none of it.
  auto other = connect();
  EXPECT_EQ(other->authenticate("SCRAM-SHA-256", "alice", "secret"), 0);
  EXPECT_EQ(other->session_lifetime_ms, 0);
}

TEST_F(ServerTest, ARequestInTheMiddleOfAReauthenticationEndsTheConnection) {
  add("L", SecurityProtocol::kSaslPlaintext).sasl.max_reauth["PLAIN"] = 1h;
  start();
  auto client = connect();
  EXPECT_EQ(client->authenticate("PLAIN", "alice", "secret"), 0);
  protocol::SaslHandshakeRequest handshake;
  handshake.mechanism = "PLAIN";
  client->send(1, 5, handshake);
  EXPECT_EQ(client->read<protocol::SaslHandshakeResponse>(1)->error_code, 0);
  client->send(4, 6, HeartbeatRequest());
  EXPECT_TRUE(client->is_closed());
}

TEST_F(ServerTest, AReauthenticationThatFailsEndsTheConnection) {
  auto& listener = add("L", SecurityProtocol::kSaslPlaintext);
  listener.sasl.max_reauth = {{"PLAIN", 1h}, {"SCRAM-SHA-256", 1h}};
  start();
  auto wrong = connect();
  EXPECT_EQ(wrong->authenticate("PLAIN", "alice", "secret"), 0);
  EXPECT_EQ(wrong->authenticate("PLAIN", "alice", "wrong"), 58);
  EXPECT_TRUE(wrong->is_closed());
  EXPECT_TRUE(reaches(&ListenerMetrics::reauthentication_failures, 1));
  // Another mechanism is refused without a word, as Kafka does.
  auto other = connect();
  EXPECT_EQ(other->authenticate("PLAIN", "alice", "secret"), 0);
  EXPECT_EQ(other->authenticate("SCRAM-SHA-256", "alice", "secret"), std::nullopt);
  EXPECT_EQ(server->metrics("L").authentication_failures.value(), 0);
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

TEST_F(ServerTest, TlsVersionsAndCiphersAreThoseThatAreEnabled) {
  const auto listener = [&](const std::string& name, std::vector<std::string> protocols,
                            std::vector<std::string> ciphers) {
    auto& made = add(name, SecurityProtocol::kSsl);
    use_tls(made, io::ClientAuth::kNone);
    made.tls->protocols = std::move(protocols);
    made.tls->cipher_suites = std::move(ciphers);
  };
  listener("NEW", {"TLSv1.3"}, {});
  listener("OLD", {"TLSv1.2"}, {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"});
  listener("BOTH", {"TLSv1.2", "TLSv1.3"},
           {"TLS_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"});
  start();
  const auto cipher = [&](const std::string& name, int version) {
    auto client = connect(name);
    return client->start_tls(files.file("ca.crt"), {}, {}, version) ? client->cipher() : "refused";
  };
  EXPECT_NE(cipher("NEW", TLS1_3_VERSION), "refused");
  EXPECT_EQ(cipher("NEW", TLS1_2_VERSION), "refused");
  EXPECT_EQ(cipher("OLD", TLS1_2_VERSION), "ECDHE-ECDSA-AES256-GCM-SHA384");
  EXPECT_EQ(cipher("OLD", TLS1_3_VERSION), "refused");
  EXPECT_EQ(cipher("BOTH", TLS1_3_VERSION), "TLS_CHACHA20_POLY1305_SHA256");
  EXPECT_EQ(cipher("BOTH", TLS1_2_VERSION), "ECDHE-ECDSA-AES128-GCM-SHA256");
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
  EXPECT_TRUE(reaches(&ListenerMetrics::handshake_failures, 1));
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

}  // namespace
}  // namespace broker::server
