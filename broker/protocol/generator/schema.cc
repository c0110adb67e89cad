#include "broker/protocol/generator/schema.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>

namespace generator {
namespace {

using Json = nlohmann::ordered_json;

const std::set<std::string> kPrimitives = {"bool",   "int8",   "int16",   "int32",
                                           "int64",  "uint16", "uint32",  "float64",
                                           "string", "bytes",  "records", "uuid"};
const std::set<std::string> kElements = {"int8", "int16", "int32", "int64", "string", "uuid"};

void check_keys(const Json& json, const std::set<std::string>& known) {
  for (const auto& [key, value] : json.items()) {
    if (!known.contains(key)) throw std::runtime_error("unknown key '" + key + "'");
  }
}

/// "4-18", "12+" (up to `last`), "3", "none".
Range parse_range(const std::string& text, int last) {
  if (text == "none") return {};
  Range range;
  range.min = std::stoi(text);
  const std::size_t dash = text.find('-');
  if (text.back() == '+') {
    range.max = last;
  } else {
    range.max = dash == std::string::npos ? range.min : std::stoi(text.substr(dash + 1));
  }
  if (range.empty()) throw std::runtime_error("empty version range " + text);
  return range;
}

Default parse_default(const Json& json) {
  if (json.is_null()) return Null{};
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_string()) return json.get<std::string>();
  throw std::runtime_error("default of an unknown form: " + json.dump());
}

Field parse_field(const Json& json, const Message& message) {
  check_keys(json,
             {"name", "type", "versions", "nullable", "tag", "flexible", "default", "ignorable"});
  const int last = message.versions.max;
  Field field;
  field.name = json.at("name");
  field.type = json.at("type");
  field.array = field.type.front() == '[';
  if (field.array) field.type = field.type.substr(1, field.type.size() - 2);
  field.is_struct = !kPrimitives.contains(field.type);
  if (field.array && !field.is_struct && !kElements.contains(field.type)) {
    throw std::runtime_error(field.name + ": no arrays of " + field.type);
  }
  field.versions =
      json.contains("versions") ? parse_range(json["versions"], last) : message.versions;
  if (json.contains("nullable")) {
    const Json& nullable = json["nullable"];
    field.nullable = nullable.is_boolean() ? field.versions : parse_range(nullable, last);
  }
  if (json.contains("tag")) {
    field.tag = json["tag"].get<int>();
    if (message.flexible.min > field.versions.min)
      throw std::runtime_error(field.name + ": a tag before the message is flexible");
  }
  field.flexible = json.value("flexible", true);
  field.ignorable = json.value("ignorable", false);
  if (json.contains("default")) field.fallback = parse_default(json["default"]);
  if (field.null_by_default() && !field.is_nullable()) {
    throw std::runtime_error(field.name + ": null by default but not nullable");
  }
  if (field.is_nullable() && field.is_struct && !field.array && field.nullable != field.versions) {
    throw std::runtime_error(field.name + ": a struct is nullable in all versions or in none");
  }
  return field;
}

std::vector<Field> parse_fields(const Json& json, const Message& message) {
  std::vector<Field> fields;
  for (const Json& field : json) fields.push_back(parse_field(field, message));
  return fields;
}

/// Adds `name` behind everything it contains.
void add_in_order(const std::string& name, const std::vector<Struct>& all,
                  std::vector<Struct>& ordered, int depth) {
  const auto is_named = [&](const Struct& s) { return s.name == name; };
  if (std::any_of(ordered.begin(), ordered.end(), is_named)) return;
  const auto found = std::find_if(all.begin(), all.end(), is_named);
  if (found == all.end()) throw std::runtime_error("no struct " + name);
  if (depth > 16) throw std::runtime_error("recursive struct " + name);
  for (const Field& field : found->fields) {
    if (field.is_struct) add_in_order(field.type, all, ordered, depth + 1);
  }
  ordered.push_back(*found);
}

Message parse_message(const Json& json) {
  check_keys(json, {"message", "kind", "api", "api_key", "listeners", "cluster_action", "forwarded",
                    "unreleased", "record_type", "versions", "flexible", "fields", "structs"});
  Message message;
  message.name = json.at("message");
  message.kind = json.at("kind");
  message.versions = parse_range(json.at("versions"), -1);
  message.flexible = parse_range(json.at("flexible"), message.versions.max);
  message.released = message.versions;
  if (json.contains("unreleased"))
    message.released.max = std::stoi(json["unreleased"].get<std::string>()) - 1;
  message.api = json.value("api", "");
  message.api_key = json.value("api_key", -1);
  if (json.contains("listeners")) message.listeners = json["listeners"];
  message.cluster_action = json.value("cluster_action", false);
  message.forwarded = json.value("forwarded", false);
  if (json.contains("record_type")) message.record_type = json["record_type"].get<int>();

  message.fields = parse_fields(json.at("fields"), message);
  std::vector<Struct> structs;
  if (json.contains("structs")) {
    for (const auto& [name, fields] : json["structs"].items()) {
      structs.push_back({name, parse_fields(fields, message)});
    }
  }
  for (const Field& field : message.fields) {
    if (field.is_struct) add_in_order(field.type, structs, message.structs, 0);
  }
  if (message.structs.size() != structs.size()) throw std::runtime_error("a struct is not used");
  return message;
}

/// Bytes the field takes at least on the wire in `version`.
int least_field_size(const Message& message, const Field& field, int version) {
  if (field.tag || !field.versions.contains(version)) return 0;
  const bool flexible = message.flexible.contains(version) && field.flexible;
  if (field.array || field.type == "bytes" || field.type == "records") return flexible ? 1 : 4;
  if (field.type == "string") return flexible ? 1 : 2;
  if (field.is_struct) {
    return field.is_nullable() ? 1 : message.least_size(field.type, {version, version});
  }
  if (field.type == "bool" || field.type == "int8") return 1;
  if (field.type == "int16" || field.type == "uint16") return 2;
  if (field.type == "int32" || field.type == "uint32") return 4;
  return field.type == "uuid" ? 16 : 8;
}

}  // namespace

