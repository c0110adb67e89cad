#include "broker/replication/fetch_session.h"

#include <algorithm>
#include <set>

namespace broker::replication {

namespace {

constexpr std::int32_t kFinalEpoch = -1;   // no session, or the end of one
constexpr std::int32_t kInitialEpoch = 0;  // a new session

std::int32_t next_epoch(std::int32_t epoch) { return epoch == INT32_MAX ? 1 : epoch + 1; }

bool has_news(const SessionOutcome& outcome) {
  return outcome.has_records || outcome.has_error || outcome.has_diverging_epoch ||
         outcome.has_preferred_replica;
}

}  // namespace

/// What the client was told last about a partition.
struct FetchSessionCache::Cached {
  SessionPartition partition;
  std::int64_t high_watermark = -1;
  std::int64_t log_start_offset = -1;
};

struct FetchSessionCache::Session {
  std::int32_t id = 0;
  std::int32_t epoch = 1;  // expected next
  bool by_topic_id = false;
  bool privileged = false;
  Instant created;
  Instant last_used;
  std::list<Cached> order;  // as they are served
  std::map<SessionKey, std::list<Cached>::iterator> by_key;
};

FetchSessionCache::FetchSessionCache(Options options, std::uint64_t seed)
    : options_(options), rng_(seed) {}
FetchSessionCache::~FetchSessionCache() = default;

Result<FetchSessionCache::Fetch> FetchSessionCache::begin(const SessionRequest& request,
                                                          Instant now) {
  Fetch fetch;
  fetch.by_topic_id = request.by_topic_id;
  fetch.privileged = request.privileged;
  if (request.session_epoch == kFinalEpoch || request.session_epoch == kInitialEpoch) {
    // A full fetch; an earlier session of this client ends with it.
    const auto old = sessions_.find(request.session_id);
    if (request.session_id != 0 && old != sessions_.end()) remove(old);
    fetch.create = request.session_epoch == kInitialEpoch;
    fetch.partitions = request.partitions;
    return fetch;
  }

  const auto found = sessions_.find(request.session_id);
  if (found == sessions_.end()) return ErrorCode::kFetchSessionIdNotFound;
  Session& session = *found->second;
  if (session.epoch != request.session_epoch) return ErrorCode::kInvalidFetchSessionEpoch;
  if (session.by_topic_id != request.by_topic_id) return ErrorCode::kFetchSessionTopicIdError;
  partition_count_ -= session.by_key.size();
  for (const SessionKey& key : request.forgotten) {
    const auto known = session.by_key.find(key);
    if (known == session.by_key.end()) continue;
    session.order.erase(known->second);
    session.by_key.erase(known);
  }
  for (const SessionPartition& partition : request.partitions) {
    const auto known = session.by_key.find(partition.key);
    if (known != session.by_key.end()) {
      known->second->partition = partition;
      continue;
    }
    const auto added = session.order.insert(session.order.end(), Cached{partition});
    session.by_key.emplace(partition.key, added);
  }
  partition_count_ += session.by_key.size();
  session.last_used = now;
  fetch.session_id = session.id;
  fetch.session_epoch = session.epoch;
  session.epoch = next_epoch(session.epoch);
  fetch.full = false;
  if (session.order.empty()) {
    // Nothing is left to fetch: the session has no use any more.
    remove(found);
    fetch.session_id = 0;
    return fetch;
  }
  for (const Cached& cached : session.order) fetch.partitions.push_back(cached.partition);
  return fetch;
}

FetchSessionCache::Answer FetchSessionCache::finish(const Fetch& fetch,
                                                    const std::vector<SessionOutcome>& outcomes,
                                                    Instant now) {
  CHECK_EQ(fetch.partitions.size(), outcomes.size());
  Answer answer;
  answer.include.assign(outcomes.size(), true);
  if (fetch.full) {
    if (!fetch.create || fetch.partitions.empty() ||
        !make_room(fetch.privileged, fetch.partitions.size(), now))
      return answer;
    auto session = std::make_unique<Session>();
    session->id = new_id();
    session->by_topic_id = fetch.by_topic_id;
    session->privileged = fetch.privileged;
    session->created = now;
    session->last_used = now;
    for (std::size_t i = 0; i < outcomes.size(); ++i) {
      if (session->by_key.contains(fetch.partitions[i].key)) continue;  // named twice
      Cached cached{fetch.partitions[i], outcomes[i].high_watermark, outcomes[i].log_start_offset};
      // After an error the client must be told even if nothing seems to have changed.
      if (outcomes[i].has_error) cached.high_watermark = -1;
      const auto added = session->order.insert(session->order.end(), std::move(cached));
      session->by_key.emplace(fetch.partitions[i].key, added);
    }
    partition_count_ += session->by_key.size();
    answer.session_id = session->id;
    sessions_.emplace(session->id, std::move(session));
    return answer;
  }

  answer.session_id = fetch.session_id;
  const auto found = sessions_.find(fetch.session_id);
  if (found == sessions_.end()) {
    // Closed or evicted while the fetch waited. It is still an incremental answer; marks that moved
    // are told by the full fetch that must come next.
    for (std::size_t i = 0; i < outcomes.size(); ++i) answer.include[i] = has_news(outcomes[i]);
    return answer;
  }
  Session& session = *found->second;
  for (std::size_t i = 0; i < outcomes.size(); ++i) {
    const SessionOutcome& outcome = outcomes[i];
    const auto known = session.by_key.find(fetch.partitions[i].key);
    if (known == session.by_key.end()) continue;
    Cached& cached = *known->second;
    const bool moved = cached.high_watermark != outcome.high_watermark ||
                       cached.log_start_offset != outcome.log_start_offset;
    answer.include[i] = moved || has_news(outcome);
    cached.high_watermark = outcome.has_error ? -1 : outcome.high_watermark;
    cached.log_start_offset = outcome.log_start_offset;
    // Who was served goes to the back, so that a limit on bytes starves nobody.
    if (outcome.has_records)
      session.order.splice(session.order.end(), session.order, known->second);
  }
  return answer;
}

void FetchSessionCache::remove(Sessions::iterator at) {
  partition_count_ -= at->second->by_key.size();
  sessions_.erase(at);
}

// A full cache gives way to replicas before consumers, to larger sessions before smaller ones, and
// to anybody when the other has been idle for long (KIP-227).
bool FetchSessionCache::make_room(bool privileged, std::size_t size, Instant now) {
  if (sessions_.size() < options_.slots) return true;
  auto victim = sessions_.end();
  for (auto at = sessions_.begin(); at != sessions_.end(); ++at)
    if (victim == sessions_.end() || at->second->last_used < victim->second->last_used) victim = at;
  if (victim == sessions_.end()) return false;
  bool may_evict = now - victim->second->last_used > options_.eviction;
  if (!may_evict) {
    // The weakest of those that have lived long enough to be judged.
    const auto weight = [](const Session& s) { return std::pair(s.privileged, s.by_key.size()); };
    victim = sessions_.end();
    for (auto at = sessions_.begin(); at != sessions_.end(); ++at) {
      const Session& session = *at->second;
      // Replicas need not wait for consumers to live out their time.
      const bool judged =
          now - session.created > options_.eviction || (privileged && !session.privileged);
      if (judged && (victim == sessions_.end() || weight(session) < weight(*victim->second)))
        victim = at;
    }
    may_evict = victim != sessions_.end() && weight(*victim->second) < std::pair(privileged, size);
  }
  if (!may_evict) return false;
  remove(victim);
  ++evictions_;
  return true;
}

std::int32_t FetchSessionCache::new_id() {
  while (true) {
    const auto id = static_cast<std::int32_t>(rng_.next() & 0x7fffffff);
    if (id != 0 && !sessions_.contains(id)) return id;
  }
}

}  // namespace broker::replication
