#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace broker::app {

/// `millrace-broker …`; returns the process's exit code. Every failure is one clear line on
/// standard error.
int run_command_line(int argc, char** argv);

struct RunOptions {
  std::string properties_file;
  std::vector<std::string> overrides;  // "key=value", stronger than any file
  std::string overlay_directory;       // <dir>/<node id>.properties lies over the file; "" = none
  bool node_id_from_hostname =
      false;                   // the number at the end of the host's name, as StatefulSets give it
  std::string bootstrap_file;  // cluster.json: formats an empty disk; "" = it must be formatted
  std::string http_listen = "0.0.0.0:9404";  // health and metrics; "" = none
};
int run_broker(const RunOptions& options);

struct DevOptions {
  std::string listen = "127.0.0.1:9092";
  std::string advertise;       // default: as bound
  std::string data_directory;  // default: a temporary one, removed at the end
  std::string http_listen;     // "" = none
  std::vector<std::string> overrides;
  bool json_output = false;  // one line of JSON on standard output when ready
  bool until_stdin_closes = false;
};
int run_dev(const DevOptions& options);

struct FormatOptions {
  std::string properties_file;
  std::string cluster_id;  // "" = a random one
  std::vector<std::string> overrides;
  bool ignore_formatted = false;
  bool standalone = false;              // this node is the one initial controller
  std::string initial_controllers;      // id@host:port:directory id,…
  bool no_initial_controllers = false;  // the node joins a quorum that exists, or a broker
  std::string release_version;          // metadata.version of a new cluster; "" = the latest
  std::vector<std::string> features;    // name=level, others than a new cluster has by default
};
/// Formats the log directories. Who the first controllers are is said by one of the three; by
/// controller.quorum.voters; or there is only this one.
int run_format(const FormatOptions& options);

}  // namespace broker::app
