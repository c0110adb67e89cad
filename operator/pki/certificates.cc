#include "operator/pki/certificates.h"

#include <arpa/inet.h>
#include <openssl/rand.h>

#include <algorithm>

#include "operator/pki/openssl.h"

namespace op::pki {

using broker::Error;
using broker::ErrorCode;
using broker::Result;
using broker::Status;
using broker::WallMs;
using detail::BioPtr;
using detail::CertPtr;
using detail::KeyPtr;
using detail::openssl_error;

namespace {

using ExtensionPtr = std::unique_ptr<X509_EXTENSION, detail::Deleter<X509_EXTENSION_free>>;

Status add_extension(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  if (!extension || X509_add_ext(cert, extension.get(), -1) != 1)
    return openssl_error("certificate extension " + value);
  return {};
}

void free_names(GENERAL_NAMES* names) { GENERAL_NAMES_free(names); }
using NamesPtr = std::unique_ptr<GENERAL_NAMES, detail::Deleter<free_names>>;

/// Built from structures: OpenSSL's text form would let a comma in a name add another one.
Status add_alternative_names(X509* cert, const LeafRequest& request) {
  if (request.dns_names.empty() && request.ip_addresses.empty()) return {};
  const NamesPtr names(GENERAL_NAMES_new());
  const auto append = [&](int type, void* value) {
    GENERAL_NAME* name = GENERAL_NAME_new();
    GENERAL_NAME_set0_value(name, type, value);
    sk_GENERAL_NAME_push(names.get(), name);
  };
  for (const std::string& dns : request.dns_names) {
    ASN1_IA5STRING* text = ASN1_IA5STRING_new();
    ASN1_STRING_set(text, dns.data(), static_cast<int>(dns.size()));
    append(GEN_DNS, text);
  }
  for (const std::string& ip : request.ip_addresses) {
    ASN1_OCTET_STRING* address = a2i_IPADDRESS(ip.c_str());
    if (!address) return openssl_error("\"" + ip + "\" is no IP address");
    append(GEN_IPADD, address);
  }
  if (X509_add1_ext_i2d(cert, NID_subject_alt_name, names.get(), 0, 0) != 1)
    return openssl_error("certificate names");
  return {};
}

Status set_serial(X509* cert) {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return openssl_error("random serial number");
  bytes[0] = static_cast<unsigned char>((bytes[0] & 0x7f) | 0x40);  // positive, never short
  BIGNUM* number = BN_bin2bn(bytes, sizeof bytes, nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert));
  BN_free(number);
  return {};
}

void set_time(ASN1_TIME* field, WallMs at) { ASN1_TIME_set(field, at / 1000); }

Result<CertPtr> begin_certificate(EVP_PKEY* key, std::string_view common_name, WallMs from,
                                  WallMs until) {
  CertPtr cert(X509_new());
  X509_set_version(cert.get(), X509_VERSION_3);
  RETURN_IF_ERROR(set_serial(cert.get()));
  set_time(X509_getm_notBefore(cert.get()), from);
  set_time(X509_getm_notAfter(cert.get()), until);
  X509_NAME* subject = X509_get_subject_name(cert.get());
  if (X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                                 reinterpret_cast<const unsigned char*>(common_name.data()),
                                 static_cast<int>(common_name.size()), -1, 0) != 1)
    return openssl_error("\"" + std::string(common_name) + "\" cannot be a common name");
  X509_set_pubkey(cert.get(), key);
  return cert;
}

WallMs time_of(const ASN1_TIME* time) {
  std::tm parts{};
  ASN1_TIME_to_tm(time, &parts);
  return static_cast<WallMs>(timegm(&parts)) * 1000;
}

/// One CA may stand below: the next generation, where this one vouches for it (cross_sign).
constexpr const char* kOwnCa = "critical,CA:TRUE,pathlen:1";

Status sign(X509* cert, EVP_PKEY* signing_key) {
  if (X509_sign(cert, signing_key, EVP_sha256()) == 0) return openssl_error("signing");
  return {};
}

