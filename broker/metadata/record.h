#pragma once

#include <cstdint>
#include <string_view>
#include <variant>
#include <vector>

#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/protocol/messages/abort_transaction_record.h"
#include "broker/protocol/messages/access_control_entry_record.h"
#include "broker/protocol/messages/begin_transaction_record.h"
#include "broker/protocol/messages/broker_registration_change_record.h"
#include "broker/protocol/messages/clear_elr_record.h"
#include "broker/protocol/messages/client_quota_record.h"
#include "broker/protocol/messages/config_record.h"
#include "broker/protocol/messages/delegation_token_record.h"
#include "broker/protocol/messages/end_transaction_record.h"
#include "broker/protocol/messages/feature_level_record.h"
#include "broker/protocol/messages/fence_broker_record.h"
#include "broker/protocol/messages/no_op_record.h"
#include "broker/protocol/messages/partition_change_record.h"
#include "broker/protocol/messages/partition_record.h"
#include "broker/protocol/messages/producer_ids_record.h"
#include "broker/protocol/messages/register_broker_record.h"
#include "broker/protocol/messages/register_controller_record.h"
#include "broker/protocol/messages/remove_access_control_entry_record.h"
#include "broker/protocol/messages/remove_delegation_token_record.h"
#include "broker/protocol/messages/remove_topic_record.h"
#include "broker/protocol/messages/remove_user_scram_credential_record.h"
#include "broker/protocol/messages/topic_record.h"
#include "broker/protocol/messages/unfence_broker_record.h"
#include "broker/protocol/messages/unregister_broker_record.h"
#include "broker/protocol/messages/user_scram_credential_record.h"
#include "broker/protocol/messages/zk_migration_state_record.h"

namespace broker::metadata {

/// One record of `__cluster_metadata`.
using MetadataRecord = std::variant<
    protocol::RegisterBrokerRecord, protocol::UnregisterBrokerRecord, protocol::TopicRecord,
    protocol::PartitionRecord, protocol::ConfigRecord, protocol::PartitionChangeRecord,
    protocol::FenceBrokerRecord, protocol::UnfenceBrokerRecord, protocol::RemoveTopicRecord,
    protocol::DelegationTokenRecord, protocol::UserScramCredentialRecord,
    protocol::FeatureLevelRecord, protocol::ClientQuotaRecord, protocol::ProducerIdsRecord,
    protocol::BrokerRegistrationChangeRecord, protocol::AccessControlEntryRecord,
    protocol::RemoveAccessControlEntryRecord, protocol::NoOpRecord,
    protocol::ZkMigrationStateRecord, protocol::RemoveUserScramCredentialRecord,
    protocol::BeginTransactionRecord, protocol::EndTransactionRecord,
    protocol::AbortTransactionRecord, protocol::RemoveDelegationTokenRecord,
    protocol::RegisterControllerRecord, protocol::ClearElrRecord>;

using MetadataRecords = std::vector<MetadataRecord>;

/// A record's value: frame version 1, record type, record version (all uvarints), body.
/// Errors: kUnsupportedVersion for a frame, type or version that we do not know (the log comes from
/// newer software: stop), kCorruptMessage for a body that does not parse or has bytes left over.
Result<MetadataRecord> decode_record(Slice value);

/// In the version that `metadata_version` calls for. Errors: kUnsupportedVersion when the record
/// says something that this version has no field for.
Result<Slice> encode_record(const MetadataRecord& record, std::int16_t metadata_version);

/// Clears what the record cannot say at `metadata_version` (directories, ELR, log dirs), so that
/// the image of the one who writes it equals the image of the one who reads it.
void restrict_to_version(MetadataRecord& record, std::int16_t metadata_version);

/// "TopicRecord", for logs.
std::string_view record_name(const MetadataRecord& record);

}  // namespace broker::metadata
