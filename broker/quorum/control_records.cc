#include "broker/quorum/control_records.h"

#include "broker/protocol/codec.h"
#include "broker/protocol/frame.h"
#include "broker/protocol/messages/kraft_version_record.h"
#include "broker/protocol/messages/leader_change_message.h"
#include "broker/protocol/messages/snapshot_footer_record.h"
#include "broker/protocol/messages/snapshot_header_record.h"
#include "broker/protocol/messages/voters_record.h"
#include "broker/record/control_batch.h"
#include "broker/record/record_iterator.h"

namespace broker::quorum {
namespace {

using record::ControlType;

/// All control messages are written in version 0, as Kafka 4.3 does.
template <class Message>
Slice control_batch(const BatchPosition& at, ControlType type, const Message& message) {
  const auto value = protocol::encode(message, 0);
  CHECK(value.ok());
  return record::make_control_batch(type, value->span(), at.offset, at.epoch, at.timestamp);
}

VoterSet decode_voters(const protocol::VotersRecord& record, std::int16_t kraft_version) {
  VoterSet set;
  set.kraft_version = kraft_version;
  for (const auto& v : record.voters) {
    Voter voter{BrokerId{v.voter_id}, v.voter_directory_id, {}, {}, {}};
    for (const auto& endpoint : v.endpoints) {
      const io::Endpoint address{endpoint.host, endpoint.port};
      if (&endpoint == &v.endpoints.front()) {
        voter.listener = endpoint.name;
        voter.endpoint = address;
      } else {
        voter.more_listeners.push_back({endpoint.name, address});
      }
    }
    voter.min_kraft_version = v.kraft_version_feature.min_supported_version;
    voter.max_kraft_version = v.kraft_version_feature.max_supported_version;
    set.voters.push_back(std::move(voter));
  }
  return set;
}

}  // namespace

Slice leader_change_batch(const BatchPosition& at, BrokerId leader, const VoterSet& voters,
                          std::span<const BrokerId> granting_voters) {
  protocol::LeaderChangeMessage message;
  message.leader_id = leader.value;
  for (const Voter& voter : voters.voters) message.voters.push_back({voter.id.value});
  for (const BrokerId voter : granting_voters) message.granting_voters.push_back({voter.value});
  return control_batch(at, ControlType::kLeaderChange, message);
}

Slice kraft_version_batch(const BatchPosition& at, std::int16_t kraft_version) {
  protocol::KRaftVersionRecord record;
  record.kraft_version = kraft_version;
  return control_batch(at, ControlType::kKRaftVersion, record);
}

Slice voters_batch(const BatchPosition& at, const VoterSet& voters) {
  protocol::VotersRecord record;
  for (const Voter& voter : voters.voters) {
    protocol::VotersRecord::Voter out;
    out.voter_id = voter.id.value;
    out.voter_directory_id = voter.directory_id;
    out.endpoints.push_back({voter.listener, voter.endpoint.host, voter.endpoint.port});
    for (const VoterListener& listener : voter.more_listeners) {
      out.endpoints.push_back({listener.name, listener.endpoint.host, listener.endpoint.port});
    }
    out.kraft_version_feature = {voter.min_kraft_version, voter.max_kraft_version};
    record.voters.push_back(std::move(out));
  }
  return control_batch(at, ControlType::kKRaftVoters, record);
}

Slice snapshot_header_batch(const BatchPosition& at, WallMs last_contained_log_timestamp) {
  protocol::SnapshotHeaderRecord record;
  record.last_contained_log_timestamp = last_contained_log_timestamp;
  return control_batch(at, ControlType::kSnapshotHeader, record);
}

Slice snapshot_footer_batch(const BatchPosition& at) {
  return control_batch(at, ControlType::kSnapshotFooter, protocol::SnapshotFooterRecord());
}

Result<bool> apply_control_batch(const record::Batch& batch, VoterSet& voters) {
  bool carries_voters = false;
  ASSIGN_OR_RETURN(auto records, record::RecordIterator::open(batch));
  for (;;) {
    ASSIGN_OR_RETURN(const auto record, records.next());
    if (!record) return carries_voters;
    ASSIGN_OR_RETURN(const auto type, record::parse_control_key(record->key));
    if (!type || !record->value) continue;
    const Slice value = records.share(*record->value);
    if (*type == ControlType::kKRaftVersion) {
      ASSIGN_OR_RETURN(const auto message,
                       protocol::decode<protocol::KRaftVersionRecord>(value, 0));
      voters.kraft_version = message.kraft_version;
      carries_voters = true;
    } else if (*type == ControlType::kKRaftVoters) {
      ASSIGN_OR_RETURN(const auto message, protocol::decode<protocol::VotersRecord>(value, 0));
      voters = decode_voters(message, voters.kraft_version);
      carries_voters = true;
    }
  }
}

}  // namespace broker::quorum
