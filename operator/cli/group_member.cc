#include "operator/cli/group_member.h"

#include <utility>

#include "broker/protocol/frame.h"
#include "broker/protocol/messages/consumer_group_heartbeat_request.h"
#include "broker/protocol/messages/consumer_group_heartbeat_response.h"
#include "broker/protocol/messages/offset_commit_request.h"
#include "broker/protocol/messages/offset_commit_response.h"
#include "broker/protocol/messages/offset_fetch_request.h"
#include "broker/protocol/messages/offset_fetch_response.h"
#include "operator/cli/gather.h"

namespace op::cli {
namespace {

using broker::Error;
using broker::ErrorCode;
using broker::Result;
namespace protocol = broker::protocol;

constexpr std::int32_t kRebalanceTimeoutMs = 30'000;
constexpr std::int32_t kLeaveEpoch = -1;
constexpr auto kSoon = std::chrono::milliseconds(200);

bool must_rejoin(ErrorCode code) {
  return code == ErrorCode::kUnknownMemberId || code == ErrorCode::kFencedMemberEpoch;
}

/// Somebody else coordinates the group, or nobody for the moment.
bool coordinator_moved(ErrorCode code) {
  return code == ErrorCode::kNotCoordinator || code == ErrorCode::kCoordinatorNotAvailable ||
         code == ErrorCode::kCoordinatorLoadInProgress || code == ErrorCode::kNetworkException ||
         code == ErrorCode::kBrokerNotAvailable || code == ErrorCode::kRequestTimedOut;
}

}  // namespace

void GroupMember::rejoin() {
  epoch_ = 0;
  tell_owned_ = true;
  assignment_.clear();
}

Result<bool> GroupMember::heartbeat() {
  if (std::chrono::steady_clock::now() < due_) return false;
  due_ = std::chrono::steady_clock::now() + kSoon;
  if (coordinator_ < 0) {
    ASSIGN_OR_RETURN(coordinator_, find_coordinator(brokers_, group_));
  }
  return beat();
}

Result<bool> GroupMember::beat() {
  protocol::ConsumerGroupHeartbeatRequest request;
  request.group_id = group_;
  request.member_id = member_id_;
  request.member_epoch = epoch_;
  if (epoch_ == 0) {
    request.rebalance_timeout_ms = kRebalanceTimeoutMs;
    request.subscribed_topic_names = std::vector<std::string>{topic_};
  }
  if (tell_owned_) {
    request.topic_partitions.emplace();
    for (const auto& partition : assignment_) {
      if (request.topic_partitions->empty())
        request.topic_partitions->emplace_back().topic_id = topic_id_;
      request.topic_partitions->back().partitions.push_back(partition.partition);
    }
  }
  const auto answer = brokers_.ask(coordinator_, std::move(request));
  const ErrorCode code =
      answer.ok() ? protocol::error_from_wire(answer->error_code) : answer.code();
  if (coordinator_moved(code)) {
    coordinator_ = -1;
    return false;
  }
  if (must_rejoin(code)) {
    const bool had_some = !assignment_.empty();
    rejoin();
    return had_some;
  }
  if (code == ErrorCode::kUnsupportedVersion) {
    return Error{code,
                 "this cluster does not offer the consumer group protocol (group.version 1); "
                 "without --group records are read all the same"};
  }
  if (code != ErrorCode::kNone) {
    const std::string detail = answer.ok() ? answer->error_message.value_or("") : "";
    return explain({code, detail}, "group " + group_);
  }
  epoch_ = answer->member_epoch;
  tell_owned_ = false;
  due_ =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(answer->heartbeat_interval_ms);
  if (!answer->assignment) return false;
  std::vector<broker::TopicPartition> wanted;
  for (const auto& topic : answer->assignment->topic_partitions)
    if (topic.topic_id == topic_id_)
      for (const std::int32_t number : topic.partitions) wanted.push_back({topic_, number});
  assigned_once_ = true;
  tell_owned_ = true;
  due_ = std::chrono::steady_clock::now();  // tells what it has now
  return std::exchange(assignment_, wanted) != wanted;
}

Result<Positions> GroupMember::committed(const std::vector<broker::TopicPartition>& partitions) {
  OffsetFetchByName request;
  request.require_stable = true;
  auto& group = request.groups.emplace_back();
  group.group_id = group_;
  group.member_id = member_id_;
  group.member_epoch = epoch_;
  auto& topic = group.topics->emplace_back();
  topic.name = topic_;
  for (const auto& partition : partitions) topic.partition_indexes.push_back(partition.partition);
  ASSIGN_OR_RETURN(const auto answer, brokers_.ask(coordinator_, std::move(request)));
  Positions out;
  for (const auto& described : answer.groups) {
    if (described.error_code != 0)
      return Error{protocol::error_from_wire(described.error_code), {}};
    for (const auto& found : described.topics) {
      for (const auto& partition : found.partitions) {
        if (partition.error_code != 0)
          return Error{protocol::error_from_wire(partition.error_code), {}};
        if (partition.committed_offset >= 0)
          out[{found.name, partition.partition_index}] = partition.committed_offset;
      }
    }
  }
  return out;
}

Result<void> GroupMember::commit(const Positions& positions) {
  if (positions.empty() || epoch_ <= 0) return {};
  if (coordinator_ < 0) {
    ASSIGN_OR_RETURN(coordinator_, find_coordinator(brokers_, group_));
  }
  OffsetCommitByName request;
  request.group_id = group_;
  request.generation_id_or_member_epoch = epoch_;
  request.member_id = member_id_;
  auto& topic = request.topics.emplace_back();
  topic.name = topic_;
  for (const auto& [partition, offset] : positions) {
    auto& entry = topic.partitions.emplace_back();
    entry.partition_index = partition.partition;
    entry.committed_offset = offset;
  }
  const auto answer = brokers_.ask(coordinator_, std::move(request));
  if (!answer.ok()) return answer.error();
  for (const auto& answered : answer->topics)
    for (const auto& partition : answered.partitions)
      if (partition.error_code != 0)
        return explain({protocol::error_from_wire(partition.error_code), {}}, "group " + group_);
  return {};
}

void GroupMember::leave() {
  if (epoch_ <= 0 || coordinator_ < 0) return;
  protocol::ConsumerGroupHeartbeatRequest request;
  request.group_id = group_;
  request.member_id = member_id_;
  request.member_epoch = kLeaveEpoch;
  (void)brokers_.ask(coordinator_, std::move(request));
  epoch_ = 0;
}

}  // namespace op::cli
