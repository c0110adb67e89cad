// What other voters ask. The quorum of one has nobody who could ask rightly.
#include "broker/quorum/metadata_log.h"
#include "broker/quorum/peer_sender.h"

namespace broker::quorum {
namespace {

constexpr std::int16_t kRefused = static_cast<std::int16_t>(ErrorCode::kInconsistentVoterSet);

}  // namespace

void MetadataLog::vote(const protocol::VoteRequest&, std::int16_t,
                       UniqueFunction<void(protocol::VoteResponse)> done) {
  protocol::VoteResponse response;
  response.error_code = kRefused;
  done(std::move(response));
}

void MetadataLog::begin_quorum_epoch(
    const protocol::BeginQuorumEpochRequest&, std::int16_t,
    UniqueFunction<void(protocol::BeginQuorumEpochResponse)> done) {
  protocol::BeginQuorumEpochResponse response;
  response.error_code = kRefused;
  done(std::move(response));
}

void MetadataLog::end_quorum_epoch(const protocol::EndQuorumEpochRequest&, std::int16_t,
                                   UniqueFunction<void(protocol::EndQuorumEpochResponse)> done) {
  protocol::EndQuorumEpochResponse response;
  response.error_code = kRefused;
  done(std::move(response));
}

void MetadataLog::add_raft_voter(const protocol::AddRaftVoterRequest&,
                                 UniqueFunction<void(protocol::AddRaftVoterResponse)> done) {
  protocol::AddRaftVoterResponse response;
  response.error_code = kRefused;
  done(std::move(response));
}

void MetadataLog::remove_raft_voter(const protocol::RemoveRaftVoterRequest&,
                                    UniqueFunction<void(protocol::RemoveRaftVoterResponse)> done) {
  protocol::RemoveRaftVoterResponse response;
  response.error_code = kRefused;
  done(std::move(response));
}

void MetadataLog::update_raft_voter(const protocol::UpdateRaftVoterRequest&,
                                    UniqueFunction<void(protocol::UpdateRaftVoterResponse)> done) {
  protocol::UpdateRaftVoterResponse response;
  response.error_code = kRefused;
  done(std::move(response));
}

}  // namespace broker::quorum
