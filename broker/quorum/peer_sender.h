#pragma once

#include <variant>

#include "broker/common/function.h"
#include "broker/common/result.h"
#include "broker/common/time.h"
#include "broker/io/transport.h"
#include "broker/protocol/messages/add_raft_voter_request.h"
#include "broker/protocol/messages/add_raft_voter_response.h"
#include "broker/protocol/messages/api_versions_request.h"
#include "broker/protocol/messages/api_versions_response.h"
#include "broker/protocol/messages/begin_quorum_epoch_request.h"
#include "broker/protocol/messages/begin_quorum_epoch_response.h"
#include "broker/protocol/messages/end_quorum_epoch_request.h"
#include "broker/protocol/messages/end_quorum_epoch_response.h"
#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/protocol/messages/fetch_snapshot_request.h"
#include "broker/protocol/messages/fetch_snapshot_response.h"
#include "broker/protocol/messages/remove_raft_voter_request.h"
#include "broker/protocol/messages/remove_raft_voter_response.h"
#include "broker/protocol/messages/update_raft_voter_request.h"
#include "broker/protocol/messages/update_raft_voter_response.h"
#include "broker/protocol/messages/vote_request.h"
#include "broker/protocol/messages/vote_response.h"

namespace broker::quorum {

using PeerRequest = std::variant<protocol::VoteRequest, protocol::BeginQuorumEpochRequest,
                                 protocol::EndQuorumEpochRequest, protocol::FetchRequest,
                                 protocol::FetchSnapshotRequest, protocol::AddRaftVoterRequest,
                                 protocol::RemoveRaftVoterRequest, protocol::UpdateRaftVoterRequest,
                                 protocol::ApiVersionsRequest>;
/// The alternative with the same index answers the request.
using PeerResponse = std::variant<protocol::VoteResponse, protocol::BeginQuorumEpochResponse,
                                  protocol::EndQuorumEpochResponse, protocol::FetchResponse,
                                  protocol::FetchSnapshotResponse, protocol::AddRaftVoterResponse,
                                  protocol::RemoveRaftVoterResponse,
                                  protocol::UpdateRaftVoterResponse, protocol::ApiVersionsResponse>;

/// Requests to other members of the quorum. One strand, the log's.
class PeerSender {
 public:
  using Done = UniqueFunction<void(Result<PeerResponse>)>;
  virtual ~PeerSender() = default;
  /// Sends in the highest version both sides speak. `done` runs exactly once on the strand, never
  /// from inside this call, and not at all once the sender is destroyed. Errors come as soon as
  /// they are known: kNetworkException (the connection was lost after the request went out),
  /// kBrokerNotAvailable (not sent), kUnsupportedVersion (the peer cannot express it),
  /// kRequestTimedOut, kCorruptMessage.
  virtual void send(const io::Endpoint& to, PeerRequest request, Duration timeout, Done done) = 0;
};

}  // namespace broker::quorum
