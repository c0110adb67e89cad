#include "broker/protocol/generator/emit.h"

namespace generator {
namespace {

std::string fill_value(const Field& field, const std::string& target, const std::string& indent) {
  if (field.array) {
    std::string out =
        indent + target + ".resize(2);\n" + indent + "for (auto& element : " + target + ") ";
    return out +
           (field.is_struct ? "fill(f, element, version);\n" : "f." + field.type + "(element);\n");
  }
  if (field.is_struct) return indent + "fill(f, " + target + ", version);\n";
  if (field.type == "bool") {
    const auto* fallback = std::get_if<bool>(&field.fallback);
    return indent + target + " = " + (fallback && *fallback ? "false" : "true") + ";\n";
  }
  return indent + "f." + field.type + "(" + target + ");\n";
}

std::string fill_function(const Message& message, const std::string& type,
                          const std::vector<Field>& fields) {
  std::string out = "void fill([[maybe_unused]] Filler& f, [[maybe_unused]] " + type +
                    "& out, [[maybe_unused]] std::int16_t version) {\n";
  for (const Field& field : fields) {
    const std::string when = condition(field.versions, message.versions);
    out += when.empty() ? "  {\n" : "  if (" + when + ") {\n";
    const std::string target = "out." + field.name;
    if (field.is_nullable()) {
      out += "    if (f.nulls && " + boolean(field.nullable, message.versions) + ") {\n      " +
             target + ".reset();\n    } else {\n      auto& value = " + target + ".emplace();\n" +
             fill_value(field, "value", "      ") + "    }\n";
    } else {
      out += fill_value(field, target, "    ");
    }
    out += "  }\n";
  }
  return out + "}\n\n";
}

}  // namespace

std::string emit_cases(std::span<const Message> messages, int group) {
  std::string out = "// Generated from broker/protocol/schemas\n";
  out += "#include \"broker/protocol/testdata/message_case.h\"\n";
  for (const Message& message : messages) {
    out += "#include \"broker/protocol/messages/" + message.file + ".h\"\n";
  }
  out += "\nnamespace broker::protocol {\nnamespace {\n\n";
  for (const Message& message : messages) {
    for (const Struct& s : message.structs) {
      out += fill_function(message, qualified(message, s.name), s.fields);
    }
    out += fill_function(message, message.name, message.fields);
  }
  out += "}  // namespace\n\n";
  const std::string name = "add_message_cases_" + std::to_string(group);
  out += "void " + name + "(MessageCases& cases) {\n";
  for (const Message& message : messages) {
    out += "  add_case<" + message.name + ">(cases, fill);\n";
  }
  return out + "}\n\n}  // namespace broker::protocol\n";
}

std::string emit_case_list(int groups) {
  std::string declarations;
  std::string calls;
  for (int group = 0; group < groups; ++group) {
    const std::string name = "add_message_cases_" + std::to_string(group);
    declarations += "void " + name + "(MessageCases& cases);\n";
    calls += "  " + name + "(cases);\n";
  }
  return "// Generated from broker/protocol/schemas\n"
         "#include \"broker/protocol/testdata/message_case.h\"\n\nnamespace broker::protocol "
         "{\n\n" +
         declarations + "\nMessageCases all_message_cases() {\n  MessageCases cases;\n" + calls +
         "  return cases;\n}\n\n}  // namespace broker::protocol\n";
}

}  // namespace generator
