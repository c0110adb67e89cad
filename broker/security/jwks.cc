#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <array>
#include <nlohmann/json.hpp>
#include <vector>

#include "broker/common/base64.h"
#include "broker/security/jwt.h"
#include "broker/security/scram.h"

namespace broker::security {
namespace {

using nlohmann::json;
using Key = std::shared_ptr<EVP_PKEY>;

constexpr int kMinRsaBits = 2048;
constexpr std::size_t kMaxKeys = 1000;

struct Curve {
  const char* name;  // as a JWK says it
  const char* openssl_name;
  const char* algorithm;
  std::size_t coordinate_bytes;
};
constexpr std::array<Curve, 3> kCurves{{{"P-256", "prime256v1", "ES256", 32},
                                        {"P-384", "secp384r1", "ES384", 48},
                                        {"P-521", "secp521r1", "ES512", 66}}};

std::string text_of(const json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Bytes bytes_in(const json& object, const char* name) {
  auto bytes = base64_decode(text_of(object, name), Base64::kUrlSafeNoPadding);
  return bytes.ok() ? std::move(*bytes) : Bytes();
}

/// Null when OpenSSL takes the numbers for no key.
Key key_from(const char* type, OSSL_PARAM_BLD* builder) {
  const std::unique_ptr<OSSL_PARAM, void (*)(OSSL_PARAM*)> parameters(
      OSSL_PARAM_BLD_to_param(builder), OSSL_PARAM_free);
  const std::unique_ptr<EVP_PKEY_CTX, void (*)(EVP_PKEY_CTX*)> context(
      EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr), EVP_PKEY_CTX_free);
  EVP_PKEY* key = nullptr;
  if (parameters == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
    return nullptr;
  return Key(key, EVP_PKEY_free);
}

using Builder = std::unique_ptr<OSSL_PARAM_BLD, void (*)(OSSL_PARAM_BLD*)>;
using Number = std::unique_ptr<BIGNUM, void (*)(BIGNUM*)>;

Number number_of(const Bytes& bytes) {
  return Number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr), BN_free);
}

Key rsa_key(const json& jwk) {
  const Number n = number_of(bytes_in(jwk, "n"));
  const Number e = number_of(bytes_in(jwk, "e"));
  if (BN_num_bits(n.get()) < kMinRsaBits || BN_is_zero(e.get())) return nullptr;
  const Builder builder(OSSL_PARAM_BLD_new(), OSSL_PARAM_BLD_free);
  if (OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
    return nullptr;
  return key_from("RSA", builder.get());
}

Key ec_key(const json& jwk, const Curve& curve) {
  const Bytes x = bytes_in(jwk, "x");
  const Bytes y = bytes_in(jwk, "y");
  if (x.size() != curve.coordinate_bytes || y.size() != curve.coordinate_bytes) return nullptr;
  Bytes point{POINT_CONVERSION_UNCOMPRESSED};
  point.insert(point.end(), x.begin(), x.end());
  point.insert(point.end(), y.begin(), y.end());
  const Builder builder(OSSL_PARAM_BLD_new(), OSSL_PARAM_BLD_free);
  if (OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve.openssl_name,
                                      0) != 1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                       point.size()) != 1)
    return nullptr;
  return key_from("EC", builder.get());
}

/// What a JWS algorithm needs.
struct Algorithm {
  const EVP_MD* digest = nullptr;
  const Curve* curve = nullptr;  // null: RSA
  bool pss = false;
};

std::optional<Algorithm> algorithm_of(std::string_view name) {
  if (name.size() != 5) return std::nullopt;
  const std::string_view size = name.substr(2);
  Algorithm algorithm;
  algorithm.digest = size == "256"   ? EVP_sha256()
                     : size == "384" ? EVP_sha384()
                     : size == "512" ? EVP_sha512()
                                     : nullptr;
  if (algorithm.digest == nullptr) return std::nullopt;
  if (name.starts_with("RS")) return algorithm;
  if (name.starts_with("PS")) {
    algorithm.pss = true;
    return algorithm;
  }
  for (const Curve& curve : kCurves)
    if (name == curve.algorithm) algorithm.curve = &curve;
  if (algorithm.curve == nullptr) return std::nullopt;
  return algorithm;
}

