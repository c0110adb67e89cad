#include "broker/replication/fetcher_core.h"

#include <algorithm>

#include "broker/common/check.h"

namespace broker::replication {
namespace {

// The high watermark does not make a position: an answer stays valid when only that has moved.
bool same_place(const FollowerPosition& a, const FollowerPosition& b) {
  return a.leader_epoch == b.leader_epoch && a.fetch_offset == b.fetch_offset &&
         a.last_fetched_epoch == b.last_fetched_epoch;
}

}  // namespace

void FetcherCore::follow(const PartitionKey& key, const FollowerPosition& position) {
  const auto [at, is_new] = tracked_.try_emplace(key);
  if (is_new) {
    at->second.position = position;
    ++ready_;
    // The session may still have it from before: then it is updated there, not forgotten.
    forgotten_.erase(key);
    moved_.insert(key);
  } else {
    at->second.failures = 0;
    moved_to(key, position);
  }
  urgent_ = true;
}

void FetcherCore::unfollow(const PartitionKey& key) {
  const auto at = tracked_.find(key);
  if (at == tracked_.end()) return;
  make_unready(at, State::kPaused);
  tracked_.erase(at);
}

std::vector<PartitionKey> FetcherCore::keys() const {
  std::vector<PartitionKey> keys;
  keys.reserve(tracked_.size());
  for (const auto& [key, tracked] : tracked_) keys.push_back(key);
  return keys;
}

void FetcherCore::moved_to(const PartitionKey& key, const FollowerPosition& position) {
  const auto at = tracked_.find(key);
  if (at == tracked_.end()) return;
  Tracked& tracked = at->second;
  if (!same_place(tracked.position, position)) tracked.sent_in = 0;
  tracked.position = position;
  tracked.failures = 0;
  make_ready(at);
  if (tracked.sent != position)
    moved_.insert(key);
  else
    moved_.erase(key);
}

void FetcherCore::make_ready(TrackedMap::iterator at) {
  Tracked& tracked = at->second;
  if (tracked.state == State::kReady) return;
  if (tracked.state == State::kDelayed) delayed_.erase({tracked.not_before, at->first});
  tracked.state = State::kReady;
  ++ready_;
  forgotten_.erase(at->first);
  moved_.insert(at->first);
}

void FetcherCore::make_unready(TrackedMap::iterator at, State state) {
  Tracked& tracked = at->second;
  if (tracked.state == State::kDelayed) delayed_.erase({tracked.not_before, at->first});
  if (tracked.state == State::kReady) --ready_;
  tracked.state = state;
  tracked.sent_in = 0;
  moved_.erase(at->first);
  forget_in_session(at->first, tracked);
}

// A leader answers at once as long as its session has a partition with an error, so what is not to
// be fetched must leave the session.
void FetcherCore::forget_in_session(const PartitionKey& key, Tracked& tracked) {
  if (!tracked.sent) return;
  tracked.sent.reset();
  forgotten_.insert(key);
}

void FetcherCore::delay(const PartitionKey& key, Instant now) {
  const auto at = tracked_.find(key);
  if (at == tracked_.end()) return;
  const int doublings = std::min(at->second.failures++, 16);
  set_delay(at, now + std::min(options_.max_backoff, options_.min_backoff * (1 << doublings)));
}

void FetcherCore::delay_until(const PartitionKey& key, Instant until) {
  const auto at = tracked_.find(key);
  if (at != tracked_.end()) set_delay(at, until);
}

void FetcherCore::set_delay(TrackedMap::iterator at, Instant until) {
  make_unready(at, State::kDelayed);
  at->second.not_before = until;
  delayed_.emplace(until, at->first);
}

void FetcherCore::pause(const PartitionKey& key) {
  const auto at = tracked_.find(key);
  if (at != tracked_.end()) make_unready(at, State::kPaused);
}

void FetcherCore::end_delays(Instant now) {
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    make_ready(tracked_.find(delayed_.begin()->second));
    urgent_ = true;
  }
}

std::optional<Instant> FetcherCore::wake_at() const {
  return delayed_.empty() ? std::nullopt : std::optional(delayed_.begin()->first);
}

// --- Requests

