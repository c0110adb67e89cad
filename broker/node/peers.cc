#include "broker/node/peers.h"

#include <utility>

#include "broker/metadata/cluster_image.h"
#include "broker/replication/client_peer.h"

namespace broker::node {
namespace {

constexpr auto kConnectTimeout = std::chrono::seconds(2);

Result<client::ConnectionOptions> connection_options(io::Transport& transport,
                                                     const config::PeerSettings& peer) {
  client::ConnectionOptions options;
  options.connect_timeout = kConnectTimeout;
  if (uses_tls(peer.protocol)) {
    io::TlsClientOptions tls;
    tls.ca_path = peer.tls.truststore_path;
    // One PEM file holds the key and the chain.
    tls.certificate_chain_path = peer.tls.keystore_path;
    tls.private_key_path = peer.tls.keystore_path;
    tls.verify_hostname = peer.tls.verify_hostname;
    auto context = transport.make_client_tls(tls);
    if (!context.ok()) {
      return Error{ErrorCode::kInvalidConfig,
                   "listener " + peer.listener + ": " + context.error().detail};
    }
    options.tls = std::move(*context);
  }
  if (!peer.sasl_mechanism.empty()) {
    options.sasl = client::SaslCredentials{peer.sasl_mechanism, peer.username, peer.password};
  }
  return options;
}

}  // namespace

Result<std::unique_ptr<Peers>> Peers::make(io::Transport& transport,
                                           const config::BrokerConfig& config) {
  std::unique_ptr<Peers> peers(new Peers());
  const std::string id = std::to_string(config.node_id.value);
  ASSIGN_OR_RETURN(peers->to_controllers_,
                   connection_options(transport, config.listeners.controller));
  peers->to_controllers_.client_id = "node-" + id + "-to-controller";
  if (config.is_broker) {
    ASSIGN_OR_RETURN(peers->to_brokers_,
                     connection_options(transport, config.listeners.inter_broker));
    peers->to_brokers_.client_id = "broker-" + id;
    peers->to_brokers_.request_timeout =
        std::chrono::milliseconds(config.replica_socket_timeout_ms);
    peers->inter_broker_listener_ = config.listeners.inter_broker_listener;
  }
  return peers;
}

Result<bool> Peers::reload_tls() {
  bool any = false;
  for (const auto* options : {&to_controllers_, &to_brokers_}) {
    if (options->tls == nullptr) continue;
    ASSIGN_OR_RETURN(const bool changed, options->tls->reload_if_changed());
    any = any || changed;
  }
  return any;
}

std::unique_ptr<replication::PeerConnection> BrokerConnector::connect(
    io::Strand& strand, const metadata::BrokerRegistration& peer, std::string client_id) {
  client::ConnectionOptions options = peers_.to_brokers();
  options.client_id = std::move(client_id);
  // Without the listener the line goes nowhere, and is lost as one to a dead broker is.
  if (const auto* endpoint = peer.find_endpoint(peers_.inter_broker_listener())) {
    options.endpoint = {endpoint->host, endpoint->port};
  }
  return replication::make_client_peer(
      std::make_unique<client::Connection>(strand, transport_, std::move(options)));
}

}  // namespace broker::node
