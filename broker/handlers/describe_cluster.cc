#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/controller_call.h"
#include "broker/protocol/messages/describe_cluster_request.h"
#include "broker/protocol/messages/describe_cluster_response.h"

namespace broker::handlers {
namespace {

constexpr std::int8_t kBrokerEndpoints = 1;
constexpr std::int8_t kControllerEndpoints = 2;

}  // namespace

void handle_describe_cluster(Services& services, Call<protocol::DescribeClusterRequest> call) {
  const Access access(services, call);
  const auto& image = access.image();
  protocol::DescribeClusterResponse response;
  response.cluster_id = services.cluster_id;
  response.endpoint_type = call.request.endpoint_type;

  const bool controller_listener = is_controller_listener(services, call.session().listener);
  const std::int8_t served = controller_listener ? kControllerEndpoints : kBrokerEndpoints;
  if (call.request.endpoint_type != served) {
    const bool known = call.request.endpoint_type == kBrokerEndpoints ||
                       call.request.endpoint_type == kControllerEndpoints;
    response.error_code =
        wire(known ? ErrorCode::kMismatchedEndpointType : ErrorCode::kUnsupportedEndpointType);
    response.error_message =
        known ? std::string("The request was sent to an endpoint of type ") +
                    (controller_listener ? "CONTROLLER" : "BROKER") +
                    ", but we wanted an endpoint of type " +
                    (controller_listener ? "BROKER" : "CONTROLLER")
              : "Unsupported endpoint type " + std::to_string(call.request.endpoint_type);
    return call.reply(response);
  }
  if (controller_listener && !access.may_on_cluster(AclOperation::kDescribe)) {
    response.error_code = wire(ErrorCode::kClusterAuthorizationFailed);
    return call.reply(response);
  }
  if (call.request.include_cluster_authorized_operations) {
    const std::string cluster(security::kClusterName);
    response.cluster_authorized_operations =
        access.sees(AclOperation::kDescribe, ResourceType::kCluster, cluster)
            ? access.authorized_operations(ResourceType::kCluster, cluster)
            : 0;
  }
  if (controller_listener) {
    for (const auto& [id, controller] : image.cluster.controllers) {
      for (const auto& endpoint : controller.endpoints) {
        if (endpoint.name != call.session().listener) continue;
        response.brokers.push_back({id.value, endpoint.host, endpoint.port, std::nullopt});
      }
    }
    const auto leader = services.quorum_leader->get()->leader;
    response.controller_id = leader ? leader->value : -1;
  } else {
    for (const auto& [id, broker] : image.cluster.brokers) {
      const auto* endpoint = broker.find_endpoint(call.session().listener);
      if (endpoint == nullptr || (broker.fenced && !call.request.include_fenced_brokers)) continue;
      response.brokers.push_back(
          {id.value, endpoint->host, endpoint->port, broker.rack, broker.fenced});
      if (!broker.fenced && response.controller_id < 0) response.controller_id = id.value;
    }
  }
  call.reply(response);
}

}  // namespace broker::handlers
