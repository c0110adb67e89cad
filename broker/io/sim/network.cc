#include "broker/io/sim/network.h"

#include <algorithm>

#include "broker/io/sim/stream.h"

namespace broker::io::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

const LinkBehaviour kOrdinaryLink;

}  // namespace

Network::Network(Scheduler& scheduler, NetworkOptions options)
    : scheduler_(scheduler), options_(options) {}
Network::~Network() = default;

// ---- machines

Network::MachineId Network::add_machine(const std::string& name) {
  auto machine = std::make_unique<Machine>();
  machine->name = name;
  machines_.push_back(std::move(machine));
  const auto id = static_cast<MachineId>(machines_.size());
  machines_.back()->address = "10.0.0." + std::to_string(id);
  return id;
}

Network::MachineId Network::resolve(const std::string& host, MachineId self) const {
  if (host == "localhost" || host == "127.0.0.1") return self;
  for (std::size_t i = 0; i < machines_.size(); ++i) {
    if (machines_[i]->name == host || machines_[i]->address == host) {
      return static_cast<MachineId>(i + 1);
    }
  }
  return 0;
}

void Network::on_process_death(MachineId id) {
  machine(id).listeners.clear();
  for (const auto& connection : connections_) {
    for (int side = 0; side < 2; ++side) {
      Socket& socket = connection->sockets[static_cast<std::size_t>(side)];
      if (socket.machine != id || !socket.open || socket.life->alive) continue;
      send(connection, side, {Segment::Kind::kReset});
      drop(socket);
    }
  }
}

void Network::power_off(MachineId id) {
  machine(id).up = false;
  machine(id).listeners.clear();
  for (const auto& connection : connections_) {
    for (Socket& socket : connection->sockets) {
      if (socket.machine == id && socket.open) drop(socket);
    }
  }
}

void Network::power_on(MachineId id) {
  machine(id).up = true;
  release_held([id](const Socket&, const Socket& to) { return to.machine == id; });
}

// ---- links

void Network::cut(MachineId from, MachineId to) { cuts_.insert({from, to}); }

void Network::heal(MachineId from, MachineId to) {
  if (cuts_.erase({from, to}) == 0) return;
  release_held(
      [=](const Socket& f, const Socket& t) { return f.machine == from && t.machine == to; });
}

void Network::heal_all() {
  if (cuts_.empty()) return;
  cuts_.clear();
  release_held([](const Socket&, const Socket&) { return true; });
}

void Network::set_all_links(const LinkBehaviour& behaviour) {
  for (MachineId from = 1; from <= machines_.size(); ++from) {
    for (MachineId to = 1; to <= machines_.size(); ++to) {
      if (from != to) links_[{from, to}] = behaviour;
    }
  }
}

void Network::reset_connections(MachineId a, MachineId b) {
  const Error reason{ErrorCode::kNetworkException, "Connection reset by peer"};
  const auto connections = connections_;  // break_off may tidy them
  for (const auto& connection : connections) {
    const auto& [client, server] = connection->sockets;
    const bool between = (client.machine == a && server.machine == b) ||
                         (client.machine == b && server.machine == a);
    if (!between) continue;
    for (int side = 0; side < 2; ++side) break_off(connection, side, reason);
  }
}

// ---- connections

std::shared_ptr<Network::Connection> Network::make_connection(MachineId client,
                                                              std::shared_ptr<Life> life,
                                                              const Endpoint& server) {
  forget_closed();
  auto connection = std::make_shared<Connection>();
  connection->id = next_connection_++;
  connection->port = server.port;
  connection->server_endpoint = server;
  Machine& from = machine(client);
  connection->client_endpoint = {from.address, from.next_port};
  from.next_port = from.next_port == 60999 ? 32768 : static_cast<std::uint16_t>(from.next_port + 1);
  connection->sockets[0].machine = client;
  connection->sockets[0].life = std::move(life);
  connection->sockets[0].open = true;
  connection->sockets[1].machine = resolve(server.host, client);
  connections_.push_back(connection);
  ++counts_.connections;
  return connection;
}

