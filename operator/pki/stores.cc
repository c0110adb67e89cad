#include "operator/pki/stores.h"

#include <openssl/rand.h>

#include "broker/common/check.h"
#include "operator/pki/openssl.h"

namespace op::pki {

using broker::Error;
using broker::ErrorCode;
using broker::Result;
using detail::CertPtr;
using detail::KeyPtr;
using detail::openssl_error;

namespace {

constexpr int kIterations = 2048;
constexpr char kTrustedKeyUsage[] = "2.16.840.1.113894.746875.1.1";
constexpr char kAnyExtendedKeyUsage[] = "2.5.29.37.0";

using StorePtr = std::unique_ptr<PKCS12, detail::Deleter<PKCS12_free>>;
void free_certs(STACK_OF(X509) * certs) { sk_X509_pop_free(certs, X509_free); }
using CertsPtr = std::unique_ptr<STACK_OF(X509), detail::Deleter<free_certs>>;
void free_bags(STACK_OF(PKCS12_SAFEBAG) * bags) {
  sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
}
void free_safes(STACK_OF(PKCS7) * safes) { sk_PKCS7_pop_free(safes, PKCS7_free); }

Result<std::string> to_bytes(PKCS12* store) {
  const detail::BioPtr bio(BIO_new(BIO_s_mem()));
  if (i2d_PKCS12_bio(bio.get(), store) != 1) return openssl_error("writing PKCS#12");
  return detail::written(bio.get());
}

/// Java takes a certificate without this for a mere link of some key's chain.
bool mark_as_trusted(PKCS12_SAFEBAG* bag) {
  ASN1_OBJECT* usage = OBJ_txt2obj(kAnyExtendedKeyUsage, 1);
  const bool done = PKCS12_add1_attr_by_txt(bag, kTrustedKeyUsage, V_ASN1_OBJECT,
                                            reinterpret_cast<const unsigned char*>(usage), -1) == 1;
  ASN1_OBJECT_free(usage);
  return done;
}

}  // namespace

Result<std::string> make_keystore(const KeyPair& pair, std::string_view ca_bundle_pem,
                                  const std::string& password, const std::string& alias) {
  ASSIGN_OR_RETURN(const KeyPtr key, detail::read_key(pair.key_pem));
  ASSIGN_OR_RETURN(const CertPtr cert, detail::read_cert(pair.certificate_pem));
  const CertsPtr chain(sk_X509_new_null());
  if (!ca_bundle_pem.empty()) {
    ASSIGN_OR_RETURN(const auto cas, split_bundle(ca_bundle_pem));
    for (const std::string& pem : cas) {
      if (!is_signed_by(pair.certificate_pem, pem)) continue;
      ASSIGN_OR_RETURN(CertPtr ca, detail::read_cert(pem));
      sk_X509_push(chain.get(), ca.release());
    }
  }
  const StorePtr store(PKCS12_create(password.c_str(), alias.c_str(), key.get(), cert.get(),
                                     chain.get(), NID_aes_256_cbc, NID_aes_256_cbc, kIterations, 0,
                                     0));
  if (!store ||
      PKCS12_set_mac(store.get(), password.c_str(), -1, nullptr, 0, kIterations, EVP_sha256()) != 1)
    return openssl_error("making a PKCS#12 keystore");
  return to_bytes(store.get());
}

Result<std::string> make_truststore(std::string_view ca_bundle_pem, const std::string& password) {
  ASSIGN_OR_RETURN(const auto cas, split_bundle(ca_bundle_pem));
  STACK_OF(PKCS12_SAFEBAG)* raw_bags = nullptr;
  std::unique_ptr<STACK_OF(PKCS12_SAFEBAG), detail::Deleter<free_bags>> bags;
  for (std::size_t i = 0; i < cas.size(); ++i) {
    ASSIGN_OR_RETURN(const CertPtr cert, detail::read_cert(cas[i]));
    PKCS12_SAFEBAG* bag = PKCS12_add_cert(&raw_bags, cert.get());
    if (!bags) bags.reset(raw_bags);
    const std::string alias = "ca-" + std::to_string(i);
    if (!bag || PKCS12_add_friendlyname_utf8(bag, alias.c_str(), -1) != 1 || !mark_as_trusted(bag))
      return openssl_error("making a PKCS#12 truststore");
  }
  STACK_OF(PKCS7)* raw_safes = nullptr;
  if (PKCS12_add_safe(&raw_safes, raw_bags, NID_aes_256_cbc, kIterations, password.c_str()) != 1)
    return openssl_error("making a PKCS#12 truststore");
  const std::unique_ptr<STACK_OF(PKCS7), detail::Deleter<free_safes>> safes(raw_safes);
  const StorePtr store(PKCS12_add_safes(raw_safes, 0));
  if (!store ||
      PKCS12_set_mac(store.get(), password.c_str(), -1, nullptr, 0, kIterations, EVP_sha256()) != 1)
    return openssl_error("making a PKCS#12 truststore");
  return to_bytes(store.get());
}

namespace {

struct StoreContent {
  KeyPtr key;
  CertPtr leaf;
  CertsPtr others;
};

Result<StoreContent> read_store(std::string_view bytes, const std::string& password) {
  const detail::BioPtr bio = detail::reading(bytes);
  const StorePtr store(d2i_PKCS12_bio(bio.get(), nullptr));
  if (!store) return Error{ErrorCode::kInvalidConfig, "not a PKCS#12 store"};
  EVP_PKEY* key = nullptr;
  X509* leaf = nullptr;
  STACK_OF(X509)* others = nullptr;
  const bool read = PKCS12_parse(store.get(), password.c_str(), &key, &leaf, &others) == 1;
  StoreContent content{KeyPtr(key), CertPtr(leaf), CertsPtr(others)};
  if (!read) {
    return Error{ErrorCode::kInvalidConfig, "the PKCS#12 store does not open with this password"};
  }
  return content;
}

Result<std::string> to_pem(const CertsPtr& certificates) {
  std::string out;
  const int count = certificates ? sk_X509_num(certificates.get()) : 0;
  for (int i = 0; i < count; ++i) {
    const detail::BioPtr bio(BIO_new(BIO_s_mem()));
    if (PEM_write_bio_X509(bio.get(), sk_X509_value(certificates.get(), i)) != 1)
      return openssl_error("writing a certificate");
    out += detail::written(bio.get());
  }
  return out;
}

}  // namespace

Result<std::string> read_truststore(std::string_view bytes, const std::string& password) {
  ASSIGN_OR_RETURN(const StoreContent content, read_store(bytes, password));
  ASSIGN_OR_RETURN(std::string pem, to_pem(content.others));
  if (pem.empty()) return Error{ErrorCode::kInvalidConfig, "the store has no certificate to trust"};
  return pem;
}

Result<KeyPair> read_keystore(std::string_view bytes, const std::string& password) {
  ASSIGN_OR_RETURN(const StoreContent content, read_store(bytes, password));
  if (!content.key || !content.leaf)
    return Error{ErrorCode::kInvalidConfig, "the store has no private key with its certificate"};
  const detail::BioPtr key(BIO_new(BIO_s_mem()));
  const detail::BioPtr leaf(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(key.get(), content.key.get(), nullptr, nullptr, 0, nullptr,
                               nullptr) != 1 ||
      PEM_write_bio_X509(leaf.get(), content.leaf.get()) != 1)
    return openssl_error("writing key and certificate");
  ASSIGN_OR_RETURN(const std::string chain, to_pem(content.others));
  return KeyPair{detail::written(key.get()), detail::written(leaf.get()) + chain};
}

std::string random_password(std::size_t length) {
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  // Bytes beyond the last whole multiple would make some characters likelier.
  constexpr unsigned kLimit = 256 / kAlphabet.size() * kAlphabet.size();
  std::string out;
  while (out.size() < length) {
    unsigned char byte = 0;
    CHECK(RAND_bytes(&byte, 1) == 1);
    if (byte < kLimit) out += kAlphabet[byte % kAlphabet.size()];
  }
  return out;
}

}  // namespace op::pki
