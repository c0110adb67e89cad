// ListGroups, DescribeGroups, DeleteGroups.
#include <utility>

#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/group_call.h"
#include "broker/handlers/services.h"

namespace broker::handlers {

void handle_list_groups(Services& services, Call<protocol::ListGroupsRequest> call) {
  Access access(services, call);
  auto context = group_context(call);
  auto request = std::move(call.request);
  services.groups->list_groups(
      std::move(context), std::move(request),
      [call = std::move(call),
       access = std::move(access)](protocol::ListGroupsResponse response) mutable {
        // DESCRIBE on the cluster shows all groups, otherwise those that the caller may describe.
        if (!access.sees(AclOperation::kDescribe, ResourceType::kCluster,
                         std::string(security::kClusterName))) {
          std::erase_if(response.groups, [&](const auto& group) {
            return !access.sees(AclOperation::kDescribe, ResourceType::kGroup, group.group_id);
          });
        }
        call.reply(response);
      });
}

void handle_describe_groups(Services& services, Call<protocol::DescribeGroupsRequest> call) {
  Access access(services, call);
  protocol::DescribeGroupsResponse refused;
  auto request = std::move(call.request);
  std::erase_if(request.groups, [&](const std::string& group) {
    if (access.may(AclOperation::kDescribe, ResourceType::kGroup, group)) return false;
    auto& answer = refused.groups.emplace_back();
    answer.error_code = wire(ErrorCode::kGroupAuthorizationFailed);
    answer.group_id = group;
    return true;
  });
  const bool operations = request.include_authorized_operations;
  auto context = group_context(call);
  services.groups->describe_groups(
      std::move(context), std::move(request),
      [call = std::move(call), access = std::move(access), refused = std::move(refused),
       operations](protocol::DescribeGroupsResponse response) mutable {
        for (auto& group : response.groups) {
          if (operations && group.error_code == 0) {
            group.authorized_operations =
                access.authorized_operations(ResourceType::kGroup, group.group_id);
          }
        }
        for (auto& group : refused.groups) response.groups.push_back(std::move(group));
        call.reply(response);
      });
}

void handle_delete_groups(Services& services, Call<protocol::DeleteGroupsRequest> call) {
  const Access access(services, call);
  protocol::DeleteGroupsResponse refused;
  auto request = std::move(call.request);
  std::erase_if(request.groups_names, [&](const std::string& group) {
    if (access.may(AclOperation::kDelete, ResourceType::kGroup, group)) return false;
    refused.results.push_back({group, wire(ErrorCode::kGroupAuthorizationFailed)});
    return true;
  });
  auto context = group_context(call);
  services.groups->delete_groups(std::move(context), std::move(request),
                                 [call = std::move(call), refused = std::move(refused)](
                                     protocol::DeleteGroupsResponse response) mutable {
                                   for (auto& result : refused.results)
                                     response.results.push_back(std::move(result));
                                   call.reply(response);
                                 });
}

}  // namespace broker::handlers
