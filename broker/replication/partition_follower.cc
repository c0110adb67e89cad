// The part of Partition that follows a leader.
#include <algorithm>

#include "broker/common/defect.h"
#include "broker/common/log.h"
#include "broker/replication/partition.h"

namespace broker::replication {

CurrentLeader Partition::followed_leader() const {
  if (leader_ || !log_ || offline_ || known_leader_.leader == self_) return {};
  return known_leader_;
}

std::optional<FollowerPosition> Partition::follower_position() const {
  if (leader_ || !log_ || offline_) return std::nullopt;
  const auto epoch = has_defect(Defect::kNoTruncation) ? std::nullopt : log_->latest_epoch();
  return FollowerPosition{known_leader_.epoch, log_->log_end_offset(),
                          epoch.value_or(LeaderEpoch{-1}), log_->log_start_offset(),
                          high_watermark_};
}

Result<void> Partition::append_as_follower(const Slice& records, Offset leader_high_watermark,
                                           Offset leader_log_start, WallMs wall) {
  if (leader_ || !log_ || offline_) return ErrorCode::kNotLeaderOrFollower;
  if (!records.empty()) {
    const auto appended = log_->append_as_follower(records, wall, known_leader_.epoch);
    if (!note_failure(appended).ok()) return appended.error();
    counters_->replication_bytes_in += static_cast<std::int64_t>(appended->bytes);
    if (settings_.flush_before_ack || log_->flush_due(wall)) start_flush();
  }
  leader_high_watermark_ = leader_high_watermark;
  follow_high_watermark(leader_high_watermark);
  const Offset start = std::min(leader_log_start, high_watermark_);
  if (start > log_->log_start_offset()) {
    const auto raised = log_->set_log_start_offset(start);
    if (!note_failure(raised).ok()) return raised.error();
  }
  return {};
}

void Partition::follow_high_watermark(Offset leader_high_watermark) {
  const Offset next = std::min(leader_high_watermark, log_->log_end_offset());
  if (next <= high_watermark_) return;
  high_watermark_ = next;
  (void)log_->first_unstable_offset(next);  // forgets what is decided for good
  wake_consumers(1, false);
}

bool Partition::awaits_follower_flush() const {
  return !leader_ && log_ && !offline_ && settings_.flush_before_ack &&
         log_->recovery_point() < log_->log_end_offset();
}

Result<bool> Partition::truncate_to_leader(const EpochEndOffset& leader, WallMs wall) {
  if (leader_ || !log_ || offline_) return ErrorCode::kNotLeaderOrFollower;
  // The leader knows none of our epochs: only what is committed is sure to be there.
  if (leader.epoch.value < 0 || leader.end_offset.value < 0) return cut_off(high_watermark_, wall);
  const auto own = log_->end_offset_for_epoch(leader.epoch);
  // Without its epoch our next lower one ends where the logs may still be the same; the next fetch
  // asks about that one.
  if (own && own->epoch != leader.epoch) return cut_off(own->end_offset, wall);
  const Offset own_end = own ? own->end_offset : log_->log_end_offset();
  return cut_off(std::min(own_end, leader.end_offset), wall);
}

Result<bool> Partition::truncate_to(Offset offset, WallMs wall) {
  if (leader_ || !log_ || offline_) return ErrorCode::kNotLeaderOrFollower;
  return cut_off(offset, wall);
}

Result<bool> Partition::cut_off(Offset offset, WallMs wall) {
  const Offset end = log_->log_end_offset();
  const Offset recovery_point = log_->recovery_point();
  offset = std::clamp(offset, log_->log_start_offset(), end);
  if (offset < end)
    log_info("replication", "truncating to what the leader has",
             {{"partition", to_string(id_)},
              {"from", end.value},
              {"to", offset.value},
              {"high_watermark", high_watermark_.value}});
  const auto truncated = log_->truncate_to(offset, wall);
  if (!note_failure(truncated).ok()) return truncated.error();
  if (log_->log_end_offset() < high_watermark_) {
    // Only after an unclean election.
    log_warn("replication", "truncated below the high watermark: committed records are lost",
             {{"partition", to_string(id_)}, {"high_watermark", high_watermark_.value}});
    high_watermark_ = log_->log_end_offset();
  }
  if (offset < end) wake_consumers(0, true);
  return log_->recovery_point() < recovery_point;
}

Result<void> Partition::restart_at(Offset offset, WallMs wall) {
  if (leader_ || !log_ || offline_) return ErrorCode::kNotLeaderOrFollower;
  log_warn("replication", "begins anew: the leader has nothing as old as this replica's log",
           {{"partition", to_string(id_)},
            {"log_end_offset", log_->log_end_offset().value},
            {"from", offset.value}});
  const auto truncated = log_->truncate_fully_and_start_at(offset, wall);
  if (!note_failure(truncated).ok()) return truncated.error();
  high_watermark_ = offset;
  wake_consumers(0, true);
  return {};
}

}  // namespace broker::replication
