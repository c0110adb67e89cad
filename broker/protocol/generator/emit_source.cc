#include <algorithm>

#include "broker/protocol/generator/emit.h"

namespace generator {
namespace {

/// Emits the read and write functions of one struct or message.
class StructEmitter {
 public:
  StructEmitter(const Message& message, std::string type, const std::vector<Field>& fields)
      : message_(message), type_(std::move(type)), fields_(fields) {}

  std::string reader() const;
  std::string writer() const;

 private:
  std::string flexible_line() const {
    return "  [[maybe_unused]] const bool flexible = " +
           boolean(message_.flexible, message_.versions) + ";\n";
  }
  std::string flexible(const Field& field) const { return field.flexible ? "flexible" : "false"; }
  std::string nullable(const Field& field) const {
    return boolean(field.nullable, message_.versions);
  }
  std::string least(const Field& field) const {
    return std::to_string(message_.least_size(field.type, field.versions));
  }
  std::vector<const Field*> tagged_fields() const;
  std::string read_value(const Field& field, const std::string& reader,
                         const std::string& indent) const;
  std::string write_value(const Field& field, const std::string& writer,
                          const std::string& indent) const;
  std::string read_tagged() const;
  std::string write_tagged() const;
  std::string write_plain(const Field& field) const;

  const Message& message_;
  std::string type_;
  const std::vector<Field>& fields_;
};

std::string if_line(const std::string& condition) {
  return condition.empty() ? "  {\n" : "  if (" + condition + ") {\n";
}

/// Whether `in.<field>` differs from what a reader assumes when it is missing.
std::string is_set(const Field& field) {
  const std::string value = "in." + field.name;
  if (field.null_by_default()) return value + ".has_value()";
  if (field.is_nullable()) {
    if (field.is_struct && !field.array) {
      return "(!" + value + " || *" + value + " != " + "std::decay_t<decltype(*" + value + ")>())";
    }
    const auto* text = std::get_if<std::string>(&field.fallback);
    return "(!" + value + " || " +
           (text ? "*" + value + " != \"" + *text + "\"" : "!" + value + "->empty()") + ")";
  }
  if (field.array) return "!" + value + ".empty()";
  if (field.is_struct) return value + " != std::decay_t<decltype(" + value + ")>()";
  if (const auto* fallback = std::get_if<bool>(&field.fallback))
    return (*fallback ? "!" : "") + value;
  if (const auto* fallback = std::get_if<std::int64_t>(&field.fallback)) {
    return value + " != " + std::to_string(*fallback);
  }
  if (const auto* fallback = std::get_if<std::string>(&field.fallback)) {
    return value + " != \"" + *fallback + "\"";
  }
  if (field.type == "string" || field.type == "bytes" || field.type == "records") {
    return "!" + value + ".empty()";
  }
  if (field.type == "uuid") return "!" + value + ".is_zero()";
  return field.type == "bool" ? value : value + " != 0";
}

std::vector<const Field*> StructEmitter::tagged_fields() const {
  std::vector<const Field*> tagged;
  for (const Field& field : fields_) {
    if (field.tag) tagged.push_back(&field);
  }
  std::sort(tagged.begin(), tagged.end(),
            [](const Field* a, const Field* b) { return *a->tag < *b->tag; });
  return tagged;
}

std::string StructEmitter::read_value(const Field& field, const std::string& reader,
                                      const std::string& indent) const {
  const std::string target = "out." + field.name;
  const std::string lengths = "(" + flexible(field) + ", ";
  const std::string null = field.is_nullable() ? nullable(field) + ", " : "";
  if (field.array && !field.is_struct) {
    return indent + reader + ".array_of" + lengths + null + target + ");\n";
  }
  if (field.array) {
    std::string out;
    std::string elements = target;
    std::string inner = indent;
    const std::string count = reader + ".array" + lengths + null + least(field) + ")";
    if (field.is_nullable()) {
      out += indent + target + ".reset();\n";
      out += indent + "if (const auto count = " + count + ") {\n";
      out += indent + "  " + target + ".emplace(*count);\n";
      elements = "*" + target;
      inner += "  ";
    } else {
      out += indent + target + ".resize(" + count + ");\n";
    }
    out += inner + "for (auto& element : " + elements + ") {\n";
    out += inner + "  if (!" + reader + ".ok()) break;\n";
    out += inner + "  read_struct(" + reader + ", element, version);\n" + inner + "}\n";
    return field.is_nullable() ? out + indent + "}\n" : out;
  }
  if (field.is_struct) {
    if (!field.is_nullable()) {
      return indent + "read_struct(" + reader + ", " + target + ", version);\n";
    }
    // Kafka marks a nullable struct by -1 or 1, but in a tagged field by 0 or 1.
    const std::string there = field.tag ? ".uvarint() > 0" : ".present()";
    return indent + target + ".reset();\n" + indent + "if (" + reader + there + ") read_struct(" +
           reader + ", " + target + ".emplace(), version);\n";
  }
  if (field.type == "string") return indent + reader + ".string" + lengths + null + target + ");\n";
  if (field.type == "bytes" || field.type == "records") {
    return indent + reader + ".bytes" + lengths + null + target + ");\n";
  }
  const std::string method = field.type == "bool" ? "boolean" : field.type;
  return indent + target + " = " + reader + "." + method + "();\n";
}

std::string StructEmitter::read_tagged() const {
  if (message_.flexible.empty()) return "";
  const std::vector<const Field*> tagged = tagged_fields();
  if (tagged.empty()) return "  if (flexible) r.skip_tagged_fields();\n";
  std::string out = "  if (flexible) {\n    for (TaggedFieldReader tags(r); tags.next();) {\n";
  for (const Field* field : tagged) {
    const std::string when = condition(field->versions, message_.flexible);
    out += "      if (tags.tag() == " + std::to_string(*field->tag) +
           (when.empty() ? "" : " && " + when) + ") {\n        Reader& field = tags.field();\n" +
           read_value(*field, "field", "        ") + "      }\n";
  }
  return out + "    }\n  }\n";
}

std::string StructEmitter::reader() const {
  std::string out = "void read_struct([[maybe_unused]] Reader& r, [[maybe_unused]] " + type_ +
                    "& out, [[maybe_unused]] std::int16_t version) {\n" + flexible_line();
  for (const Field& field : fields_) {
    if (field.tag) continue;
    out += if_line(condition(field.versions, message_.versions)) + read_value(field, "r", "    ") +
           "  }\n";
  }
  return out + read_tagged() + "}\n\n";
}

std::string StructEmitter::write_value(const Field& field, const std::string& writer,
                                       const std::string& indent) const {
  const std::string source = "in." + field.name;
  const std::string lengths = "(" + flexible(field) + ", ";
  const std::string null = field.is_nullable() ? nullable(field) + ", " : "";
  if (field.array && !field.is_struct) {
    return indent + writer + ".array_of" + lengths + null + source + ");\n";
  }
  if (field.array) {
    std::string out;
    std::string elements = source;
    std::string inner = indent;
    if (field.is_nullable()) {
      out += indent + "if (!" + source + ") {\n" + indent + "  " + writer + ".null_array" +
             lengths + nullable(field) + ");\n" + indent + "} else {\n";
      elements = "*" + source;
      inner += "  ";
      out += inner + writer + ".array" + lengths + source + "->size());\n";
    } else {
      out += inner + writer + ".array" + lengths + source + ".size());\n";
    }
    out += inner + "for (const auto& element : " + elements + ") write_struct(" + writer +
           ", element, version);\n";
    return field.is_nullable() ? out + indent + "}\n" : out;
  }
  if (field.is_struct) {
    if (!field.is_nullable()) {
      return indent + "write_struct(" + writer + ", " + source + ", version);\n";
    }
    const std::string marker =
        field.tag ? ".uvarint(" + source + ".has_value() ? 1 : 0)"
                  : ".present(" + nullable(field) + ", " + source + ".has_value())";
    return indent + writer + marker + ";\n" + indent + "if (" + source + ") write_struct(" +
           writer + ", *" + source + ", version);\n";
  }
  if (field.type == "string") return indent + writer + ".string" + lengths + null + source + ");\n";
  if (field.type == "bytes" || field.type == "records") {
    return indent + writer + ".bytes" + lengths + null + source + ");\n";
  }
  const std::string method = field.type == "bool" ? "boolean" : field.type;
  return indent + writer + "." + method + "(" + source + ");\n";
}

std::string StructEmitter::write_plain(const Field& field) const {
  const std::string exists = condition(field.versions, message_.versions);
  std::string out;
  if (!field.tag) out = if_line(exists) + write_value(field, "w", "    ") + "  }\n";
  if (exists.empty() || field.ignorable) return out;
  return out + "  if (!(" + exists + ") && " + is_set(field) + ") {\n    w.fail_dropped(\"" +
         type_ + "::" + field.name + "\", version);\n  }\n";
}

std::string StructEmitter::write_tagged() const {
  if (message_.flexible.empty()) return "";
  const std::vector<const Field*> tagged = tagged_fields();
  if (tagged.empty()) return "  if (flexible) w.no_tagged_fields();\n";
  std::string out = "  if (flexible) {\n    TaggedFields tags;\n";
  for (const Field* field : tagged) {
    const std::string when = condition(field->versions, message_.flexible);
    out += "    if (" + (when.empty() ? "" : "(" + when + ") && ") + is_set(*field) +
           ") {\n      Writer& field = tags.add(" + std::to_string(*field->tag) + ");\n" +
           write_value(*field, "field", "      ") + "    }\n";
  }
  return out + "    w.tagged_fields(std::move(tags));\n  }\n";
}

std::string StructEmitter::writer() const {
  std::string out = "void write_struct([[maybe_unused]] Writer& w, [[maybe_unused]] const " +
                    type_ + "& in, [[maybe_unused]] std::int16_t version) {\n" + flexible_line();
  for (const Field& field : fields_) out += write_plain(field);
  return out + write_tagged() + "}\n\n";
}

std::string members(const Message& message) {
  const std::string& name = message.name;
  return "Result<void> " + name + "::read(Reader& reader, std::int16_t version) {\n" +
         "  if (!kVersions.contains(version)) return unsupported(kName, version);\n" +
         "  *this = {};\n  read_struct(reader, *this, version);\n  return reader.status();\n}\n\n" +
         "void " + name + "::write(Writer& writer, std::int16_t version) const {\n" +
         "  if (!kVersions.contains(version)) return writer.fail_version(kName, version);\n" +
         "  write_struct(writer, *this, version);\n}\n\n";
}

}  // namespace

std::string emit_source(std::span<const Message> messages) {
  std::string out = "// Generated from broker/protocol/schemas\n#include <type_traits>\n\n";
  out += "#include \"broker/protocol/codec.h\"\n";
  for (const Message& message : messages) {
    out += "#include \"broker/protocol/messages/" + message.file + ".h\"\n";
  }
  out += "\nnamespace broker::protocol {\nnamespace {\n\n";
  out += "Error unsupported(const char* message, std::int16_t version) {\n";
  out += "  return {ErrorCode::kUnsupportedVersion,\n";
  out += "          std::string(message) + \" has no version \" + std::to_string(version)};\n}\n\n";
  for (const Message& message : messages) {
    for (const Struct& s : message.structs) {
      const StructEmitter emitter(message, qualified(message, s.name), s.fields);
      out += emitter.reader() + emitter.writer();
    }
    const StructEmitter emitter(message, message.name, message.fields);
    out += emitter.reader() + emitter.writer();
  }
  out += "}  // namespace\n\n";
  for (const Message& message : messages) out += members(message);
  return out + "}  // namespace broker::protocol\n";
}

}  // namespace generator
