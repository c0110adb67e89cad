#include "broker/config/config_def.h"

#include <charconv>
#include <cmath>
#include <limits>

#include "broker/config/key_tables.h"
#include "broker/config/text.h"

namespace broker::config {
namespace {

ConfigType parse_type(std::string_view text) {
  static const std::map<std::string_view, ConfigType> kTypes{
      {"boolean", ConfigType::kBoolean},  {"string", ConfigType::kString},
      {"int", ConfigType::kInt},          {"short", ConfigType::kShort},
      {"long", ConfigType::kLong},        {"double", ConfigType::kDouble},
      {"list", ConfigType::kList},        {"class", ConfigType::kClass},
      {"password", ConfigType::kPassword}};
  const auto it = kTypes.find(text);
  CHECK(it != kTypes.end());
  return it->second;
}

std::string_view type_name(ConfigType type) {
  switch (type) {
    case ConfigType::kUnknown:
      return "UNKNOWN";
    case ConfigType::kBoolean:
      return "BOOLEAN";
    case ConfigType::kString:
      return "STRING";
    case ConfigType::kInt:
      return "INT";
    case ConfigType::kShort:
      return "SHORT";
    case ConfigType::kLong:
      return "LONG";
    case ConfigType::kDouble:
      return "DOUBLE";
    case ConfigType::kList:
      return "LIST";
    case ConfigType::kClass:
      return "CLASS";
    case ConfigType::kPassword:
      return "PASSWORD";
  }
  return "";
}

Allowed parse_allowed(std::string_view text) {
  Allowed allowed;
  if (text == "-") return allowed;
  if (text == "non-empty") {
    allowed.kind = Allowed::Kind::kNonEmpty;
  } else if (text == "throttled-replicas") {
    allowed.kind = Allowed::Kind::kThrottledReplicas;
  } else if (text == "offset-reset") {
    allowed.kind = Allowed::Kind::kOffsetReset;
  } else if (const auto dots = text.find(".."); dots != text.npos) {
    allowed.kind = Allowed::Kind::kRange;
    allowed.min = to_double(text.substr(0, dots));
    std::string_view max = text.substr(dots + 2);
    if (const auto tail = max.find(" or -1"); tail != max.npos) {
      allowed.or_minus_one = true;
      max = max.substr(0, tail);
    }
    if (!max.empty()) allowed.max = to_double(max);
  } else {
    constexpr std::string_view kAnyCase = "any-case ";
    const bool any_case = text.substr(0, kAnyCase.size()) == kAnyCase;
    allowed.kind = any_case ? Allowed::Kind::kOneOfAnyCase : Allowed::Kind::kOneOf;
    allowed.choices = split(any_case ? text.substr(kAnyCase.size()) : text, '|');
  }
  return allowed;
}

ConfigKey parse_key(std::string_view line) {
  const std::vector<std::string> fields = split(line, '\t');
  CHECK_EQ(fields.size(), 7u);
  ConfigKey key;
  key.name = fields[0];
  key.type = parse_type(fields[1]);
  if (fields[2] == "!") {
    key.required = true;
  } else if (fields[2] == "\"\"") {
    key.default_value = "";
  } else if (fields[2] != "~") {
    key.default_value = fields[2];
  }
  key.allowed = parse_allowed(fields[3]);
  if (fields[3] != "-") key.allowed_text = fields[3];
  if (fields[4] == "per-broker") key.update = UpdateMode::kPerBroker;
  if (fields[4] == "cluster-wide") key.update = UpdateMode::kClusterWide;
  if (fields[5] != "-") key.synonyms = split(fields[5], ',');
  key.internal = fields[6] == "internal";
  key.described_only_when_set = fields[6] == "quota";
  return key;
}

Error invalid(const ConfigKey& key, std::string_view value, std::string_view why) {
  std::string detail = "Invalid value ";
  detail += key.sensitive() ? "[hidden]" : value;
  detail += " for configuration " + key.name + ": ";
  detail += why;
  return {ErrorCode::kInvalidConfig, std::move(detail)};
}

/// "1", "0.5": Kafka prints limits without needless digits.
std::string show(double limit) {
  if (limit == std::floor(limit)) return std::to_string(static_cast<std::int64_t>(limit));
  std::string text = std::to_string(limit);
  while (text.back() == '0') text.pop_back();
  return text;
}

Result<void> check_range(const ConfigKey& key, std::string_view text, double value) {
  const Allowed& allowed = key.allowed;
  if (allowed.kind != Allowed::Kind::kRange || (allowed.or_minus_one && value == -1)) return {};
  if (allowed.or_minus_one && (value < *allowed.min || value > *allowed.max))
    return invalid(key, text,
                   "Value must be between " + show(*allowed.min) + " and " + show(*allowed.max) +
                       " or equal to -1");
  if (allowed.min && value < *allowed.min)
    return invalid(key, text, "Value must be at least " + show(*allowed.min));
  if (allowed.max && value > *allowed.max)
    return invalid(key, text, "Value must be no more than " + show(*allowed.max));
  return {};
}

Result<void> check_number(const ConfigKey& key, std::string_view text) {
  if (key.type == ConfigType::kDouble) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
      return invalid(key, text, "Not a number of type DOUBLE");
    return check_range(key, text, value);
  }
  std::int64_t value = 0;
  const std::string_view digits = text.substr(0, 1) == "+" ? text.substr(1) : text;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  std::int64_t limit = std::numeric_limits<std::int64_t>::max();
  if (key.type == ConfigType::kInt) limit = std::numeric_limits<std::int32_t>::max();
  if (key.type == ConfigType::kShort) limit = std::numeric_limits<std::int16_t>::max();
  if (error != std::errc() || end != digits.data() + digits.size() || value > limit ||
      value < -limit - 1)
    return invalid(key, text, "Not a number of type " + std::string(type_name(key.type)));
  return check_range(key, text, static_cast<double>(value));
}

Result<void> check_choice(const ConfigKey& key, std::string_view whole, std::string_view value) {
  const Allowed& allowed = key.allowed;
  const bool any_case = allowed.kind == Allowed::Kind::kOneOfAnyCase;
  for (const std::string& choice : allowed.choices)
    if (any_case ? upper(value) == choice : value == choice) return {};
  return invalid(key, whole,
                 std::string("String must be one of") +
                     (any_case ? " (case insensitive): " : ": ") + join(allowed.choices, ", "));
}

bool is_throttled_replicas(std::string_view text) {
  const auto trimmed = trim(text);
  if (trimmed.empty() || trimmed == "*" || trimmed == "none") return true;
  for (const std::string& pair : to_list(trimmed)) {
    const auto colon = pair.find(':');
    if (colon == 0 || colon == pair.npos || colon + 1 == pair.size()) return false;
    if (pair.find_first_not_of("0123456789:") != pair.npos ||
        pair.find(':', colon + 1) != pair.npos)
      return false;
  }
  return true;
}

Result<void> check_text(const ConfigKey& key, const std::string& value) {
  switch (key.allowed.kind) {
    case Allowed::Kind::kOneOf:
    case Allowed::Kind::kOneOfAnyCase:
      if (key.type != ConfigType::kList) return check_choice(key, value, value);
      for (const std::string& element : to_list(value))
        RETURN_IF_ERROR(check_choice(key, element, element));
      return {};
    case Allowed::Kind::kNonEmpty:
      if (trim(value).empty()) return invalid(key, value, "String must be non-empty");
      return {};
    case Allowed::Kind::kThrottledReplicas:
      if (!is_throttled_replicas(value))
        return invalid(key, "[" + join(to_list(value), ", ") + "]",
                       key.name +
                           " must be the literal '*' or a list of replicas in the following "
                           "format: [partitionId]:[brokerId],[partitionId]:[brokerId],...");
      return {};
    case Allowed::Kind::kOffsetReset:
      if (value != "latest" && value != "earliest" && value.rfind("by_duration:", 0) != 0)
        return invalid(key, value,
                       "the value should be either 'latest', 'earliest' or of the format "
                       "'by_duration:<PnDTnHnMn.nS>'");
      return {};
    case Allowed::Kind::kAny:
    case Allowed::Kind::kRange:
      return {};
  }
  return {};
}

}  // namespace

