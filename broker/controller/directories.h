#pragma once

#include <optional>
#include <vector>

#include "broker/controller/types.h"
#include "broker/protocol/messages/assign_replicas_to_dirs_request.h"
#include "broker/protocol/messages/assign_replicas_to_dirs_response.h"
#include "broker/protocol/messages/broker_heartbeat_request.h"

namespace broker::controller {

/// What a heartbeat says about log directories that the registration does not say yet.
struct DirectoryNews {
  std::optional<std::vector<DirectoryId>> offline;   // were online until now
  std::optional<std::vector<DirectoryId>> cordoned;  // all that are cordoned (KIP-1066)
};
DirectoryNews directory_news(const metadata::MetadataImage& image,
                             const metadata::BrokerRegistration& broker,
                             const protocol::BrokerHeartbeatRequest& request);

/// The record that changes the registration, and, when `with_partitions`, before it what follows
/// for replicas in directories that went offline: out of the ISRs, leaders elsewhere (KIP-858).
void add_directory_changes(const DecideContext& context, const metadata::BrokerRegistration& broker,
                           const DirectoryNews& news, bool with_partitions,
                           metadata::MetadataRecords& records);

/// A broker says in which directories its replicas are. Errors in the response:
/// kUnsupportedVersion (metadata.version below 3.7-IV2), kBrokerIdNotRegistered, kStaleBrokerEpoch;
/// per partition kUnknownTopicId, kUnknownTopicOrPartition, kNotLeaderOrFollower.
/// A broker registers again, as the same process, with directories that it had not before: what is
/// in them and has no leader gets one.
void add_returned_directories(const DecideContext& context,
                              const metadata::BrokerRegistration& before,
                              const std::vector<DirectoryId>& log_dirs,
                              metadata::MetadataRecords& records);

ControllerResult<protocol::AssignReplicasToDirsResponse> decide(
    const DecideContext& context, const protocol::AssignReplicasToDirsRequest& request);

}  // namespace broker::controller
