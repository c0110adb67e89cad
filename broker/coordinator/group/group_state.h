#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/common/function.h"
#include "broker/common/slice.h"
#include "broker/common/time.h"
#include "broker/coordinator/group/consumer_group.h"
#include "broker/protocol/messages/join_group_response.h"
#include "broker/protocol/messages/sync_group_response.h"

namespace broker::coordinator::group {

using JoinReply = UniqueFunction<void(protocol::JoinGroupResponse)>;
using SyncReply = UniqueFunction<void(protocol::SyncGroupResponse)>;

/// A timer that moves often: `due` is the truth, `armed` the entry that stands in the shard's
/// queue for it. Heartbeats only move `due`.
struct Deadline {
  std::optional<Instant> due;
  std::optional<Instant> armed;
};

/// A member of a classic group. The first block is what GroupMetadata records carry; the rest
/// lives in the coordinator's memory and is lost with it, as in Kafka.
struct Member {
  std::string id;
  std::optional<std::string> instance_id;
  std::string client_id;
  std::string client_host;
  std::chrono::milliseconds rebalance_timeout{0};
  std::chrono::milliseconds session_timeout{0};
  std::vector<Protocol> protocols;  // in the order of the member's preference
  Slice assignment;

  std::uint64_t order = 0;  // of joining: the first one leads
  JoinReply join_reply;     // parked until the rebalance completes
  SyncReply sync_reply;     // parked until the leader's assignment is committed
  Deadline session;
  bool is_new = false;        // joined in the rebalance under way
  bool sync_pending = false;  // has not sent SyncGroup in this generation

  bool is_static() const { return instance_id.has_value(); }
  const Slice* metadata(std::string_view protocol) const;
};

enum class State { kEmpty, kPreparingRebalance, kCompletingRebalance, kStable };
std::string_view state_name(State state);

struct CommittedOffset {
  std::int64_t offset = -1;
  std::int32_t leader_epoch = -1;
  std::string metadata;
  WallMs commit_timestamp = 0;
  WallMs expire_timestamp = -1;  // -1: the group's rules decide
  Uuid topic_id;                 // zero when the commit named the topic only
  std::uint64_t order = 0;  // of its record: what is decided late does not undo what came later

  bool operator==(const CommittedOffset&) const = default;
};

/// One group and its offsets: a classic or simple one, or, with `consumer`, one of the consumer
/// protocol, whose classic part is empty then. Rules that need no I/O and no other group live here.
class Group {
 public:
  explicit Group(std::string id) : id(std::move(id)) {}

  std::string id;
  State state = State::kEmpty;
  WallMs state_since = -1;    // what records call currentStateTimestamp
  std::string protocol_type;  // "" for a simple group: offsets without members
  std::int32_t generation = 0;
  std::optional<std::string> protocol;
  std::optional<std::string> leader;
  std::map<std::string, Member> members;
  std::map<std::string, Deadline> pending_members;  // have an id, did not join with it yet
  std::map<std::pair<std::string, std::int32_t>, CommittedOffset> offsets;  // by topic, partition
  std::unique_ptr<ConsumerGroup> consumer;

  // The rebalance under way.
  bool initial_rebalance = false;  // began from Empty: waits for members to gather
  bool member_added = false;       // during the current initial delay
  std::chrono::milliseconds initial_delay_left{0};
  Deadline join;          // complete the join phase, with whoever is there
  Deadline pending_sync;  // expel who has not synced

  Member* find(const std::string& member_id);
  const Member* find(const std::string& member_id) const;
  /// nullptr when no member has this group.instance.id.
  Member* find_static(const std::string& instance_id);
  const Member* find_static(const std::string& instance_id) const;

  /// kNone, kUnknownMemberId or kFencedInstanceId (KIP-345).
  ErrorCode check_member(const std::string& member_id,
                         const std::optional<std::string>& instance_id) const;
  bool is_leader(const Member& member) const { return leader == member.id; }
  std::size_t joined_count() const;
  bool all_members_joined() const;
  /// Nobody is in it or about to be, and there is nothing to remember.
  bool is_unused() const {
    return state == State::kEmpty && offsets.empty() && pending_members.empty() && !consumer;
  }
  bool is_empty() const { return consumer ? consumer->members().empty() : state == State::kEmpty; }
  /// As ListGroups shows it.
  std::string_view shown_state() const {
    return consumer ? consumer->state_name() : state_name(state);
  }
  std::chrono::milliseconds rebalance_timeout() const;  // the longest of the members

  /// Whether a member with these protocols may join: same type, and at least one protocol that
  /// every present member supports.
  bool supports(std::string_view type, const std::vector<Protocol>& candidates) const;
  /// Each member votes for its most preferred protocol among those all support.
  std::string select_protocol() const;
  /// Gives the lead to a member that has rejoined if the leader has not; false if none has.
  bool elect_joined_leader();
  /// The earliest member that is left leads when the leader is gone.
  void replace_missing_leader();

  /// Consumer groups tell in their metadata which topics they read; nullopt when it is unknown.
  std::optional<std::set<std::string>> subscribed_topics() const;

  protocol::JoinGroupResponse joined(const Member& member) const;
  protocol::SyncGroupResponse synced(const Member& member) const;
};

protocol::JoinGroupResponse join_error(std::string member_id, ErrorCode error);
protocol::SyncGroupResponse sync_error(ErrorCode error);

}  // namespace broker::coordinator::group
