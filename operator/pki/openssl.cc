#include "operator/pki/openssl.h"

namespace op::pki::detail {

using broker::Error;
using broker::ErrorCode;
using broker::Result;

Error openssl_error(const std::string& what) {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code ? ERR_reason_error_string(code) : nullptr;
  return {ErrorCode::kInvalidRequest, reason ? what + ": " + reason : what};
}

BioPtr reading(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string written(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

std::string name_text(const X509_NAME* name) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253);
  return written(bio.get());
}

Result<KeyPtr> read_key(std::string_view pem) {
  const BioPtr bio = reading(pem);
  // Never ask a terminal for the password of an encrypted key.
  const auto no_password = [](char*, int, int, void*) { return -1; };
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
  if (!key) return openssl_error("not a private key in PEM form");
  return key;
}

Result<CertPtr> read_cert(std::string_view pem) {
  const BioPtr bio = reading(pem);
  CertPtr cert(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!cert) return openssl_error("not a certificate in PEM form");
  return cert;
}

}  // namespace op::pki::detail
