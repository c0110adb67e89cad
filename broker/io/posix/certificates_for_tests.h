#pragma once

// Throw-away certificates, for tests only.
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "broker/common/check.h"

namespace broker::io::posix {

/// A directory that is removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "millrace-XXXXXX").string();
    CHECK(::mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

inline void write_text(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

struct PemPair {
  std::string certificate, key;
};

struct LeafOptions {
  std::string alternative_names = "DNS:localhost,IP:127.0.0.1";
  std::string organization = "test";
  long valid_seconds = 3600;
};

/// A CA that signs leaves, ECDSA P-256.
class TestCa {
 public:
  explicit TestCa(const std::string& name)
      : key_(make_key()), certificate_(build(name, "test", key_.get(), nullptr, nullptr, 86400)) {}

  std::string pem() const { return certificate_pem(certificate_.get()); }

  PemPair issue(const std::string& common_name, const LeafOptions& options = {}) const {
    const Key key = make_key();
    const Certificate leaf = build(common_name, options.organization, key.get(), this,
                                   options.alternative_names.c_str(), options.valid_seconds);
    const std::unique_ptr<BIO, int (*)(BIO*)> out(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return {certificate_pem(leaf.get()), drain(out.get())};
  }

 private:
  using Key = std::shared_ptr<EVP_PKEY>;
  using Certificate = std::shared_ptr<X509>;

  static Key make_key() { return Key(EVP_EC_gen("P-256"), EVP_PKEY_free); }

  static std::string drain(BIO* bio) {
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio, &text);
    return std::string(text, static_cast<std::size_t>(size));
  }
  static std::string certificate_pem(X509* certificate) {
    const std::unique_ptr<BIO, int (*)(BIO*)> out(BIO_new(BIO_s_mem()), BIO_free);
    PEM_write_bio_X509(out.get(), certificate);
    return drain(out.get());
  }
  static void extend(X509* certificate, X509* issuer, int nid, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    CHECK(extension != nullptr);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }

  static Certificate build(const std::string& name, const std::string& organization, EVP_PKEY* key,
                           const TestCa* issuer, const char* alternative_names, long seconds) {
    static long serial = 1;
    Certificate certificate(X509_new(), X509_free);
    X509* x = certificate.get();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(x), seconds < 0 ? seconds - 7200 : -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), seconds);
    X509_set_pubkey(x, key);
    X509_NAME* subject = X509_get_subject_name(x);
    const auto add = [subject](const char* field, const std::string& value) {
      X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(value.c_str()), -1, -1, 0);
    };
    add("O", organization);
    add("CN", name);
    X509* signer = issuer != nullptr ? issuer->certificate_.get() : x;
    X509_set_issuer_name(x, X509_get_subject_name(signer));
    extend(x, signer, NID_basic_constraints, issuer != nullptr ? "CA:FALSE" : "critical,CA:TRUE");
    if (alternative_names != nullptr) extend(x, signer, NID_subject_alt_name, alternative_names);
    X509_sign(x, issuer != nullptr ? issuer->key_.get() : key, EVP_sha256());
    return certificate;
  }

  Key key_;
  Certificate certificate_;
};

/// `<name>.crt` and `<name>.key` in the directory.
inline void write_pair(const TemporaryDirectory& directory, const std::string& name,
                       const PemPair& pair) {
  write_text(directory.file(name + ".crt"), pair.certificate);
  write_text(directory.file(name + ".key"), pair.key);
}

}  // namespace broker::io::posix
