#include "operator/cli/client_config.h"

#include <cctype>
#include <charconv>
#include <map>

#include "broker/common/security_protocol.h"
#include "broker/config/properties.h"
#include "broker/config/text.h"
#include "operator/pki/stores.h"

namespace op::cli {
namespace {

using broker::Error;
using broker::ErrorCode;
using broker::Result;
using broker::trim;
using broker::config::bad_value;
using Properties = std::map<std::string, std::string>;

std::string value_of(const Properties& properties, const std::string& key) {
  const auto found = properties.find(key);
  return found == properties.end() ? std::string() : found->second;
}

bool is_pem(std::string_view bytes) { return bytes.find("-----BEGIN ") != std::string_view::npos; }
bool is_jks(std::string_view bytes) { return bytes.substr(0, 4) == "\xfe\xed\xfe\xed"; }

/// What a *.location names, after a look at what it is: Java takes PKCS#12 for "JKS" too.
Result<std::string> read_store(const Properties& properties, const std::string& prefix,
                               const FileReader& read_file) {
  const std::string key = prefix + ".location";
  ASSIGN_OR_RETURN(std::string bytes, read_file(value_of(properties, key)));
  if (is_jks(bytes)) {
    return bad_value(key,
                     "a JKS store is read by Java only; convert it: keytool -importkeystore "
                     "-srckeystore OLD -destkeystore NEW.p12 -deststoretype PKCS12");
  }
  return bytes;
}

Result<void> read_trust(const Properties& properties, const FileReader& read_file,
                        kafka::ConnectionSpec& spec) {
  spec.ca_pem = value_of(properties, "ssl.truststore.certificates");
  if (const std::string ca = value_of(properties, "ssl.ca.location"); !ca.empty()) {
    ASSIGN_OR_RETURN(spec.ca_pem, read_file(ca));
  }
  if (!properties.contains("ssl.truststore.location")) return {};
  ASSIGN_OR_RETURN(spec.ca_pem, read_store(properties, "ssl.truststore", read_file));
  if (is_pem(spec.ca_pem)) return {};
  const auto certificates =
      pki::read_truststore(spec.ca_pem, value_of(properties, "ssl.truststore.password"));
  if (!certificates.ok()) return bad_value("ssl.truststore.location", certificates.error().detail);
  spec.ca_pem = *certificates;
  return {};
}

Result<void> read_identity(const Properties& properties, const FileReader& read_file,
                           kafka::ConnectionSpec& spec) {
  spec.certificate_pem = value_of(properties, "ssl.keystore.certificate.chain");
  spec.private_key_pem = value_of(properties, "ssl.keystore.key");
  if (properties.contains("ssl.certificate.location")) {
    ASSIGN_OR_RETURN(spec.certificate_pem,
                     read_file(value_of(properties, "ssl.certificate.location")));
    ASSIGN_OR_RETURN(spec.private_key_pem, read_file(value_of(properties, "ssl.key.location")));
  }
  if (!properties.contains("ssl.keystore.location")) return {};
  ASSIGN_OR_RETURN(const std::string bytes, read_store(properties, "ssl.keystore", read_file));
  if (is_pem(bytes)) {  // key and chain in one file
    spec.certificate_pem = spec.private_key_pem = bytes;
    return {};
  }
  const auto pair = pki::read_keystore(bytes, value_of(properties, "ssl.keystore.password"));
  if (!pair.ok()) return bad_value("ssl.keystore.location", pair.error().detail);
  spec.certificate_pem = pair->certificate_pem;
  spec.private_key_pem = pair->key_pem;
  return {};
}

Result<void> read_sasl(const Properties& properties, kafka::ConnectionSpec& spec) {
  spec.sasl_mechanism = value_of(properties, "sasl.mechanism");
  if (spec.sasl_mechanism.empty()) spec.sasl_mechanism = value_of(properties, "sasl.mechanisms");
  if (spec.sasl_mechanism.empty()) spec.sasl_mechanism = "GSSAPI";  // Kafka's default
  if (spec.sasl_mechanism != "PLAIN" && spec.sasl_mechanism != "SCRAM-SHA-256" &&
      spec.sasl_mechanism != "SCRAM-SHA-512") {
    return bad_value("sasl.mechanism", spec.sasl_mechanism +
                                           " is not supported here; PLAIN, SCRAM-SHA-256 and "
                                           "SCRAM-SHA-512 are");
  }
  const std::string jaas = value_of(properties, "sasl.jaas.config");
  spec.sasl_username = jaas_option(jaas, "username");
  spec.sasl_password = jaas_option(jaas, "password");
  if (properties.contains("sasl.username")) {
    spec.sasl_username = value_of(properties, "sasl.username");
    spec.sasl_password = value_of(properties, "sasl.password");
  }
  if (spec.sasl_username.empty()) {
    return bad_value("sasl.jaas.config", "has no username=\"…\" (nor is there a sasl.username)");
  }
  return {};
}

}  // namespace

Result<std::vector<broker::io::Endpoint>> parse_bootstrap(std::string_view text) {
  std::vector<broker::io::Endpoint> out;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string address(trim(text.substr(0, comma)));
    text.remove_prefix(std::min(comma + 1, text.size()));
    if (address.empty()) continue;
    const std::size_t colon = address.rfind(':');
    std::uint16_t port = 0;
    const char* const end = address.data() + address.size();
    if (colon == std::string::npos || colon == 0 ||
        std::from_chars(address.data() + colon + 1, end, port) !=
            std::from_chars_result{end, std::errc()}) {
      return bad_value("bootstrap.servers", "'" + address + "' is not HOST:PORT");
    }
    std::string host = address.substr(0, colon);
    if (host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    out.push_back({host, port});
  }
  return out;
}

std::string jaas_option(std::string_view jaas, std::string_view name) {
  const std::string wanted = std::string(name) + "=";
  for (std::size_t at = jaas.find(wanted); at != std::string_view::npos;
       at = jaas.find(wanted, at + 1)) {
    if (at > 0 && std::isspace(static_cast<unsigned char>(jaas[at - 1])) == 0) continue;
    std::string out;
    std::size_t i = at + wanted.size();
    const bool quoted = i < jaas.size() && (jaas[i] == '"' || jaas[i] == '\'');
    const char quote = quoted ? jaas[i++] : ' ';
    for (; i < jaas.size() && jaas[i] != quote; ++i) {
      if (!quoted && (jaas[i] == ';' || std::isspace(static_cast<unsigned char>(jaas[i])) != 0))
        break;
      if (quoted && jaas[i] == '\\' && i + 1 < jaas.size()) ++i;
      out += jaas[i];
    }
    return out;
  }
  return {};
}

Result<kafka::ConnectionSpec> parse_client_config(std::string_view text,
                                                  const FileReader& read_file) {
  ASSIGN_OR_RETURN(const auto parsed, broker::config::parse_properties(text));
  Properties properties;
  for (const auto& property : parsed) {
    properties[property.key] = std::string(trim(property.value));
  }
  kafka::ConnectionSpec spec;
  ASSIGN_OR_RETURN(spec.brokers, parse_bootstrap(value_of(properties, "bootstrap.servers")));
  const std::string protocol = value_of(properties, "security.protocol");
  const auto security =
      broker::parse_security_protocol(broker::upper(protocol.empty() ? "PLAINTEXT" : protocol));
  if (!security.ok()) return bad_value("security.protocol", security.error().detail);
  spec.tls = uses_tls(*security);
  if (spec.tls) {
    RETURN_IF_ERROR(read_trust(properties, read_file, spec));
    RETURN_IF_ERROR(read_identity(properties, read_file, spec));
    const auto algorithm = properties.find("ssl.endpoint.identification.algorithm");
    spec.verify_hostname = algorithm == properties.end() || algorithm->second == "https";
  }
  if (uses_sasl(*security)) RETURN_IF_ERROR(read_sasl(properties, spec));
  return spec;
}

}  // namespace op::cli
