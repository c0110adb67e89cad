#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "broker/client/reconnecting_client.h"
#include "broker/protocol/messages/describe_quorum_response.h"
#include "operator/kafka/cluster_view.h"

namespace op::kafka {

/// Asks the leader of the quorum about its voters, and has it change them (KIP-853). A node that
/// does not lead is left for the next one. Lives on one strand; calls that are under way when it is
/// destroyed are dropped.
class QuorumClient {
 public:
  using Described = std::function<void(broker::Result<QuorumDescription>)>;

  QuorumClient(broker::io::Strand& strand, broker::io::Transport& transport,
               broker::client::ReconnectOptions controllers);

  /// `leader`: where it is thought to be. Errors: kUnsupportedVersion; kNotLeaderOrFollower when no
  /// node leads; those of the connection.
  void describe(std::optional<broker::io::Endpoint> leader, Described done);
  /// One change; it is answered when it is committed. Errors as Kafka names them,
  /// kUnsupportedVersion where the quorum cannot do it.
  void change(const VoterChange& change, const std::string& cluster_id,
              std::function<void(ItemResult)> done);

 private:
  void describe_again(int attempts, Described done);
  template <class Request>
  void send_change(Request request, int attempts, std::function<void(ItemResult)> done);

  broker::io::Strand& strand_;
  const int nodes_;
  broker::client::ReconnectingClient client_;
};

/// The answer in the terms of this module. A replica has caught up when it had everything a moment
/// ago by the leader's own clock.
QuorumDescription to_description(
    const broker::protocol::DescribeQuorumResponse::PartitionData& partition);

}  // namespace op::kafka
