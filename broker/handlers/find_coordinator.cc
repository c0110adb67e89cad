#include "broker/coordinator/group/group_coordinator.h"
#include "broker/coordinator/transaction/transaction_coordinator.h"
#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/services.h"
#include "broker/protocol/messages/find_coordinator_request.h"
#include "broker/protocol/messages/find_coordinator_response.h"

namespace broker::handlers {
namespace {

enum class KeyType : std::int8_t { kGroup = 0, kTransaction = 1, kShare = 2 };

using Coordinator = protocol::FindCoordinatorResponse::Coordinator;

/// Without a message the client takes the error's own words.
Coordinator refused(const std::string& key, ErrorCode error, const std::string& message = {}) {
  return {key, -1, "", -1, wire(error), message.empty() ? std::nullopt : std::optional(message)};
}

Coordinator at_node(const Access& access, const std::string& key, const Result<BrokerId>& node,
                    const std::string& listener) {
  if (!node.ok()) return refused(key, node.error().code, node.error().detail);
  const auto* broker = access.image().cluster.broker(*node);
  const auto* endpoint = broker == nullptr ? nullptr : broker->find_endpoint(listener);
  if (endpoint == nullptr) return refused(key, ErrorCode::kCoordinatorNotAvailable);
  // Kafka's own text for "no error".
  return {key, node->value, endpoint->host, endpoint->port, 0, "NONE"};
}

Coordinator find(const Services& services, const Access& access, KeyType type,
                 const std::string& key, const std::string& listener) {
  switch (type) {
    case KeyType::kGroup:
      if (!access.may(AclOperation::kDescribe, ResourceType::kGroup, key)) {
        return refused(key, ErrorCode::kGroupAuthorizationFailed);
      }
      return at_node(access, key, services.groups->find_coordinator(key, access.image()), listener);
    case KeyType::kTransaction:
      if (!access.may(AclOperation::kDescribe, ResourceType::kTransactionalId, key)) {
        return refused(key, ErrorCode::kTransactionalIdAuthorizationFailed);
      }
      return at_node(access, key, services.transactions->find_coordinator(key, access.image()),
                     listener);
    case KeyType::kShare:
      return refused(key, ErrorCode::kInvalidRequest,
                     "share groups are not supported by this broker");
  }
  return refused(key, ErrorCode::kInvalidRequest,
                 "unknown coordinator type " + std::to_string(static_cast<int>(type)));
}

}  // namespace

void handle_find_coordinator(Services& services, Call<protocol::FindCoordinatorRequest> call) {
  const Access access(services, call);
  const auto type = static_cast<KeyType>(call.request.key_type);
  const std::string& listener = call.session().listener;
  protocol::FindCoordinatorResponse response;
  if (call.version() >= 4) {
    for (const std::string& key : call.request.coordinator_keys) {
      response.coordinators.push_back(find(services, access, type, key, listener));
    }
    return call.reply(response);
  }
  Coordinator only = find(services, access, type, call.request.key, listener);
  response.error_code = only.error_code;
  response.error_message = std::move(only.error_message);
  response.node_id = only.node_id;
  response.host = std::move(only.host);
  response.port = only.port;
  call.reply(response);
}

}  // namespace broker::handlers
