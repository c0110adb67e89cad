#include "broker/io/sim/stream.h"

#include <algorithm>
#include <cstring>

namespace broker::io::sim {
namespace {

constexpr std::size_t kReadBudget = 256 * 1024;  // per turn

}  // namespace

SimStream::SimStream(Network& network, SimStrand& strand,
                     std::shared_ptr<Network::Connection> connection, int side)
    : network_(network), strand_(&strand), connection_(std::move(connection)), side_(side) {
  socket().stream = this;
}

SimStream::~SimStream() {
  *alive_ = false;
  socket().stream = nullptr;
  if (!strand_->life()->alive) return;
  if (timer_ != kNoTimer) strand_->cancel(timer_);
  if (!socket().open) return;
  const bool unread = !socket().received.empty();
  network_.send(connection_, side_,
                {unread ? Network::Segment::Kind::kReset : Network::Segment::Kind::kEnd});
  network_.drop(socket());
}

void SimStream::move_to(SimStrand& strand) {
  CHECK(phase_ == Phase::kNew);
  strand_ = &strand;
}

void SimStream::post_to_self(void (SimStream::*step)()) {
  strand_->post([this, step, alive = alive_] {
    if (*alive) (this->*step)();
  });
}

const Endpoint& SimStream::peer() const {
  return side_ == 0 ? connection_->server_endpoint : connection_->client_endpoint;
}
const Endpoint& SimStream::local() const {
  return side_ == 0 ? connection_->client_endpoint : connection_->server_endpoint;
}

// ---- opening

void SimStream::start(StreamHandler& handler) {
  strand_->check_current();
  CHECK(handler_ == nullptr);
  handler_ = &handler;
  if (phase_ == Phase::kNew) post_to_self(&SimStream::begin);
}

void SimStream::begin() {
  if (phase_ != Phase::kNew) return;
  if (side_ == 1) return become_open();
  phase_ = Phase::kConnecting;
  if (connection_->sockets[1].machine == 0) {
    return fail_later(
        {ErrorCode::kNetworkException, "cannot resolve " + connection_->server_endpoint.host});
  }
  timer_ = strand_->call_after(network_.options_.connect_timeout, [this] {
    timer_ = kNoTimer;
    ++network_.counts_.timed_out;
    network_.drop(socket());
    fail_later(
        {ErrorCode::kNetworkException, "cannot connect to " + to_string(peer()) + ": timed out"});
  });
  network_.send(connection_, 0, {Network::Segment::Kind::kOpen});
}

void SimStream::on_established() { post_to_self(&SimStream::become_open); }

void SimStream::become_open() {
  if (phase_ >= Phase::kOpen) return;
  if (reset_) return fail_later(*reset_);
  if (timer_ != kNoTimer) strand_->cancel(std::exchange(timer_, kNoTimer));
  phase_ = Phase::kOpen;
  const auto alive = alive_;
  handler_->on_open();
  if (!*alive || phase_ != Phase::kOpen) return;
  network_.pump(connection_, side_);
  write_waits_ = socket().unsent_bytes > 0;
  if (flush_then_close_ && !write_waits_) return finish_flush();
  on_readable();
}

// ---- moving bytes

void SimStream::write(Slices bytes) {
  if (phase_ >= Phase::kClosing || flush_then_close_) return;
  for (Slice& piece : bytes) {
    if (piece.empty()) continue;
    if (piece.source() != nullptr) {  // a simulated disk has nothing that could be sent from
      std::vector<std::uint8_t> copy(piece.size());
      if (!piece.copy_to(copy)) return close();
      piece = Slice(std::move(copy));
    }
    socket().unsent_bytes += piece.size();
    socket().unsent.push_back(std::move(piece));
  }
  if (phase_ != Phase::kOpen) return;
  network_.pump(connection_, side_);
  write_waits_ = socket().unsent_bytes > 0;
}

void SimStream::on_sent() {
  if (!write_waits_ || socket().unsent_bytes > 0) return;
  write_waits_ = false;
  strand_->post([this, alive = alive_] {
    if (!*alive || phase_ != Phase::kOpen || socket().unsent_bytes > 0) return;
    if (flush_then_close_) return finish_flush();
    handler_->on_drained();
  });
}

void SimStream::on_readable() {
  if (phase_ != Phase::kOpen || !reading_ || read_posted_) return;
  if (socket().received.empty() && !socket().ended && !reset_) return;
  read_posted_ = true;
  post_to_self(&SimStream::read_some);
}

void SimStream::read_some() {
  read_posted_ = false;
  const auto alive = alive_;
  std::size_t budget = kReadBudget;
  auto& received = socket().received;
  while (reading_ && phase_ == Phase::kOpen && !received.empty()) {
    if (budget == 0) return on_readable();
    const std::span<std::uint8_t> buffer = handler_->read_buffer();
    if (!*alive || !reading_ || phase_ != Phase::kOpen) return;
    CHECK(!buffer.empty());
    std::size_t count = 0;
    while (count < buffer.size() && !received.empty()) {
      Slice& piece = received.front();
      std::size_t taken = std::min(piece.size(), buffer.size() - count);
      if (taken > 1 && network_.scheduler_.chance(network_.options_.split)) {
        taken = 1 + network_.scheduler_.rng().below(taken - 1);
      }
      std::memcpy(buffer.data() + count, piece.data(), taken);
      count += taken;
      const bool whole = taken == piece.size();
      piece = piece.sub(taken, piece.size() - taken);
      if (!whole) break;
      received.pop_front();
    }
    budget -= std::min(budget, count);
    network_.on_read(connection_, side_, count);
    handler_->on_read(count);
    if (!*alive) return;
  }
  if (phase_ != Phase::kOpen || !reading_ || !received.empty()) return;
  if (reset_) return fail_later(*reset_);
  if (socket().ended) {
    network_.drop(socket());
    fail_later({ErrorCode::kNone, "closed by the peer"});
  }
}

void SimStream::resume_reading() {
  if (reading_ || flush_then_close_) return;
  reading_ = true;
  on_readable();
}

// ---- closing

void SimStream::on_reset(Error reason) {
  reset_ = std::move(reason);
  // What has arrived is still read; whoever does not read learns of it now.
  strand_->post([this, alive = alive_] {
    if (!*alive || phase_ >= Phase::kClosing || phase_ == Phase::kNew) return;
    if (phase_ == Phase::kOpen && reading_ && !socket().received.empty()) return on_readable();
    fail_later(*reset_);
  });
}

void SimStream::close_after_flush() {
  if (phase_ >= Phase::kClosing || flush_then_close_) return;
  if (phase_ != Phase::kOpen) return close();
  flush_then_close_ = true;
  reading_ = false;
  if (socket().unsent_bytes == 0) finish_flush();
}

void SimStream::finish_flush() {
  network_.send(connection_, side_, {Network::Segment::Kind::kEnd});
  network_.drop(socket());
  fail_later({ErrorCode::kNone, {}});
}

void SimStream::close() {
  if (phase_ >= Phase::kClosing) return;
  if (socket().open) {
    network_.send(connection_, side_, {Network::Segment::Kind::kEnd});
    network_.drop(socket());
  }
  fail_later({ErrorCode::kNone, {}});
}

void SimStream::fail_later(Error reason) {
  if (phase_ >= Phase::kClosing) return;
  phase_ = Phase::kClosing;
  close_reason_ = std::move(reason);
  socket().unsent.clear();
  socket().unsent_bytes = 0;
  strand_->post([this, alive = alive_] {
    if (!*alive) return;
    if (timer_ != kNoTimer) strand_->cancel(std::exchange(timer_, kNoTimer));
    phase_ = Phase::kClosed;
    if (handler_ != nullptr) handler_->on_closed(close_reason_);
  });
}

}  // namespace broker::io::sim
