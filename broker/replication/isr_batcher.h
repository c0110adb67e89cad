#pragma once

#include <chrono>
#include <map>
#include <memory>

#include "broker/common/function.h"
#include "broker/io/strand.h"
#include "broker/replication/fetcher_core.h"
#include "broker/replication/leader_state.h"
#include "broker/replication/peers.h"

namespace broker::replication {

/// Brings the ISR changes of all partitions to the controller: one AlterPartition at a time, with
/// everything that came up meanwhile. A request that fails as a whole is repeated until the
/// controller has decided. Lives on main.
class IsrBatcher {
 public:
  using Done = UniqueFunction<void(IsrDecision)>;

  IsrBatcher(io::Strand& main, AlterPartitionSender& sender, BrokerId self);
  ~IsrBatcher();

  void set_broker_epoch(BrokerEpoch epoch);
  /// Replaces what is still to be sent for this partition, whose `done` is then not called.
  void submit(const PartitionKey& key, IsrChange change, Done done);
  /// Sends nothing more and calls nobody back.
  void shut_down();

  static constexpr std::chrono::milliseconds kMinBackoff{50};
  static constexpr std::chrono::milliseconds kMaxBackoff{1'000};

 private:
  struct Item {
    IsrChange change;
    Done done;
  };
  using Items = std::map<PartitionKey, Item>;

  void send_soon();
  void send();
  void on_response(Result<protocol::AlterPartitionResponse> response);
  void send_again_later();

  io::Strand& main_;
  AlterPartitionSender& sender_;
  const BrokerId self_;
  BrokerEpoch broker_epoch_{-1};
  Items waiting_;
  Items in_flight_;
  bool under_way_ = false;
  bool posted_ = false;
  int failures_ = 0;  // in a row
  io::TimerId timer_ = io::kNoTimer;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::replication
