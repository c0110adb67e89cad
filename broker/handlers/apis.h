#pragma once

#include "broker/handlers/call.h"

// One function per API: authorize, gather, ask, answer. Each takes over the call and answers it
// once, now or later.
namespace broker::protocol {
struct AddOffsetsToTxnRequest;
struct AddPartitionsToTxnRequest;
struct AddRaftVoterRequest;
struct AllocateProducerIdsRequest;
struct AlterClientQuotasRequest;
struct AlterConfigsRequest;
struct AlterPartitionReassignmentsRequest;
struct AlterPartitionRequest;
struct AlterUserScramCredentialsRequest;
struct ApiVersionsRequest;
struct AssignReplicasToDirsRequest;
struct BeginQuorumEpochRequest;
struct BrokerHeartbeatRequest;
struct BrokerRegistrationRequest;
struct CreateAclsRequest;
struct CreateDelegationTokenRequest;
struct CreatePartitionsRequest;
struct CreateTopicsRequest;
struct DeleteAclsRequest;
struct DeleteGroupsRequest;
struct DeleteRecordsRequest;
struct DeleteTopicsRequest;
struct DescribeAclsRequest;
struct DescribeClientQuotasRequest;
struct DescribeClusterRequest;
struct DescribeConfigsRequest;
struct DescribeDelegationTokenRequest;
struct DescribeGroupsRequest;
struct DescribeLogDirsRequest;
struct DescribeProducersRequest;
struct DescribeQuorumRequest;
struct DescribeTopicPartitionsRequest;
struct DescribeTransactionsRequest;
struct DescribeUserScramCredentialsRequest;
struct ElectLeadersRequest;
struct EndQuorumEpochRequest;
struct EndTxnRequest;
struct EnvelopeRequest;
struct ExpireDelegationTokenRequest;
struct FetchRequest;
struct FetchSnapshotRequest;
struct FindCoordinatorRequest;
struct HeartbeatRequest;
struct IncrementalAlterConfigsRequest;
struct InitProducerIdRequest;
struct JoinGroupRequest;
struct LeaveGroupRequest;
struct ListGroupsRequest;
struct ListOffsetsRequest;
struct ListPartitionReassignmentsRequest;
struct ListTransactionsRequest;
struct MetadataRequest;
struct OffsetCommitRequest;
struct OffsetDeleteRequest;
struct OffsetFetchRequest;
struct OffsetForLeaderEpochRequest;
struct ProduceRequest;
struct RemoveRaftVoterRequest;
struct RenewDelegationTokenRequest;
struct SyncGroupRequest;
struct TxnOffsetCommitRequest;
struct UnregisterBrokerRequest;
struct UpdateFeaturesRequest;
struct UpdateRaftVoterRequest;
struct VoteRequest;
struct WriteTxnMarkersRequest;
}  // namespace broker::protocol

