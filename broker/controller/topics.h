#pragma once

#include <string_view>

#include "broker/controller/types.h"
#include "broker/protocol/messages/create_partitions_request.h"
#include "broker/protocol/messages/create_partitions_response.h"
#include "broker/protocol/messages/create_topics_request.h"
#include "broker/protocol/messages/create_topics_response.h"
#include "broker/protocol/messages/delete_topics_request.h"
#include "broker/protocol/messages/delete_topics_response.h"

namespace broker::controller {

/// More than this in one request is refused with POLICY_VIOLATION, as in Kafka.
inline constexpr std::int32_t kMaxPartitionsPerRequest = 10000;

/// Errors: kInvalidTopicException with Kafka's reason.
Result<void> validate_topic_name(std::string_view name);

/// Each topic succeeds or fails by itself. The answer names the id, counts and effective configs;
/// the handler drops what the requester may not see.
ControllerResult<protocol::CreateTopicsResponse> decide(
    const DecideContext& context, const protocol::CreateTopicsRequest& request);
ControllerResult<protocol::DeleteTopicsResponse> decide(
    const DecideContext& context, const protocol::DeleteTopicsRequest& request);
ControllerResult<protocol::CreatePartitionsResponse> decide(
    const DecideContext& context, const protocol::CreatePartitionsRequest& request);

}  // namespace broker::controller
