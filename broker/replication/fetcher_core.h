#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/time.h"
#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"

namespace broker::replication {

struct PartitionKey {
  TopicId topic_id;
  std::int32_t partition = 0;

  auto operator<=>(const PartitionKey&) const = default;
};

/// How far a follower's log is, as its fetches tell the leader.
struct FollowerPosition {
  LeaderEpoch leader_epoch;  // of the partition, as the follower knows it
  Offset fetch_offset;       // its log end
  LeaderEpoch last_fetched_epoch{-1};
  Offset log_start_offset;
  Offset high_watermark;

  bool operator==(const FollowerPosition&) const = default;
};

/// The asking side of one line of fetches to one leader: which partitions, from where, in an
/// incremental session (KIP-227), with a back-off per partition. A request names only what moved
/// since the last one, so its cost does not depend on how many partitions are followed. Pure: time
/// is an argument.
///
/// The owner sends what next() gives, hands answers to on_response(), and says of each answered
/// partition where it stands now: moved_to(), delay() or pause().
class FetcherCore {
 public:
  struct Options {
    BrokerId self;
    std::chrono::milliseconds max_wait{500};
    std::int32_t min_bytes = 1;
    std::int32_t max_bytes = 10 << 20;
    std::int32_t partition_max_bytes = 1 << 20;
    std::chrono::milliseconds min_backoff{10};
    std::chrono::milliseconds max_backoff{1'000};  // replica.fetch.backoff.ms
  };
  using Request = protocol::FetchRequest;
  using Response = protocol::FetchResponse;

  explicit FetcherCore(Options options) : options_(options) {}

  /// From `position` on; ends a pause or back-off. Worth a request of its own: a request may be
  /// waiting at the leader for as long as max_wait.
  void follow(const PartitionKey& key, const FollowerPosition& position);
  void unfollow(const PartitionKey& key);
  bool follows(const PartitionKey& key) const { return tracked_.contains(key); }
  std::size_t size() const { return tracked_.size(); }
  bool empty() const { return tracked_.empty(); }
  /// All of them, for when the leader's identity is in doubt.
  std::vector<PartitionKey> keys() const;

  /// Position after an answer was used. Ends a back-off and forgets earlier failures.
  void moved_to(const PartitionKey& key, const FollowerPosition& position);
  /// Not fetched for a while: longer with every failure in a row.
  void delay(const PartitionKey& key, Instant now);
  /// Not fetched until then, for a reason that is no failure (a quota).
  void delay_until(const PartitionKey& key, Instant until);
  /// Not fetched until follow() or moved_to().
  void pause(const PartitionKey& key);

  struct Outgoing {
    std::uint64_t number = 0;  // to be given back with the answer
    Request request;
  };
  /// What to send now. nullopt while a request is under way (but for what follow() brought), or
  /// nothing may be fetched.
  std::optional<Outgoing> next(BrokerEpoch self_epoch, Instant now);
  /// When next() has to be asked again although nothing was answered: the end of a back-off.
  std::optional<Instant> wake_at() const;
  bool is_waiting_for_answer() const { return !in_flight_.empty(); }

  struct Answer {
    PartitionKey key;
    protocol::FetchResponse::PartitionData* data;  // in the response given to on_response()
  };
  struct Answers {
    ErrorCode error = ErrorCode::kNone;  // of the whole; the next request begins a new session
    std::vector<Answer> partitions;
  };
  /// The answered partitions that still stand where they were asked for.
  Answers on_response(std::uint64_t number, Response& response);
  /// The line broke: what was asked is asked again in a new session.
  void on_lost();

 private:
  enum class State { kReady, kDelayed, kPaused };
  struct Tracked {
    FollowerPosition position;
    State state = State::kReady;
    int failures = 0;                      // in a row
    Instant not_before{};                  // while kDelayed
    std::optional<FollowerPosition> sent;  // what the leader's session has
    std::uint64_t sent_in = 0;             // the request that named the present position
  };
  struct InFlight {
    std::uint64_t number;
    bool full;
  };
  using TrackedMap = std::map<PartitionKey, Tracked>;

  void make_ready(TrackedMap::iterator at);
  void make_unready(TrackedMap::iterator at, State state);
  void set_delay(TrackedMap::iterator at, Instant until);
  void forget_in_session(const PartitionKey& key, Tracked& tracked);
  void end_delays(Instant now);
  void begin_new_session();
  void name_partition(Request& request, const PartitionKey& key, Tracked& tracked);

  const Options options_;
  TrackedMap tracked_;
  std::size_t ready_ = 0;                               // partitions in kReady
  std::set<PartitionKey> moved_;                        // ready, and the session knows it otherwise
  std::set<PartitionKey> forgotten_;                    // the session still has them
  std::set<std::pair<Instant, PartitionKey>> delayed_;  // by the end of their back-off
  bool urgent_ = false;                                 // follow() since the last request

  std::int32_t session_id_ = 0;
  std::int32_t session_epoch_ = 0;  // of the next request; 0 begins a session
  std::uint64_t next_number_ = 1;
  std::uint64_t session_began_ = 1;  // answers to earlier requests belong to an older session
  std::deque<InFlight> in_flight_;
};

}  // namespace broker::replication
