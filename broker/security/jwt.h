#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>

#include "broker/common/result.h"
#include "broker/common/time.h"

namespace broker::security {

/// Public keys of an issuer (RFC 7517): RSA of 2048 bits or more and EC on P-256, P-384, P-521;
/// keys of other kinds are left out, and so are those that are not for signatures. Immutable; any
/// thread.
class Jwks {
 public:
  /// Errors: kInvalidConfig when it is no JSON object with a list of keys.
  static Result<std::shared_ptr<const Jwks>> parse(std::string_view json);
  ~Jwks();

  std::size_t size() const;
  bool contains(std::string_view key_id) const;

  enum class Verdict { kValid, kInvalid, kNoKey };
  /// `algorithm`: RS, PS or ES with 256, 384 or 512. Without a key id each key that fits is tried.
  Verdict verify(std::string_view algorithm, const std::optional<std::string>& key_id,
                 std::string_view signed_text, std::string_view signature) const;

 private:
  struct Impl;
  explicit Jwks(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

/// What a broker asks of a token; the names are those of sasl.oauthbearer.*.
struct JwtRules {
  std::set<std::string> expected_audience;  // empty: a token for an audience is refused
  std::optional<std::string> expected_issuer;
  std::int64_t clock_skew_seconds = 30;
  std::string scope_claim_name = "scope";
  std::string sub_claim_name = "sub";
};

struct JwtIdentity {
  std::string subject;
  WallMs expires = 0;
};

/// Why a token is not accepted. `unknown_key_id`: the keys should be fetched again.
struct JwtRefusal {
  std::string reason;  // for the log, not for the client
  std::optional<std::string> unknown_key_id;
};

/// A signed token in compact form (RFC 7515, 7519) as Kafka's broker validates it: the signature,
/// exp and iat, nbf, the audience, the issuer, the claims that are used.
std::variant<JwtIdentity, JwtRefusal> validate_jwt(std::string_view token, const Jwks& keys,
                                                   const JwtRules& rules, WallMs now);

}  // namespace broker::security
