#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/common/rng.h"
#include "broker/common/time.h"
#include "broker/replication/types.h"

namespace broker::replication {

/// A partition as a Fetch request names it: by name up to version 12, by topic id from 13.
struct SessionKey {
  std::string topic;  // empty when asked by id
  TopicId topic_id;   // zero when asked by name
  std::int32_t partition = 0;

  auto operator<=>(const SessionKey&) const = default;
};

/// What the reader wants from one partition.
struct SessionPartition {
  SessionKey key;
  std::int32_t max_bytes = 0;
  Offset fetch_offset;
  Offset log_start_offset{-1};
  std::int32_t current_leader_epoch = -1;
  std::int32_t last_fetched_epoch = -1;

  bool operator==(const SessionPartition&) const = default;
};

struct SessionRequest {
  std::int32_t session_id = 0;
  std::int32_t session_epoch = -1;
  bool by_topic_id = false;  // Fetch version 13 and above
  bool privileged = false;   // from a replica: may evict consumers' sessions
  std::vector<SessionPartition> partitions;
  std::vector<SessionKey> forgotten;
};

/// What decides whether an incremental answer mentions a partition.
struct SessionOutcome {
  std::int64_t high_watermark = -1;
  std::int64_t log_start_offset = -1;
  bool has_records = false;
  bool has_error = false;
  bool has_diverging_epoch = false;
  bool has_preferred_replica = false;
};

/// Incremental fetch sessions (KIP-227): a client names only what changed, the broker answers only
/// what has news. Pure: no clock, no lock. One cache per connection strand, so `slots` is this
/// strand's share of max.incremental.fetch.session.cache.slots; a session is found only through the
/// strand that made it, which is its connection's (clients keep a session to one connection; after
/// a reconnect elsewhere they get kFetchSessionIdNotFound and begin a new one).
class FetchSessionCache {
 public:
  struct Options {
    std::size_t slots = 1000;
    std::chrono::milliseconds eviction{120'000};  // min.incremental.fetch.session.eviction.ms
  };

  FetchSessionCache(Options options, std::uint64_t seed);
  ~FetchSessionCache();

  /// One request on its way: begin() says what to fetch, finish() what to answer.
  struct Fetch {
    std::int32_t session_id = 0;  // 0: not cached; finish() gives the id to answer
    std::int32_t session_epoch = -1;
    bool full = true;  // a full answer lists every partition
    bool create = false;
    bool by_topic_id = false;
    bool privileged = false;
    std::vector<SessionPartition> partitions;  // in the order to serve them
  };

  /// Errors: kFetchSessionIdNotFound, kInvalidFetchSessionEpoch, kFetchSessionTopicIdError (a
  /// session stays with names or with ids); all of them are the whole answer's error.
  Result<Fetch> begin(const SessionRequest& request, Instant now);

  struct Answer {
    std::int32_t session_id = 0;
    std::vector<bool> include;  // by index of Fetch::partitions
  };
  /// `outcomes` by index of Fetch::partitions. A new session is made here, if there is room or
  /// another may be evicted. Partitions that returned records go to the back of the next turn.
  Answer finish(const Fetch& fetch, const std::vector<SessionOutcome>& outcomes, Instant now);

  std::size_t size() const { return sessions_.size(); }
  std::size_t partition_count() const { return partition_count_; }
  std::uint64_t evictions() const { return evictions_; }

 private:
  struct Cached;
  struct Session;
  using Sessions = std::map<std::int32_t, std::unique_ptr<Session>>;

  void remove(Sessions::iterator at);
  bool make_room(bool privileged, std::size_t size, Instant now);
  std::int32_t new_id();

  const Options options_;
  Rng rng_;
  Sessions sessions_;
  std::size_t partition_count_ = 0;
  std::uint64_t evictions_ = 0;
};

}  // namespace broker::replication
