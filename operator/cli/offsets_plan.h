#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/common/time.h"
#include "operator/cli/text.h"

namespace op::cli {

struct ToEarliest {};
struct ToLatest {};
struct ToTime {
  broker::WallMs time = 0;  // the first record at or after it
};
struct ShiftBy {
  std::int64_t records = 0;
};
struct ToOffset {
  std::int64_t offset = 0;
};
using ResetTo = std::variant<ToEarliest, ToLatest, ToTime, ShiftBy, ToOffset>;

/// One partition as it is.
struct ResetInput {
  broker::TopicPartition partition;
  std::optional<std::int64_t> committed;
  std::int64_t earliest = 0;
  std::int64_t latest = 0;
  std::int64_t at_time = -1;  // for ToTime; -1: no record is that late
};

struct ResetRow {
  broker::TopicPartition partition;
  std::optional<std::int64_t> before;
  std::int64_t after = 0;
  std::string note;     // why it is not what was asked for; or why it was not written
  bool failed = false;  // the commit was refused
};

/// Kafka's rules (kafka-consumer-groups --reset-offsets): what lies outside of the log becomes its
/// nearer end, a time after the last record becomes the end. Errors: kInvalidRequest when a shift
/// has nothing to start from.
broker::Result<std::vector<ResetRow>> plan_reset(const ResetTo& to,
                                                 const std::vector<ResetInput>& inputs);

std::string render_reset(const std::string& group, const std::vector<ResetRow>& rows, bool dry_run,
                         const Terminal& terminal);
std::string reset_json(const std::string& group, const std::vector<ResetRow>& rows, bool dry_run);

/// "2026-11-21T08:45:33.120Z", fraction and zone optional; without a zone UTC, as Kafka takes it.
/// Errors: kInvalidConfig.
broker::Result<broker::WallMs> parse_datetime(std::string_view text);

/// "orders", or "orders:0,3" for some partitions of it. Errors: kInvalidConfig.
struct TopicChoice {
  std::string topic;
  std::vector<std::int32_t> partitions;  // empty: all
};
broker::Result<TopicChoice> parse_topic_choice(std::string_view text);

}  // namespace op::cli
