#pragma once

#include <string>
#include <vector>

#include "broker/common/result.h"
#include "broker/protocol/messages/consumer_group_heartbeat_request.h"

namespace broker::coordinator::group {

/// What can be said of a heartbeat without looking at the group. Errors: kInvalidRequest,
/// kUnsupportedAssignor, with Kafka's messages.
Result<void> check_heartbeat(const protocol::ConsumerGroupHeartbeatRequest& request,
                             std::int16_t version, const std::vector<std::string>& assignors);

}  // namespace broker::coordinator::group
