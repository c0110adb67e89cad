#include "broker/handlers/access.h"

#include "broker/common/log.h"
#include "broker/security/acl.h"

namespace broker::handlers {

bool Access::sees(AclOperation operation, ResourceType type, const std::string& name) const {
  return state_->authorizer == nullptr ||
         state_->authorizer->authorize(principal_, host_, operation, type, name);
}

bool Access::may(AclOperation operation, ResourceType type, const std::string& name) const {
  if (sees(operation, type, name)) return true;
  log_info("authorizer", "denied",
           {{"principal", to_string(principal_)},
            {"host", host_},
            {"operation", to_string(operation)},
            {"resource", std::string(to_string(type)) + ":" + name},
            {"api", api_}});
  return false;
}

bool Access::may_on_cluster(AclOperation operation) const {
  return may(operation, ResourceType::kCluster, std::string(security::kClusterName));
}

bool Access::may_on_any(AclOperation operation, ResourceType type) const {
  return state_->authorizer == nullptr ||
         state_->authorizer->authorize_by_resource_type(principal_, host_, operation, type);
}

std::int32_t Access::authorized_operations(ResourceType type, const std::string& name) const {
  if (state_->authorizer != nullptr) {
    return state_->authorizer->authorized_operations(principal_, host_, type, name);
  }
  std::int32_t bits = 0;
  for (const AclOperation operation : security::supported_operations(type)) {
    bits |= 1 << static_cast<int>(operation);
  }
  return bits;
}

}  // namespace broker::handlers
