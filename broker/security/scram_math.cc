#include "broker/security/scram_math.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "broker/common/check.h"

namespace broker::security::scram {
namespace {

const EVP_MD* digest_of(ScramMechanism mechanism) {
  CHECK(mechanism != ScramMechanism::kUnknown);
  return mechanism == ScramMechanism::kSha256 ? EVP_sha256() : EVP_sha512();
}

}  // namespace

Bytes hash(ScramMechanism mechanism, std::span<const std::uint8_t> data) {
  const EVP_MD* md = digest_of(mechanism);
  Bytes out(static_cast<std::size_t>(EVP_MD_get_size(md)));
  CHECK_EQ(EVP_Digest(data.data(), data.size(), out.data(), nullptr, md, nullptr), 1);
  return out;
}

Bytes hmac(ScramMechanism mechanism, std::span<const std::uint8_t> key, std::string_view data) {
  const EVP_MD* md = digest_of(mechanism);
  Bytes out(static_cast<std::size_t>(EVP_MD_get_size(md)));
  CHECK(HMAC(md, key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const unsigned char*>(data.data()), data.size(), out.data(),
             nullptr) != nullptr);
  return out;
}

Bytes salted_password(ScramMechanism mechanism, std::string_view password,
                      std::span<const std::uint8_t> salt, std::int32_t iterations) {
  const EVP_MD* md = digest_of(mechanism);
  Bytes out(static_cast<std::size_t>(EVP_MD_get_size(md)));
  CHECK_EQ(PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), salt.data(),
                             static_cast<int>(salt.size()), iterations, md,
                             static_cast<int>(out.size()), out.data()),
           1);
  return out;
}

Bytes exclusive_or(std::span<const std::uint8_t> a, std::span<const std::uint8_t> b) {
  CHECK_EQ(a.size(), b.size());
  Bytes out(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) out[i] = a[i] ^ b[i];
  return out;
}

}  // namespace broker::security::scram
