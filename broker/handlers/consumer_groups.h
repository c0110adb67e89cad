// ConsumerGroupHeartbeat and ConsumerGroupDescribe (KIP-848).
#pragma once

#include "broker/handlers/call.h"

namespace broker::protocol {
struct ConsumerGroupDescribeRequest;
struct ConsumerGroupHeartbeatRequest;
}  // namespace broker::protocol

namespace broker::handlers {

struct Services;

void handle_consumer_group_heartbeat(Services& services,
                                     Call<protocol::ConsumerGroupHeartbeatRequest> call);
void handle_consumer_group_describe(Services& services,
                                    Call<protocol::ConsumerGroupDescribeRequest> call);

}  // namespace broker::handlers
