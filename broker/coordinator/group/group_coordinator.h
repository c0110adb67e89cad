#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/coordinator/group/group_shard.h"
#include "broker/coordinator/group/metrics.h"
#include "broker/coordinator/group/options.h"
#include "broker/coordinator/runtime/shard_calls.h"
#include "broker/io/published.h"
#include "broker/io/strand.h"
#include "broker/metadata/delta.h"
#include "broker/protocol/messages/consumer_group_describe_request.h"
#include "broker/protocol/messages/consumer_group_describe_response.h"
#include "broker/protocol/messages/consumer_group_heartbeat_request.h"
#include "broker/protocol/messages/consumer_group_heartbeat_response.h"
#include "broker/protocol/messages/delete_groups_request.h"
#include "broker/protocol/messages/delete_groups_response.h"
#include "broker/protocol/messages/describe_groups_request.h"
#include "broker/protocol/messages/heartbeat_request.h"
#include "broker/protocol/messages/join_group_request.h"
#include "broker/protocol/messages/leave_group_request.h"
#include "broker/protocol/messages/list_groups_request.h"
#include "broker/protocol/messages/offset_commit_request.h"
#include "broker/protocol/messages/offset_delete_request.h"
#include "broker/protocol/messages/offset_fetch_request.h"
#include "broker/protocol/messages/sync_group_request.h"
#include "broker/protocol/messages/txn_offset_commit_request.h"

namespace broker::coordinator::group {

/// What the node is asked to create when somebody looks for a coordinator and there is no
/// __consumer_offsets yet. It adds the replication factor and the config of offsets.topic.*, and
/// may be asked again before the topic is there.
using CreateOffsetsTopic = std::function<void()>;

/// The group coordinator as the handlers see it: one method per API, on any of the strands; the
/// callback runs on the strand of the call, never from inside a shard. Authorization is done
/// before, and what is refused is not passed on. Topics in OffsetCommit and OffsetFetch carry both
/// name and id (zero if there is none), whatever the version; responses do as well.
class GroupCoordinator {
 public:
  /// `seed` draws member ids; regular expressions are looked up on `workers`. `replicas` must
  /// outlive it, and must have shut down before it goes.
  GroupCoordinator(const GroupOptions& options, const CoordinatorOptions& runtime_options,
                   replication::ReplicaManager& replicas, io::WorkerPool& workers,
                   CreateOffsetsTopic create_topic, std::uint64_t seed);
  ~GroupCoordinator();

  /// On main, after ReplicaManager::apply() of the same update: offsets of deleted topics go, and
  /// consumer groups see the new metadata with their next heartbeats.
  void apply(const metadata::MetadataUpdate& update);

  /// Where FindCoordinator sends the client. Errors: kCoordinatorNotAvailable while
  /// __consumer_offsets is being created or its partition has no leader.
  Result<BrokerId> find_coordinator(const std::string& group_id,
                                    const metadata::MetadataImage& image);

  void join_group(CallContext call, protocol::JoinGroupRequest request, JoinReply reply);
  void sync_group(CallContext call, protocol::SyncGroupRequest request, SyncReply reply);
  void heartbeat(CallContext call, protocol::HeartbeatRequest request,
                 Reply<protocol::HeartbeatResponse> reply);
  void leave_group(CallContext call, protocol::LeaveGroupRequest request,
                   Reply<protocol::LeaveGroupResponse> reply);
  /// `may_see`: which topics the caller may describe, for its regular expression.
  void consumer_group_heartbeat(CallContext call, protocol::ConsumerGroupHeartbeatRequest request,
                                TopicFilter may_see,
                                Reply<protocol::ConsumerGroupHeartbeatResponse> reply);
  /// `authorized_operations` is left to the caller.
  void consumer_group_describe(CallContext call, protocol::ConsumerGroupDescribeRequest request,
                               Reply<protocol::ConsumerGroupDescribeResponse> reply);
  void offset_commit(CallContext call, protocol::OffsetCommitRequest request,
                     Reply<protocol::OffsetCommitResponse> reply);
  /// `check` names the transaction as TxnOffsetCommit does; its coordinator is asked first.
  void txn_offset_commit(replication::TransactionCheck check,
                         protocol::TxnOffsetCommitRequest request,
                         Reply<protocol::TxnOffsetCommitResponse> reply);
  /// A transaction with offsets in this partition of __consumer_offsets is over. Errors: those of
  /// CoordinatorRuntime::write_marker().
  void end_transaction(std::int32_t partition, const record::TxnMarker& marker,
                       std::int16_t transaction_version, Reply<ErrorCode> reply);
  /// Asked and answered by `groups`, the form of version 8 on.
  void offset_fetch(CallContext call, protocol::OffsetFetchRequest request,
                    Reply<protocol::OffsetFetchResponse> reply);
  void offset_delete(CallContext call, protocol::OffsetDeleteRequest request,
                     Reply<protocol::OffsetDeleteResponse> reply);
  void list_groups(CallContext call, protocol::ListGroupsRequest request,
                   Reply<protocol::ListGroupsResponse> reply);
  /// `authorized_operations` is left to the caller.
  void describe_groups(CallContext call, protocol::DescribeGroupsRequest request,
                       Reply<protocol::DescribeGroupsResponse> reply);
  void delete_groups(CallContext call, protocol::DeleteGroupsRequest request,
                     Reply<protocol::DeleteGroupsResponse> reply);

  /// Of all groups coordinated here.
  void collect(Reply<GroupMetrics> reply);

 private:
  GroupPorts ports();
  void resolve_regexes(RegexJob job);

  /// The metadata as groups see it.
  struct View {
    metadata::ImagePtr image;
    Offset topics_created_at{-1};
  };

  const GroupOptions options_;
  const CreateOffsetsTopic create_topic_;
  replication::ReplicaManager& replicas_;
  io::WorkerPool& workers_;
  io::Published<View> view_;
  std::atomic<std::uint64_t> shards_made_ = 0;  // on the strands of their partitions
  CoordinatorRuntime runtime_;
  ShardCalls<GroupShard> calls_;
};

}  // namespace broker::coordinator::group
