// ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments, UpdateFeatures,
// AlterClientQuotas: authorized here, decided by the controller.
#include "broker/handlers/apis.h"
#include "broker/handlers/cluster_call.h"

namespace broker::handlers {
namespace {

/// Version 0 has no error for the whole: every partition carries it.
protocol::ElectLeadersResponse refuse_elections(const protocol::ElectLeadersRequest& request,
                                                const Error& error) {
  protocol::ElectLeadersResponse response;
  response.error_code = wire(error.code);
  if (!request.topic_partitions) return response;
  for (const auto& topic : *request.topic_partitions) {
    auto& result = response.replica_election_results.emplace_back();
    result.topic = topic.topic;
    for (const std::int32_t partition : topic.partitions) {
      result.partition_result.push_back({partition, wire(error.code), error.detail});
    }
  }
  return response;
}

protocol::AlterClientQuotasResponse refuse_quotas(const protocol::AlterClientQuotasRequest& request,
                                                  const Error& error) {
  protocol::AlterClientQuotasResponse response;
  for (const auto& entry : request.entries) {
    auto& result = response.entries.emplace_back();
    result.error_code = wire(error.code);
    result.error_message = error.detail;
    for (const auto& entity : entry.entity) {
      result.entity.push_back({entity.entity_type, entity.entity_name});
    }
  }
  return response;
}

const Error kDenied{ErrorCode::kClusterAuthorizationFailed, kAuthorizationFailed};

}  // namespace

void handle_elect_leaders(Services& services, Call<protocol::ElectLeadersRequest> call) {
  if (!Access(services, call).may_on_cluster(AclOperation::kAlter)) {
    return call.reply(refuse_elections(call.request, kDenied));
  }
  pass_to_controller(services, std::move(call), [asked = call.request](const Error& error) {
    return refuse_elections(asked, error);
  });
}

void handle_alter_partition_reassignments(Services& services,
                                          Call<protocol::AlterPartitionReassignmentsRequest> call) {
  decide_by_controller(services, std::move(call), AclOperation::kAlter);
}

void handle_list_partition_reassignments(Services& services,
                                         Call<protocol::ListPartitionReassignmentsRequest> call) {
  decide_by_controller(services, std::move(call), AclOperation::kDescribe);
}

void handle_update_features(Services& services, Call<protocol::UpdateFeaturesRequest> call) {
  decide_by_controller(services, std::move(call), AclOperation::kAlter);
}

void handle_alter_client_quotas(Services& services, Call<protocol::AlterClientQuotasRequest> call) {
  if (!Access(services, call).may_on_cluster(AclOperation::kAlterConfigs)) {
    return call.reply(refuse_quotas(call.request, kDenied));
  }
  pass_to_controller(services, std::move(call), [asked = call.request](const Error& error) {
    return refuse_quotas(asked, error);
  });
}

}  // namespace broker::handlers
