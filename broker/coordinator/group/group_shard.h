#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/rng.h"
#include "broker/coordinator/group/group_state.h"
#include "broker/coordinator/group/metrics.h"
#include "broker/coordinator/group/options.h"
#include "broker/coordinator/group/pending_offsets.h"
#include "broker/coordinator/group/topic_regex.h"
#include "broker/coordinator/runtime/shard.h"
#include "broker/protocol/messages/consumer_group_describe_response.h"
#include "broker/protocol/messages/consumer_group_heartbeat_response.h"
#include "broker/protocol/messages/delete_groups_response.h"
#include "broker/protocol/messages/describe_groups_response.h"
#include "broker/protocol/messages/heartbeat_response.h"
#include "broker/protocol/messages/leave_group_response.h"
#include "broker/protocol/messages/list_groups_response.h"
#include "broker/protocol/messages/offset_commit_response.h"
#include "broker/protocol/messages/offset_delete_response.h"
#include "broker/protocol/messages/offset_fetch_request.h"
#include "broker/protocol/messages/offset_fetch_response.h"
#include "broker/protocol/messages/txn_offset_commit_response.h"

namespace broker::protocol {
class Reader;
struct GroupMetadataKey;
struct GroupMetadataValue;
struct HeartbeatRequest;
struct JoinGroupRequest;
struct LeaveGroupRequest;
struct OffsetCommitKey;
struct OffsetCommitRequest;
struct OffsetCommitValue;
struct OffsetDeleteRequest;
struct SyncGroupRequest;
struct TxnOffsetCommitRequest;
}  // namespace broker::protocol

namespace broker::coordinator::group {

/// Who asks, and how. Authorization is done before.
struct CallContext {
  std::int16_t version = 0;
  std::string client_id;
  std::string client_host;  // as describe shows it: "/10.0.0.7"
};

/// What a shard asks of the outside.
struct GroupPorts {
  std::function<metadata::ImagePtr()> image;
  std::function<Offset()> topics_created_at;  // of the metadata; since then none is new
  /// Looks topics up elsewhere and comes back with apply_regexes().
  std::function<void(RegexJob)> resolve;
};

/// The groups and committed offsets of one partition of __consumer_offsets.
///
/// Hard state (generation, members with assignments, offsets) changes only in replay(); membership
/// during a rebalance is memory only, as in Kafka. Every request is answered exactly once: at once,
/// when the rebalance it waits for completes, or in resign(). Names in OffsetCommit and OffsetFetch
/// requests are resolved by the caller: topics carry name and, if known, id, whatever the version.
class GroupShard final : public Shard {
 public:
  /// `seed` draws member ids.
  GroupShard(const GroupOptions& options, GroupPorts ports, std::uint64_t seed);
  ~GroupShard() override;

  Result<void> replay(const Record& record) override;
  Result<void> replay_pending(TransactionalProducer producer, const Record& record) override;
  void replay_end(ProducerId producer, bool committed) override;
  void on_loaded(const Now& now) override;
  Output tick(const Now& now) override;
  std::optional<Instant> wake_at() const override;
  void resign(ErrorCode reason) override;

  Output join(const CallContext& call, const protocol::JoinGroupRequest& request, const Now& now,
              JoinReply reply);
  Output sync(const CallContext& call, const protocol::SyncGroupRequest& request, const Now& now,
              SyncReply reply);
  Output heartbeat(const protocol::HeartbeatRequest& request, const Now& now,
                   Reply<protocol::HeartbeatResponse> reply);
  Output leave(const CallContext& call, const protocol::LeaveGroupRequest& request, const Now& now,
               Reply<protocol::LeaveGroupResponse> reply);

  /// The request was checked by check_heartbeat(). `may_see`: what the caller may describe.
  Output consumer_heartbeat(const CallContext& call,
                            const protocol::ConsumerGroupHeartbeatRequest& request,
                            TopicFilter may_see, const Now& now,
                            Reply<protocol::ConsumerGroupHeartbeatResponse> reply);
  Output describe_consumer(
      const std::string& group_id,
      Reply<protocol::ConsumerGroupDescribeResponse::DescribedGroup> reply) const;
  Output apply_regexes(const std::string& group_id,
                       const std::map<std::string, ResolvedRegex>& resolved);

