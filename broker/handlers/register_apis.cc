#include "broker/handlers/apis.h"
#include "broker/handlers/consumer_groups.h"
#include "broker/handlers/registry.h"
#include "broker/protocol/messages/add_offsets_to_txn_request.h"
#include "broker/protocol/messages/add_offsets_to_txn_response.h"
#include "broker/protocol/messages/add_partitions_to_txn_request.h"
#include "broker/protocol/messages/add_partitions_to_txn_response.h"
#include "broker/protocol/messages/add_raft_voter_request.h"
#include "broker/protocol/messages/add_raft_voter_response.h"
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
#include "broker/protocol/messages/api_versions_request.h"
#include "broker/protocol/messages/api_versions_response.h"
#include "broker/protocol/messages/assign_replicas_to_dirs_request.h"
#include "broker/protocol/messages/assign_replicas_to_dirs_response.h"
#include "broker/protocol/messages/begin_quorum_epoch_request.h"
#include "broker/protocol/messages/begin_quorum_epoch_response.h"
#include "broker/protocol/messages/broker_heartbeat_request.h"
#include "broker/protocol/messages/broker_heartbeat_response.h"
#include "broker/protocol/messages/broker_registration_request.h"
#include "broker/protocol/messages/broker_registration_response.h"
#include "broker/protocol/messages/consumer_group_describe_request.h"
#include "broker/protocol/messages/consumer_group_describe_response.h"
#include "broker/protocol/messages/consumer_group_heartbeat_request.h"
#include "broker/protocol/messages/consumer_group_heartbeat_response.h"
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
#include "broker/protocol/messages/delete_groups_request.h"
#include "broker/protocol/messages/delete_groups_response.h"
#include "broker/protocol/messages/delete_records_request.h"
#include "broker/protocol/messages/delete_records_response.h"
#include "broker/protocol/messages/delete_topics_request.h"
#include "broker/protocol/messages/delete_topics_response.h"
#include "broker/protocol/messages/describe_acls_request.h"
#include "broker/protocol/messages/describe_acls_response.h"
#include "broker/protocol/messages/describe_client_quotas_request.h"
#include "broker/protocol/messages/describe_client_quotas_response.h"
#include "broker/protocol/messages/describe_cluster_request.h"
#include "broker/protocol/messages/describe_cluster_response.h"
#include "broker/protocol/messages/describe_configs_request.h"
#include "broker/protocol/messages/describe_configs_response.h"
#include "broker/protocol/messages/describe_delegation_token_request.h"
#include "broker/protocol/messages/describe_delegation_token_response.h"
#include "broker/protocol/messages/describe_groups_request.h"
#include "broker/protocol/messages/describe_groups_response.h"
#include "broker/protocol/messages/describe_log_dirs_request.h"
#include "broker/protocol/messages/describe_log_dirs_response.h"
#include "broker/protocol/messages/describe_producers_request.h"
#include "broker/protocol/messages/describe_producers_response.h"
#include "broker/protocol/messages/describe_quorum_request.h"
#include "broker/protocol/messages/describe_quorum_response.h"
#include "broker/protocol/messages/describe_topic_partitions_request.h"
#include "broker/protocol/messages/describe_topic_partitions_response.h"
#include "broker/protocol/messages/describe_transactions_request.h"
#include "broker/protocol/messages/describe_transactions_response.h"
#include "broker/protocol/messages/describe_user_scram_credentials_request.h"
#include "broker/protocol/messages/describe_user_scram_credentials_response.h"
#include "broker/protocol/messages/elect_leaders_request.h"
#include "broker/protocol/messages/elect_leaders_response.h"
#include "broker/protocol/messages/end_quorum_epoch_request.h"
#include "broker/protocol/messages/end_quorum_epoch_response.h"
#include "broker/protocol/messages/end_txn_request.h"
#include "broker/protocol/messages/end_txn_response.h"
#include "broker/protocol/messages/envelope_request.h"
#include "broker/protocol/messages/envelope_response.h"
#include "broker/protocol/messages/expire_delegation_token_request.h"
#include "broker/protocol/messages/expire_delegation_token_response.h"
#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/protocol/messages/fetch_snapshot_request.h"
#include "broker/protocol/messages/fetch_snapshot_response.h"
#include "broker/protocol/messages/find_coordinator_request.h"
#include "broker/protocol/messages/find_coordinator_response.h"
#include "broker/protocol/messages/heartbeat_request.h"
#include "broker/protocol/messages/heartbeat_response.h"
#include "broker/protocol/messages/incremental_alter_configs_request.h"
#include "broker/protocol/messages/incremental_alter_configs_response.h"
#include "broker/protocol/messages/init_producer_id_request.h"
#include "broker/protocol/messages/init_producer_id_response.h"
#include "broker/protocol/messages/join_group_request.h"
#include "broker/protocol/messages/join_group_response.h"
#include "broker/protocol/messages/leave_group_request.h"
#include "broker/protocol/messages/leave_group_response.h"
#include "broker/protocol/messages/list_groups_request.h"
#include "broker/protocol/messages/list_groups_response.h"
#include "broker/protocol/messages/list_offsets_request.h"
#include "broker/protocol/messages/list_offsets_response.h"
#include "broker/protocol/messages/list_partition_reassignments_request.h"
#include "broker/protocol/messages/list_partition_reassignments_response.h"
#include "broker/protocol/messages/list_transactions_request.h"
#include "broker/protocol/messages/list_transactions_response.h"
#include "broker/protocol/messages/metadata_request.h"
#include "broker/protocol/messages/metadata_response.h"
#include "broker/protocol/messages/offset_commit_request.h"
#include "broker/protocol/messages/offset_commit_response.h"
#include "broker/protocol/messages/offset_delete_request.h"
#include "broker/protocol/messages/offset_delete_response.h"
#include "broker/protocol/messages/offset_fetch_request.h"
#include "broker/protocol/messages/offset_fetch_response.h"
#include "broker/protocol/messages/offset_for_leader_epoch_request.h"
#include "broker/protocol/messages/offset_for_leader_epoch_response.h"
#include "broker/protocol/messages/produce_request.h"
#include "broker/protocol/messages/produce_response.h"
#include "broker/protocol/messages/remove_raft_voter_request.h"
#include "broker/protocol/messages/remove_raft_voter_response.h"
#include "broker/protocol/messages/renew_delegation_token_request.h"
#include "broker/protocol/messages/renew_delegation_token_response.h"
#include "broker/protocol/messages/sync_group_request.h"
#include "broker/protocol/messages/sync_group_response.h"
#include "broker/protocol/messages/txn_offset_commit_request.h"
#include "broker/protocol/messages/txn_offset_commit_response.h"
#include "broker/protocol/messages/unregister_broker_request.h"
#include "broker/protocol/messages/unregister_broker_response.h"
#include "broker/protocol/messages/update_features_request.h"
#include "broker/protocol/messages/update_features_response.h"
#include "broker/protocol/messages/update_raft_voter_request.h"
#include "broker/protocol/messages/update_raft_voter_response.h"
#include "broker/protocol/messages/vote_request.h"
#include "broker/protocol/messages/vote_response.h"
#include "broker/protocol/messages/write_txn_markers_request.h"
#include "broker/protocol/messages/write_txn_markers_response.h"

