#pragma once

// The inside of the simulated network; users include network.h.
#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "broker/io/sim/network.h"

namespace broker::io::sim {

class SimStream;

struct Network::Segment {
  enum class Kind { kOpen, kAccepted, kRefused, kData, kEnd, kReset };
  Kind kind = Kind::kData;
  Slices bytes = {};
  std::size_t size = 0;
};

/// One end of a connection as its kernel knows it.
struct Network::Socket {
  MachineId machine = 0;
  std::shared_ptr<Life> life;
  SimStream* stream = nullptr;  // null once the program has let go of it
  bool open = false;
  // Sending.
  std::deque<Slice> unsent;
  std::size_t unsent_bytes = 0;
  std::size_t unconfirmed_bytes = 0;  // sent, and not yet read by the peer's program
  std::size_t read_unheard = 0;       // read by the peer, whose word of it does not get through
  Instant last_arrival{};             // of what was sent: nothing overtakes
  std::deque<Segment> held;           // what did not get through
  std::uint64_t hold_count = 0;       // which time it is that something is held
  // Receiving.
  std::deque<Slice> received;
  bool ended = false;
};

struct Network::Connection {
  std::uint64_t id = 0;
  std::uint16_t port = 0;         // the server's
  std::array<Socket, 2> sockets;  // client, server
  Endpoint client_endpoint, server_endpoint;
};

struct Network::Listener {
  SimStrand* strand = nullptr;
  std::shared_ptr<Life> life;
  Endpoint local;
  Transport::AcceptCallback on_accept;
};

struct Network::Machine {
  std::string name, address;
  bool up = true;
  std::map<std::uint16_t, std::shared_ptr<Listener>> listeners;
  std::uint16_t next_port = 32768;
};

/// The program's end of a connection.
class SimStream final : public Stream {
 public:
  SimStream(Network& network, SimStrand& strand, std::shared_ptr<Network::Connection> connection,
            int side);
  ~SimStream() override;

  void start(StreamHandler& handler) override;
  void write(Slices bytes) override;
  std::size_t unsent_bytes() const override { return socket().unsent_bytes; }
  void pause_reading() override { reading_ = false; }
  void resume_reading() override;
  void close_after_flush() override;
  void close() override;
  const Endpoint& peer() const override;
  const Endpoint& local() const override;
  const std::optional<PeerCertificate>& peer_certificate() const override { return nobody_; }

  // From the network.
  void on_established();
  void on_readable();
  void on_sent();
  void on_reset(Error reason);
  void move_to(SimStrand& strand);

 private:
  enum class Phase { kNew, kConnecting, kOpen, kClosing, kClosed };
  Network::Socket& socket() const { return connection_->sockets[static_cast<std::size_t>(side_)]; }
  void begin();
  void become_open();
  void read_some();
  void finish_flush();
  void fail_later(Error reason);
  void post_to_self(void (SimStream::*step)());

  Network& network_;
  SimStrand* strand_;
  const std::shared_ptr<Network::Connection> connection_;
  const int side_;
  const std::optional<PeerCertificate> nobody_;
  Phase phase_ = Phase::kNew;
  StreamHandler* handler_ = nullptr;
  bool reading_ = true;
  bool read_posted_ = false;
  bool write_waits_ = false;
  bool flush_then_close_ = false;
  std::optional<Error> reset_;
  Error close_reason_{ErrorCode::kNone, {}};
  TimerId timer_ = kNoTimer;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::io::sim
