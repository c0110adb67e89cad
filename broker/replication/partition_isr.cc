// The part of Partition that deals with the other replicas as their leader.
#include <algorithm>

#include "broker/common/log.h"
#include "broker/replication/partition.h"

namespace broker::replication {
namespace {

std::string to_text(const std::vector<BrokerId>& ids) {
  std::string text;
  for (const BrokerId id : ids) text += (text.empty() ? "" : ",") + std::to_string(id.value);
  return text;
}

}  // namespace

// --- Followers' sessions

void Partition::note_fetch(const Reader& reader, Offset offset, Offset log_start, FetchClock clock,
                           Instant now) {
  leader_->note_fetch(reader.replica, reader.replica_epoch, offset, log_->log_end_offset(), now,
                      log_start, std::move(clock));
  advance_high_watermark(now);
  if (leader_ && leader_->is_candidate(reader.replica, high_watermark_))
    propose(leader_->propose_expansion(reader.replica, high_watermark_, eligible(), now));
}

FetchResult Partition::note_replica(const Reader& reader, const FetchPosition& from,
                                    Offset log_start, FetchClock clock, Instant now) {
  FetchResult result;
  result.error = check_leader(from.current_leader_epoch).code();
  if (result.error == ErrorCode::kNone) {
    const auto registered = host_.eligible_epoch(reader.replica);
    // From an incarnation of the follower that is no more.
    if (registered && reader.replica_epoch.value >= 0 && reader.replica_epoch < *registered)
      result.error = ErrorCode::kNotLeaderOrFollower;
    else if (!leader_->remotes().contains(reader.replica))
      result.error = ErrorCode::kUnknownLeaderEpoch;
  }
  if (result.error != ErrorCode::kNone) {
    ++counters_->failed_fetch_requests;
    result.current_leader = current_leader();
    return result;
  }
  result.diverging_epoch = diverging_epoch(from);
  if (!result.diverging_epoch && from.offset >= log_->log_start_offset() &&
      from.offset <= log_->log_end_offset())
    note_fetch(reader, from.offset, log_start, std::move(clock), now);
  return result;
}

FetchResult Partition::read_for_replica(const FetchPosition& from, std::int32_t max_bytes,
                                        bool at_least_one) {
  FetchResult result;
  result.error = check_leader(from.current_leader_epoch).code();
  if (result.error == ErrorCode::kNone) {
    result.diverging_epoch = diverging_epoch(from);
    if (!result.diverging_epoch) {
      if (from.offset < log_->log_start_offset() || from.offset > log_->log_end_offset())
        result.error = ErrorCode::kOffsetOutOfRange;
      else
        read_records(result, from.offset, log_->log_end_offset(), max_bytes, at_least_one,
                     Isolation::kReadUncommitted);
    }
  }
  if (result.error != ErrorCode::kNone) {
    ++counters_->failed_fetch_requests;
    result.current_leader = current_leader();
    return result;
  }
  counters_->replication_bytes_out += static_cast<std::int64_t>(result.records.size());
  result.high_watermark = high_watermark_;
  result.last_stable_offset = last_stable_offset();
  result.log_start_offset = log_->log_start_offset();
  return result;
}

void Partition::unsubscribe(ReplicaSubscriber& subscriber) {
  subscribers_.erase(std::remove(subscribers_.begin(), subscribers_.end(), &subscriber),
                     subscribers_.end());
}

void Partition::tell_subscribers(ReplicaSubscriber::News news) {
  for (ReplicaSubscriber* subscriber : subscribers_) subscriber->on_news(news);
}

// --- ISR

LeaderState::Eligible Partition::eligible() const {
  return [this](BrokerId broker) { return host_.eligible_epoch(broker); };
}

void Partition::propose(std::optional<IsrChange> change) {
  if (!change) return;
  proposed_ = *change;
  host_.propose_isr(*this, ++isr_proposals_, std::move(*change));
}

void Partition::check_isr(Instant now) {
  if (!leader_ || offline_) return;
  propose(leader_->propose_shrink(log_->log_end_offset(), settings_.replica_lag_time_max,
                                  eligible(), now));
  // A replica that lags no longer counts as about to join: the high watermark may go on.
  advance_high_watermark(now);
}

bool Partition::has_short_isr() const {
  return leader_ && !offline_ && leader_->isr().size() < leader_->replicas().size();
}

void Partition::on_brokers_changed(Instant now) {
  // It may have waited for one that is fenced by now.
  advance_high_watermark(now);
  try_expansion(now);
}

void Partition::try_expansion(Instant now) {
  if (!has_short_isr() || leader_->is_pending()) return;
  for (const BrokerId replica : leader_->replicas())
    if (leader_->is_candidate(replica, high_watermark_) && leader_->was_heard_of(replica, now))
      propose(leader_->propose_expansion(replica, high_watermark_, eligible(), now));
}

void Partition::on_isr_decision(std::uint64_t number, const IsrDecision& decision, Instant now) {
  // Overtaken by metadata, or by another epoch.
  if (!leader_ || offline_ || number != isr_proposals_ || !leader_->is_pending()) return;
  const std::size_t before = leader_->isr().size();
  switch (leader_->on_decision(decision, now)) {
    case LeaderState::Verdict::kCommitted: {
      const std::size_t after = leader_->isr().size();
      if (after < before) ++counters_->isr_shrinks;
      if (after > before) ++counters_->isr_expands;
      log_info("replication", "in-sync replicas changed",
               {{"partition", to_string(id_)},
                {"isr", to_text(leader_->isr())},
                {"partition_epoch", leader_->partition_epoch().value}});
      return advance_high_watermark(now);
    }
    case LeaderState::Verdict::kRejected:
      return advance_high_watermark(now);
    case LeaderState::Verdict::kUnknown:
      return;
    case LeaderState::Verdict::kRetry:
      if (proposed_) host_.propose_isr(*this, isr_proposals_, *proposed_);
      return;
  }
}

}  // namespace broker::replication
