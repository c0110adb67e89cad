#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace generator {

/// Versions, both ends included.
struct Range {
  int min = 0;
  int max = -1;

  bool empty() const { return max < min; }
  bool contains(int version) const { return version >= min && version <= max; }
  bool operator==(const Range&) const = default;
};

struct Null {};
/// monostate: the type's zero (0, "", empty).
using Default = std::variant<std::monostate, Null, bool, std::int64_t, std::string>;

struct Field {
  std::string name;
  std::string type;  // of the element, if it is an array
  bool array = false;
  bool is_struct = false;
  bool flexible = true;    // false: keeps the old length form in flexible versions (client_id)
  bool ignorable = false;  // dropped silently in versions without it
  Range versions;
  Range nullable;
  std::optional<int> tag;
  Default fallback;

  bool is_nullable() const { return !nullable.empty(); }
  bool null_by_default() const { return std::holds_alternative<Null>(fallback); }
};

struct Struct {
  std::string name;
  std::vector<Field> fields;
};

struct Message {
  std::string path;  // of the schema, from the root of the tree
  std::string file;  // snake_case name, without ending
  std::string name;
  std::string kind;
  Range versions;
  Range flexible;
  std::optional<int> record_type;
  // Only of requests and responses.
  std::string api;
  // Only of requests.
  int api_key = -1;
  Range released;
  std::vector<std::string> listeners;
  bool forwarded = false;
  bool cluster_action = false;

  std::vector<Field> fields;
  std::vector<Struct> structs;  // each after those it contains

  const Struct& find(const std::string& name) const;
  /// Least bytes that an element of type `type` takes in any of `versions`, at least 1.
  int least_size(const std::string& type, Range versions) const;
  int field_count() const;
};

/// All messages below `folder`, by name. Throws std::runtime_error with the file's name on anything
/// that is not understood.
std::vector<Message> load(const std::string& folder, const std::string& shown_folder);

/// "FetchRequest" -> "fetch_request", "KRaftVersionRecord" -> "kraft_version_record".
std::string snake_case(const std::string& name);

}  // namespace generator