void Network::drop(Socket& socket) {
  if (!socket.open) return;
  socket.open = false;
  socket.unsent.clear();
  socket.unsent_bytes = 0;
  ++closed_;
}

void Network::break_off(const std::shared_ptr<Connection>& connection, int side, Error reason) {
  Socket& socket = connection->sockets[static_cast<std::size_t>(side)];
  socket.held.clear();
  if (!socket.open) return;
  drop(socket);
  ++counts_.resets;
  if (socket.stream != nullptr && socket.life->alive) socket.stream->on_reset(std::move(reason));
}

/// Connections that nobody has a hand on any more. What is still under way keeps its own hold.
void Network::forget_closed() {
  if (closed_ < 64 || closed_ < connections_.size()) return;
  closed_ = 0;
  std::erase_if(connections_, [](const auto& connection) {
    return !connection->sockets[0].open && !connection->sockets[1].open &&
           connection->sockets[0].held.empty() && connection->sockets[1].held.empty();
  });
}

void Network::pump(const std::shared_ptr<Connection>& connection, int side) {
  Socket& socket = connection->sockets[static_cast<std::size_t>(side)];
  if (!socket.open || !socket.life->alive) return;
  Segment segment;
  while (!socket.unsent.empty() && socket.unconfirmed_bytes < options_.window_bytes) {
    Slice& piece = socket.unsent.front();
    const std::size_t room = options_.window_bytes - socket.unconfirmed_bytes;
    const std::size_t taken = std::min(room, piece.size());
    segment.bytes.push_back(piece.sub(0, taken));
    segment.size += taken;
    socket.unconfirmed_bytes += taken;
    socket.unsent_bytes -= taken;
    if (taken == piece.size()) {
      socket.unsent.pop_front();
    } else {
      piece = piece.sub(taken, piece.size() - taken);
    }
  }
  if (segment.size > 0) send(connection, side, std::move(segment));
}

void Network::on_read(const std::shared_ptr<Connection>& connection, int side, std::size_t bytes) {
  Socket& sender = connection->sockets[static_cast<std::size_t>(1 - side)];
  const Socket& receiver = connection->sockets[static_cast<std::size_t>(side)];
  sender.read_unheard += bytes;
  if (is_cut(receiver.machine, sender.machine) || !sender.open) return;
  sender.unconfirmed_bytes -= std::exchange(sender.read_unheard, 0);
  if (sender.unsent.empty()) return;
  pump(connection, 1 - side);
  if (sender.unsent_bytes == 0 && sender.stream != nullptr) sender.stream->on_sent();
}

// ---- segments on their way

void Network::send(const std::shared_ptr<Connection>& connection, int side, Segment segment) {
  const Socket& from = connection->sockets[static_cast<std::size_t>(side)];
  const Socket& to = connection->sockets[static_cast<std::size_t>(1 - side)];
  if (from.machine == to.machine) {
    return dispatch(connection, side, std::move(segment),
                    scheduler_.between(microseconds(5), microseconds(20)));
  }
  const auto found = links_.find({from.machine, to.machine});
  const LinkBehaviour& link = found == links_.end() ? kOrdinaryLink : found->second;
  Duration delay = scheduler_.between(link.min_latency, link.max_latency);
  if (scheduler_.chance(link.loss)) {
    delay += scheduler_.between(milliseconds(200), milliseconds(700));
  }
  if (scheduler_.chance(link.reset)) {
    scheduler_.after(delay, [this, connection] {
      const Error reason{ErrorCode::kNetworkException, "Connection reset by peer"};
      for (int end = 0; end < 2; ++end) break_off(connection, end, reason);
    });
  }
  dispatch(connection, side, std::move(segment), delay);
}