  Output commit_offsets(const CallContext& call, const protocol::OffsetCommitRequest& request,
                        const Now& now, Reply<protocol::OffsetCommitResponse> reply);
  /// In force when the transaction is committed.
  Output commit_offsets_in_transaction(const protocol::TxnOffsetCommitRequest& request,
                                       const Now& now,
                                       Reply<protocol::TxnOffsetCommitResponse> reply) const;
  /// One entry of a batched OffsetFetch (v8+ form, whatever the version on the wire).
  /// `require_stable`: offsets that an open transaction is about to change are refused.
  Output fetch_offsets(const protocol::OffsetFetchRequest::OffsetFetchRequestGroup& request,
                       bool require_stable,
                       Reply<protocol::OffsetFetchResponse::OffsetFetchResponseGroup> reply) const;
  Output delete_offsets(const protocol::OffsetDeleteRequest& request,
                        Reply<protocol::OffsetDeleteResponse> reply) const;

  using ListedGroups = std::vector<protocol::ListGroupsResponse::ListedGroup>;
  /// Filters are lower case; empty: all.
  Output list(const std::set<std::string>& states, const std::set<std::string>& types,
              Reply<ListedGroups> reply) const;
  Output describe(const CallContext& call, const std::string& group_id,
                  Reply<protocol::DescribeGroupsResponse::DescribedGroup> reply) const;
  Output delete_group(const std::string& group_id,
                      Reply<protocol::DeleteGroupsResponse::DeletableGroupResult> reply) const;
  /// Drops the offsets of topics that are gone.
  Output forget_topics(const std::set<std::string>& topics) const;

  std::size_t group_count() const { return groups_.size(); }
  const Group* find(const std::string& group_id) const;
  GroupMetrics metrics() const;

 private:
  enum class TimerKind {
    kSession,
    kPendingMember,
    kJoin,
    kPendingSync,
    kConsumerSession,
    kConsumerRebalance,
    kConsumerJoin,
    kConsumerSync,
    kDowngraded,
  };
  struct Timer {
    TimerKind kind;
    std::string group_id;
    std::string member_id;
  };

  // group_shard.cc
  Group& group(const std::string& group_id);
  Group* find_mutable(const std::string& group_id);
  void arm(Deadline& deadline, Instant due, Timer timer);
  Deadline* deadline_of(const Timer& timer);
  void fire(const Timer& timer, const Now& now, Output& out);
  Result<void> replay_group(const protocol::GroupMetadataKey& key,
                            const protocol::GroupMetadataValue& value);
  Result<void> replay_offset(const protocol::OffsetCommitKey& key,
                             const std::optional<protocol::OffsetCommitValue>& value);
  void remove_group(const std::string& group_id);
  void forget_if_unused(const std::string& group_id);
  void fire_consumer(const Timer& timer, const Now& now, Output& out);

  struct Join;  // one JoinGroup on its way: classic_join.h

  // consumer_replay.cc
  ConsumerGroup& consumer_group(const std::string& group_id);
  ConsumerGroup* find_consumer_group(const std::string& group_id);
  Result<void> replay_consumer(std::int16_t type, protocol::Reader& key, const Record& record);
  Result<void> replay_consumer_epoch(protocol::Reader& key, const Record& record);
  Result<void> replay_consumer_member(protocol::Reader& key, const Record& record);
  Result<void> replay_consumer_current(protocol::Reader& key, const Record& record);
  Result<void> replay_consumer_target(std::int16_t type, protocol::Reader& key,
                                      const Record& record);
  Result<void> replay_consumer_regex(protocol::Reader& key, const Record& record);

