#include "broker/security/jwt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "broker/common/base64.h"
#include "broker/security/sasl.h"

namespace broker::security {
namespace {

using ::testing::HasSubstr;

constexpr WallMs kNow = 1'700'000'000'000;
constexpr std::int64_t kSeconds = kNow / 1000;

std::string b64(std::string_view text) { return base64_encode(text, Base64::kUrlSafeNoPadding); }

/// A key pair of an issuer.
class Issuer {
 public:
  explicit Issuer(std::string algorithm, std::string id = "k1", unsigned bits = 2048)
      : algorithm_(std::move(algorithm)),
        id_(std::move(id)),
        key_(is_ec() ? EVP_EC_gen(curve()) : EVP_RSA_gen(bits), EVP_PKEY_free) {}

  std::string jwk() const {
    const std::string head = R"({"kid":")" + id_ + R"(","use":"sig",)";
    if (!is_ec())
      return head + R"("kty":"RSA","n":")" + number(OSSL_PKEY_PARAM_RSA_N) + R"(","e":")" +
             number(OSSL_PKEY_PARAM_RSA_E) + R"("})";
    return head + R"("kty":"EC","crv":")" + curve() + R"(","x":")" +
           number(OSSL_PKEY_PARAM_EC_PUB_X) + R"(","y":")" + number(OSSL_PKEY_PARAM_EC_PUB_Y) +
           R"("})";
  }
  std::string sign(const std::string& claims, std::string header = {}) const {
    if (header.empty()) header = R"({"alg":")" + algorithm_ + R"(","kid":")" + id_ + R"("})";
    const std::string text = b64(header) + "." + b64(claims);
    return text + "." + b64(signature(text));
  }

 private:
  bool is_ec() const { return algorithm_.starts_with("ES"); }
  const char* curve() const {
    return algorithm_ == "ES256" ? "P-256" : algorithm_ == "ES384" ? "P-384" : "P-521";
  }
  int coordinate() const { return algorithm_ == "ES256" ? 32 : algorithm_ == "ES384" ? 48 : 66; }
  std::string number(const char* name) const {
    BIGNUM* value = nullptr;
    EVP_PKEY_get_bn_param(key_.get(), name, &value);
    std::string bytes(static_cast<std::size_t>(is_ec() ? coordinate() : BN_num_bytes(value)), 0);
    BN_bn2binpad(value, reinterpret_cast<unsigned char*>(bytes.data()),
                 static_cast<int>(bytes.size()));
    BN_free(value);
    return b64(bytes);
  }
  std::string signature(const std::string& text) const {
    const EVP_MD* digest = algorithm_.ends_with("256")   ? EVP_sha256()
                           : algorithm_.ends_with("384") ? EVP_sha384()
                                                         : EVP_sha512();
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    EVP_PKEY_CTX* parameters = nullptr;
    EVP_DigestSignInit(context, &parameters, digest, nullptr, key_.get());
    if (algorithm_.starts_with("PS")) {
      EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING);
      EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST);
    }
    const auto* data = reinterpret_cast<const unsigned char*>(text.data());
    std::size_t size = 0;
    EVP_DigestSign(context, nullptr, &size, data, text.size());
    std::string out(size, 0);
    EVP_DigestSign(context, reinterpret_cast<unsigned char*>(out.data()), &size, data, text.size());
    out.resize(size);
    EVP_MD_CTX_free(context);
    if (!is_ec()) return out;
    const auto* der = reinterpret_cast<const unsigned char*>(out.data());
    ECDSA_SIG* pair = d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(out.size()));
    std::string raw(2 * static_cast<std::size_t>(coordinate()), 0);
    auto* bytes = reinterpret_cast<unsigned char*>(raw.data());
    BN_bn2binpad(ECDSA_SIG_get0_r(pair), bytes, coordinate());
    BN_bn2binpad(ECDSA_SIG_get0_s(pair), bytes + coordinate(), coordinate());
    ECDSA_SIG_free(pair);
    return raw;
  }

  const std::string algorithm_, id_;
  const std::shared_ptr<EVP_PKEY> key_;
};

