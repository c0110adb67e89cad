#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "broker/common/result.h"
#include "operator/kafka/cluster_view.h"

namespace op::cli {

using FileReader = std::function<broker::Result<std::string>(const std::string& path)>;

/// A client configuration in the form that Java's tools take (--command-config): bootstrap.servers,
/// security.protocol, sasl.mechanism and sasl.jaas.config, ssl.truststore.* and ssl.keystore.* as
/// PEM or PKCS#12, ssl.endpoint.identification.algorithm; and librdkafka's own names for the same
/// (sasl.username, sasl.password, ssl.ca.location, ssl.certificate.location, ssl.key.location).
/// Other keys, of producers and consumers, are left alone. Files are named relative to the working
/// directory. Errors: kInvalidConfig naming the key; those of `read_file`.
broker::Result<kafka::ConnectionSpec> parse_client_config(std::string_view text,
                                                          const FileReader& read_file);

/// "a:1,b:2", "[::1]:9092". Errors: kInvalidConfig.
broker::Result<std::vector<broker::io::Endpoint>> parse_bootstrap(std::string_view text);

/// `key="value"` options of a JAAS line, as sasl.jaas.config has them; "" when it has none of that
/// name.
std::string jaas_option(std::string_view jaas, std::string_view name);

}  // namespace op::cli
