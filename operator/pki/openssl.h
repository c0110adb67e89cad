#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

#include "broker/common/result.h"

/// Owners of OpenSSL's objects; only for the .cc of this folder.
namespace op::pki::detail {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using CertPtr = std::unique_ptr<X509, Deleter<X509_free>>;
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;

/// kInvalidRequest with `what` and OpenSSL's own last word; clears its error queue.
broker::Error openssl_error(const std::string& what);
BioPtr reading(std::string_view text);
std::string written(BIO* bio);
std::string name_text(const X509_NAME* name);  // RFC 2253
broker::Result<KeyPtr> read_key(std::string_view pem);
broker::Result<CertPtr> read_cert(std::string_view pem);

}  // namespace op::pki::detail
