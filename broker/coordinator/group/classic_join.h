#pragma once

#include <utility>

#include "broker/coordinator/group/group_shard.h"
#include "broker/protocol/messages/join_group_request.h"

namespace broker::coordinator::group {

/// One JoinGroup on its way.
struct GroupShard::Join {
  const CallContext& call;
  const protocol::JoinGroupRequest& request;
  const Now& now;
  JoinReply reply;
  Output& out;

  void refuse(ErrorCode error, std::string member_id) {
    reply(join_error(std::move(member_id), error));
  }
  void refuse(ErrorCode error) { refuse(error, request.member_id); }
};

/// A copy: the request's frame must not live as long as the member.
std::vector<Protocol> protocols_of(const protocol::JoinGroupRequest& request);

}  // namespace broker::coordinator::group
