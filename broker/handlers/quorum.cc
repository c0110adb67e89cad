// What followers and observers of the metadata log ask: Fetch on a controller's listener,
// FetchSnapshot, DescribeQuorum.
#include <utility>

#include "broker/controller/routing_channel.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/cluster_call.h"
#include "broker/protocol/messages/describe_quorum_request.h"
#include "broker/protocol/messages/describe_quorum_response.h"
#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/protocol/messages/fetch_snapshot_request.h"
#include "broker/protocol/messages/fetch_snapshot_response.h"
#include "broker/quorum/metadata_log.h"

namespace broker::handlers {

void handle_metadata_fetch(Services& services, Call<protocol::FetchRequest> call) {
  const Access access(services, call);
  if (!access.may_on_cluster(AclOperation::kClusterAction)) {
    protocol::FetchResponse response;
    response.error_code = wire(ErrorCode::kClusterAuthorizationFailed);
    return call.reply(response);
  }
  services.controller_strand->post([&services, call = std::move(call)]() mutable {
    auto request = std::move(call.request);
    const std::int16_t version = call.version();
    services.metadata_log->fetch(
        request, version, [call = std::move(call)](protocol::FetchResponse response) mutable {
          call.reply(response);
        });
  });
}

void handle_fetch_snapshot(Services& services, Call<protocol::FetchSnapshotRequest> call) {
  const Access access(services, call);
  if (!access.may_on_cluster(AclOperation::kClusterAction)) {
    protocol::FetchSnapshotResponse response;
    response.error_code = wire(ErrorCode::kClusterAuthorizationFailed);
    return call.reply(response);
  }
  services.controller_strand->post([&services, call = std::move(call)]() mutable {
    call.reply(services.metadata_log->fetch_snapshot(call.request, call.version()));
  });
}

namespace {

using protocol::DescribeQuorumRequest;
using protocol::DescribeQuorumResponse;

/// Takes out what older versions do not have.
void fit_to_version(DescribeQuorumResponse& response, std::int16_t version) {
  if (version >= 2) return;
  response.nodes.clear();
  for (auto& topic : response.topics) {
    for (auto& partition : topic.partitions) {
      for (auto& voter : partition.current_voters) voter.replica_directory_id = kZeroUuid;
      for (auto& observer : partition.observers) observer.replica_directory_id = kZeroUuid;
    }
  }
}

}  // namespace

void handle_describe_quorum(Services& services, Call<DescribeQuorumRequest> call) {
  if (!check_cluster_access(services, call, AclOperation::kDescribe)) return;
  services.controller_strand->post([&services, call = std::move(call)]() mutable {
    auto request = std::move(call.request);
    const Asker asker = asker_of(services, call);
    auto answer = [call = std::move(call)](Result<DescribeQuorumResponse> result) mutable {
      auto response = result.ok() ? *result : refused<DescribeQuorumResponse>(result.error());
      fit_to_version(response, call.version());
      call.reply(response);
    };
    if (asker.here) return answer(services.metadata_log->describe_quorum(request));
    services.router->route<DescribeQuorumRequest>(
        asker.caller, std::move(request),
        [&services](const DescribeQuorumRequest& asked,
                    controller::ControllerRouter::Answer<DescribeQuorumRequest> done) {
          done(services.metadata_log->describe_quorum(asked));
        },
        std::move(answer));
  });
}

}  // namespace broker::handlers
