#include "broker/io/sim/network.h"

#include <gtest/gtest.h>

#include "broker/io/sim/machine.h"

namespace broker::io::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// Collects what happens to a stream.
struct Peer final : StreamHandler {
  std::unique_ptr<Stream> stream;
  bool opened = false, drained = false;
  std::string received;
  std::optional<Error> closed;
  std::array<std::uint8_t, 64> buffer;

  void take(std::unique_ptr<Stream> s) {
    stream = std::move(s);
    stream->start(*this);
  }
  void send(std::string_view text) { stream->write({Slice::copy_of(text)}); }
  void on_open() override { opened = true; }
  std::span<std::uint8_t> read_buffer() override { return buffer; }
  void on_read(std::size_t n) override {
    received.append(reinterpret_cast<const char*>(buffer.data()), n);
  }
  void on_drained() override { drained = true; }
  void on_closed(const Error& reason) override { closed = reason; }
};

class NetworkTest : public ::testing::Test {
 protected:
  ~NetworkTest() override {
    client.stream.reset();
    server.stream.reset();
    acceptor.reset();
    for (auto* process : {a_process.get(), b_process.get()}) {
      if (process != nullptr) (process == a_process.get() ? a : b).kill(*process);
    }
  }
  void listen() {
    acceptor = b_process->transport()
                   .listen(b_process->main(), {"", 9092}, nullptr,
                           [this](std::unique_ptr<Stream> s) { server.take(std::move(s)); })
                   .value();
  }
  void connect() {
    a_process->main().post([this] {
      client.take(a_process->transport().connect(a_process->main(), {"b", 9092}, nullptr));
    });
  }
  void establish() {
    listen();
    connect();
    scheduler.run_for(milliseconds(50));
    ASSERT_TRUE(client.opened && server.opened);
  }
  void client_sends(std::string text) {
    a_process->main().post([this, text] { client.send(text); });
  }

  Scheduler scheduler{1};
  Network network{scheduler};
  Machine a{scheduler, network, "a"}, b{scheduler, network, "b"};
  std::unique_ptr<Process> a_process = a.boot(), b_process = b.boot();
  Peer client, server;
  std::unique_ptr<Acceptor> acceptor;
};

TEST_F(NetworkTest, BytesArriveInOrder) {
  establish();
  std::string sent;
  a_process->main().post([&] {
    for (int i = 0; i < 200; ++i) {
      client.send(std::to_string(i) + ",");
      sent += std::to_string(i) + ",";
    }
  });
  network.link(a.id(), b.id()).loss = 0.1;
  scheduler.run_for(seconds(5));
  EXPECT_EQ(server.received, sent);
  EXPECT_EQ(server.stream->peer().host, "10.0.0.1");
}

TEST_F(NetworkTest, NobodyListeningRefuses) {
  connect();
  scheduler.run_for(milliseconds(50));
  ASSERT_TRUE(client.closed.has_value());
  EXPECT_NE(client.closed->detail.find("Connection refused"), std::string::npos);
}

TEST_F(NetworkTest, AMachineWithoutPowerTimesOut) {
  listen();
  b.lose_power(b_process.get());
  connect();
  scheduler.run_for(seconds(9));
  EXPECT_FALSE(client.closed.has_value());
  scheduler.run_for(seconds(2));
  ASSERT_TRUE(client.closed.has_value());
  EXPECT_NE(client.closed->detail.find("timed out"), std::string::npos);
}

TEST_F(NetworkTest, AKilledProcessResetsItsConnections) {
  establish();
  b.kill(*b_process);
  scheduler.run_for(milliseconds(50));
  ASSERT_TRUE(client.closed.has_value());
  EXPECT_EQ(client.closed->code, ErrorCode::kNetworkException);
}

TEST_F(NetworkTest, ALostMachineSaysNothingUntilItIsBack) {
  establish();
  b.lose_power(b_process.get());
  client_sends("hello?");
  scheduler.run_for(seconds(20));
  EXPECT_FALSE(client.closed.has_value());
  server.stream.reset();
  acceptor.reset();
  b_process = b.boot();
  scheduler.run_for(seconds(3));
  EXPECT_TRUE(client.closed.has_value());
}

TEST_F(NetworkTest, ACutHoldsBytesBackOneWay) {
  establish();
  network.cut(a.id(), b.id());
  client_sends("late");
  b_process->main().post([&] { server.send("in time"); });
  scheduler.run_for(seconds(5));
  EXPECT_EQ(server.received, "");
  EXPECT_EQ(client.received, "in time");
  network.heal_all();
  scheduler.run_for(seconds(3));
  EXPECT_EQ(server.received, "late");
}

TEST_F(NetworkTest, ACutThatLastsEndsTheConnection) {
  establish();
  network.cut(a.id(), b.id());
  client_sends("never");
  scheduler.run_for(seconds(130));
  EXPECT_TRUE(client.closed.has_value());
  EXPECT_FALSE(server.closed.has_value());  // it waits, as TCP does
}

TEST_F(NetworkTest, APeerThatDoesNotReadIsFelt) {
  establish();
  b_process->main().post([&] { server.stream->pause_reading(); });
  scheduler.run_for(milliseconds(5));
  client_sends(std::string(300 * 1024, 'x'));
  scheduler.run_for(seconds(1));
  EXPECT_EQ(client.stream->unsent_bytes(), 44u * 1024);
  EXPECT_FALSE(client.drained);
  b_process->main().post([&] { server.stream->resume_reading(); });
  scheduler.run_for(seconds(1));
  EXPECT_EQ(server.received.size(), 300u * 1024);
  EXPECT_TRUE(client.drained);
}

TEST_F(NetworkTest, ClosingAfterFlushDeliversEverything) {
  establish();
  a_process->main().post([&] {
    client.send(std::string(300 * 1024, 'x'));
    client.stream->close_after_flush();
  });
  scheduler.run_for(seconds(1));
  EXPECT_EQ(server.received.size(), 300u * 1024);
  ASSERT_TRUE(server.closed.has_value());
  EXPECT_EQ(server.closed->code, ErrorCode::kNone);
}

TEST_F(NetworkTest, AFrozenProcessIsConnectedToButDoesNotAnswer) {
  listen();
  b.freeze(*b_process, seconds(5));
  connect();
  scheduler.run_for(seconds(1));
  EXPECT_TRUE(client.opened);
  EXPECT_FALSE(server.opened);
  scheduler.run_for(seconds(5));
  EXPECT_TRUE(server.opened);
}

TEST_F(NetworkTest, AMiddleBoxMayResetBothEnds) {
  establish();
  network.reset_connections(a.id(), b.id());
  scheduler.run_for(milliseconds(50));
  EXPECT_TRUE(client.closed.has_value());
  EXPECT_TRUE(server.closed.has_value());
}

}  // namespace
}  // namespace broker::io::sim