namespace broker::handlers {

class Registry;
struct Services;

/// Registers everything that this node serves (register_apis.cc).
void register_apis(Registry& registry);

void handle_api_versions(Services& services, Call<protocol::ApiVersionsRequest> call);
void handle_metadata(Services& services, Call<protocol::MetadataRequest> call);
void handle_describe_topic_partitions(Services& services,
                                      Call<protocol::DescribeTopicPartitionsRequest> call);
void handle_describe_cluster(Services& services, Call<protocol::DescribeClusterRequest> call);
void handle_produce(Services& services, Call<protocol::ProduceRequest> call);
void handle_fetch(Services& services, Call<protocol::FetchRequest> call);
void handle_list_offsets(Services& services, Call<protocol::ListOffsetsRequest> call);
void handle_offset_for_leader_epoch(Services& services,
                                    Call<protocol::OffsetForLeaderEpochRequest> call);
void handle_delete_records(Services& services, Call<protocol::DeleteRecordsRequest> call);
void handle_describe_log_dirs(Services& services, Call<protocol::DescribeLogDirsRequest> call);
void handle_init_producer_id(Services& services, Call<protocol::InitProducerIdRequest> call);
void handle_add_offsets_to_txn(Services& services, Call<protocol::AddOffsetsToTxnRequest> call);
void handle_add_partitions_to_txn(Services& services,
                                  Call<protocol::AddPartitionsToTxnRequest> call);
void handle_describe_producers(Services& services, Call<protocol::DescribeProducersRequest> call);
void handle_describe_transactions(Services& services,
                                  Call<protocol::DescribeTransactionsRequest> call);
void handle_end_txn(Services& services, Call<protocol::EndTxnRequest> call);
void handle_list_transactions(Services& services, Call<protocol::ListTransactionsRequest> call);
void handle_txn_offset_commit(Services& services, Call<protocol::TxnOffsetCommitRequest> call);
void handle_write_txn_markers(Services& services, Call<protocol::WriteTxnMarkersRequest> call);
void handle_find_coordinator(Services& services, Call<protocol::FindCoordinatorRequest> call);
void handle_join_group(Services& services, Call<protocol::JoinGroupRequest> call);
void handle_sync_group(Services& services, Call<protocol::SyncGroupRequest> call);
void handle_heartbeat(Services& services, Call<protocol::HeartbeatRequest> call);
void handle_leave_group(Services& services, Call<protocol::LeaveGroupRequest> call);
void handle_offset_commit(Services& services, Call<protocol::OffsetCommitRequest> call);
void handle_offset_fetch(Services& services, Call<protocol::OffsetFetchRequest> call);
void handle_offset_delete(Services& services, Call<protocol::OffsetDeleteRequest> call);
void handle_list_groups(Services& services, Call<protocol::ListGroupsRequest> call);
void handle_describe_groups(Services& services, Call<protocol::DescribeGroupsRequest> call);
void handle_delete_groups(Services& services, Call<protocol::DeleteGroupsRequest> call);
void handle_create_topics(Services& services, Call<protocol::CreateTopicsRequest> call);
void handle_delete_topics(Services& services, Call<protocol::DeleteTopicsRequest> call);
void handle_create_partitions(Services& services, Call<protocol::CreatePartitionsRequest> call);
void handle_describe_configs(Services& services, Call<protocol::DescribeConfigsRequest> call);
void handle_incremental_alter_configs(Services& services,
                                      Call<protocol::IncrementalAlterConfigsRequest> call);
void handle_alter_configs(Services& services, Call<protocol::AlterConfigsRequest> call);
void handle_describe_acls(Services& services, Call<protocol::DescribeAclsRequest> call);
void handle_create_acls(Services& services, Call<protocol::CreateAclsRequest> call);
void handle_delete_acls(Services& services, Call<protocol::DeleteAclsRequest> call);
void handle_describe_client_quotas(Services& services,
                                   Call<protocol::DescribeClientQuotasRequest> call);
void handle_describe_scram(Services& services,
                           Call<protocol::DescribeUserScramCredentialsRequest> call);
void handle_alter_scram(Services& services, Call<protocol::AlterUserScramCredentialsRequest> call);
void handle_create_delegation_token(Services& services,
                                    Call<protocol::CreateDelegationTokenRequest> call);
void handle_renew_delegation_token(Services& services,
                                   Call<protocol::RenewDelegationTokenRequest> call);
void handle_expire_delegation_token(Services& services,
                                    Call<protocol::ExpireDelegationTokenRequest> call);
void handle_describe_delegation_token(Services& services,
                                      Call<protocol::DescribeDelegationTokenRequest> call);
void handle_fetch_snapshot(Services& services, Call<protocol::FetchSnapshotRequest> call);
void handle_describe_quorum(Services& services, Call<protocol::DescribeQuorumRequest> call);
/// Fetch on a controller's listener: the metadata log.
void handle_metadata_fetch(Services& services, Call<protocol::FetchRequest> call);

// On controllers' listeners: what members of the quorum and brokers ask for themselves.
void handle_vote(Services& services, Call<protocol::VoteRequest> call);
void handle_begin_quorum_epoch(Services& services, Call<protocol::BeginQuorumEpochRequest> call);
void handle_end_quorum_epoch(Services& services, Call<protocol::EndQuorumEpochRequest> call);
void handle_update_raft_voter(Services& services, Call<protocol::UpdateRaftVoterRequest> call);
void handle_broker_registration(Services& services, Call<protocol::BrokerRegistrationRequest> call);
void handle_broker_heartbeat(Services& services, Call<protocol::BrokerHeartbeatRequest> call);
void handle_alter_partition(Services& services, Call<protocol::AlterPartitionRequest> call);
void handle_allocate_producer_ids(Services& services,
                                  Call<protocol::AllocateProducerIdsRequest> call);
void handle_assign_replicas_to_dirs(Services& services,
                                    Call<protocol::AssignReplicasToDirsRequest> call);
void handle_envelope(Services& services, Call<protocol::EnvelopeRequest> call);

// The controller decides; brokers pass them on.
void handle_add_raft_voter(Services& services, Call<protocol::AddRaftVoterRequest> call);
void handle_alter_client_quotas(Services& services, Call<protocol::AlterClientQuotasRequest> call);
void handle_alter_partition_reassignments(Services& services,
                                          Call<protocol::AlterPartitionReassignmentsRequest> call);
void handle_elect_leaders(Services& services, Call<protocol::ElectLeadersRequest> call);
void handle_list_partition_reassignments(Services& services,
                                         Call<protocol::ListPartitionReassignmentsRequest> call);
void handle_remove_raft_voter(Services& services, Call<protocol::RemoveRaftVoterRequest> call);
void handle_unregister_broker(Services& services, Call<protocol::UnregisterBrokerRequest> call);
void handle_update_features(Services& services, Call<protocol::UpdateFeaturesRequest> call);

}  // namespace broker::handlers
