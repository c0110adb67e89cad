#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/result.h"

namespace broker::config {

struct Property {
  std::string key;
  std::string value;
  int line = 0;  // of its first character, from 1
};

/// Java's .properties form: '#' and '!' comments, '=', ':' or blank between key and value, trailing
/// backslash joins lines, \t \n \r \f \uXXXX escapes. Bytes above 127 are taken as UTF-8. A key
/// given twice appears twice (the last one counts). Errors: kInvalidConfig for a bad \u escape.
Result<std::vector<Property>> parse_properties(std::string_view text);

/// Escapes so that parse_properties gives back the same key and value.
std::string format_property(std::string_view key, std::string_view value);

/// Replaces ${file:/path:key}, ${dir:/path:name} and ${env::NAME} (Kafka's config providers) in all
/// values, for the providers that the key config.providers names. Errors: kInvalidConfig naming
/// the key and what could not be read.
using FileReader = std::function<Result<std::string>(const std::string& path)>;
Result<void> resolve_providers(std::vector<Property>& properties, const FileReader& read_file);

}  // namespace broker::config
