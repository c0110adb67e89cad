#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/time.h"

namespace broker::sim {

/// Which record of which producer; in the record's key.
struct RecordId {
  std::int32_t producer = -1;
  std::int64_t number = -1;

  auto operator<=>(const RecordId&) const = default;
};
std::string to_string(RecordId id);
std::optional<RecordId> parse_record_id(std::string_view key);

/// What clients were promised and what they saw. Every contradiction is a violation, the first one
/// is kept.
class History {
 public:
  /// Everything is asked for between events: the time is for the message.
  void violation(std::string what);
  const std::optional<std::string>& first_violation() const { return violation_; }

  /// A producer was told that its records `first`… are at `base`…, all of them committed.
  void acknowledged(const TopicPartition& partition, Offset base, RecordId first, int count);
  /// A consumer was given a record; `expected`: the offset that has to come next.
  void read(const TopicPartition& partition, Offset offset, Offset expected, RecordId id);
  /// A consumer that had read everything below `offset` was told that there is no such offset.
  void out_of_range(const TopicPartition& partition, Offset offset);

  /// A leader of that epoch told a consumer how far records are committed.
  void high_watermark(const TopicPartition& partition, LeaderEpoch epoch, Offset high_watermark);
  /// And how far no transaction is open.
  void last_stable_offset(const TopicPartition& partition, LeaderEpoch epoch, Offset offset);

  /// A group's offset, committed by one client with growing values.
  void commit_started(const std::string& group, std::int64_t value);
  /// `node` answered, or should have.
  void commit_ended(const std::string& group, std::int64_t value, bool acknowledged,
                    bool may_have_happened, const std::string& node);
  /// False, and no violation: an earlier acknowledged offset, of a `node` that acknowledged none of
  /// the later ones. It was deposed while it heard from nobody, which Kafka allows for as long as
  /// that lasts. The client has to go on asking, before it commits again.
  bool offset_fetched(const std::string& group, std::int64_t value, const std::string& node);

  /// Behind the last acknowledged record.
  Offset acknowledged_end(const TopicPartition& partition) const;
  /// What is known to be committed, by offset; no holes up to its end once all was read.
  const std::vector<std::optional<RecordId>>& committed(const TopicPartition& partition);
  /// Every acknowledged record was read.
  void check_all_was_read();

  struct Counts {
    std::uint64_t acknowledged = 0, read = 0, commits = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  struct Partition {
    std::vector<std::optional<RecordId>> acknowledged, read;  // by offset
    std::map<RecordId, Offset> where;
    std::map<std::int32_t, std::int64_t> last_number;   // by producer, in the order of the log
    std::map<LeaderEpoch, Offset> high_watermarks;      // the last that was told
    std::map<LeaderEpoch, Offset> last_stable_offsets;  // likewise
  };
  struct Group {
    std::vector<std::int64_t> acknowledged;               // growing
    std::map<std::string, std::int64_t> acknowledged_by;  // by node, the last one
    std::vector<std::int64_t> open;                       // values whose commit may still happen
  };
  void never_falls(std::map<LeaderEpoch, Offset>& known_by_epoch, const char* what,
                   const TopicPartition& tp, LeaderEpoch epoch, Offset offset);
  bool place(Partition& partition, const TopicPartition& tp, Offset offset, RecordId id,
             const char* who);

  std::optional<std::string> violation_;
  std::map<TopicPartition, Partition> partitions_;
  std::map<std::string, Group> groups_;
  Counts counts_;
};

}  // namespace broker::sim
