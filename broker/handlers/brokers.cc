// What brokers ask the controller for themselves: to be members of the cluster, to change the ISRs
// of the partitions they lead, for producer ids (KIP-631, KIP-730, KIP-858). And UnregisterBroker.
#include "broker/controller/controller.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/cluster_call.h"

namespace broker::handlers {

void handle_broker_registration(Services& services,
                                Call<protocol::BrokerRegistrationRequest> call) {
  decide_by_controller(services, std::move(call), AclOperation::kClusterAction);
}

void handle_broker_heartbeat(Services& services, Call<protocol::BrokerHeartbeatRequest> call) {
  if (!check_cluster_access(services, call, AclOperation::kClusterAction)) return;
  // Whoever heartbeats here is alive as long as this connection is.
  call.context.connection_end->set([&services, id = BrokerId{call.request.broker_id},
                                    epoch = BrokerEpoch{call.request.broker_epoch}] {
    services.controller_strand->post(
        [&services, id, epoch] { services.node_controller->broker_connection_lost(id, epoch); });
  });
  pass_to_controller(services, std::move(call), refused<protocol::BrokerHeartbeatResponse>);
}

void handle_unregister_broker(Services& services, Call<protocol::UnregisterBrokerRequest> call) {
  decide_by_controller(services, std::move(call), AclOperation::kAlter);
}

void handle_alter_partition(Services& services, Call<protocol::AlterPartitionRequest> call) {
  decide_by_controller(services, std::move(call), AclOperation::kClusterAction);
}

void handle_allocate_producer_ids(Services& services,
                                  Call<protocol::AllocateProducerIdsRequest> call) {
  decide_by_controller(services, std::move(call), AclOperation::kClusterAction);
}

void handle_assign_replicas_to_dirs(Services& services,
                                    Call<protocol::AssignReplicasToDirsRequest> call) {
  decide_by_controller(services, std::move(call), AclOperation::kClusterAction);
}

}  // namespace broker::handlers
