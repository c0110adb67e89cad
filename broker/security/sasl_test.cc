#include "broker/security/sasl.h"

#include <gtest/gtest.h>

#include <map>

#include "broker/common/base64.h"
#include "broker/security/delegation_token.h"
#include "broker/security/principal_mapping.h"
#include "broker/security/scram_math.h"

namespace broker::security {
namespace {

Bytes bytes(std::string_view text) { return Bytes(text.begin(), text.end()); }
std::string text(const Bytes& bytes) { return std::string(bytes.begin(), bytes.end()); }

struct Store final : CredentialStore {
  std::map<std::string, Token> tokens;

  std::optional<Token> token(ScramMechanism, std::string_view id) const override {
    const auto it = tokens.find(std::string(id));
    if (it == tokens.end()) return std::nullopt;
    return it->second;
  }
  std::map<std::pair<ScramMechanism, std::string>, ScramCredential> credentials;
  std::map<std::string, std::string> passwords;

  std::optional<ScramCredential> scram(ScramMechanism mechanism,
                                       std::string_view user) const override {
    const auto it = credentials.find({mechanism, std::string(user)});
    if (it == credentials.end()) return std::nullopt;
    return it->second;
  }
  std::optional<std::string> plain_password(std::string_view user) const override {
    const auto it = passwords.find(std::string(user));
    if (it == passwords.end()) return std::nullopt;
    return it->second;
  }
};

/// Runs both ends against each other; the error is the side's that failed first.
Result<std::string> converse(SaslServer& server, SaslClient& client) {
  ASSIGN_OR_RETURN(SaslStep from_client, client.step({}));
  while (true) {
    ASSIGN_OR_RETURN(const SaslStep from_server, server.step(from_client.token));
    if (from_server.complete && from_client.complete) return server.user();
    ASSIGN_OR_RETURN(from_client, client.step(from_server.token));
    if (from_server.complete && from_client.complete) return server.user();
  }
}

TEST(Scram, ADelegationTokenIsItsOwnersProof) {
  for (const auto mechanism : {ScramMechanism::kSha256, ScramMechanism::kSha512}) {
    Store store;
    const Bytes hmac = delegation_token_hmac("secret", "t-1");
    store.tokens["t-1"] = {"alice", 4711, delegation_token_credential(mechanism, hmac)};
    const auto log_in = [&](const std::string& id, const std::string& password, bool by_token) {
      auto server = make_scram_server(mechanism, store, "server-nonce");
      auto client = make_scram_client(mechanism, id, password, "client-nonce", by_token);
      const auto user = converse(*server, *client);
      if (!user.ok()) return "refused" + user.error().detail;
      EXPECT_EQ(server->expires(), 4711);
      EXPECT_TRUE(server->is_by_token());
      return *user;
    };
    EXPECT_EQ(log_in("t-1", base64_encode(hmac), true), "alice");
    EXPECT_EQ(log_in("t-1", base64_encode(hmac), false), "refused");
    EXPECT_EQ(log_in("t-1", "guessed", true), "refused");
    EXPECT_EQ(log_in("t-2", base64_encode(hmac), true), "refused");
  }
}

TEST(Scram, FollowsTheExampleOfRfc7677) {
  Store store;
  const Bytes salt = *base64_decode("W22ZaJ0SNY7soEsUEjb6gQ==");
  const Bytes salted = *scram_salted_password(ScramMechanism::kSha256, "pencil", salt, 4096);
  store.credentials[{ScramMechanism::kSha256, "user"}] =
      *scram_credential_from_salted(ScramMechanism::kSha256, salted, salt, 4096);
  auto server = make_scram_server(ScramMechanism::kSha256, store, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0");
  auto client =
      make_scram_client(ScramMechanism::kSha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO");

  const auto client_first = client->step({});
  EXPECT_EQ(text(client_first->token), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  const auto server_first = server->step(client_first->token);
  EXPECT_EQ(
      text(server_first->token),
      "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
  const auto client_final = client->step(server_first->token);
  EXPECT_EQ(text(client_final->token),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
            "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  const auto server_final = server->step(client_final->token);
  EXPECT_EQ(text(server_final->token), "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
  EXPECT_TRUE(server_final->complete);
  EXPECT_TRUE(client->step(server_final->token)->complete);
  EXPECT_EQ(server->user(), "user");
}

TEST(Scram, BothMechanismsAcceptTheRightPasswordOnly) {
  for (const auto mechanism : {ScramMechanism::kSha256, ScramMechanism::kSha512}) {
    Store store;
    store.credentials[{mechanism, "a,b=c"}] = *make_scram_credential("secret", mechanism, 5000);
    const auto attempt = [&](std::string user, std::string password) {
      auto server = *make_sasl_server(to_string(mechanism), store);
      auto client = *make_sasl_client(to_string(mechanism), std::move(user), std::move(password));
      return converse(*server, *client);
    };
    const auto good = attempt("a,b=c", "secret");
    ASSERT_TRUE(good.ok()) << to_string(good.error());
    EXPECT_EQ(*good, "a,b=c");
    const auto wrong = attempt("a,b=c", "Secret");
    const auto unknown = attempt("nobody", "secret");
    ASSERT_FALSE(wrong.ok());
    EXPECT_EQ(wrong.code(), ErrorCode::kSaslAuthenticationFailed);
    EXPECT_EQ(wrong.error(), unknown.error()) << "an unknown user must look like a wrong password";
  }
}

TEST(Scram, UnknownUsersGetASaltThatStays) {
  Store store;
  const auto salt_of = [&](std::string user) {
    auto server = make_scram_server(ScramMechanism::kSha256, store, "S");
    return text(server->step(bytes("n,,n=" + user + ",r=C"))->token);
  };
  EXPECT_EQ(salt_of("ghost"), salt_of("ghost"));
  EXPECT_NE(salt_of("ghost"), salt_of("other"));
}

TEST(Scram, ServerRefusesMalformedAndReplayedMessages) {
  Store store;
  store.credentials[{ScramMechanism::kSha256, "u"}] =
      *make_scram_credential("p", ScramMechanism::kSha256);
  for (const char* first :
       {"", "n", "n,,", "y,,n=u,r=x", "p=tls-unique,,n=u,r=x", "n,,r=x,n=u", "n,,n=u",
        "n,,n=u,r=", "n,a=other,n=u,r=x", "n,,n=u=2X,r=x", "n,,m=ext,n=u,r=x"}) {
    auto server = make_scram_server(ScramMechanism::kSha256, store, "S");
    EXPECT_FALSE(server->step(bytes(first)).ok()) << first;
    EXPECT_FALSE(server->step(bytes("n,,n=u,r=x")).ok()) << "dead after " << first;
  }
  auto server = make_scram_server(ScramMechanism::kSha256, store, "S");
  ASSERT_TRUE(server->step(bytes("n,,n=u,r=x")).ok());
  EXPECT_FALSE(server->step(bytes("c=biws,r=other,p=AAAA")).ok());
}

TEST(Scram, ServerTakesTheDoubledNonceOfLibrdkafka) {
  Store store;
  const Bytes salt = bytes("salt");
  const Bytes salted = *scram_salted_password(ScramMechanism::kSha256, "p", salt, 4096);
  store.credentials[{ScramMechanism::kSha256, "u"}] =
      *scram_credential_from_salted(ScramMechanism::kSha256, salted, salt, 4096);
  auto server = make_scram_server(ScramMechanism::kSha256, store, "SERVER");
  const auto first = server->step(bytes("n,,n=u,r=client"));
  ASSERT_TRUE(first.ok());
  const std::string final = "c=biws,r=clientclientSERVER";
  const std::string signed_text = "n=u,r=client," + text(first->token) + "," + final;
  const Bytes client_key = scram::hmac(ScramMechanism::kSha256, salted, "Client Key");
  const Bytes stored_key = scram::hash(ScramMechanism::kSha256, client_key);
  Bytes proof = scram::hmac(ScramMechanism::kSha256, stored_key, signed_text);
  for (std::size_t i = 0; i < proof.size(); ++i) proof[i] ^= client_key[i];
  const auto done =
      server->step(bytes(final + ",p=" + base64_encode(std::span<const std::uint8_t>(proof))));
  ASSERT_TRUE(done.ok()) << done.error().detail;
  EXPECT_TRUE(done->complete);
}

TEST(Scram, ClientRefusesAServerThatDoesNotKnowThePassword) {
  auto client = make_scram_client(ScramMechanism::kSha256, "u", "p", "C");
  ASSERT_TRUE(client->step({}).ok());
  ASSERT_TRUE(client->step(bytes("r=CS,s=QUFBQQ==,i=4096")).ok());
  EXPECT_FALSE(client->step(bytes("v=AAAA")).ok());
  for (const char* first :
       {"r=XS,s=QUFBQQ==,i=4096", "r=C,s=QUFBQQ==,i=4096", "r=CS,s=QUFBQQ==,i=100",
        "r=CS,s=QUFBQQ==,i=999999999", "r=CS,s=,i=4096", "e=unknown-user"}) {
    auto other = make_scram_client(ScramMechanism::kSha256, "u", "p", "C");
    ASSERT_TRUE(other->step({}).ok());
    EXPECT_FALSE(other->step(bytes(first)).ok()) << first;
  }
}

TEST(Scram, IterationsOutsideKafkasBoundsAreUnacceptable) {
  EXPECT_EQ(make_scram_credential("p", ScramMechanism::kSha256, 4095).code(),
            ErrorCode::kUnacceptableCredential);
  EXPECT_EQ(make_scram_credential("p", ScramMechanism::kSha256, 16385).code(),
            ErrorCode::kUnacceptableCredential);
  EXPECT_EQ(make_scram_credential("", ScramMechanism::kSha256).code(),
            ErrorCode::kUnacceptableCredential);
}

TEST(Plain, ChecksUserPasswordAndAuthorizationId) {
  Store store;
  store.passwords["alice"] = "secret";
  using namespace std::string_view_literals;
  const auto attempt = [&](std::string_view token) {
    return (*make_sasl_server("PLAIN", store))->step(bytes(token)).ok();
  };
  EXPECT_TRUE(attempt("\0alice\0secret"sv));
  EXPECT_TRUE(attempt("alice\0alice\0secret"sv));
  EXPECT_FALSE(attempt("bob\0alice\0secret"sv));
  EXPECT_FALSE(attempt("\0alice\0wrong!"sv));
  EXPECT_FALSE(attempt("\0bob\0secret"sv));
  EXPECT_FALSE(attempt("\0alice\0"sv));
  EXPECT_FALSE(attempt("alice secret"sv));
  EXPECT_FALSE(attempt("\0alice\0secret\0more"sv));
  auto server = *make_sasl_server("PLAIN", store);
  auto client = *make_sasl_client("PLAIN", "alice", "secret");
  EXPECT_EQ(*converse(*server, *client), "alice");
  auto refused = *make_sasl_server("PLAIN", store);
  EXPECT_FALSE(refused->step(bytes("\0alice\0wrong!"sv)).ok());
  EXPECT_EQ(refused->user(), "alice");  // the log says who it was that failed
  EXPECT_EQ(make_sasl_server("GSSAPI", store).code(), ErrorCode::kUnsupportedSaslMechanism);
}

TEST(PrincipalMapping, FirstMatchingRuleNamesTheUser) {
  const auto map = [](std::string_view rules, std::string_view subject) {
    auto mapping = PrincipalMapping::parse(rules);
    EXPECT_TRUE(mapping.ok()) << (mapping.ok() ? "" : mapping.error().detail);
    auto name = mapping->name_of(subject);
    return name.ok() ? *name : "ERROR";
  };
  EXPECT_EQ(map("", "CN=a,O=b"), "CN=a,O=b");
  EXPECT_EQ(map("DEFAULT", "CN=a,O=b"), "CN=a,O=b");
  EXPECT_EQ(map("RULE:^CN=(.*?),.*$/$1/", "CN=Duke,OU=x"), "Duke");
  EXPECT_EQ(map("RULE:^CN=(.*?),OU=(.*?)$/$1@$2/L, DEFAULT", "CN=Duke,OU=Sales"), "duke@sales");
  EXPECT_EQ(map("RULE:^CN=(.*?),OU=(.*?)$/$1@$2/L, DEFAULT", "CN=x"), "CN=x");
  EXPECT_EQ(map("RULE:^CN=(.*)$/$1/U", "CN=a"), "A");
  EXPECT_EQ(map("RULE:^CN=([^,]*)$/$1/", "CN=a,O=b"), "ERROR");
  for (const char* bad : {"RULE:^CN=(.*$/x", "RULE:(/x/", "DEFAULTS", "nonsense", "RULE:a/b/LX"})
    EXPECT_FALSE(PrincipalMapping::parse(bad).ok()) << bad;
}

}  // namespace
}  // namespace broker::security
