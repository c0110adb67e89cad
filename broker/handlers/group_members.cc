// Membership of classic groups: JoinGroup, SyncGroup, Heartbeat, LeaveGroup. All need READ on the
// group.
#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/group_call.h"
#include "broker/handlers/services.h"
#include "broker/protocol/messages/join_group_response.h"
#include "broker/protocol/messages/sync_group_response.h"

namespace broker::handlers {
namespace {

template <class Request>
bool refuse_outsider(Services& services, Call<Request>& call) {
  const Access access(services, call);
  if (access.may(AclOperation::kRead, ResourceType::kGroup, call.request.group_id)) return false;
  typename Request::Response response;
  response.error_code = wire(ErrorCode::kGroupAuthorizationFailed);
  call.reply(response);
  return true;
}

}  // namespace

void handle_join_group(Services& services, Call<protocol::JoinGroupRequest> call) {
  if (refuse_outsider(services, call)) return;
  auto context = group_context(call);
  auto request = std::move(call.request);
  services.groups->join_group(std::move(context), std::move(request), reply_to(std::move(call)));
}

void handle_sync_group(Services& services, Call<protocol::SyncGroupRequest> call) {
  if (refuse_outsider(services, call)) return;
  auto context = group_context(call);
  auto request = std::move(call.request);
  services.groups->sync_group(std::move(context), std::move(request), reply_to(std::move(call)));
}

void handle_heartbeat(Services& services, Call<protocol::HeartbeatRequest> call) {
  if (refuse_outsider(services, call)) return;
  auto context = group_context(call);
  auto request = std::move(call.request);
  services.groups->heartbeat(std::move(context), std::move(request), reply_to(std::move(call)));
}

void handle_leave_group(Services& services, Call<protocol::LeaveGroupRequest> call) {
  if (refuse_outsider(services, call)) return;
  auto context = group_context(call);
  auto request = std::move(call.request);
  services.groups->leave_group(std::move(context), std::move(request), reply_to(std::move(call)));
}

}  // namespace broker::handlers
