#include "broker/storage/meta_properties.h"

#include <map>

#include "broker/common/text.h"
#include "broker/storage/text.h"

namespace broker::storage {
namespace {

constexpr const char* kName = "/meta.properties";

Error bad(const std::string& what) {
  return {ErrorCode::kInvalidConfig, "meta.properties: " + what};
}

/// Java writes ':' and '=' in values with a backslash; ids need no other escape.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    out += text[i];
  }
  return out;
}

}  // namespace

std::string to_text(const MetaProperties& properties) {
  std::string text = "#\n";
  text += "cluster.id=" + properties.cluster_id + "\n";
  if (properties.directory_id) {
    text += "directory.id=" + properties.directory_id->to_string() + "\n";
  }
  text += "node.id=" + std::to_string(properties.node_id.value) + "\n";
  return text + "version=1\n";
}

Result<MetaProperties> parse_meta_properties(std::string_view text) {
  std::map<std::string, std::string> values;
  for (std::string_view line : split(text, '\n')) {
    line = trim(line);
    if (line.empty() || line[0] == '#' || line[0] == '!') continue;
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) return bad("no '=' in the line " + std::string(line));
    values[std::string(trim(line.substr(0, equals)))] = unescape(trim(line.substr(equals + 1)));
  }
  const std::string version = values.contains("version") ? values["version"] : "0";
  if (version != "0" && version != "1") return bad("unknown version " + version);
  const std::string id_key = version == "1" ? "node.id" : "broker.id";
  MetaProperties properties;
  if (!values.contains("cluster.id")) return bad("cluster.id is missing");
  properties.cluster_id = values["cluster.id"];
  if (!values.contains(id_key)) return bad(id_key + " is missing");
  if (!parse_number(std::string_view(values[id_key]), properties.node_id.value) ||
      properties.node_id.value < 0) {
    return bad(id_key + " is no node id: " + values[id_key]);
  }
  if (values.contains("directory.id")) {
    const auto id = Uuid::parse(values["directory.id"]);
    if (!id.ok()) return bad("directory.id is no id: " + values["directory.id"]);
    properties.directory_id = *id;
  }
  return properties;
}

Result<std::optional<MetaProperties>> read_meta_properties(io::FileSystem& fs,
                                                           const std::string& directory) {
  const auto text = io::read_file(fs, directory + kName);
  if (text.code() == ErrorCode::kResourceNotFound) return std::optional<MetaProperties>{};
  if (!text.ok()) return text.error();
  auto parsed = parse_meta_properties(*text);
  if (!parsed.ok()) return Error{parsed.error().code, directory + "/" + parsed.error().detail};
  return std::optional<MetaProperties>(std::move(*parsed));
}

Result<void> write_meta_properties(io::FileSystem& fs, const std::string& directory,
                                   const MetaProperties& properties) {
  return io::write_file_atomically(fs, directory + kName, to_text(properties));
}

}  // namespace broker::storage
