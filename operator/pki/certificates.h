#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/result.h"
#include "broker/common/time.h"

namespace op::pki {

/// A private key (PKCS#8 PEM) and its certificate (PEM; of a leaf: followed by nothing, the issuer
/// is in the trust bundle).
struct KeyPair {
  std::string key_pem;
  std::string certificate_pem;

  bool operator==(const KeyPair&) const = default;
  /// Key and certificate in one file, as ssl.keystore.type=PEM wants them.
  std::string keystore_pem() const { return key_pem + certificate_pem; }
};

/// What the plans decide on.
struct CertificateFacts {
  std::string subject;  // RFC 2253: "CN=millrace-broker"
  std::string issuer;
  std::string serial;                     // hexadecimal
  std::vector<std::string> dns_names;     // sorted
  std::vector<std::string> ip_addresses;  // text form, sorted
  broker::WallMs not_before = 0;
  broker::WallMs not_after = 0;
  std::string key_id;         // subject key identifier, hexadecimal
  std::string issuer_key_id;  // authority key identifier: which CA signed it
  bool is_ca = false;
  int path_length = -1;  // of a CA: how many CAs may follow below it; -1: any number

  bool operator==(const CertificateFacts&) const = default;
  bool is_self_signed() const { return subject == issuer; }
};

/// A fresh notBefore fails on a peer whose clock is behind: certificates begin an hour earlier, or
/// a tenth of their life if that is less.
std::chrono::milliseconds backdate(std::chrono::seconds validity);

/// A self-signed ECDSA P-256 CA. Every generation needs its own common name: a peer shows which
/// CAs it trusts by their names, and OpenSSL finds an issuer by name.
broker::Result<KeyPair> make_ca(std::string_view common_name, broker::WallMs now,
                                std::chrono::seconds validity);

struct LeafRequest {
  std::string common_name;
  std::vector<std::string> dns_names;  // may hold wildcards
  std::vector<std::string> ip_addresses;
  bool server = false;  // extended key usages
  bool client = false;
  std::chrono::seconds validity{0};  // cut to the CA's own end
};
/// A fresh ECDSA P-256 key and a certificate for it. Errors: kInvalidRequest when the CA's PEM or
/// an address does not parse, or the CA has expired.
broker::Result<KeyPair> issue(const KeyPair& ca, const LeafRequest& request, broker::WallMs now);

/// The certificate of `ca_pem` once more, for the same name and key, signed by `older`: who trusts
/// only the older one accepts what the CA signs when this is sent along. Ends with either of them.
/// Errors: kInvalidRequest when something does not parse, has ended, or `older` may have no CA
/// below it.
broker::Result<std::string> cross_sign(const KeyPair& older, std::string_view ca_pem,
                                       broker::WallMs now);

/// Of the first certificate in the text. Errors: kInvalidRequest.
broker::Result<CertificateFacts> read_certificate(std::string_view pem);
/// The certificates of a bundle, each as PEM of its own, in their order; text between is dropped.
broker::Result<std::vector<std::string>> split_bundle(std::string_view pem);

/// Whether the private key belongs to the (first) certificate; false when either does not parse.
bool key_matches(const KeyPair& pair);
/// Whether the CA's key signed the certificate.
bool is_signed_by(std::string_view certificate_pem, std::string_view ca_pem);

}  // namespace op::pki
