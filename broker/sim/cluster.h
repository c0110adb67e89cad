#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/config/broker_config.h"
#include "broker/io/sim/machine.h"
#include "broker/node/node.h"
#include "broker/quorum/types.h"
#include "broker/sim/plan.h"

namespace broker::sim {

/// A machine with one Kafka node on it, through crashes and restarts.
class SimNode {
 public:
  enum class State { kDown, kStarting, kUp, kStopping };

  SimNode(io::sim::Scheduler& scheduler, io::sim::Network& network, const Plan& plan, int id,
          std::vector<quorum::Voter> voters);
  ~SimNode();

  int id() const { return id_; }
  State state() const { return state_; }
  bool up() const { return state_ == State::kUp; }
  io::sim::Machine& machine() { return machine_; }
  io::sim::Process* process() { return process_.get(); }
  /// nullptr while it is down.
  node::Node* node() { return node_.get(); }
  io::Endpoint endpoint() const;

  /// When it is down. Formats an empty disk.
  void start();
  /// Controlled shutdown; down when it is over.
  void stop();
  void kill();
  /// As kill(), in the middle of the n-th operation on its disk from now.
  void kill_in_operation(std::uint64_t n);
  void lose_power();
  /// Called when a node could not start, or could not go on.
  void on_failure(std::function<void(SimNode&, const Error&)> callback) {
    on_failure_ = std::move(callback);
  }
  /// It died, or was armed to die, and what it held only in memory is gone.
  struct Death {
    BrokerEpoch epoch;  // that it lived in, as far as the others know
    bool power = false;
  };
  const std::optional<Death>& death() const { return death_; }
  /// It is back, and in every ISR again.
  void forget_death() { death_.reset(); }
  void note_death(Death death) {
    if (death_ && death_->power) death.power = true;
    death_ = death;
  }

 private:
  config::BrokerConfig config() const;
  void format();
  void bury();
  void fail(const Error& error);

  io::sim::Scheduler& scheduler_;
  const Plan& plan_;
  const int id_;
  const std::vector<quorum::Voter> voters_;
  io::sim::Machine machine_;
  std::unique_ptr<io::sim::Process> process_;
  std::unique_ptr<node::Node> node_;
  State state_ = State::kDown;
  int boots_ = 0;
  std::optional<Death> death_;
  bool formatted_ = false;
  std::function<void(SimNode&, const Error&)> on_failure_;
};

/// The machines of a cluster, their network, and one machine for all clients.
class Cluster {
 public:
  explicit Cluster(const Plan& plan);
  ~Cluster();

  io::sim::Scheduler& scheduler() { return scheduler_; }
  io::sim::Network& network() { return network_; }
  const std::vector<std::unique_ptr<SimNode>>& nodes() const { return nodes_; }
  io::sim::Process& clients() { return *clients_; }
  io::sim::Network::MachineId client_machine() const { return client_machine_.id(); }
  std::vector<io::Endpoint> bootstrap() const;
  bool all_up() const;
  /// The newest that any node knows of the cluster; nullptr: nobody knows anything.
  metadata::ImagePtr newest_image() const;
  /// The end of the clients: what they hold may be destroyed.
  void kill_clients() { client_machine_.kill(*clients_); }

 private:
  io::sim::Scheduler scheduler_;
  io::sim::Network network_;
  std::vector<std::unique_ptr<SimNode>> nodes_;
  io::sim::Machine client_machine_;
  std::unique_ptr<io::sim::Process> clients_;
};

}  // namespace broker::sim
