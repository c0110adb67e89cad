// What members of the quorum ask each other (KIP-595, KIP-853, KIP-996), and the administration of
// its voters. Authorized here; the metadata log checks everything else.
#include <utility>

#include "broker/controller/routing_channel.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/cluster_call.h"
#include "broker/quorum/metadata_log.h"
#include "broker/quorum/peer_sender.h"  // the messages

namespace broker::handlers {
namespace {

using quorum::MetadataLog;

/// Asks the metadata log of this node, on its strand.
template <class Request>
void ask_log(Services& services, Call<Request> call,
             void (MetadataLog::*ask)(const Request&, std::int16_t,
                                      UniqueFunction<void(typename Request::Response)>)) {
  if (!check_cluster_access(services, call, AclOperation::kClusterAction)) return;
  services.controller_strand->post([&services, ask, call = std::move(call)]() mutable {
    const Request request = std::move(call.request);
    const std::int16_t version = call.version();
    (services.metadata_log->*ask)(
        request, version, [call = std::move(call)](typename Request::Response response) mutable {
          call.reply(response);
        });
  });
}

/// Changes of the voters are the leader's: a broker passes them on.
template <class Request>
void ask_leader(Services& services, Call<Request> call,
                void (MetadataLog::*ask)(const Request&,
                                         UniqueFunction<void(typename Request::Response)>)) {
  using Response = typename Request::Response;
  if (!check_cluster_access(services, call, AclOperation::kAlter)) return;
  services.controller_strand->post([&services, ask, call = std::move(call)]() mutable {
    auto request = std::move(call.request);
    const Asker asker = asker_of(services, call);
    auto answer = [call = std::move(call)](Result<Response> result) mutable {
      call.reply(result.ok() ? *result : refused<Response>(result.error()));
    };
    const auto local = [&services, ask](const Request& asked,
                                        controller::ControllerRouter::Answer<Request> done) {
      (services.metadata_log->*ask)(asked, [done = std::move(done)](Response response) mutable {
        done(std::move(response));
      });
    };
    if (asker.here) return local(request, std::move(answer));
    services.router->route<Request>(asker.caller, std::move(request), local, std::move(answer));
  });
}

}  // namespace

void handle_vote(Services& services, Call<protocol::VoteRequest> call) {
  ask_log(services, std::move(call), &MetadataLog::vote);
}

void handle_begin_quorum_epoch(Services& services, Call<protocol::BeginQuorumEpochRequest> call) {
  ask_log(services, std::move(call), &MetadataLog::begin_quorum_epoch);
}

void handle_end_quorum_epoch(Services& services, Call<protocol::EndQuorumEpochRequest> call) {
  ask_log(services, std::move(call), &MetadataLog::end_quorum_epoch);
}

void handle_add_raft_voter(Services& services, Call<protocol::AddRaftVoterRequest> call) {
  ask_leader(services, std::move(call), &MetadataLog::add_raft_voter);
}

void handle_remove_raft_voter(Services& services, Call<protocol::RemoveRaftVoterRequest> call) {
  ask_leader(services, std::move(call), &MetadataLog::remove_raft_voter);
}

void handle_update_raft_voter(Services& services, Call<protocol::UpdateRaftVoterRequest> call) {
  if (!check_cluster_access(services, call, AclOperation::kClusterAction)) return;
  services.controller_strand->post([&services, call = std::move(call)]() mutable {
    const protocol::UpdateRaftVoterRequest request = std::move(call.request);
    services.metadata_log->update_raft_voter(
        request, [call = std::move(call)](protocol::UpdateRaftVoterResponse response) mutable {
          call.reply(response);
        });
  });
}

}  // namespace broker::handlers
