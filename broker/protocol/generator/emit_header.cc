#include <map>
#include <stdexcept>

#include "broker/protocol/generator/emit.h"

namespace generator {
namespace {

std::string cpp_type(const std::string& type) {
  static const std::map<std::string, std::string> kTypes = {
      {"bool", "bool"},          {"int8", "std::int8_t"},     {"int16", "std::int16_t"},
      {"int32", "std::int32_t"}, {"int64", "std::int64_t"},   {"uint16", "std::uint16_t"},
      {"float64", "double"},     {"uint32", "std::uint32_t"}, {"string", "std::string"},
      {"bytes", "Slice"},        {"records", "Slice"},        {"uuid", "Uuid"}};
  const auto found = kTypes.find(type);
  return found == kTypes.end() ? type : found->second;
}

/// What follows the member's name.
std::string initializer(const Field& field) {
  if (field.null_by_default()) return "";
  if (field.is_nullable()) {
    const auto* text = std::get_if<std::string>(&field.fallback);
    return " = " + value_type(field) + (text ? "(\"" + *text + "\")" : "()");
  }
  if (const auto* value = std::get_if<bool>(&field.fallback))
    return *value ? " = true" : " = false";
  if (const auto* value = std::get_if<std::int64_t>(&field.fallback)) {
    return " = " + std::to_string(*value);
  }
  if (const auto* value = std::get_if<std::string>(&field.fallback)) return " = \"" + *value + "\"";
  if (field.array || field.is_struct) return "";
  if (field.type == "bool") return " = false";
  if (field.type == "string" || field.type == "bytes" || field.type == "records" ||
      field.type == "uuid") {
    return "";
  }
  return " = 0";
}

std::string range_text(Range range, Range all) {
  if (range.min == range.max) return std::to_string(range.min);
  if (range.max == all.max) return std::to_string(range.min) + "+";
  return std::to_string(range.min) + "-" + std::to_string(range.max);
}

std::string remark(const Field& field, Range all) {
  std::string text;
  if (field.versions != all) text = range_text(field.versions, all);
  if (field.tag) text += (text.empty() ? "tag " : ", tag ") + std::to_string(*field.tag);
  return text.empty() ? "" : "  // " + text;
}

std::string members(const std::vector<Field>& fields, Range all, const std::string& indent) {
  std::string out;
  for (const Field& field : fields) {
    std::string type = value_type(field);
    if (field.is_nullable()) type = "std::optional<" + type + ">";
    out += indent + type + " " + field.name + initializer(field) + ";" + remark(field, all) + "\n";
  }
  return out;
}

std::string constant_range(const std::string& name, Range range) {
  const Range shown = range.empty() ? Range{} : range;
  return "  static constexpr VersionRange " + name + "{" + std::to_string(shown.min) + ", " +
         std::to_string(shown.max) + "};\n";
}

}  // namespace

std::string value_type(const Field& field) {
  const std::string type = cpp_type(field.type);
  return field.array ? "std::vector<" + type + ">" : type;
}

std::string qualified(const Message& message, const std::string& struct_name) {
  return message.name + "::" + struct_name;
}

std::string condition(Range range, Range all) {
  const std::string from = "version >= " + std::to_string(range.min);
  const std::string to = "version <= " + std::to_string(range.max);
  if (range.min <= all.min && range.max >= all.max) return "";
  if (range.min == range.max) return "version == " + std::to_string(range.min);
  if (range.min <= all.min) return to;
  if (range.max >= all.max) return from;
  return from + " && " + to;
}

std::string boolean(Range range, Range all) {
  if (range.empty()) return "false";
  const std::string text = condition(range, all);
  return text.empty() ? "true" : text;
}

std::string emit_header(const Message& message) {
  std::string out = "// Generated from " + message.path + "\n#pragma once\n\n" +
                    "#include \"broker/protocol/message.h\"\n\nnamespace broker::protocol {\n\n";
  const bool request = message.kind == "request";
  if (request) out += "struct " + message.api + "Response;\n\n";
  out += "struct " + message.name + " {\n";
  if (request) out += "  using Response = " + message.api + "Response;\n";
  out += "  static constexpr char kName[] = \"" + message.name + "\";\n";
  if (!message.api.empty()) {
    out += "  static constexpr ApiKey kApiKey = ApiKey::k" + message.api + ";\n";
  }
  if (message.record_type) {
    out += "  static constexpr std::int16_t kRecordType = " + std::to_string(*message.record_type) +
           ";\n";
  }
  out += constant_range("kVersions", message.versions);
  out += constant_range("kFlexible", message.flexible) + "\n";
  for (const Struct& s : message.structs) {
    out += "  struct " + s.name + " {\n" + members(s.fields, message.versions, "    ") +
           "\n    bool operator==(const " + s.name + "&) const = default;\n  };\n\n";
  }
  const std::string fields = members(message.fields, message.versions, "  ");
  out += fields + (fields.empty() ? "" : "\n");
  out += "  /// Replaces all fields; after a failure they are unspecified.\n";
  out += "  Result<void> read(Reader& reader, std::int16_t version);\n";
  out += "  void write(Writer& writer, std::int16_t version) const;\n";
  out += "  bool operator==(const " + message.name + "&) const = default;\n};\n\n";
  return out + "}  // namespace broker::protocol\n";
}

std::string emit_api_table(std::span<const Message> messages) {
  std::map<int, const Message*> requests;
  for (const Message& message : messages) {
    if (message.kind != "request") continue;
    if (!requests.emplace(message.api_key, &message).second) {
      throw std::runtime_error("two APIs with key " + std::to_string(message.api_key));
    }
  }
  std::string out = "// Generated from broker/protocol/schemas\n";
  const auto truth = [](bool value) { return value ? "true" : "false"; };
  for (const auto& [key, request] : requests) {
    out += "static_assert(static_cast<int>(ApiKey::k" + request->api +
           ") == " + std::to_string(key) + ");\n";
  }
  out += "constexpr ApiInfo kTable[] = {\n";
  for (const auto& [key, request] : requests) {
    bool broker = false;
    bool controller = false;
    for (const std::string& listener : request->listeners) {
      if (listener == "broker") broker = true;
      if (listener == "controller") controller = true;
    }
    const int flexible =
        request->flexible.empty() ? request->versions.max + 1 : request->flexible.min;
    out += "    {ApiKey::k" + request->api + ", \"" + request->api + "\", {" +
           std::to_string(request->released.min) + ", " + std::to_string(request->released.max) +
           "}, " + std::to_string(request->versions.max) + ", " + std::to_string(flexible) + ", " +
           truth(broker) + ", " + truth(controller) + ", " + truth(request->forwarded) + ", " +
           truth(request->cluster_action) + "},\n";
  }
  return out + "};\n";
}

}  // namespace generator