void Network::dispatch(const std::shared_ptr<Connection>& connection, int side, Segment segment,
                       Duration delay) {
  Socket& from = connection->sockets[static_cast<std::size_t>(side)];
  from.last_arrival = std::max(from.last_arrival, scheduler_.now() + delay);
  ++counts_.segments;
  scheduler_.at(from.last_arrival,
                [this, connection, side, segment = std::move(segment)]() mutable {
                  arrive(connection, side, std::move(segment));
                });
}

void Network::arrive(const std::shared_ptr<Connection>& connection, int side, Segment segment) {
  Socket& from = connection->sockets[static_cast<std::size_t>(side)];
  Socket& to = connection->sockets[static_cast<std::size_t>(1 - side)];
  if (!from.held.empty() || is_cut(from.machine, to.machine) || !machine(to.machine).up) {
    return hold(connection, side, std::move(segment));
  }
  scheduler_.note(connection->id * 8 + static_cast<std::uint64_t>(segment.kind));
  scheduler_.note(segment.size);
  switch (segment.kind) {
    case Segment::Kind::kOpen:
      return arrive_open(connection);
    case Segment::Kind::kAccepted:
      if (!to.open) return send(connection, 1 - side, {Segment::Kind::kReset});
      if (to.stream != nullptr) to.stream->on_established();
      return;
    case Segment::Kind::kRefused:
      ++counts_.refused;
      return break_off(
          connection, 1 - side,
          {ErrorCode::kNetworkException,
           "cannot connect to " + to_string(connection->server_endpoint) + ": Connection refused"});
    case Segment::Kind::kReset:
      return break_off(connection, 1 - side,
                       {ErrorCode::kNetworkException, "Connection reset by peer"});
    case Segment::Kind::kEnd:
      if (!to.open) return;
      to.ended = true;
      break;
    case Segment::Kind::kData:
      if (!to.open) return send(connection, 1 - side, {Segment::Kind::kReset});
      for (Slice& piece : segment.bytes) to.received.push_back(std::move(piece));
      break;
  }
  if (to.stream != nullptr) to.stream->on_readable();
}

void Network::arrive_open(const std::shared_ptr<Connection>& connection) {
  Machine& server = machine(connection->sockets[1].machine);
  const auto at = server.listeners.find(connection->port);
  if (at == server.listeners.end() || !at->second->life->alive) {
    return send(connection, 1, {Segment::Kind::kRefused});
  }
  const std::shared_ptr<Listener> listener = at->second;
  Socket& socket = connection->sockets[1];
  socket.life = listener->life;
  socket.open = true;
  auto stream = std::make_unique<SimStream>(*this, *listener->strand, connection, 1);
  send(connection, 1, {Segment::Kind::kAccepted});
  listener->strand->post([this, listener, stream = std::move(stream), id = socket.machine,
                          port = connection->port]() mutable {
    // A listener that was closed meanwhile takes its queue with it.
    const auto& listeners = machine(id).listeners;
    const auto now = listeners.find(port);
    if (now != listeners.end() && now->second == listener) listener->on_accept(std::move(stream));
  });
}

void Network::hold(const std::shared_ptr<Connection>& connection, int side, Segment segment) {
  Socket& from = connection->sockets[static_cast<std::size_t>(side)];
  from.held.push_back(std::move(segment));
  ++counts_.held;
  if (from.held.size() > 1) return;
  const std::uint64_t which = ++from.hold_count;
  scheduler_.after(options_.retransmission_timeout, [this, connection, side, which] {
    Socket& socket = connection->sockets[static_cast<std::size_t>(side)];
    if (socket.held.empty() || socket.hold_count != which) return;
    break_off(connection, side, {ErrorCode::kNetworkException, "Connection timed out"});
  });
}

