#pragma once

#include <map>
#include <memory>

#include "broker/client/connection.h"
#include "broker/quorum/peer_sender.h"

namespace broker::quorum {

struct ClientPeersOptions {
  std::shared_ptr<io::TlsContext> tls;  // of the controller listener; null: plaintext
  std::optional<client::SaslCredentials> sasl;
  std::string client_id = "raft-client";
  Duration connect_timeout = std::chrono::seconds(1);
  /// For SNI and verification, from the endpoint's host; empty: the host itself.
  std::string server_name;
};

/// Peers over the network: one pipelined connection to each, made when it is needed. A lost one
/// fails its requests at once; the next request makes another. A request that is not answered in
/// time costs the connection: the peer may be frozen, or gone without a word.
class ClientPeers final : public PeerSender {
 public:
  ClientPeers(io::Strand& strand, io::Transport& transport, ClientPeersOptions options);
  ~ClientPeers() override;

  void send(const io::Endpoint& to, PeerRequest request, Duration timeout, Done done) override;
  /// Drops all connections; requests on the way are not answered any more.
  void close();

 private:
  client::Connection& connection_to(const io::Endpoint& to);
  void forget(const io::Endpoint& to, const client::Connection* connection);

  io::Strand& strand_;
  io::Transport& transport_;
  const ClientPeersOptions options_;
  std::map<io::Endpoint, std::unique_ptr<client::Connection>> connections_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::quorum
