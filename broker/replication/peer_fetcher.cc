#include "broker/replication/peer_fetcher.h"

#include <algorithm>
#include <utility>

#include "broker/common/log.h"

namespace broker::replication {

PeerFetcher::PeerFetcher(Owner& owner, io::Strand& strand, PeerConnector& connector, BrokerId peer,
                         std::string client_id, FetcherCore::Options options)
    : owner_(owner),
      strand_(strand),
      connector_(connector),
      peer_(peer),
      client_id_(std::move(client_id)),
      core_(options) {}

PeerFetcher::~PeerFetcher() = default;

void PeerFetcher::close() {
  closed_ = true;
  if (timer_ != io::kNoTimer) strand_.cancel(timer_);
  timer_ = io::kNoTimer;
  // Perhaps called from one of its callbacks.
  if (connection_) strand_.post([connection = std::move(connection_)] {});
}

void PeerFetcher::pump_soon() {
  if (pump_posted_ || closed_) return;
  pump_posted_ = true;
  strand_.post([self = shared_from_this()] {
    self->pump_posted_ = false;
    self->pump();
  });
}

void PeerFetcher::pump() {
  if (closed_) return;
  const Instant now = strand_.now();
  if (now < not_before_) return set_timer(not_before_);
  // Unregistered yet: set_broker_epoch() pumps.
  if (core_.empty() || owner_.broker_epoch().value < 0) return;
  if (!connection_ && !connect()) return;
  while (auto outgoing = core_.next(owner_.broker_epoch(), now)) {
    connection_->fetch(std::move(outgoing->request),
                       [weak = weak_from_this(), line = line_,
                        number = outgoing->number](Result<protocol::FetchResponse> response) {
                         if (const auto self = weak.lock())
                           self->on_fetched(line, number, std::move(response));
                       });
  }
  if (const auto wake = core_.wake_at()) set_timer(*wake);
}

bool PeerFetcher::connect() {
  const metadata::BrokerRegistration* registration = owner_.registration(peer_);
  if (!registration) {
    back_off();
    return false;
  }
  connection_ = connector_.connect(strand_, *registration, client_id_);
  connection_->on_lost([weak = weak_from_this(), line = ++line_](const Error& why) {
    if (const auto self = weak.lock()) self->on_lost(line, why);
  });
  return true;
}

void PeerFetcher::on_fetched(std::uint64_t line, std::uint64_t number,
                             Result<protocol::FetchResponse> response) {
  if (closed_ || line != line_) return;
  if (!response.ok()) return on_lost(line, response.error());
  auto answers = core_.on_response(number, *response);
  if (answers.error != ErrorCode::kNone) {
    log_info("replication", "a fetch session ended",
             {{"leader", peer_.value}, {"reason", to_string(Error{answers.error, {}})}});
    // One new session at once; not one after the other.
    if (failures_++ > 0) back_off();
  } else {
    failures_ = 0;
    for (const FetcherCore::Answer& answer : answers.partitions)
      owner_.on_answer(*this, answer.key, *answer.data);
  }
  pump();
}

void PeerFetcher::on_lost(std::uint64_t line, const Error& why) {
  if (closed_ || line != line_) return;
  ++line_;
  if (connection_) strand_.post([connection = std::move(connection_)] {});
  core_.on_lost();
  if (failures_ == 0)
    log_warn("replication", "lost the connection to a leader",
             {{"leader", peer_.value}, {"reason", to_string(why)}});
  ++failures_;
  back_off();
}

void PeerFetcher::back_off() {
  const auto wait = std::min<std::chrono::milliseconds>(
      kMaxReconnect, kMinReconnect * (1 << std::clamp(failures_ - 1, 0, 10)));
  not_before_ = strand_.now() + wait;
  set_timer(not_before_);
}

// One timer: the earliest wins, and pump() asks again.
void PeerFetcher::set_timer(Instant when) {
  if (timer_ != io::kNoTimer) {
    if (timer_at_ <= when) return;
    strand_.cancel(timer_);
  }
  timer_at_ = when;
  timer_ = strand_.call_at(when, [weak = weak_from_this()] {
    const auto self = weak.lock();
    if (!self) return;
    self->timer_ = io::kNoTimer;
    self->pump();
  });
}

void PeerFetcher::list_offsets(protocol::ListOffsetsRequest request,
                               UniqueFunction<void(Result<protocol::ListOffsetsResponse>)> done) {
  if (closed_ || !connection_)
    return done(Error{ErrorCode::kBrokerNotAvailable, "no connection to the leader"});
  connection_->list_offsets(std::move(request),
                            [weak = weak_from_this(), done = std::move(done)](
                                Result<protocol::ListOffsetsResponse> response) mutable {
                              const auto self = weak.lock();
                              if (self && !self->closed_) done(std::move(response));
                            });
}

}  // namespace broker::replication