void FetcherCore::name_partition(Request& request, const PartitionKey& key, Tracked& tracked) {
  if (request.topics.empty() || request.topics.back().topic_id != key.topic_id) {
    request.topics.emplace_back();
    request.topics.back().topic_id = key.topic_id;
  }
  const FollowerPosition& position = tracked.position;
  auto& partition = request.topics.back().partitions.emplace_back();
  partition.partition = key.partition;
  partition.current_leader_epoch = position.leader_epoch.value;
  partition.fetch_offset = position.fetch_offset.value;
  partition.last_fetched_epoch = position.last_fetched_epoch.value;
  partition.log_start_offset = position.log_start_offset.value;
  partition.partition_max_bytes = options_.partition_max_bytes;
  partition.high_watermark = position.high_watermark.value;
  tracked.sent = position;
  if (tracked.sent_in == 0) tracked.sent_in = next_number_;
}

std::optional<FetcherCore::Outgoing> FetcherCore::next(BrokerEpoch self_epoch, Instant now) {
  end_delays(now);
  if (ready_ == 0) return std::nullopt;
  if (!in_flight_.empty() && (!urgent_ || in_flight_.size() > 1)) return std::nullopt;
  // A session must exist before a second request can be in it.
  if (!in_flight_.empty() && session_epoch_ == 0) return std::nullopt;
  if (!in_flight_.empty() && in_flight_.front().full) return std::nullopt;

  Outgoing outgoing{next_number_, {}};
  Request& request = outgoing.request;
  request.replica_state.replica_id = options_.self.value;
  request.replica_state.replica_epoch = self_epoch.value;
  request.max_wait_ms = static_cast<std::int32_t>(options_.max_wait.count());
  request.min_bytes = options_.min_bytes;
  request.max_bytes = options_.max_bytes;
  request.session_id = session_id_;
  request.session_epoch = session_epoch_;
  const bool full = session_epoch_ == 0;
  if (full) {
    for (auto& [key, tracked] : tracked_)
      if (tracked.state == State::kReady) name_partition(request, key, tracked);
  } else {
    for (const PartitionKey& key : moved_) name_partition(request, key, tracked_.at(key));
    for (const PartitionKey& key : forgotten_) {
      auto& topics = request.forgotten_topics_data;
      if (topics.empty() || topics.back().topic_id != key.topic_id) {
        topics.emplace_back();
        topics.back().topic_id = key.topic_id;
      }
      topics.back().partitions.push_back(key.partition);
    }
    session_epoch_ = session_epoch_ == INT32_MAX ? 1 : session_epoch_ + 1;
  }
  moved_.clear();
  forgotten_.clear();
  urgent_ = false;
  in_flight_.push_back({next_number_++, full});
  return outgoing;
}

FetcherCore::Answers FetcherCore::on_response(std::uint64_t number, Response& response) {
  Answers answers;
  const auto in_flight = std::find_if(in_flight_.begin(), in_flight_.end(),
                                      [&](const InFlight& f) { return f.number == number; });
  if (in_flight == in_flight_.end()) return answers;  // of a line that was given up
  const bool full = in_flight->full;
  in_flight_.erase(in_flight);
  if (number < session_began_) return answers;
  answers.error = static_cast<ErrorCode>(response.error_code);
  if (answers.error != ErrorCode::kNone) {
    begin_new_session();
    // Any session there was is replaced; one that the leader does not know needs no closing.
    if (answers.error != ErrorCode::kInvalidFetchSessionEpoch) session_id_ = 0;
    return answers;
  }
  if (full) {
    session_id_ = response.session_id;
    session_epoch_ = session_id_ == 0 ? 0 : 1;
    // Without a session the leader remembers nothing.
    if (session_id_ == 0) begin_new_session();
  }
  for (auto& topic : response.responses) {
    for (auto& data : topic.partitions) {
      const PartitionKey key{topic.topic_id, data.partition_index};
      const auto at = tracked_.find(key);
      if (at == tracked_.end() || at->second.state != State::kReady) continue;
      if (at->second.sent_in == 0 || at->second.sent_in > number) continue;
      answers.partitions.push_back({key, &data});
    }
  }
  return answers;
}

void FetcherCore::begin_new_session() {
  session_epoch_ = 0;
  session_began_ = next_number_;
  forgotten_.clear();
  moved_.clear();
  for (auto& [key, tracked] : tracked_) {
    tracked.sent.reset();
    if (tracked.state == State::kReady) moved_.insert(key);
  }
}

void FetcherCore::on_lost() {
  in_flight_.clear();
  session_id_ = 0;
  begin_new_session();
  for (auto& [key, tracked] : tracked_) tracked.sent_in = 0;
}

}  // namespace broker::replication
