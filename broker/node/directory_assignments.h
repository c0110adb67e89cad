#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "broker/controller/channel.h"
#include "broker/io/strand.h"
#include "broker/protocol/messages/assign_replicas_to_dirs_request.h"
#include "broker/protocol/messages/assign_replicas_to_dirs_response.h"
#include "broker/replication/fetcher_core.h"
#include "broker/replication/peers.h"

namespace broker::node {

/// Tells the controller in which log directories this broker's replicas are, again and again until
/// it knows (KIP-858, AssignReplicasToDirs). On one strand; one request at a time.
class DirectoryAssignments final : public replication::DirectoryListener {
 public:
  DirectoryAssignments(io::Strand& strand, controller::ControllerChannel& channel, BrokerId node,
                       std::function<BrokerEpoch()> epoch);
  ~DirectoryAssignments() override;

  void on_placed(const replication::PartitionKey& replica, const DirectoryId& directory) override;

 private:
  using Wanted = std::map<replication::PartitionKey, DirectoryId>;

  void send_after(Duration delay);
  void send();
  void on_answer(const Wanted& asked, const Result<protocol::AssignReplicasToDirsResponse>& answer);
  void forget(const replication::PartitionKey& replica, const DirectoryId& directory);

  io::Strand& strand_;
  controller::ControllerChannel& channel_;
  const BrokerId node_;
  const std::function<BrokerEpoch()> epoch_;
  Wanted wanted_;
  bool in_flight_ = false;
  io::TimerId timer_ = io::kNoTimer;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::node
