#include "broker/app/load_config.h"

#include <unistd.h>

#include <chrono>
#include <thread>

#include "broker/common/log.h"

namespace broker::app {
namespace {

/// The number at the end of the host's name: "orders-main-12" is node 12.
Result<std::string> hostname_ordinal() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0) {
    return Error{ErrorCode::kInvalidConfig, "--node-id-from-hostname: the host has no name"};
  }
  const std::string host(name);
  const auto dash = host.rfind('-');
  const std::string digits = dash == std::string::npos ? "" : host.substr(dash + 1);
  if (digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos) {
    return Error{ErrorCode::kInvalidConfig,
                 "--node-id-from-hostname: the host name '" + host + "' does not end in -<number>"};
  }
  return digits;
}

/// The operator writes a node's file as soon as it knows in which rack the node runs; this process
/// may be a little faster.
void wait_for_file(io::FileSystem& fs, const std::string& path) {
  if (fs.exists(path)) return;
  log_info("app", "waiting for this node's file", {{"path", path}});
  while (!fs.exists(path)) std::this_thread::sleep_for(std::chrono::milliseconds(50));
}

}  // namespace

Result<config::Property> parse_override(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return Error{ErrorCode::kInvalidConfig, "--override: '" + text + "' is not key=value"};
  }
  return config::Property{text.substr(0, equals), text.substr(equals + 1), 0};
}

Result<config::BrokerConfig> load_config(io::FileSystem& fs, const std::string& path,
                                         const std::string& overlay_directory,
                                         bool node_id_from_hostname,
                                         const std::vector<std::string>& overrides) {
  auto text = io::read_file(fs, path);
  if (!text.ok()) return Error{ErrorCode::kInvalidConfig, text.error().detail};
  // Later lines win, so what lies over the file is appended to it; line numbers of the file stay
  // true.
  std::string all = *text + "\n";
  std::string node_id;
  if (node_id_from_hostname) {
    ASSIGN_OR_RETURN(node_id, hostname_ordinal());
    all += "node.id=" + node_id + "\n";
  }
  if (!overlay_directory.empty()) {
    if (node_id.empty()) {
      return Error{ErrorCode::kInvalidConfig, "--overlay needs --node-id-from-hostname"};
    }
    const std::string overlay = overlay_directory + "/" + node_id + ".properties";
    wait_for_file(fs, overlay);
    ASSIGN_OR_RETURN(const std::string over, io::read_file(fs, overlay));
    all += over + "\n";
  }
  for (const std::string& override : overrides) {
    RETURN_IF_ERROR(parse_override(override));
    all += override + "\n";
  }
  ASSIGN_OR_RETURN(auto parsed,
                   config::parse_broker_config(all, path, [&](const std::string& file) {
                     return io::read_file(fs, file);
                   }));
  for (const auto& warning : parsed.warnings) log_warn("config", warning);
  return std::move(parsed.config);
}

}  // namespace broker::app
