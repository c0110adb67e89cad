#pragma once

#include <variant>

#include "broker/protocol/messages/allocate_producer_ids_request.h"
#include "broker/protocol/messages/allocate_producer_ids_response.h"
#include "broker/protocol/messages/alter_client_quotas_request.h"
#include "broker/protocol/messages/alter_client_quotas_response.h"
#include "broker/protocol/messages/alter_configs_request.h"
#include "broker/protocol/messages/alter_configs_response.h"
#include "broker/protocol/messages/alter_partition_reassignments_request.h"
#include "broker/protocol/messages/alter_partition_reassignments_response.h"
#include "broker/protocol/messages/alter_partition_request.h"
#include "broker/protocol/messages/alter_partition_response.h"
#include "broker/protocol/messages/alter_user_scram_credentials_request.h"
#include "broker/protocol/messages/alter_user_scram_credentials_response.h"
#include "broker/protocol/messages/assign_replicas_to_dirs_request.h"
#include "broker/protocol/messages/assign_replicas_to_dirs_response.h"
#include "broker/protocol/messages/broker_heartbeat_request.h"
#include "broker/protocol/messages/broker_heartbeat_response.h"
#include "broker/protocol/messages/broker_registration_request.h"
#include "broker/protocol/messages/broker_registration_response.h"
#include "broker/protocol/messages/create_acls_request.h"
#include "broker/protocol/messages/create_acls_response.h"
#include "broker/protocol/messages/create_delegation_token_request.h"
#include "broker/protocol/messages/create_delegation_token_response.h"
#include "broker/protocol/messages/create_partitions_request.h"
#include "broker/protocol/messages/create_partitions_response.h"
#include "broker/protocol/messages/create_topics_request.h"
#include "broker/protocol/messages/create_topics_response.h"
#include "broker/protocol/messages/delete_acls_request.h"
#include "broker/protocol/messages/delete_acls_response.h"
#include "broker/protocol/messages/delete_topics_request.h"
#include "broker/protocol/messages/delete_topics_response.h"
#include "broker/protocol/messages/elect_leaders_request.h"
#include "broker/protocol/messages/elect_leaders_response.h"
#include "broker/protocol/messages/expire_delegation_token_request.h"
#include "broker/protocol/messages/expire_delegation_token_response.h"
#include "broker/protocol/messages/incremental_alter_configs_request.h"
#include "broker/protocol/messages/incremental_alter_configs_response.h"
#include "broker/protocol/messages/list_partition_reassignments_request.h"
#include "broker/protocol/messages/list_partition_reassignments_response.h"
#include "broker/protocol/messages/renew_delegation_token_request.h"
#include "broker/protocol/messages/renew_delegation_token_response.h"
#include "broker/protocol/messages/unregister_broker_request.h"
#include "broker/protocol/messages/unregister_broker_response.h"
#include "broker/protocol/messages/update_features_request.h"
#include "broker/protocol/messages/update_features_response.h"

namespace broker::controller {

/// What brokers ask of the active controller. Authorized before: nothing here looks at principals,
/// but for the owners of delegation tokens.
using ControllerRequest =
    std::variant<protocol::BrokerRegistrationRequest, protocol::BrokerHeartbeatRequest,
                 protocol::UnregisterBrokerRequest, protocol::CreateTopicsRequest,
                 protocol::DeleteTopicsRequest, protocol::CreatePartitionsRequest,
                 protocol::IncrementalAlterConfigsRequest, protocol::AlterConfigsRequest,
                 protocol::CreateAclsRequest, protocol::DeleteAclsRequest,
                 protocol::AlterUserScramCredentialsRequest, protocol::AllocateProducerIdsRequest,
                 protocol::AlterPartitionRequest, protocol::ElectLeadersRequest,
                 protocol::UpdateFeaturesRequest, protocol::AlterPartitionReassignmentsRequest,
                 protocol::ListPartitionReassignmentsRequest, protocol::AssignReplicasToDirsRequest,
                 protocol::AlterClientQuotasRequest, protocol::CreateDelegationTokenRequest,
                 protocol::RenewDelegationTokenRequest, protocol::ExpireDelegationTokenRequest>;
/// At the same index.
using ControllerResponse =
    std::variant<protocol::BrokerRegistrationResponse, protocol::BrokerHeartbeatResponse,
                 protocol::UnregisterBrokerResponse, protocol::CreateTopicsResponse,
                 protocol::DeleteTopicsResponse, protocol::CreatePartitionsResponse,
                 protocol::IncrementalAlterConfigsResponse, protocol::AlterConfigsResponse,
                 protocol::CreateAclsResponse, protocol::DeleteAclsResponse,
                 protocol::AlterUserScramCredentialsResponse, protocol::AllocateProducerIdsResponse,
                 protocol::AlterPartitionResponse, protocol::ElectLeadersResponse,
                 protocol::UpdateFeaturesResponse, protocol::AlterPartitionReassignmentsResponse,
                 protocol::ListPartitionReassignmentsResponse,
                 protocol::AssignReplicasToDirsResponse, protocol::AlterClientQuotasResponse,
                 protocol::CreateDelegationTokenResponse, protocol::RenewDelegationTokenResponse,
                 protocol::ExpireDelegationTokenResponse>;

}  // namespace broker::controller
