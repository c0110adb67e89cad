#pragma once

#include <memory>
#include <string>

#include "broker/client/connection.h"
#include "broker/config/broker_config.h"
#include "broker/controller/channel.h"
#include "broker/io/transport.h"
#include "broker/replication/peers.h"

namespace broker::node {

/// How this node speaks to others: certificates and users of its configuration, ready to connect.
/// Immutable but for the certificates, which are reloaded; any strand.
class Peers {
 public:
  /// Errors: kInvalidConfig naming the listener whose certificates cannot be used.
  static Result<std::unique_ptr<Peers>> make(io::Transport& transport,
                                             const config::BrokerConfig& config);

  /// To controllers' listeners, and to brokers' inter-broker listeners; without an endpoint.
  const client::ConnectionOptions& to_controllers() const { return to_controllers_; }
  const client::ConnectionOptions& to_brokers() const { return to_brokers_; }
  const std::string& inter_broker_listener() const { return inter_broker_listener_; }

  /// Blocks. Whether anything changed; an unusable new certificate leaves the old one in force.
  Result<bool> reload_tls();

 private:
  Peers() = default;

  client::ConnectionOptions to_controllers_;
  client::ConnectionOptions to_brokers_;
  std::string inter_broker_listener_;
};

/// Lines to other brokers for replication.
class BrokerConnector final : public replication::PeerConnector {
 public:
  BrokerConnector(io::Transport& transport, const Peers& peers)
      : transport_(transport), peers_(peers) {}

  std::unique_ptr<replication::PeerConnection> connect(io::Strand& strand,
                                                       const metadata::BrokerRegistration& peer,
                                                       std::string client_id) override;

 private:
  io::Transport& transport_;
  const Peers& peers_;
};

/// ISR changes on their way to the controller.
class IsrChangeSender final : public replication::AlterPartitionSender {
 public:
  explicit IsrChangeSender(controller::ControllerChannel& channel) : channel_(channel) {}

  void alter_partition(
      protocol::AlterPartitionRequest request,
      UniqueFunction<void(Result<protocol::AlterPartitionResponse>)> done) override {
    controller::call(channel_, std::move(request), std::move(done));
  }

 private:
  controller::ControllerChannel& channel_;
};

}  // namespace broker::node
