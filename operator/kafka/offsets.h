#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/time.h"

namespace op::kafka {

/// Where the logs of one cluster end and where its groups are, asked of all brokers in one round.
/// What a broker did not tell is not there.
struct OffsetsSnapshot {
  struct Log {
    std::int64_t start = -1;
    std::int64_t end = -1;  // the high watermark: what a consumer can read up to
  };
  struct Committed {
    std::string group;
    broker::TopicPartition partition;
    std::int64_t offset = -1;
  };

  std::map<broker::TopicPartition, Log> logs;
  std::vector<Committed> committed;  // by group, topic, partition
  /// More partitions than `OffsetsOptions::max_partitions`: only those that groups read are in
  /// `logs`. More commits than `max_committed`: whole groups are missing.
  bool logs_left_out = false;
  bool groups_left_out = false;
  std::string problem;            // what was not told, for people; "" when all was
  broker::Instant finished_at{};  // of the round
  broker::Duration took{0};

  /// -1 while the end is not known. Never negative: groups were asked before the logs.
  std::int64_t lag_of(const Committed& committed) const;
};

struct OffsetsOptions {
  broker::Duration interval = std::chrono::seconds(10);  // from round to round, while followed
  broker::Duration patience = std::chrono::minutes(5);   // how long one follow() lasts
  broker::Duration call_timeout = std::chrono::seconds(4);
  std::size_t max_partitions = 10'000;
  std::size_t max_committed = 50'000;
  std::size_t groups_per_request = 200;
};

}  // namespace op::kafka