namespace broker::handlers {

void register_apis(Registry& registry) {
  registry.advertise(protocol::ApiKey::kSaslHandshake, Serves::kBoth);
  registry.advertise(protocol::ApiKey::kSaslAuthenticate, Serves::kBoth);
  registry.add<protocol::ApiVersionsRequest>(Serves::kBoth, handle_api_versions);
  registry.add<protocol::MetadataRequest>(Serves::kBroker, handle_metadata);
  registry.add<protocol::DescribeTopicPartitionsRequest>(Serves::kBroker,
                                                         handle_describe_topic_partitions);
  registry.add<protocol::DescribeClusterRequest>(Serves::kBoth, handle_describe_cluster);
  registry.add<protocol::ProduceRequest>(Serves::kBroker, handle_produce);
  registry.add<protocol::FetchRequest>(Serves::kBoth, handle_fetch);
  registry.add<protocol::ListOffsetsRequest>(Serves::kBroker, handle_list_offsets);
  registry.add<protocol::OffsetForLeaderEpochRequest>(Serves::kBroker,
                                                      handle_offset_for_leader_epoch);
  registry.add<protocol::DeleteRecordsRequest>(Serves::kBroker, handle_delete_records);
  registry.add<protocol::DescribeLogDirsRequest>(Serves::kBroker, handle_describe_log_dirs);
  registry.add<protocol::InitProducerIdRequest>(Serves::kBroker, handle_init_producer_id);
  registry.add<protocol::AddOffsetsToTxnRequest>(Serves::kBroker, handle_add_offsets_to_txn);
  registry.add<protocol::AddPartitionsToTxnRequest>(Serves::kBroker, handle_add_partitions_to_txn);
  registry.add<protocol::DescribeProducersRequest>(Serves::kBroker, handle_describe_producers);
  registry.add<protocol::DescribeTransactionsRequest>(Serves::kBroker,
                                                      handle_describe_transactions);
  registry.add<protocol::EndTxnRequest>(Serves::kBroker, handle_end_txn);
  registry.add<protocol::ListTransactionsRequest>(Serves::kBroker, handle_list_transactions);
  registry.add<protocol::TxnOffsetCommitRequest>(Serves::kBroker, handle_txn_offset_commit);
  registry.add<protocol::WriteTxnMarkersRequest>(Serves::kBroker, handle_write_txn_markers);
  registry.add<protocol::FindCoordinatorRequest>(Serves::kBroker, handle_find_coordinator);
  registry.add<protocol::JoinGroupRequest>(Serves::kBroker, handle_join_group);
  registry.add<protocol::SyncGroupRequest>(Serves::kBroker, handle_sync_group);
  registry.add<protocol::HeartbeatRequest>(Serves::kBroker, handle_heartbeat);
  registry.add<protocol::LeaveGroupRequest>(Serves::kBroker, handle_leave_group);
  registry.add<protocol::ConsumerGroupHeartbeatRequest>(Serves::kBroker,
                                                        handle_consumer_group_heartbeat);
  registry.add<protocol::ConsumerGroupDescribeRequest>(Serves::kBroker,
                                                       handle_consumer_group_describe);
  registry.add<protocol::OffsetCommitRequest>(Serves::kBroker, handle_offset_commit);
  registry.add<protocol::OffsetFetchRequest>(Serves::kBroker, handle_offset_fetch);
  registry.add<protocol::OffsetDeleteRequest>(Serves::kBroker, handle_offset_delete);
  registry.add<protocol::ListGroupsRequest>(Serves::kBroker, handle_list_groups);
  registry.add<protocol::DescribeGroupsRequest>(Serves::kBroker, handle_describe_groups);
  registry.add<protocol::DeleteGroupsRequest>(Serves::kBroker, handle_delete_groups);
  registry.add<protocol::CreateTopicsRequest>(Serves::kBoth, handle_create_topics);
  registry.add<protocol::DeleteTopicsRequest>(Serves::kBoth, handle_delete_topics);
  registry.add<protocol::CreatePartitionsRequest>(Serves::kBoth, handle_create_partitions);
  registry.add<protocol::DescribeConfigsRequest>(Serves::kBoth, handle_describe_configs);
  registry.add<protocol::IncrementalAlterConfigsRequest>(Serves::kBoth,
                                                         handle_incremental_alter_configs);
  registry.add<protocol::AlterConfigsRequest>(Serves::kBoth, handle_alter_configs);
  registry.add<protocol::DescribeAclsRequest>(Serves::kBoth, handle_describe_acls);
  registry.add<protocol::CreateAclsRequest>(Serves::kBoth, handle_create_acls);
  registry.add<protocol::DeleteAclsRequest>(Serves::kBoth, handle_delete_acls);
  registry.add<protocol::DescribeClientQuotasRequest>(Serves::kBroker,
                                                      handle_describe_client_quotas);
  registry.add<protocol::DescribeUserScramCredentialsRequest>(Serves::kBoth, handle_describe_scram);
  registry.add<protocol::AlterUserScramCredentialsRequest>(Serves::kBoth, handle_alter_scram);
  registry.add<protocol::CreateDelegationTokenRequest>(Serves::kBoth,
                                                       handle_create_delegation_token);
  registry.add<protocol::RenewDelegationTokenRequest>(Serves::kBoth, handle_renew_delegation_token);
  registry.add<protocol::ExpireDelegationTokenRequest>(Serves::kBoth,
                                                       handle_expire_delegation_token);
  registry.add<protocol::DescribeDelegationTokenRequest>(Serves::kBoth,
                                                         handle_describe_delegation_token);
  registry.add<protocol::FetchSnapshotRequest>(Serves::kController, handle_fetch_snapshot);
  registry.add<protocol::DescribeQuorumRequest>(Serves::kBoth, handle_describe_quorum);
  registry.add<protocol::ElectLeadersRequest>(Serves::kBoth, handle_elect_leaders);
  registry.add<protocol::AlterPartitionReassignmentsRequest>(Serves::kBoth,
                                                             handle_alter_partition_reassignments);
  registry.add<protocol::ListPartitionReassignmentsRequest>(Serves::kBoth,
                                                            handle_list_partition_reassignments);
  registry.add<protocol::UpdateFeaturesRequest>(Serves::kBoth, handle_update_features);
  registry.add<protocol::UnregisterBrokerRequest>(Serves::kBoth, handle_unregister_broker);
  registry.add<protocol::AlterClientQuotasRequest>(Serves::kBoth, handle_alter_client_quotas);
  registry.add<protocol::AddRaftVoterRequest>(Serves::kBoth, handle_add_raft_voter);
  registry.add<protocol::RemoveRaftVoterRequest>(Serves::kBoth, handle_remove_raft_voter);
  registry.add<protocol::VoteRequest>(Serves::kController, handle_vote);
  registry.add<protocol::BeginQuorumEpochRequest>(Serves::kController, handle_begin_quorum_epoch);
  registry.add<protocol::EndQuorumEpochRequest>(Serves::kController, handle_end_quorum_epoch);
  registry.add<protocol::UpdateRaftVoterRequest>(Serves::kController, handle_update_raft_voter);
  registry.add<protocol::BrokerRegistrationRequest>(Serves::kController,
                                                    handle_broker_registration);
  registry.add<protocol::BrokerHeartbeatRequest>(Serves::kController, handle_broker_heartbeat);
  registry.add<protocol::AlterPartitionRequest>(Serves::kController, handle_alter_partition);
  registry.add<protocol::AllocateProducerIdsRequest>(Serves::kController,
                                                     handle_allocate_producer_ids);
  registry.add<protocol::AssignReplicasToDirsRequest>(Serves::kController,
                                                      handle_assign_replicas_to_dirs);
  registry.add<protocol::EnvelopeRequest>(Serves::kController, handle_envelope);
}

}  // namespace broker::handlers