std::shared_ptr<const Jwks> keys_of(const std::vector<const Issuer*>& issuers) {
  std::string list;
  for (const Issuer* issuer : issuers) list += (list.empty() ? "" : ",") + issuer->jwk();
  auto keys = Jwks::parse(R"({"keys":[)" + list + "]}");
  EXPECT_TRUE(keys.ok());
  EXPECT_EQ((*keys)->size(), issuers.size());
  return *keys;
}

std::string claims(const std::string& more = "", std::int64_t ends_in = 60) {
  return R"({"sub":"alice","iat":)" + std::to_string(kSeconds - 10) + R"(,"exp":)" +
         std::to_string(kSeconds + ends_in) + more + "}";
}

/// The subject, or "refused: <reason>".
std::string judge(const std::string& token, const Jwks& keys, const JwtRules& rules = {}) {
  const auto outcome = validate_jwt(token, keys, rules, kNow);
  if (const auto* identity = std::get_if<JwtIdentity>(&outcome)) return identity->subject;
  return "refused: " + std::get<JwtRefusal>(outcome).reason;
}

TEST(Jwt, IsAcceptedFromItsIssuerOnly) {
  for (const char* algorithm :
       {"RS256", "RS384", "RS512", "PS256", "PS512", "ES256", "ES384", "ES512"}) {
    const Issuer issuer(algorithm), stranger(algorithm);
    const auto keys = keys_of({&issuer});
    EXPECT_EQ(judge(issuer.sign(claims()), *keys), "alice") << algorithm;
    EXPECT_THAT(judge(stranger.sign(claims()), *keys), HasSubstr("does not fit")) << algorithm;
    std::string changed = issuer.sign(claims());
    changed[changed.size() / 2] ^= 1;
    EXPECT_THAT(judge(changed, *keys), HasSubstr("refused")) << algorithm;
  }
}

TEST(Jwt, TheKeyIsTheOneItNames) {
  const Issuer old_key("ES256", "old"), new_key("ES256", "new"), rsa("RS256", "rsa");
  const auto keys = keys_of({&old_key, &rsa});
  EXPECT_EQ(judge(old_key.sign(claims()), *keys), "alice");
  EXPECT_EQ(judge(rsa.sign(claims(), R"({"alg":"RS256"})"), *keys), "alice");
  const auto outcome = validate_jwt(new_key.sign(claims()), *keys, {}, kNow);
  EXPECT_EQ(std::get<JwtRefusal>(outcome).unknown_key_id, "new");
  // A key of another kind is no unknown one.
  const auto other =
      validate_jwt(old_key.sign(claims(), R"({"alg":"ES256","kid":"rsa"})"), *keys, {}, kNow);
  EXPECT_EQ(std::get<JwtRefusal>(other).unknown_key_id, std::nullopt);
}

TEST(Jwt, WithoutASignatureOrByASharedSecretIsRefused) {
  const Issuer issuer("RS256");
  const auto keys = keys_of({&issuer});
  for (const char* header : {R"({"alg":"none"})", R"({"alg":"HS256","kid":"k1"})", R"({})",
                             R"({"alg":7})", R"({"alg":"RS256","kid":"k1","crit":["b64"]})"})
    EXPECT_THAT(judge(issuer.sign(claims(), header), *keys), HasSubstr("refused")) << header;
  const std::string unsigned_token = b64(R"({"alg":"none"})") + "." + b64(claims()) + ".";
  for (const std::string& token : {std::string(""), std::string("a.b.c"), std::string("a.b"),
                                   unsigned_token, issuer.sign("[]"), issuer.sign(claims()) + ".x"})
    EXPECT_EQ(judge(token, *keys), "refused: malformed token") << token;
}

