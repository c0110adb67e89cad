#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "operator/cli/output.h"

namespace op::cli {

enum class Command { kStatus, kTopics, kLag };

/// Where the cluster is and who asks.
struct Target {
  std::string ns;
  std::string kubeconfig;
  std::string context;
  std::string cluster;
  std::string user;
  std::string listener;
  std::string data;  // of a standalone operator
  std::string bootstrap;
  std::string client_config;

  /// Kafka's protocol alone, no resources.
  bool is_kafka_only() const { return !bootstrap.empty() || !client_config.empty(); }
};

struct Options {
  Command command = Command::kStatus;
  Target target;
  Format format = Format::kTable;
  std::vector<std::string> names;  // topics or groups
};

struct Parsed {
  Options options;
  bool run = false;
  int exit_code = kDone;
};

/// Prints help, version or what is wrong.
Parsed parse_command_line(int argc, char** argv);

}  // namespace op::cli