ConfigDef::ConfigDef(std::string_view table) {
  for (const std::string& line : split(table, '\n')) {
    if (line.empty() || line.front() == '#') continue;
    ConfigKey key = parse_key(line);
    std::string name = key.name;
    keys_.emplace(std::move(name), std::move(key));
  }
}

const ConfigDef& ConfigDef::broker() {
  static const ConfigDef def(kBrokerKeyTable);
  return def;
}

const ConfigDef& ConfigDef::topic() {
  static const ConfigDef def(kTopicKeyTable);
  return def;
}

const ConfigDef& ConfigDef::group() {
  static const ConfigDef def(kGroupKeyTable);
  return def;
}

const ConfigKey* ConfigDef::find(std::string_view name) const {
  const auto it = keys_.find(name);
  return it == keys_.end() ? nullptr : &it->second;
}

Result<void> validate(const ConfigKey& key, const std::optional<std::string>& value) {
  if (!value) {
    if (key.required || key.default_value) return invalid(key, "null", "entry must be non null");
    return {};
  }
  switch (key.type) {
    case ConfigType::kInt:
    case ConfigType::kShort:
    case ConfigType::kLong:
    case ConfigType::kDouble:
      return check_number(key, trim(*value));
    case ConfigType::kBoolean:
      if (const std::string text = upper(trim(*value)); text != "TRUE" && text != "FALSE")
        return invalid(key, *value, "Expected value to be either true or false");
      return {};
    case ConfigType::kUnknown:
    case ConfigType::kString:
    case ConfigType::kList:
    case ConfigType::kClass:
    case ConfigType::kPassword:
      return check_text(key, std::string(trim(*value)));
  }
  return {};
}

std::string describe_allowed(const ConfigKey& key) {
  std::string text(type_name(key.type));
  if (!key.allowed_text.empty()) text += ", " + key.allowed_text;
  return text;
}

std::int64_t to_integer(std::string_view value) {
  value = trim(value);
  if (value.substr(0, 1) == "+") value.remove_prefix(1);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  CHECK(error == std::errc() && end == value.data() + value.size());
  return number;
}

bool to_boolean(std::string_view value) { return upper(trim(value)) == "TRUE"; }

double to_double(std::string_view value) {
  value = trim(value);
  double number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  CHECK(error == std::errc() && end == value.data() + value.size());
  return number;
}

std::vector<std::string> to_list(std::string_view value) {
  std::vector<std::string> out;
  if (trim(value).empty()) return out;
  for (const std::string& element : split(value, ',')) out.emplace_back(trim(element));
  return out;
}

}  // namespace broker::config
