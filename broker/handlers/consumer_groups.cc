#include "broker/handlers/consumer_groups.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "broker/handlers/access.h"
#include "broker/handlers/group_call.h"
#include "broker/handlers/services.h"
#include "broker/protocol/messages/consumer_group_describe_request.h"
#include "broker/protocol/messages/consumer_group_describe_response.h"
#include "broker/protocol/messages/consumer_group_heartbeat_request.h"
#include "broker/protocol/messages/consumer_group_heartbeat_response.h"

namespace broker::handlers {
namespace {

using protocol::ConsumerGroupDescribeResponse;
using protocol::ConsumerGroupHeartbeatResponse;

constexpr std::string_view kGroupVersionFeature = "group.version";

bool are_enabled(const Services& services, const metadata::MetadataImage& image) {
  const auto& protocols = services.config.group_coordinator_rebalance_protocols;
  return std::find(protocols.begin(), protocols.end(), "consumer") != protocols.end() &&
         image.features.level(kGroupVersionFeature) >= 1;
}

void refuse(Call<protocol::ConsumerGroupHeartbeatRequest>& call, ErrorCode error) {
  ConsumerGroupHeartbeatResponse response;
  response.error_code = wire(error);
  call.reply(response);
}

/// Topics of a description that the caller may not see hide the whole group's members.
bool shows_hidden_topics(const Access& access,
                         const ConsumerGroupDescribeResponse::DescribedGroup& group) {
  const auto hidden = [&](const auto& assignment) {
    return std::any_of(assignment.topic_partitions.begin(), assignment.topic_partitions.end(),
                       [&](const auto& topic) {
                         return !access.sees(AclOperation::kDescribe, ResourceType::kTopic,
                                             topic.topic_name);
                       });
  };
  return std::any_of(group.members.begin(), group.members.end(), [&](const auto& member) {
    return hidden(member.assignment) || hidden(member.target_assignment) ||
           std::any_of(member.subscribed_topic_names.begin(), member.subscribed_topic_names.end(),
                       [&](const std::string& topic) {
                         return !access.sees(AclOperation::kDescribe, ResourceType::kTopic, topic);
                       });
  });
}

}  // namespace

void handle_consumer_group_heartbeat(Services& services,
                                     Call<protocol::ConsumerGroupHeartbeatRequest> call) {
  const auto access = std::make_shared<const Access>(services, call);
  if (!are_enabled(services, access->image())) return refuse(call, ErrorCode::kUnsupportedVersion);
  if (!access->may(AclOperation::kRead, ResourceType::kGroup, call.request.group_id))
    return refuse(call, ErrorCode::kGroupAuthorizationFailed);
  if (call.request.subscribed_topic_names) {
    for (const std::string& topic : *call.request.subscribed_topic_names)
      if (!access->may(AclOperation::kDescribe, ResourceType::kTopic, topic))
        return refuse(call, ErrorCode::kTopicAuthorizationFailed);
  }
  auto context = group_context(call);
  auto request = std::move(call.request);
  services.groups->consumer_group_heartbeat(
      std::move(context), std::move(request),
      [access](const std::string& topic) {
        return access->sees(AclOperation::kDescribe, ResourceType::kTopic, topic);
      },
      reply_to(std::move(call)));
}

void handle_consumer_group_describe(Services& services,
                                    Call<protocol::ConsumerGroupDescribeRequest> call) {
  Access access(services, call);
  ConsumerGroupDescribeResponse refused;
  auto request = std::move(call.request);
  const bool enabled = are_enabled(services, access.image());
  std::erase_if(request.group_ids, [&](const std::string& group) {
    ErrorCode error = ErrorCode::kNone;
    if (!enabled)
      error = ErrorCode::kUnsupportedVersion;
    else if (!access.may(AclOperation::kDescribe, ResourceType::kGroup, group))
      error = ErrorCode::kGroupAuthorizationFailed;
    if (error == ErrorCode::kNone) return false;
    refused.groups.push_back({.error_code = wire(error), .group_id = group});
    return true;
  });
  const bool operations = request.include_authorized_operations;
  auto context = group_context(call);
  services.groups->consumer_group_describe(
      std::move(context), std::move(request),
      [call = std::move(call), access = std::move(access), refused = std::move(refused),
       operations](ConsumerGroupDescribeResponse response) mutable {
        for (auto& group : response.groups) {
          if (group.error_code == 0 && shows_hidden_topics(access, group)) {
            group.error_code = wire(ErrorCode::kTopicAuthorizationFailed);
            group.error_message =
                "The group has described topic(s) that the client is not authorized to describe.";
            group.members.clear();
          }
          if (operations && group.error_code == 0)
            group.authorized_operations =
                access.authorized_operations(ResourceType::kGroup, group.group_id);
        }
        for (auto& group : refused.groups) response.groups.push_back(std::move(group));
        call.reply(response);
      });
}

}  // namespace broker::handlers