/// JWS has r and s behind each other, OpenSSL wants them in DER. Empty: no such signature.
Bytes der_signature(std::string_view raw, const Curve& curve) {
  if (raw.size() != 2 * curve.coordinate_bytes) return {};
  const auto* bytes = reinterpret_cast<const unsigned char*>(raw.data());
  const auto size = static_cast<int>(curve.coordinate_bytes);
  const std::unique_ptr<ECDSA_SIG, void (*)(ECDSA_SIG*)> signature(ECDSA_SIG_new(), ECDSA_SIG_free);
  BIGNUM* r = BN_bin2bn(bytes, size, nullptr);
  BIGNUM* s = BN_bin2bn(bytes + size, size, nullptr);
  if (ECDSA_SIG_set0(signature.get(), r, s) != 1) {  // takes both
    BN_free(r);
    BN_free(s);
    return {};
  }
  unsigned char* der = nullptr;
  const int length = i2d_ECDSA_SIG(signature.get(), &der);
  if (length <= 0) return {};
  Bytes out(der, der + length);
  OPENSSL_free(der);
  return out;
}

bool is_signed_by(EVP_PKEY* key, const Algorithm& algorithm, std::string_view text,
                  std::string_view raw) {
  const Bytes signature = algorithm.curve != nullptr ? der_signature(raw, *algorithm.curve)
                                                     : Bytes(raw.begin(), raw.end());
  if (signature.empty()) return false;
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(),
                                                                   EVP_MD_CTX_free);
  EVP_PKEY_CTX* parameters = nullptr;  // of `context`
  if (EVP_DigestVerifyInit(context.get(), &parameters, algorithm.digest, nullptr, key) != 1)
    return false;
  if (algorithm.pss && (EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) != 1 ||
                        EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) != 1))
    return false;
  return EVP_DigestVerify(context.get(), signature.data(), signature.size(),
                          reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1;
}

}  // namespace

struct Jwks::Impl {
  struct Entry {
    std::string id;
    std::string algorithm;    // "": any of its kind
    std::string_view ec_for;  // the only algorithm of its curve; "": RSA
    Key key;
  };
  std::vector<Entry> keys;
};

Jwks::Jwks(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Jwks::~Jwks() = default;

Result<std::shared_ptr<const Jwks>> Jwks::parse(std::string_view text) {
  const json document = json::parse(text, nullptr, false);
  const auto list = document.is_object() ? document.find("keys") : document.end();
  if (!document.is_object() || list == document.end() || !list->is_array() ||
      list->size() > kMaxKeys)
    return Error{ErrorCode::kInvalidConfig, "this is no set of JSON web keys"};
  auto impl = std::make_unique<Impl>();
  for (const json& jwk : *list) {
    if (!jwk.is_object()) continue;
    const std::string use = text_of(jwk, "use");
    if (!use.empty() && use != "sig") continue;
    Impl::Entry entry{text_of(jwk, "kid"), text_of(jwk, "alg"), {}, nullptr};
    const std::string kind = text_of(jwk, "kty");
    if (kind == "RSA") entry.key = rsa_key(jwk);
    if (kind == "EC") {
      for (const Curve& curve : kCurves) {
        if (text_of(jwk, "crv") != curve.name) continue;
        entry.ec_for = curve.algorithm;
        entry.key = ec_key(jwk, curve);
      }
    }
    if (entry.key != nullptr) impl->keys.push_back(std::move(entry));
  }
  return std::shared_ptr<const Jwks>(new Jwks(std::move(impl)));
}

std::size_t Jwks::size() const { return impl_->keys.size(); }

bool Jwks::contains(std::string_view key_id) const {
  for (const auto& entry : impl_->keys)
    if (entry.id == key_id) return true;
  return false;
}

Jwks::Verdict Jwks::verify(std::string_view name, const std::optional<std::string>& key_id,
                           std::string_view signed_text, std::string_view signature) const {
  const auto algorithm = algorithm_of(name);
  if (!algorithm) return Verdict::kInvalid;
  Verdict verdict = Verdict::kNoKey;
  for (const auto& entry : impl_->keys) {
    if (key_id && entry.id != *key_id) continue;
    if (!entry.algorithm.empty() && entry.algorithm != name) continue;
    if (entry.ec_for != (algorithm->curve == nullptr ? "" : algorithm->curve->algorithm)) continue;
    if (is_signed_by(entry.key.get(), *algorithm, signed_text, signature)) return Verdict::kValid;
    verdict = Verdict::kInvalid;
  }
  return verdict;
}

}  // namespace broker::security
