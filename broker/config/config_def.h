#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/result.h"

namespace broker::config {

/// The numbers are those of DescribeConfigs.
enum class ConfigType : std::int8_t {
  kUnknown = 0,
  kBoolean = 1,
  kString = 2,
  kInt = 3,
  kShort = 4,
  kLong = 5,
  kDouble = 6,
  kList = 7,
  kClass = 8,
  kPassword = 9,
};

enum class UpdateMode : std::uint8_t { kReadOnly, kPerBroker, kClusterWide };

/// Which values a key takes beyond its type.
struct Allowed {
  enum class Kind : std::uint8_t {
    kAny,
    kRange,
    kOneOf,
    kOneOfAnyCase,
    kNonEmpty,
    kThrottledReplicas,
    kOffsetReset,
  };
  Kind kind = Kind::kAny;
  std::optional<double> min;
  std::optional<double> max;
  bool or_minus_one = false;
  std::vector<std::string> choices;
};

struct ConfigKey {
  std::string name;
  ConfigType type = ConfigType::kString;
  std::optional<std::string> default_value;  // nullopt: null, or required
  bool required = false;
  Allowed allowed;
  std::string allowed_text;  // for a person: "1..9", "compact|delete"; may be empty
  UpdateMode update = UpdateMode::kReadOnly;
  std::vector<std::string> synonyms;  // broker keys, the first that is set wins
  bool internal = false;              // accepted, never described
  bool described_only_when_set = false;

  bool sensitive() const { return type == ConfigType::kPassword || type == ConfigType::kUnknown; }
};

/// All keys of one kind of resource. Immutable after start, usable from any thread.
class ConfigDef {
 public:
  static const ConfigDef& broker();
  static const ConfigDef& topic();
  static const ConfigDef& group();

  explicit ConfigDef(std::string_view table);

  const ConfigKey* find(std::string_view name) const;
  /// Sorted by name.
  const std::map<std::string, ConfigKey, std::less<>>& keys() const { return keys_; }

 private:
  std::map<std::string, ConfigKey, std::less<>> keys_;
};

/// kInvalidConfig with Kafka's sentence: "Invalid value x for configuration y: Value must be at
/// least 1". `value` nullopt is null.
Result<void> validate(const ConfigKey& key, const std::optional<std::string>& value);

/// "LONG, 1.." for messages: what the key takes.
std::string describe_allowed(const ConfigKey& key);

/// Values as text, by key; what ConfigRecords and server.properties hold.
using ConfigMap = std::map<std::string, std::string, std::less<>>;

// Readers of values that `validate` accepted; a CHECK guards that.
std::int64_t to_integer(std::string_view value);
bool to_boolean(std::string_view value);
double to_double(std::string_view value);
/// Splits at commas, trims, drops nothing but an entirely empty text.
std::vector<std::string> to_list(std::string_view value);

}  // namespace broker::config