Result<KeyPair> finish(X509* cert, EVP_PKEY* key, EVP_PKEY* signing_key) {
  RETURN_IF_ERROR(sign(cert, signing_key));
  const BioPtr cert_pem(BIO_new(BIO_s_mem()));
  const BioPtr key_pem(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(cert_pem.get(), cert) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(key_pem.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return openssl_error("writing PEM");
  return KeyPair{detail::written(key_pem.get()), detail::written(cert_pem.get())};
}

std::string hex(const ASN1_OCTET_STRING* bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  if (!bytes) return out;
  const unsigned char* data = ASN1_STRING_get0_data(bytes);
  for (int i = 0; i < ASN1_STRING_length(bytes); ++i) {
    out += kDigits[data[i] >> 4];
    out += kDigits[data[i] & 15];
  }
  return out;
}

void read_alternative_names(X509* cert, CertificateFacts& facts) {
  const NamesPtr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(cert, NID_subject_alt_name, nullptr, nullptr)));
  if (!names) return;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    int type = 0;
    const auto* value = static_cast<const ASN1_STRING*>(
        GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names.get(), i), &type));
    const unsigned char* data = ASN1_STRING_get0_data(value);
    const int size = ASN1_STRING_length(value);
    if (type == GEN_DNS) {
      facts.dns_names.emplace_back(reinterpret_cast<const char*>(data), size);
    } else if (type == GEN_IPADD) {
      char text[INET6_ADDRSTRLEN];
      if (inet_ntop(size == 4 ? AF_INET : AF_INET6, data, text, sizeof text))
        facts.ip_addresses.emplace_back(text);
    }
  }
  std::sort(facts.dns_names.begin(), facts.dns_names.end());
  std::sort(facts.ip_addresses.begin(), facts.ip_addresses.end());
}

std::string usages(const LeafRequest& request) {
  if (request.server && request.client) return "serverAuth,clientAuth";
  return request.server ? "serverAuth" : "clientAuth";
}

}  // namespace

std::chrono::milliseconds backdate(std::chrono::seconds validity) {
  using std::chrono::milliseconds;
  return std::min(milliseconds(std::chrono::hours(1)), milliseconds(validity) / 10);
}

Result<KeyPair> make_ca(std::string_view common_name, WallMs now, std::chrono::seconds validity) {
  const KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("generating a key");
  const WallMs until = now + std::chrono::milliseconds(validity).count();
  ASSIGN_OR_RETURN(const CertPtr cert, begin_certificate(key.get(), common_name,
                                                         now - backdate(validity).count(), until));
  X509_set_issuer_name(cert.get(), X509_get_subject_name(cert.get()));
  X509* const self = cert.get();
  RETURN_IF_ERROR(add_extension(self, self, NID_basic_constraints, kOwnCa));
  RETURN_IF_ERROR(add_extension(self, self, NID_key_usage, "critical,keyCertSign,cRLSign"));
  RETURN_IF_ERROR(add_extension(self, self, NID_subject_key_identifier, "hash"));
  return finish(self, key.get(), key.get());
}

Result<KeyPair> issue(const KeyPair& ca, const LeafRequest& request, WallMs now) {
  ASSIGN_OR_RETURN(const KeyPtr ca_key, detail::read_key(ca.key_pem));
  ASSIGN_OR_RETURN(const CertPtr ca_cert, detail::read_cert(ca.certificate_pem));
  const WallMs ca_end = time_of(X509_get0_notAfter(ca_cert.get()));
  if (ca_end <= now) return Error{ErrorCode::kInvalidRequest, "the CA has expired"};
  const KeyPtr key(EVP_EC_gen("P-256"));
  if (!key) return openssl_error("generating a key");
  const WallMs from = std::max(now - backdate(request.validity).count(),
                               time_of(X509_get0_notBefore(ca_cert.get())));
  const WallMs until = std::min(now + std::chrono::milliseconds(request.validity).count(), ca_end);
  ASSIGN_OR_RETURN(const CertPtr cert,
                   begin_certificate(key.get(), request.common_name, from, until));
  X509_set_issuer_name(cert.get(), X509_get_subject_name(ca_cert.get()));
  X509* const leaf = cert.get();
  X509* const issuer = ca_cert.get();
  RETURN_IF_ERROR(add_extension(leaf, issuer, NID_basic_constraints, "critical,CA:FALSE"));
  RETURN_IF_ERROR(add_extension(leaf, issuer, NID_key_usage, "critical,digitalSignature"));
  RETURN_IF_ERROR(add_extension(leaf, issuer, NID_ext_key_usage, usages(request)));
  RETURN_IF_ERROR(add_extension(leaf, issuer, NID_subject_key_identifier, "hash"));
  RETURN_IF_ERROR(add_extension(leaf, issuer, NID_authority_key_identifier, "keyid"));
  RETURN_IF_ERROR(add_alternative_names(leaf, request));
  return finish(leaf, key.get(), ca_key.get());
}