  // consumer_heartbeat.cc, consumer_beat.h
  struct Beat;
  struct Seat;
  struct Target;
  enum class RegexChange;
  struct ConsumerTimers {
    Deadline session;
    Deadline rebalance;  // to give up what was revoked
    std::int32_t rebalance_epoch = 0;
    Deadline join;  // of a member that speaks the classic protocol
    Deadline sync;
  };
  Deadline* consumer_deadline_of(const Timer& timer);
  Result<protocol::ConsumerGroupHeartbeatResponse> consumer_beat(
      Beat& beat, const protocol::ConsumerGroupHeartbeatRequest& request);
  Result<protocol::ConsumerGroupHeartbeatResponse> consumer_leave(
      Beat& beat, const protocol::ConsumerGroupHeartbeatRequest& request);
  Result<const ConsumerGroup*> group_for_beat(Beat& beat, bool joining);
  Result<void> check_room(const ConsumerGroup& group, const std::string& member_id) const;
  Result<Seat> take_seat(Beat& beat, const ConsumerGroup& group,
                         const protocol::ConsumerGroupHeartbeatRequest& request,
                         const std::string& member_id);
  Seat replace_static(Beat& beat, const ConsumerGroup& group, const ConsumerMember& old,
                      const std::string& member_id);
  std::int32_t update_group_epoch(Beat& beat, const ConsumerGroup& group,
                                  const MemberChange& change, bool bump);
  bool metadata_changed(ConsumerGroup& group, const metadata::MetadataImage& image);
  Target update_target(Beat& beat, const ConsumerGroup& group, const MemberChange& change,
                       std::int32_t epoch, const ConsumerSettings& settings);
  Result<void> move_to_target(Beat& beat, const ConsumerGroup& group, ConsumerMember& member,
                              const Target& target, bool subscription_changed,
                              const std::optional<OwnedTopics>& owned);
  void remove_consumer_members(const std::string& group_id, const ConsumerGroup& group,
                               const std::set<std::string>& members, const Now& now, Output& out);
  /// The record that removes the member ends its timers. While it is refused (too few replicas are
  /// in sync) the member is still there, and is expelled again and again until it is not.
  void expect_removal(const std::string& group_id, const std::string& member_id, const Now& now);
  void expel_consumer(const std::string& group_id, const std::string& member_id,
                      std::string_view why, const Now& now, Output& out);
  ConsumerSettings consumer_settings(const std::string& group_id,
                                     const metadata::MetadataImage& image) const;
  void touch_consumer_session(const std::string& group_id, const std::string& member_id,
                              std::chrono::milliseconds timeout, const Now& now);
  void arm_consumer_group(const std::string& group_id, const ConsumerGroup& group, const Now& now);

  // consumer_regex.cc
  Result<RegexChange> update_regexes(Beat& beat, const ConsumerGroup& group, const Seat& seat,
                                     const ConsumerMember& updated);
  void look_up_regexes(Beat& beat, const ConsumerGroup& group, const MemberChange& change,
                       bool needed);

  // consumer_admin.cc
  struct CommitOrigin {
    const std::string& member_id;
    const std::optional<std::string>& instance_id;
    std::int32_t epoch = -1;
    bool transactional = false;
    std::int16_t version = 0;  // of OffsetCommit
  };
  static ErrorCode check_consumer_commit(const ConsumerGroup& group, const CommitOrigin& from);
  static ErrorCode check_consumer_partition(const ConsumerGroup& group, const CommitOrigin& from,
                                            const Uuid& topic, std::int32_t partition);
  /// The record that commits `offset`, or why it cannot be: kOffsetMetadataTooLarge, or, when
  /// `group` is a consumer group (it may also be null), what check_consumer_partition() says.
  Result<Record> commit_record(const Group* group, const std::string& group_id,
                               const CommitOrigin& from, const TopicPartition& at,
                               const Uuid& topic_id, CommittedOffset offset) const;
  static ErrorCode check_consumer_fetch(const ConsumerGroup& group,
                                        const std::optional<std::string>& member_id,
                                        std::int32_t epoch);

