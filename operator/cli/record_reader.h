#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/common/time.h"
#include "broker/record/aborted_transactions.h"

namespace op::cli {

struct ReadRecord {
  broker::TopicPartition partition;
  std::int64_t offset = 0;
  broker::WallMs timestamp = 0;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;

  bool operator==(const ReadRecord&) const = default;
};

struct ReadResult {
  std::vector<ReadRecord> records;
  std::int64_t next_offset = 0;  // where to go on
};

/// The records of one partition's part of a fetch, from `from` on: control records and, where
/// `aborted` names them, those of aborted transactions are left out. Pure. Errors: kCorruptMessage
/// and those of the codecs.
broker::Result<ReadResult> read_fetched(const broker::TopicPartition& partition,
                                        const broker::Slice& bytes, std::int64_t from,
                                        std::vector<broker::record::AbortedTransaction> aborted);

/// As one line of JSON. Bytes that are no UTF-8 are replaced.
std::string record_json(const ReadRecord& record);

}  // namespace op::cli
