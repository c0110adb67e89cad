// protocol_generator <schema folder> <output folder> <groups>: writes
//   <output>/messages/<message>.h, <output>/messages_<group>.cc, <output>/message_cases_<group>.cc,
//   <output>/message_cases.cc and <output>/api_table.inc.
// A file is only touched when its text changes, so a schema edit recompiles what it concerns.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "broker/protocol/generator/emit.h"

namespace generator {
namespace {

void write_if_changed(const std::filesystem::path& path, const std::string& text) {
  std::ifstream old(path, std::ios::binary);
  if (old && std::string(std::istreambuf_iterator<char>(old), {}) == text) return;
  old.close();
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

/// Cuts the messages, in their order, into groups of about equal work for the compiler.
std::vector<std::span<const Message>> cut(const std::vector<Message>& messages, int groups) {
  int total = 0;
  for (const Message& message : messages) total += message.field_count();
  std::vector<std::span<const Message>> result;
  std::size_t begin = 0;
  int sum = 0;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    sum += messages[i].field_count();
    const bool last = i + 1 == messages.size();
    const int wanted = total / groups * (static_cast<int>(result.size()) + 1);
    if (last || (sum >= wanted && static_cast<int>(result.size()) + 1 < groups)) {
      result.emplace_back(messages.data() + begin, i + 1 - begin);
      begin = i + 1;
    }
  }
  return result;
}

void run(const std::string& schemas, const std::filesystem::path& output, int groups) {
  const std::vector<Message> messages = load(schemas, "broker/protocol/schemas");
  std::filesystem::create_directories(output / "messages");
  for (const Message& message : messages) {
    write_if_changed(output / "messages" / (message.file + ".h"), emit_header(message));
  }
  const auto parts = cut(messages, groups);
  if (static_cast<int>(parts.size()) != groups) throw std::runtime_error("too many groups");
  for (int group = 0; group < groups; ++group) {
    const std::string end = "_" + std::to_string(group) + ".cc";
    write_if_changed(output / ("messages" + end), emit_source(parts[group]));
    write_if_changed(output / ("message_cases" + end), emit_cases(parts[group], group));
  }
  write_if_changed(output / "message_cases.cc", emit_case_list(groups));
  write_if_changed(output / "api_table.inc", emit_api_table(messages));
}

}  // namespace
}  // namespace generator

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: protocol_generator <schema folder> <output folder> <groups>\n");
    return 1;
  }
  try {
    generator::run(argv[1], argv[2], std::stoi(argv[3]));
  } catch (const std::exception& e) {
    std::fprintf(stderr, "protocol_generator: %s\n", e.what());
    return 1;
  }
  return 0;
}
