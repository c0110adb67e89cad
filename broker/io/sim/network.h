#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/io/sim/process.h"
#include "broker/io/transport.h"

namespace broker::io::sim {

struct LinkBehaviour {
  Duration min_latency = std::chrono::microseconds(30);
  Duration max_latency = std::chrono::microseconds(300);
  /// Per segment: a packet was lost and came again, 200 ms and more later; what is behind it waits.
  double loss = 0;
  /// Per segment: a middle box resets the connection.
  double reset = 0;
};

struct NetworkOptions {
  /// Bytes that the sender's and the receiver's kernel hold for a connection's direction.
  std::size_t window_bytes = 256 * 1024;
  Duration connect_timeout = std::chrono::seconds(10);
  /// Bytes that nobody confirms for so long end the connection.
  Duration retransmission_timeout = std::chrono::seconds(120);
  /// Chance that arriving bytes are handed over in two pieces.
  double split = 0.02;
};

/// The wires between the simulated machines, with TCP on them: bytes of a connection arrive in
/// order, or not at all; different connections overtake each other. A cut link holds bytes back and
/// lets them through once healed, unless the retransmission timeout ends the connection before.
/// A process that dies resets its connections; a machine that loses power says nothing, and resets
/// what still comes for them once it is back.
class Network {
 public:
  explicit Network(Scheduler& scheduler, NetworkOptions options = {});
  ~Network();

  /// Known by `name` and by an address of its own (10.0.0.<n>). Up, without a process.
  using MachineId = std::uint32_t;
  MachineId add_machine(const std::string& name);

  /// The network as one process of `machine` sees it. "localhost" and "127.0.0.1" are the machine
  /// itself. There is no TLS: asking for it is kInvalidConfig.
  std::unique_ptr<Transport> attach(MachineId machine, std::shared_ptr<Life> life);

  /// The process died (its Life says so already): its listeners are gone, its peers get a reset.
  void on_process_death(MachineId machine);
  /// As the process, but silently. Until power_on() the machine answers nothing.
  void power_off(MachineId machine);
  void power_on(MachineId machine);

  /// One way.
  void cut(MachineId from, MachineId to);
  void heal(MachineId from, MachineId to);
  void heal_all();
  bool is_cut(MachineId from, MachineId to) const { return cuts_.contains({from, to}); }
  LinkBehaviour& link(MachineId from, MachineId to) { return links_[{from, to}]; }
  void set_all_links(const LinkBehaviour& behaviour);
  /// Resets every connection between the two.
  void reset_connections(MachineId a, MachineId b);

  struct Counts {
    std::uint64_t connections = 0, refused = 0, timed_out = 0, resets = 0, segments = 0, held = 0;
  };
  const Counts& counts() const { return counts_; }

 private:
  friend class SimStream;
  friend class SimTransport;
  friend class SimAcceptor;
  struct Machine;
  struct Listener;
  struct Connection;
  struct Socket;
  struct Segment;

  Machine& machine(MachineId id) const { return *machines_[id - 1]; }
  /// 0 when nobody has that name.
  MachineId resolve(const std::string& host, MachineId self) const;
  std::shared_ptr<Connection> make_connection(MachineId client, std::shared_ptr<Life> life,
                                              const Endpoint& server);
  /// Sends what the window takes.
  void pump(const std::shared_ptr<Connection>& connection, int side);
  void send(const std::shared_ptr<Connection>& connection, int side, Segment segment);
  void dispatch(const std::shared_ptr<Connection>& connection, int side, Segment segment,
                Duration delay);
  void arrive(const std::shared_ptr<Connection>& connection, int side, Segment segment);
  void arrive_open(const std::shared_ptr<Connection>& connection);
  void hold(const std::shared_ptr<Connection>& connection, int side, Segment segment);
  void release_held(const std::function<bool(const Socket& from, const Socket& to)>& which);
  void on_read(const std::shared_ptr<Connection>& connection, int side, std::size_t bytes);
  /// The end at `side` is gone without a word to its program's peer.
  void drop(Socket& socket);
  void break_off(const std::shared_ptr<Connection>& connection, int side, Error reason);
  void forget_closed();

  Scheduler& scheduler_;
  const NetworkOptions options_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::map<std::pair<MachineId, MachineId>, LinkBehaviour> links_;
  std::set<std::pair<MachineId, MachineId>> cuts_;
  std::vector<std::shared_ptr<Connection>> connections_;  // in the order of their birth
  std::uint64_t next_connection_ = 1;
  std::size_t closed_ = 0;  // sockets, since connections_ was last tidied
  Counts counts_;
};

}  // namespace broker::io::sim
