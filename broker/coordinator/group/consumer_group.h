#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/slice.h"
#include "broker/common/time.h"
#include "broker/common/uuid.h"
#include "broker/coordinator/assignor/assignor.h"
#include "broker/metadata/topics_image.h"
#include "broker/protocol/messages/consumer_group_heartbeat_request.h"

namespace broker::coordinator::group {

inline constexpr std::int32_t kJoinEpoch = 0;
inline constexpr std::int32_t kLeaveEpoch = -1;
inline constexpr std::int32_t kStaticLeaveEpoch = -2;  // a static member that will be back

struct Protocol {
  std::string name;
  Slice metadata;

  bool operator==(const Protocol&) const = default;
};

/// The numbers are those of records.
enum class MemberState : std::int8_t {
  kStable = 0,
  kUnrevokedPartitions = 1,   // the member has to give partitions up
  kUnreleasedPartitions = 2,  // others have to, before this one has all
  kUnknown = 127,             // written by a newer version
};

/// By topic and partition the epoch in which the member got it.
using OwnedPartitions = std::map<Uuid, std::map<std::int32_t, std::int32_t>>;
using OwnedTopics = std::vector<protocol::ConsumerGroupHeartbeatRequest::TopicPartitions>;

/// What a member that speaks the classic protocol joined with.
struct ClassicTerms {
  std::int32_t session_timeout_ms = 0;
  std::vector<Protocol> protocols;

  bool operator==(const ClassicTerms&) const = default;
};

/// A member of a consumer group (KIP-848): two records, one for what it asks for and one for what
/// it has.
struct ConsumerMember {
  std::string id;
  std::optional<std::string> instance_id;
  std::optional<std::string> rack_id;
  std::string client_id;
  std::string client_host;
  std::set<std::string> topics;
  std::optional<std::string> regex = std::string();
  std::int32_t rebalance_timeout_ms = -1;
  std::optional<std::string> assignor;
  std::optional<ClassicTerms> classic;

  std::int32_t epoch = 0;
  std::int32_t previous_epoch = -1;
  MemberState state = MemberState::kStable;
  OwnedPartitions assigned;
  OwnedPartitions pending_revocation;

  bool has_regex() const { return regex && !regex->empty(); }
  bool is_reconciled_to(std::int32_t target_epoch) const {
    return state == MemberState::kStable && epoch == target_epoch;
  }
  /// The epoch moves on, and the one before stays valid for a request whose answer was lost.
  void advance_to(std::int32_t next) {
    previous_epoch = epoch;
    epoch = next;
  }
  bool operator==(const ConsumerMember&) const = default;
};

/// The topics that a regular expression matched, for those who were asked about.
struct ResolvedRegex {
  std::set<std::string> topics;
  std::int64_t version = 0;  // of the metadata
  WallMs timestamp = 0;

  bool operator==(const ResolvedRegex&) const = default;
};

/// One member taken as if it were written already; nothing else of the group changes.
struct MemberChange {
  const ConsumerMember* member = nullptr;  // null: nobody comes or changes
  std::set<std::string> gone;              // these are not there any more

  bool concerns(const std::string& id) const {
    return gone.contains(id) || (member && member->id == id);
  }
};

/// A group of the consumer protocol as its records tell it. Changed by replay only.
class ConsumerGroup {
 public:
  std::int32_t epoch = 1;
  std::int64_t metadata_hash = 0;
  std::int32_t assignment_epoch = -1;
  WallMs assignment_timestamp = 0;
  bool has_partition_metadata = false;  // of 4.0, to be taken out of the log
  std::map<std::string, assignor::Assignment> target;
  std::map<std::string, ResolvedRegex> regexes;

  /// What was looked at when the metadata hash was last compared; lost with the coordinator.
  std::optional<metadata::TopicsImage> topics_seen;
  std::int32_t epoch_seen = 0;

  const std::map<std::string, ConsumerMember>& members() const { return members_; }
  const ConsumerMember* find(const std::string& member_id) const;
  const ConsumerMember* find_static(const std::optional<std::string>& instance_id) const;
  /// The target of a member, or of the one whose place it takes.
  assignor::Assignment target_of(const ConsumerMember& member) const;
  /// -1 if nobody has the partition.
  std::int32_t partition_epoch(const Uuid& topic, std::int32_t partition) const;
  std::size_t regex_subscribers(const std::string& regex) const;
  const std::map<std::string, std::size_t>& regex_counts() const { return regex_counts_; }
  std::size_t classic_members() const { return classic_members_; }

  void put(ConsumerMember member);
  void remove(const std::string& member_id);

  /// "Empty", "Assigning", "Reconciling" or "Stable".
  std::string_view state_name() const;
  /// The members' ids in the order in which Kafka walks them, with the change made.
  std::vector<const ConsumerMember*> members_in_order(const MemberChange& change) const;
  /// Regular expressions that somebody is still subscribed to, with the change made.
  std::map<std::string, std::size_t> regexes_after(const MemberChange& change) const;
  /// With other results of the regular expressions, if they are given.
  std::set<std::string> subscribed_topics(
      const MemberChange& change = {},
      const std::map<std::string, ResolvedRegex>* results = nullptr) const;
  /// Names and what the regular expression matched.
  std::set<std::string> topics_of(const ConsumerMember& member) const;
  bool is_homogeneous(const MemberChange& change) const;
  /// The one that most members ask for; nullopt when nobody asks.
  std::optional<std::string> preferred_assignor(const MemberChange& change = {}) const;
  /// Whether each member but those of the change's `gone` speaks the classic protocol.
  bool all_classic_without(const std::set<std::string>& gone) const;
  /// Whether one who speaks the classic protocol finds a protocol in common with its like.
  bool supports_classic(std::string_view type, const std::vector<Protocol>& protocols) const;

 private:
  void count(const ConsumerMember& member, int sign);

  std::map<std::string, ConsumerMember> members_;
  std::map<std::string, std::string> static_members_;  // instance id to member id
  std::map<std::string, std::size_t> regex_counts_;    // subscribers
  OwnedPartitions partition_epochs_;                   // the epoch of the owner
  std::size_t classic_members_ = 0;
};

}  // namespace broker::coordinator::group
