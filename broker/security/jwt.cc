#include "broker/security/jwt.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "broker/common/base64.h"

namespace broker::security {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxLoggedText = 200;

JwtRefusal refuse_token(std::string reason) { return {std::move(reason), std::nullopt}; }

struct Compact {
  json header, claims;
  std::string signature;
  std::string_view signed_text;
};

std::optional<std::string> decoded(std::string_view part) {
  auto bytes = base64_decode(part, Base64::kUrlSafeNoPadding);
  if (!bytes.ok()) return std::nullopt;
  return std::string(bytes->begin(), bytes->end());
}

std::optional<Compact> parse_compact(std::string_view token) {
  const auto first = token.find('.');
  const auto second = first == token.npos ? token.npos : token.find('.', first + 1);
  if (second == token.npos || token.find('.', second + 1) != token.npos) return std::nullopt;
  const auto header = decoded(token.substr(0, first));
  const auto claims = decoded(token.substr(first + 1, second - first - 1));
  auto signature = decoded(token.substr(second + 1));
  if (!header || !claims || !signature || signature->empty()) return std::nullopt;
  Compact out{json::parse(*header, nullptr, false), json::parse(*claims, nullptr, false),
              std::move(*signature), token.substr(0, second)};
  if (!out.header.is_object() || !out.claims.is_object()) return std::nullopt;
  return out;
}

std::optional<std::string> string_in(const json& object, const std::string& name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

/// Seconds since 1970. `wrong` is set when the claim is something else.
std::optional<std::int64_t> date_in(const json& claims, const char* name, bool& wrong) {
  constexpr double kLargest = 9e15;  // what a double tells apart; milliseconds of it fit too
  const auto found = claims.find(name);
  if (found == claims.end() || found->is_null()) return std::nullopt;
  const double seconds = found->is_number() ? found->get<double>() : std::nan("");
  if (!(std::abs(seconds) < kLargest / 1000)) {
    wrong = true;
    return std::nullopt;
  }
  return static_cast<std::int64_t>(seconds);
}

std::string_view trimmed(std::string_view text) {
  const auto is_blank = [](char c) { return static_cast<unsigned char>(c) <= ' '; };
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// exp and iat must be there. As jose4j: a token ends `skew` late and begins `skew` early.
std::optional<std::string> check_times(const json& claims, std::int64_t skew, WallMs now,
                                       WallMs& expires) {
  bool wrong = false;
  const auto exp = date_in(claims, "exp", wrong);
  const auto iat = date_in(claims, "iat", wrong);
  const auto nbf = date_in(claims, "nbf", wrong);
  if (wrong) return "a time among its claims is no number";
  if (!exp) return "no expiration time (exp) claim";
  if (!iat) return "no issued at (iat) claim";
  if (*exp < 0 || *iat < 0) return "a time among its claims is negative";
  const std::int64_t seconds = now / 1000;
  if (seconds - skew >= *exp) return "it is no longer valid (exp)";
  if (*exp < *iat) return "it ended before it was issued";
  if (nbf && *exp < *nbf) return "it ended before it began";
  if (nbf && seconds + skew < *nbf) return "it is not yet valid (nbf)";
  expires = *exp * 1000;
  return std::nullopt;
}

std::optional<std::string> check_audience(const json& claims,
                                          const std::set<std::string>& expected) {
  const auto found = claims.find("aud");
  if (found == claims.end() || found->is_null()) {
    if (expected.empty()) return std::nullopt;
    return "no audience (aud) claim, but one is expected";
  }
  const json list = found->is_array() ? *found : json::array({*found});
  bool meant = false;
  for (const json& one : list) {
    if (!one.is_string()) return "an audience (aud) that is no text";
    meant = meant || expected.contains(one.get<std::string>());
  }
  if (meant) return std::nullopt;
  return "it is for another audience (aud)";
}

std::optional<std::string> check_scopes(const json& claims, const std::string& name) {
  const auto found = claims.find(name);
  if (found == claims.end()) return std::nullopt;
  const json list = found->is_string()  ? json::array({*found})
                    : found->is_array() ? *found
                                        : json::array();
  std::set<std::string> seen;
  for (const json& one : list) {
    const std::string scope =
        one.is_string() ? std::string(trimmed(one.get<std::string>())) : std::string();
    if (scope.empty()) return "an empty scope in " + name;
    if (!seen.insert(scope).second) return "a scope twice in " + name;
  }
  return std::nullopt;
}

}  // namespace

std::variant<JwtIdentity, JwtRefusal> validate_jwt(std::string_view token, const Jwks& keys,
                                                   const JwtRules& rules, WallMs now) {
  const auto parsed = parse_compact(token);
  if (!parsed) return refuse_token("malformed token");
  const json& claims = parsed->claims;
  const auto algorithm = string_in(parsed->header, "alg").value_or("");
  if (parsed->header.contains("crit")) return refuse_token("a critical header is not understood");
  const auto key_id = string_in(parsed->header, "kid");
  switch (keys.verify(algorithm, key_id, parsed->signed_text, parsed->signature)) {
    case Jwks::Verdict::kValid:
      break;
    case Jwks::Verdict::kInvalid:
      return refuse_token("the signature (" + algorithm.substr(0, kMaxLoggedText) +
                          ") does not fit the issuer's key");
    case Jwks::Verdict::kNoKey:
      if (key_id && !keys.contains(*key_id))
        return JwtRefusal{"no key with the id '" + key_id->substr(0, kMaxLoggedText) + "'", key_id};
      return refuse_token("no key of the issuer fits");
  }
  JwtIdentity identity;
  if (auto why = check_times(claims, rules.clock_skew_seconds, now, identity.expires))
    return refuse_token(std::move(*why));
  if (auto why = check_audience(claims, rules.expected_audience))
    return refuse_token(std::move(*why));
  if (rules.expected_issuer && string_in(claims, "iss") != rules.expected_issuer)
    return refuse_token("it is of another issuer (iss)");
  if (auto why = check_scopes(claims, rules.scope_claim_name)) return refuse_token(std::move(*why));
  if (claims.contains("sub") && !claims["sub"].is_string() && !claims["sub"].is_null())
    return refuse_token("a subject (sub) that is no text");
  const auto subject = string_in(claims, rules.sub_claim_name);
  identity.subject = trimmed(subject.value_or(""));
  if (identity.subject.empty()) return refuse_token("no " + rules.sub_claim_name + " claim");
  return identity;
}

}  // namespace broker::security