Result<std::string> cross_sign(const KeyPair& older, std::string_view ca_pem, WallMs now) {
  ASSIGN_OR_RETURN(const KeyPtr older_key, detail::read_key(older.key_pem));
  ASSIGN_OR_RETURN(const CertPtr issuer, detail::read_cert(older.certificate_pem));
  ASSIGN_OR_RETURN(const CertPtr ca, detail::read_cert(ca_pem));
  if (X509_get_pathlen(issuer.get()) == 0)
    return Error{ErrorCode::kInvalidRequest, "the older CA may have no CA below it"};
  const WallMs from =
      std::max(time_of(X509_get0_notBefore(issuer.get())), time_of(X509_get0_notBefore(ca.get())));
  const WallMs until =
      std::min(time_of(X509_get0_notAfter(issuer.get())), time_of(X509_get0_notAfter(ca.get())));
  if (until <= now) return Error{ErrorCode::kInvalidRequest, "the CA has expired"};
  ASSIGN_OR_RETURN(const CertPtr cert,
                   begin_certificate(X509_get0_pubkey(ca.get()), "replaced below", from, until));
  X509_set_subject_name(cert.get(), X509_get_subject_name(ca.get()));
  X509_set_issuer_name(cert.get(), X509_get_subject_name(issuer.get()));
  RETURN_IF_ERROR(
      add_extension(cert.get(), issuer.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0"));
  RETURN_IF_ERROR(
      add_extension(cert.get(), issuer.get(), NID_key_usage, "critical,keyCertSign,cRLSign"));
  // Not computed: leaves name the key by what the CA's own certificate calls it.
  ASN1_OCTET_STRING* key_id = ASN1_OCTET_STRING_dup(X509_get0_subject_key_id(ca.get()));
  const bool named = key_id != nullptr &&
                     X509_add1_ext_i2d(cert.get(), NID_subject_key_identifier, key_id, 0, 0) == 1;
  ASN1_OCTET_STRING_free(key_id);
  if (!named) return openssl_error("the CA has no key identifier");
  RETURN_IF_ERROR(add_extension(cert.get(), issuer.get(), NID_authority_key_identifier, "keyid"));
  RETURN_IF_ERROR(sign(cert.get(), older_key.get()));
  const BioPtr pem(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(pem.get(), cert.get()) != 1) return openssl_error("writing PEM");
  return detail::written(pem.get());
}

Result<CertificateFacts> read_certificate(std::string_view pem) {
  ASSIGN_OR_RETURN(const CertPtr cert, detail::read_cert(pem));
  CertificateFacts facts;
  facts.subject = detail::name_text(X509_get_subject_name(cert.get()));
  facts.issuer = detail::name_text(X509_get_issuer_name(cert.get()));
  facts.serial = hex(X509_get_serialNumber(cert.get()));
  facts.not_before = time_of(X509_get0_notBefore(cert.get()));
  facts.not_after = time_of(X509_get0_notAfter(cert.get()));
  facts.key_id = hex(X509_get0_subject_key_id(cert.get()));
  facts.issuer_key_id = hex(X509_get0_authority_key_id(cert.get()));
  facts.is_ca = X509_check_ca(cert.get()) == 1;
  facts.path_length = static_cast<int>(X509_get_pathlen(cert.get()));
  read_alternative_names(cert.get(), facts);
  return facts;
}

Result<std::vector<std::string>> split_bundle(std::string_view pem) {
  const BioPtr bio = detail::reading(pem);
  std::vector<std::string> out;
  while (const CertPtr cert{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    const BioPtr one(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(one.get(), cert.get());
    out.push_back(detail::written(one.get()));
  }
  // The end of the text is reported as "no start line"; anything else is damage.
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (out.empty() || ERR_GET_REASON(code) != PEM_R_NO_START_LINE)
    return Error{ErrorCode::kInvalidRequest, "not a bundle of certificates in PEM form"};
  return out;
}

bool key_matches(const KeyPair& pair) {
  const auto key = detail::read_key(pair.key_pem);
  const auto cert = detail::read_cert(pair.certificate_pem);
  if (!key.ok() || !cert.ok()) return false;
  const bool matches = X509_check_private_key(cert->get(), key->get()) == 1;
  ERR_clear_error();
  return matches;
}

bool is_signed_by(std::string_view certificate_pem, std::string_view ca_pem) {
  const auto cert = detail::read_cert(certificate_pem);
  const auto ca = detail::read_cert(ca_pem);
  if (!cert.ok() || !ca.ok()) return false;
  const bool is_signed = X509_verify(cert->get(), X509_get0_pubkey(ca->get())) == 1;
  ERR_clear_error();
  return is_signed;
}

}  // namespace op::pki