const Struct& Message::find(const std::string& wanted) const {
  for (const Struct& s : structs) {
    if (s.name == wanted) return s;
  }
  throw std::runtime_error("no struct " + wanted);
}

int Message::least_size(const std::string& type, Range range) const {
  int least = std::numeric_limits<int>::max();
  for (int version = range.min; version <= range.max; ++version) {
    int size = flexible.contains(version) ? 1 : 0;
    for (const Field& field : find(type).fields) size += least_field_size(*this, field, version);
    least = std::min(least, size);
  }
  return std::max(least, 1);
}

int Message::field_count() const {
  std::size_t count = fields.size() + 2;
  for (const Struct& s : structs) count += s.fields.size() + 2;
  return static_cast<int>(count);
}

std::vector<Message> load(const std::string& folder, const std::string& shown_folder) {
  std::vector<Message> messages;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    try {
      std::ifstream file(entry.path());
      Message message = parse_message(Json::parse(file));
      message.path =
          shown_folder + "/" + std::filesystem::relative(entry.path(), folder).generic_string();
      message.file = entry.path().stem().string();
      if (message.file != snake_case(message.name))
        throw std::runtime_error("file and message differ");
      messages.push_back(std::move(message));
    } catch (const std::exception& e) {
      throw std::runtime_error(entry.path().string() + ": " + e.what());
    }
  }
  std::sort(messages.begin(), messages.end(),
            [](const Message& a, const Message& b) { return a.name < b.name; });
  return messages;
}

std::string snake_case(const std::string& name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const auto c = static_cast<unsigned char>(name[i]);
    const bool starts_word =
        std::isupper(c) && i > 0 && !std::isupper(static_cast<unsigned char>(name[i - 1]));
    if (starts_word) out += '_';
    out += static_cast<char>(std::tolower(c));
  }
  return out;
}

}  // namespace generator
