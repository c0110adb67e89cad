#include "broker/coordinator/group/check_heartbeat.h"

#include <algorithm>

#include "broker/coordinator/group/consumer_group.h"

namespace broker::coordinator::group {

namespace {

Error invalid(std::string why) { return {ErrorCode::kInvalidRequest, std::move(why)}; }

bool is_blank(const std::string& text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) <= ' '; });
}

bool is_blank(const std::optional<std::string>& text) { return text && is_blank(*text); }

Result<void> check_join(const protocol::ConsumerGroupHeartbeatRequest& request) {
  if (request.rebalance_timeout_ms == -1)
    return invalid("RebalanceTimeoutMs must be provided in first request.");
  if (!request.topic_partitions || !request.topic_partitions->empty())
    return invalid("TopicPartitions must be empty when (re-)joining.");
  if (!request.subscribed_topic_names && !request.subscribed_topic_regex)
    return invalid(
        "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
  return {};
}

}  // namespace

Result<void> check_heartbeat(const protocol::ConsumerGroupHeartbeatRequest& request,
                             std::int16_t version, const std::vector<std::string>& assignors) {
  const std::int32_t epoch = request.member_epoch;
  // Since version 1 members choose their ids.
  if ((version >= 1 || epoch > 0 || epoch == kLeaveEpoch) && is_blank(request.member_id))
    return invalid("MemberId can't be empty.");
  if (is_blank(request.group_id)) return invalid("GroupId can't be empty.");
  if (is_blank(request.instance_id)) return invalid("InstanceId can't be empty.");
  if (is_blank(request.rack_id)) return invalid("RackId can't be empty.");
  if (epoch == kJoinEpoch) RETURN_IF_ERROR(check_join(request));
  if (epoch == kStaticLeaveEpoch && !request.instance_id)
    return invalid("InstanceId can't be null.");
  if (epoch < kStaticLeaveEpoch) return invalid("MemberEpoch is invalid.");
  if (!request.server_assignor ||
      std::find(assignors.begin(), assignors.end(), *request.server_assignor) != assignors.end())
    return {};
  std::string supported;
  for (const std::string& name : assignors) supported += (supported.empty() ? "" : ", ") + name;
  return Error{ErrorCode::kUnsupportedAssignor,
               "ServerAssignor " + *request.server_assignor +
                   " is not supported. Supported assignors: " + supported + "."};
}

}  // namespace broker::coordinator::group