TEST(Jwt, ItsTimesCountWithTheClockSkew) {
  const Issuer issuer("ES256");
  const auto keys = keys_of({&issuer});
  EXPECT_EQ(judge(issuer.sign(claims("", -29)), *keys), "refused: it ended before it was issued");
  const auto times = [&](const std::string& iat, const std::string& exp, const std::string& nbf) {
    const auto one = [](const char* name, const std::string& value) {
      return value.empty() ? "" : std::string(",\"") + name + "\":" + value;
    };
    return judge(issuer.sign(R"({"sub":"alice")" + one("iat", iat) + one("exp", exp) +
                             one("nbf", nbf) + "}"),
                 *keys);
  };
  const auto at = [](std::int64_t seconds) { return std::to_string(kSeconds + seconds); };
  EXPECT_EQ(times(at(-100), at(-29), ""), "alice");
  EXPECT_EQ(times(at(-100), at(-30), ""), "refused: it is no longer valid (exp)");
  EXPECT_EQ(times(at(-100), at(60), at(30)), "alice");
  EXPECT_EQ(times(at(-100), at(60), at(31)), "refused: it is not yet valid (nbf)");
  EXPECT_EQ(times(at(-100), at(60), at(61)), "refused: it ended before it began");
  EXPECT_EQ(times("", at(60), ""), "refused: no issued at (iat) claim");
  EXPECT_EQ(times(at(0), "", ""), "refused: no expiration time (exp) claim");
  EXPECT_THAT(times("\"now\"", at(60), ""), HasSubstr("no number"));
  EXPECT_THAT(times(at(0), "1e300", ""), HasSubstr("no number"));
  const auto outcome = validate_jwt(issuer.sign(claims()), *keys, {}, kNow);
  EXPECT_EQ(std::get<JwtIdentity>(outcome).expires, kNow + 60'000);
}

TEST(Jwt, IsForThisAudienceAndOfThisIssuer) {
  const Issuer issuer("ES256");
  const auto keys = keys_of({&issuer});
  JwtRules rules;
  const auto with = [&](const std::string& more) {
    return judge(issuer.sign(claims(more)), *keys, rules);
  };
  EXPECT_THAT(with(R"(,"aud":"kafka")"), HasSubstr("another audience"));
  rules.expected_audience = {"kafka", "other"};
  EXPECT_EQ(with(R"(,"aud":"kafka")"), "alice");
  EXPECT_EQ(with(R"(,"aud":["web","other"])"), "alice");
  EXPECT_THAT(with(R"(,"aud":["web"])"), HasSubstr("another audience"));
  EXPECT_THAT(with(""), HasSubstr("no audience"));
  rules.expected_audience.clear();
  rules.expected_issuer = "https://issuer";
  EXPECT_EQ(with(R"(,"iss":"https://issuer")"), "alice");
  EXPECT_THAT(with(R"(,"iss":"https://issuer/")"), HasSubstr("another issuer"));
  EXPECT_THAT(with(""), HasSubstr("another issuer"));
}

TEST(Jwt, ItsSubjectAndScopesAreWhatKafkaTakes) {
  const Issuer issuer("ES256");
  const auto keys = keys_of({&issuer});
  JwtRules rules;
  const auto with = [&](const std::string& more) {
    return judge(issuer.sign(claims(more)), *keys, rules);
  };
  EXPECT_EQ(with(R"(,"scope":"read write")"), "alice");
  EXPECT_EQ(with(R"(,"scope":["read","write"])"), "alice");
  EXPECT_THAT(with(R"(,"scope":["read","read"])"), HasSubstr("twice"));
  EXPECT_THAT(with(R"(,"scope":" ")"), HasSubstr("empty scope"));
  rules.sub_claim_name = "client_id";
  EXPECT_EQ(with(R"(,"client_id":" app ")"), "app");
  EXPECT_THAT(with(""), HasSubstr("no client_id claim"));
  EXPECT_THAT(with(R"(,"client_id":7)"), HasSubstr("no client_id claim"));
}

TEST(Jwks, LeavesOutWhatCannotSignForUs) {
  const Issuer weak("RS256", "weak", 1024);
  const auto size = [](const std::string& list) {
    return (*Jwks::parse(R"({"keys":[)" + list + "]}"))->size();
  };
  EXPECT_EQ(size(""), 0u);
  EXPECT_EQ(size(weak.jwk()), 0u);
  EXPECT_EQ(size(R"({"kty":"oct","k":"c2VjcmV0"},{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},7)"),
            0u);
  std::string for_encryption = Issuer("ES256").jwk();
  for_encryption.replace(for_encryption.find("\"sig\""), 5, "\"enc\"");
  EXPECT_EQ(size(for_encryption), 0u);
  for (const char* text : {"", "[]", "{}", R"({"keys":7})", "{\"keys\":["})
    EXPECT_FALSE(Jwks::parse(text).ok()) << text;
}

struct Tokens final : BearerValidator {
  Result<Bearer> validate(std::string_view token) const override {
    if (token == "good.token") return Bearer{"alice", kNow};
    return Error{ErrorCode::kSaslAuthenticationFailed, "bad"};
  }
};

TEST(OAuthBearer, AGoodTokenIsItsSubjectsProof) {
  const Tokens tokens;
  for (const char* text : {"n,,\x01"
                           "auth=Bearer good.token\x01\x01",
                           "n,a=alice,\x01"
                           "auth=bEARER  good.token\x01\x01",
                           "n,,\x01"
                           "auth=Bearer good.token\x01traceId=123\x01\x01"}) {
    const auto server = make_oauth_server(tokens);
    const auto step = server->step(bytes_of(text));
    ASSERT_TRUE(step.ok()) << text;
    EXPECT_TRUE(step->complete && step->token.empty()) << text;
    EXPECT_EQ(server->user(), "alice");
    EXPECT_EQ(server->expires(), kNow);
  }
}

TEST(OAuthBearer, ABadTokenIsAnsweredAndThenRefused) {
  const Tokens tokens;
  const auto server = make_oauth_server(tokens);
  const auto step =
      server->step(bytes_of("n,,\x01"
                            "auth=Bearer bad\x01\x01"));
  ASSERT_TRUE(step.ok());
  EXPECT_FALSE(step->complete);
  EXPECT_EQ(step->token, bytes_of(R"({"status":"invalid_token"})"));
  EXPECT_EQ(server->step(bytes_of("\x01")).error().detail, R"({"status":"invalid_token"})");
}

TEST(OAuthBearer, RefusesMalformedMessagesAndOtherNames) {
  const Tokens tokens;
  for (const char* text : {"", "n,,",
                           "y,,\x01"
                           "auth=Bearer good.token\x01\x01",
                           "n,,\x01"
                           "auth=Bearer good.token\x01",
                           "n,,\x01"
                           "auth=Basic good.token\x01\x01",
                           "n,,\x01"
                           "auth=Bearer\x01\x01",
                           "n,,\x01"
                           "auth=Bearer a b\x01\x01",
                           "n,,\x01"
                           "token=good.token\x01\x01",
                           "n,,\x01"
                           "a1=x\x01"
                           "auth=Bearer good.token\x01\x01",
                           "n,a=,\x01"
                           "auth=Bearer good.token\x01\x01",
                           "n,a=bob,\x01"
                           "auth=Bearer good.token\x01\x01"}) {
    const auto server = make_oauth_server(tokens);
    EXPECT_FALSE(server->step(bytes_of(text)).ok()) << text;
    EXPECT_FALSE(server
                     ->step(bytes_of("n,,\x01"
                                     "auth=Bearer good.token\x01\x01"))
                     .ok())
        << "dead after " << text;
  }
}

}  // namespace
}  // namespace broker::security
