#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "operator/cli/offsets_plan.h"
#include "operator/cli/output.h"

namespace op::cli {

enum class Command { kStatus, kTopics, kLag, kResetOffsets, kRoll, kRebalance, kProduce, kConsume };

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
  std::vector<std::string> names;  // topics, groups, or one Rebalance
  // offsets reset
  std::vector<TopicChoice> topics;
  bool all_topics = false;
  ResetTo reset_to = ToEarliest{};
  bool dry_run = false;
  // produce, consume
  std::string key_separator;
  std::optional<std::int32_t> partition;
  bool quiet = false;
  std::string group;
  bool from_beginning = false;
  bool until_end = false;
  bool read_committed = false;
  std::int64_t count = 0;
  // roll
  bool watch_only = false;
  bool no_wait = false;
  // rebalance
  bool approve = false;
  bool cancel = false;
  bool refresh = false;
};

struct Parsed {
  Options options;
  bool run = false;
  int exit_code = kDone;
};

/// Prints help, version or what is wrong.
Parsed parse_command_line(int argc, char** argv);

}  // namespace op::cli
