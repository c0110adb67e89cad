#include "operator/kafka/quorum_client.h"

#include <algorithm>

#include "broker/protocol/frame.h"
#include "broker/protocol/messages/add_raft_voter_request.h"
#include "broker/protocol/messages/add_raft_voter_response.h"
#include "broker/protocol/messages/describe_quorum_request.h"
#include "broker/protocol/messages/remove_raft_voter_request.h"
#include "broker/protocol/messages/remove_raft_voter_response.h"

namespace op::kafka {
namespace {

using broker::Error;
using broker::ErrorCode;
using broker::Result;
namespace protocol = broker::protocol;
using ReplicaState = protocol::DescribeQuorumResponse::ReplicaState;

constexpr const char* kQuorumTopic = "__cluster_metadata";
constexpr const char* kListenerName = "CONTROLLER";
// Followers fetch at least every 500 ms, whether or not there is news.
constexpr std::int64_t kCaughtUpWithinMs = 3000;
constexpr std::int32_t kChangeTimeoutMs = 10'000;

bool is_elsewhere(ErrorCode code) {
  return code == ErrorCode::kNotLeaderOrFollower || code == ErrorCode::kNotController ||
         code == ErrorCode::kBrokerNotAvailable || code == ErrorCode::kLeaderNotAvailable;
}

}  // namespace

QuorumDescription to_description(const protocol::DescribeQuorumResponse::PartitionData& partition) {
  QuorumDescription out;
  out.leader_id = partition.leader_id;
  out.leader_epoch = partition.leader_epoch;
  std::int64_t newest = -1;
  for (const auto* replicas : {&partition.current_voters, &partition.observers})
    for (const ReplicaState& replica : *replicas)
      newest = std::max(newest, replica.last_caught_up_timestamp);
  const auto convert = [&](const ReplicaState& replica) {
    const std::int64_t at = replica.last_caught_up_timestamp;
    const bool current = at >= 0 ? newest - at <= kCaughtUpWithinMs
                                 : newest < 0 && replica.log_end_offset >= partition.high_watermark;
    return QuorumDescription::Replica{replica.replica_id, replica.replica_directory_id,
                                      current || replica.replica_id == partition.leader_id};
  };
  for (const ReplicaState& replica : partition.current_voters)
    out.voters.push_back(convert(replica));
  for (const ReplicaState& replica : partition.observers) out.observers.push_back(convert(replica));
  return out;
}

QuorumClient::QuorumClient(broker::io::Strand& strand, broker::io::Transport& transport,
                           broker::client::ReconnectOptions controllers)
    : strand_(strand),
      nodes_(static_cast<int>(controllers.bootstrap.size())),
      client_(strand, transport, std::move(controllers)) {}

void QuorumClient::describe(std::optional<broker::io::Endpoint> leader, Described done) {
  if (leader && client_.endpoint() != *leader) client_.move_on(leader);
  describe_again(2 * nodes_, std::move(done));
}

void QuorumClient::describe_again(int attempts, Described done) {
  protocol::DescribeQuorumRequest request;
  auto& topic = request.topics.emplace_back();
  topic.topic_name = kQuorumTopic;
  topic.partitions.emplace_back();
  const broker::Instant asked_at = strand_.now();
  client_.call(std::move(request), [this, attempts, asked_at, done = std::move(done)](
                                       Result<protocol::DescribeQuorumResponse> response) mutable {
    if (!response.ok()) return done(response.error());
    ErrorCode code = protocol::error_from_wire(response->error_code);
    const bool one = response->topics.size() == 1 && response->topics[0].partitions.size() == 1;
    if (code == ErrorCode::kNone && one)
      code = protocol::error_from_wire(response->topics[0].partitions[0].error_code);
    if (code == ErrorCode::kNone && one) {
      QuorumDescription description = to_description(response->topics[0].partitions[0]);
      description.asked_at = asked_at;
      return done(std::move(description));
    }
    if (!is_elsewhere(code) || attempts <= 0)
      return done(Error{code == ErrorCode::kNone ? ErrorCode::kUnknownServerError : code,
                        response->error_message.value_or("")});
    client_.move_on();
    describe_again(attempts - 1, std::move(done));
  });
}

void QuorumClient::change(const VoterChange& change, const std::string& cluster_id,
                          std::function<void(ItemResult)> done) {
  if (change.remove) {
    protocol::RemoveRaftVoterRequest request;
    request.cluster_id = cluster_id;
    request.voter_id = change.node_id;
    request.voter_directory_id = change.directory_id;
    return send_change(std::move(request), 2 * nodes_, std::move(done));
  }
  protocol::AddRaftVoterRequest request;
  request.cluster_id = cluster_id;
  request.timeout_ms = kChangeTimeoutMs;
  request.voter_id = change.node_id;
  request.voter_directory_id = change.directory_id;
  request.listeners.push_back({kListenerName, change.endpoint.host, change.endpoint.port});
  send_change(std::move(request), 2 * nodes_, std::move(done));
}

template <class Request>
void QuorumClient::send_change(Request request, int attempts,
                               std::function<void(ItemResult)> done) {
  Request again = request;
  client_.call(std::move(request),
               [this, attempts, again = std::move(again),
                done = std::move(done)](Result<typename Request::Response> response) mutable {
                 if (!response.ok())
                   return done({response.error().code, response.error().detail, {}});
                 const ErrorCode code = protocol::error_from_wire(response->error_code);
                 if (!is_elsewhere(code) || attempts <= 0)
                   return done({code, response->error_message.value_or(""), {}});
                 client_.move_on();
                 send_change(std::move(again), attempts - 1, std::move(done));
               });
}

}  // namespace op::kafka
