#pragma once

#include <string>
#include <string_view>

#include "broker/common/result.h"
#include "operator/pki/certificates.h"

namespace op::pki {

/// PKCS#12 (AES-256, SHA-256 MAC) as Java's keytool and KeyStore read it. The bytes differ between
/// calls (salts): keep what was made as long as its content is still right.
broker::Result<std::string> make_keystore(const KeyPair& pair, std::string_view ca_bundle_pem,
                                          const std::string& password, const std::string& alias);
/// Every certificate carries the attribute without which Java sees an empty truststore
/// (2.16.840.1.113894.746875.1.1, trusted key usage).
broker::Result<std::string> make_truststore(std::string_view ca_bundle_pem,
                                            const std::string& password);

/// What such stores hold, made by keytool, openssl or us: all certificates of a truststore as one
/// PEM bundle; key and chain (leaf first) of a keystore. Errors: kInvalidConfig for bytes that are
/// no PKCS#12, a wrong password, or a store without what is looked for.
broker::Result<std::string> read_truststore(std::string_view bytes, const std::string& password);
broker::Result<KeyPair> read_keystore(std::string_view bytes, const std::string& password);

/// `length` characters of [A-Za-z0-9] from the system's random source.
std::string random_password(std::size_t length = 32);

}  // namespace op::pki