void Network::release_held(const std::function<bool(const Socket& from, const Socket& to)>& which) {
  const auto connections = connections_;
  for (const auto& connection : connections) {
    for (int side = 0; side < 2; ++side) {
      Socket& from = connection->sockets[static_cast<std::size_t>(side)];
      Socket& to = connection->sockets[static_cast<std::size_t>(1 - side)];
      if (!which(from, to)) continue;
      // The next retransmission, whose timer had time to grow.
      const Duration delay = scheduler_.between(milliseconds(1), milliseconds(1500));
      for (Segment& segment : std::exchange(from.held, {})) {
        dispatch(connection, side, std::move(segment), delay);
      }
      if (to.read_unheard > 0 && !is_cut(from.machine, to.machine)) {
        on_read(connection, side, 0);
      }
    }
  }
}

// ---- what a process sees

class SimAcceptor final : public Acceptor {
 public:
  SimAcceptor(Network& network, Network::MachineId machine,
              std::shared_ptr<Network::Listener> listener)
      : network_(network), machine_(machine), listener_(std::move(listener)) {}
  ~SimAcceptor() override {
    auto& listeners = network_.machine(machine_).listeners;
    const auto at = listeners.find(listener_->local.port);
    if (at != listeners.end() && at->second == listener_) listeners.erase(at);
  }
  const Endpoint& local() const override { return listener_->local; }

 private:
  Network& network_;
  const Network::MachineId machine_;
  const std::shared_ptr<Network::Listener> listener_;
};

class SimTransport final : public Transport {
 public:
  SimTransport(Network& network, Network::MachineId machine, std::shared_ptr<Life> life)
      : network_(network), machine_(machine), life_(std::move(life)) {}

  Result<std::shared_ptr<TlsContext>> make_server_tls(const TlsServerOptions&) override {
    return no_tls();
  }
  Result<std::shared_ptr<TlsContext>> make_client_tls(const TlsClientOptions&) override {
    return no_tls();
  }

  Result<std::unique_ptr<Acceptor>> listen(Strand& strand, const Endpoint& endpoint,
                                           std::shared_ptr<TlsContext> tls,
                                           AcceptCallback on_accept) override {
    CHECK(tls == nullptr);
    auto& listeners = network_.machine(machine_).listeners;
    auto listener = std::make_shared<Network::Listener>(
        Network::Listener{&strand_of(strand), life_, endpoint, std::move(on_accept)});
    for (std::uint16_t free = 20000; listener->local.port == 0; ++free) {
      if (!listeners.contains(free)) listener->local.port = free;
    }
    if (!life_->alive || !listeners.emplace(listener->local.port, listener).second) {
      return Error{ErrorCode::kBrokerNotAvailable,
                   "cannot listen on " + to_string(endpoint) + ": Address already in use"};
    }
    return std::unique_ptr<Acceptor>(
        std::make_unique<SimAcceptor>(network_, machine_, std::move(listener)));
  }

  std::unique_ptr<Stream> connect(Strand& strand, const Endpoint& endpoint,
                                  std::shared_ptr<TlsContext> tls, const std::string&) override {
    CHECK(tls == nullptr);
    return std::make_unique<SimStream>(network_, strand_of(strand),
                                       network_.make_connection(machine_, life_, endpoint), 0);
  }

  void move_to(Strand& strand, std::unique_ptr<Stream> stream,
               std::function<void(std::unique_ptr<Stream>)> on_moved) override {
    dynamic_cast<SimStream&>(*stream).move_to(strand_of(strand));
    strand.post([stream = std::move(stream), on_moved = std::move(on_moved)]() mutable {
      on_moved(std::move(stream));
    });
  }

 private:
  static SimStrand& strand_of(Strand& strand) { return dynamic_cast<SimStrand&>(strand); }
  static Error no_tls() { return {ErrorCode::kInvalidConfig, "the simulated network has no TLS"}; }

  Network& network_;
  const Network::MachineId machine_;
  const std::shared_ptr<Life> life_;
};

std::unique_ptr<Transport> Network::attach(MachineId machine, std::shared_ptr<Life> life) {
  return std::make_unique<SimTransport>(*this, machine, std::move(life));
}

}  // namespace broker::io::sim