  // consumer_migration.cc
  struct Downgraded {
    Deadline deadline;  // as soon as the classic group is there
    bool rebalance = false;
  };
  Result<void> upgrade(Group& group, Beat& beat);
  bool may_downgrade(const std::string& group_id, const ConsumerGroup& group,
                     const std::set<std::string>& leaving, std::size_t members_left) const;
  /// `joining` takes the place of a static member among those that leave.
  void downgrade(const std::string& group_id, const ConsumerGroup& group,
                 const std::set<std::string>& leaving, const ConsumerMember* joining,
                 bool rebalance, const Now& now, Output& out);
  void on_downgraded(const std::string& group_id, const Now& now, Output& out);

  // classic_members.cc: members of consumer groups that speak the classic protocol
  void join_consumer(const ConsumerGroup& group, Join& join);
  Result<Seat> take_classic_seat(Beat& beat, const ConsumerGroup& group,
                                 const protocol::JoinGroupRequest& request,
                                 const std::string& member_id);
  Output sync_consumer(const ConsumerGroup& group, const protocol::SyncGroupRequest& request,
                       const Now& now, SyncReply reply);
  ErrorCode heartbeat_consumer(const ConsumerGroup& group,
                               const protocol::HeartbeatRequest& request, const Now& now);
  Output leave_consumer(const CallContext& call, const ConsumerGroup& group,
                        const protocol::LeaveGroupRequest& request, const Now& now,
                        Reply<protocol::LeaveGroupResponse> reply);
  void await_classic_join(const std::string& group_id, const ConsumerMember& member,
                          const Now& now);

  // join.cc
  void join_without_id(Group& group, Join& join);
  void join_with_id(Group& group, Join& join);
  void rejoin(Group& group, Member& member, Join& join);
  void replace_static_member(Group& group, Member& old, Join& join);
  bool may_join(const Group& group, const std::string& member_id) const;
  void add_member(Group& group, std::string member_id, Join& join);
  std::string new_member_id(std::string_view prefix);

  // rebalance.cc
  void rebalance_or_complete(Group& group, const Now& now, Output& out);
  void prepare_rebalance(Group& group, const Now& now, Output& out);
  void complete_join_if_all_joined(Group& group, const Now& now, Output& out);
  void on_join_deadline(Group& group, const Now& now, Output& out);
  void complete_join(Group& group, const Now& now, Output& out);
  void expire_pending_syncs(Group& group, const Now& now, Output& out);
  using ParkedSyncs = std::vector<std::pair<std::string, SyncReply>>;  // by member id
  void finish_sync(const std::string& group_id, std::int32_t generation, ErrorCode error,
                   ParkedSyncs& parked);
  void remove_member(Group& group, const std::string& member_id, const Now& now, Output& out);
  /// Answers the member's parked requests and takes it out of the group.
  void drop_member(Group& group, const std::string& member_id, ErrorCode answer);
  void touch_session(Group& group, Member& member, const Now& now);

  // group_offsets.cc
  ErrorCode check_commit(const CallContext& call, const protocol::OffsetCommitRequest& request,
                         const Now& now);
  void expire_offsets(const Now& now, Output& out);

  // group_transactions.cc
  ErrorCode check_transactional_commit(const protocol::TxnOffsetCommitRequest& request) const;

  const GroupOptions options_;
  const GroupPorts ports_;
  Rng rng_;
  std::map<std::string, Group> groups_;
  std::multimap<Instant, Timer> timers_;
  std::map<std::pair<std::string, std::string>, ConsumerTimers> consumer_timers_;  // group, member
  std::map<std::string, Downgraded> downgraded_;                                   // by group
  std::set<std::string> resolving_;  // groups whose regular expressions are being looked up
  PendingOffsets pending_;
  std::uint64_t next_order_ = 0;
  std::uint64_t next_record_ = 0;
  Instant next_expiry_check_{};
};

}  // namespace broker::coordinator::group
