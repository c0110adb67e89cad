#include "broker/server/sasl_authenticator.h"

#include <gtest/gtest.h>

#include "broker/protocol/messages/sasl_authenticate_request.h"
#include "broker/protocol/messages/sasl_authenticate_response.h"
#include "broker/protocol/messages/sasl_handshake_request.h"

namespace broker::server {
namespace {

using namespace std::chrono_literals;
using protocol::ApiKey;
using Verdict = SaslAuthenticator::Verdict;

constexpr WallMs kNow = 1'700'000'000'000;

struct TwoUsers final : security::CredentialStore {
  std::optional<security::ScramCredential> scram(security::ScramMechanism,
                                                 std::string_view) const override {
    return std::nullopt;
  }
  std::optional<std::string> plain_password(std::string_view user) const override {
    if (user == "alice" || user == "bob") return "secret";
    return std::nullopt;
  }
};

template <class Body>
Slice bytes_of(std::int16_t version, const Body& body) {
  protocol::Writer writer;
  body.write(writer, version);
  std::string bytes;
  for (const Slice& piece : *writer.take()) bytes += piece.view();
  return Slice::copy_of(bytes);
}

struct SaslAuthenticatorTest : ::testing::Test {
  TwoUsers credentials;
  SaslOptions options{{"PLAIN", "SCRAM-SHA-256"}, {}};

  static SaslAuthenticator::Outcome log_in(SaslAuthenticator& sasl, const std::string& user,
                                           const std::string& password = "secret") {
    protocol::SaslHandshakeRequest handshake;
    handshake.mechanism = "PLAIN";
    EXPECT_EQ(
        sasl.on_request({ApiKey::kSaslHandshake, 1, 1, "c"}, bytes_of(1, handshake), kNow).verdict,
        Verdict::kContinue);
    protocol::SaslAuthenticateRequest token;
    token.auth_bytes =
        Slice::copy_of(std::string(1, '\0') + user + std::string(1, '\0') + password);
    return sasl.on_request({ApiKey::kSaslAuthenticate, 2, 2, "c"}, bytes_of(2, token), kNow);
  }
  static protocol::SaslAuthenticateResponse answer(const SaslAuthenticator::Outcome& outcome) {
    std::string bytes;
    for (const Slice& piece : outcome.answer) bytes += piece.view();
    protocol::Reader reader(Slice::copy_of(bytes.substr(4)));
    EXPECT_TRUE(protocol::decode_response_header(reader, ApiKey::kSaslAuthenticate, 2).ok());
    return *protocol::decode<protocol::SaslAuthenticateResponse>(reader.rest(), 2);
  }
};

TEST_F(SaslAuthenticatorTest, ASessionLastsForEverUnlessItsMechanismIsLimited) {
  options.max_reauth["SCRAM-SHA-256"] = 5s;
  SaslAuthenticator unlimited(options, credentials);
  const auto first = log_in(unlimited, "alice");
  EXPECT_EQ(first.verdict, Verdict::kAuthenticated);
  EXPECT_EQ(first.session_lifetime, std::nullopt);
  EXPECT_EQ(answer(first).session_lifetime_ms, 0);
  options.max_reauth["PLAIN"] = 7s;
  SaslAuthenticator limited(options, credentials);
  const auto second = log_in(limited, "alice");
  EXPECT_EQ(second.session_lifetime, 7s);
  EXPECT_EQ(answer(second).session_lifetime_ms, 7000);
}

TEST_F(SaslAuthenticatorTest, AReauthenticationKeepsItsPrincipal) {
  const SaslAuthenticator::Established alice{"PLAIN", {"User", "alice"}};
  SaslAuthenticator same(options, credentials, alice);
  EXPECT_EQ(log_in(same, "alice").verdict, Verdict::kAuthenticated);
  SaslAuthenticator other(options, credentials, alice);
  const auto refused = log_in(other, "bob");
  EXPECT_EQ(refused.verdict, Verdict::kFailed);
  EXPECT_EQ(answer(refused).error_code, 58);
  EXPECT_EQ(answer(refused).error_message,
            "Cannot change principals during re-authentication from User.alice: User.bob");
}

TEST_F(SaslAuthenticatorTest, AReauthenticationKeepsItsMechanism) {
  SaslAuthenticator sasl(options, credentials,
                         SaslAuthenticator::Established{"SCRAM-SHA-256", {"User", "alice"}});
  const auto refused = log_in(sasl, "alice");
  EXPECT_EQ(refused.verdict, Verdict::kFailed);
  EXPECT_TRUE(refused.answer.empty());
  EXPECT_EQ(refused.reason,
            "SASL mechanism 'PLAIN' requested by client is not supported for re-authentication of "
            "mechanism 'SCRAM-SHA-256'");

  SaslAuthenticator unknown(options, credentials,
                            SaslAuthenticator::Established{"PLAIN", {"User", "alice"}});
  protocol::SaslHandshakeRequest handshake;
  handshake.mechanism = "GSSAPI";
  const auto ended =
      unknown.on_request({ApiKey::kSaslHandshake, 1, 1, "c"}, bytes_of(1, handshake), kNow);
  EXPECT_EQ(ended.verdict, Verdict::kFailed);
  EXPECT_TRUE(ended.answer.empty());
}

}  // namespace
}  // namespace broker::server
