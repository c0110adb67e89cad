#include "broker/server/connection.h"

#include <algorithm>
#include <cctype>

#include "broker/common/log.h"
#include "broker/protocol/api.h"
#include "broker/protocol/messages/api_versions_request.h"
#include "broker/protocol/messages/api_versions_response.h"

namespace broker::server {
namespace {

using protocol::ApiKey;
using protocol::RequestHeader;
using std::chrono::milliseconds;

constexpr std::int16_t kFirstVersionWithSoftware = 3;
constexpr std::size_t kMaxSoftwareName = 128;
constexpr std::chrono::seconds kShortestReauthentication{1};  // as Kafka
constexpr std::chrono::hours kLongestSession{24 * 365 *
                                             100};  // an Instant cannot hold all of a long

/// KIP-511: letters and digits, inside also '-' and '.'.
bool is_software_name(const std::string& name) {
  const auto is_alnum = [](unsigned char c) { return std::isalnum(c) != 0; };
  return !name.empty() && name.size() <= kMaxSoftwareName && is_alnum(name.front()) &&
         is_alnum(name.back()) && std::all_of(name.begin(), name.end(), [&](unsigned char c) {
           return is_alnum(c) || c == '-' || c == '.';
         });
}

bool is_sasl(ApiKey key) {
  return key == ApiKey::kSaslHandshake || key == ApiKey::kSaslAuthenticate;
}

std::string describe(const RequestHeader& header) {
  return std::string(protocol::to_string(header.api_key)) + " version " +
         std::to_string(header.api_version);
}

std::size_t total_size(const Slices& pieces) {
  std::size_t size = 0;
  for (const Slice& piece : pieces) size += piece.size();
  return size;
}

}  // namespace

Connection::Connection(Worker& worker, std::uint64_t number,
                       std::shared_ptr<const Listener> listener, std::unique_ptr<io::Stream> stream,
                       Task on_closed)
    : worker_(worker),
      number_(number),
      listener_(std::move(listener)),
      limits_(listener_->options.limits),
      metrics_(listener_->metrics),
      stream_(std::move(stream)),
      on_closed_(std::move(on_closed)),
      reader_(worker.arena),
      last_active_(worker.strand.now()) {
  Session session;
  session.listener = listener_->options.name;
  session.protocol = listener_->options.protocol;
  session.peer = stream_->peer();
  session.local = stream_->local();
  session_ = std::make_shared<const Session>(std::move(session));
  metrics_.connections_active.add();
}

Connection::~Connection() {
  if (idle_timer_ != io::kNoTimer) worker_.strand.cancel(idle_timer_);
  if (login_timer_ != io::kNoTimer) worker_.strand.cancel(login_timer_);
  if (delay_timer_ != io::kNoTimer) worker_.strand.cancel(delay_timer_);
  if (mute_timer_ != io::kNoTimer) worker_.strand.cancel(mute_timer_);
  metrics_.connections_active.add(-1);
}

void Connection::start() {
  idle_timer_ = worker_.strand.call_after(limits_.max_idle, [this] { check_idle(); });
  login_timer_ = worker_.strand.call_after(limits_.max_login, [this] {
    login_timer_ = io::kNoTimer;
    cut_stranger(std::string(open_ ? "no login" : "no handshake") + " within " +
                 std::to_string(limits_.max_login.count()) + " ms");
  });
  stream_->start(*this);
}

void Connection::on_open() {
  open_ = true;
  Session session = *session_;
  session.local = stream_->local();
  if (security::uses_sasl(session.protocol)) {
    sasl_.emplace(listener_->options.sasl, *worker_.credentials);
    return update_session(std::move(session));
  }
  if (const auto& certificate = stream_->peer_certificate()) {
    auto name = listener_->principal_mapping.name_of(certificate->subject);
    if (!name) {
      metrics_.authentication_failures.add();
      return close("authentication failed: " + name.error().detail);
    }
    session.principal.name = std::move(*name);
    metrics_.authentication_successes.add();
  }
  become_known(std::move(session));
}

void Connection::update_session(Session session) {
  session_ = std::make_shared<const Session>(std::move(session));
}

void Connection::become_known(Session session) {
  session.authenticated = true;
  update_session(std::move(session));
  if (login_timer_ != io::kNoTimer)
    worker_.strand.cancel(std::exchange(login_timer_, io::kNoTimer));
  worker_.know(number_);
}

void Connection::on_closed(const Error& reason) {
  if (closed_) return;
  closed_ = true;
  const bool failed = reason.code != ErrorCode::kNone;
  if (!open_ && failed) {
    metrics_.handshake_failures.add();
    log_warn("server", "handshake failed",
             {{"listener", session_->listener},
              {"peer", io::to_string(session_->peer)},
              {"reason", reason.detail}});
  } else if (failed) {
    log_debug("server", "connection lost",
              {{"listener", session_->listener},
               {"peer", io::to_string(session_->peer)},
               {"reason", reason.detail}});
  }
  metrics_.requests_in_flight.add(-static_cast<std::int64_t>(in_flight_.size()));
  in_flight_bytes_ = 0;
  admitted_ = {};
  in_flight_.clear();
  end_->run();
  if (on_closed_) std::exchange(on_closed_, nullptr)();
  worker_.forget(number_);  // may be the end of this object
}

// ---- requests in

bool Connection::may_process() const {
  return open_ && !closed_ && !no_more_requests_ && delay_timer_ == io::kNoTimer &&
         mute_timer_ == io::kNoTimer && in_flight_.size() < limits_.max_in_flight_requests &&
         in_flight_bytes_ < limits_.max_in_flight_bytes &&
         stream_->unsent_bytes() < limits_.max_unsent_bytes;
}

std::int32_t Connection::max_frame_bytes() const {
  return sasl_ ? std::min(limits_.max_sasl_token_bytes, limits_.max_request_bytes)
               : limits_.max_request_bytes;
}

bool Connection::admit(std::size_t size) {
  if (std::exchange(memory_granted_, false)) return true;
  if (waits_for_memory_) return false;
  if (!in_flight_.empty() && in_flight_bytes_ + size > limits_.max_in_flight_bytes) return false;
  // Strangers have a budget of their own: they cannot hold up those who have shown who they are.
  MemoryBudget& budget = is_stranger() ? worker_.login_budget : worker_.budget;
  if ((admitted_ = budget.try_reserve(size))) return true;
  waits_for_memory_ = true;
  budget.wait(size, [weak = weak_from_this()](MemoryBudget::Reservation memory) {
    const auto self = weak.lock();
    if (self == nullptr || self->closed_) return;
    self->waits_for_memory_ = false;
    self->memory_granted_ = true;
    self->admitted_ = std::move(memory);
    self->continue_later();
  });
  return false;
}

void Connection::on_read(std::size_t n) {
  last_active_ = worker_.strand.now();
  metrics_.bytes_received.add(static_cast<std::int64_t>(n));
  reader_.received(n);
  process_input();
}

void Connection::process_input() {
  const auto self = shared_from_this();
  processing_ = true;
  while (may_process()) {
    auto step = reader_.next(max_frame_bytes(), [this](std::size_t size) { return admit(size); });
    if (!step) {
      malformed(step.error().detail);
      break;
    }
    frame_waits_ = step->state == FrameReader::State::kNotAdmitted;
    if (step->state != FrameReader::State::kFrame) break;
    on_frame(std::move(step->frame));
    // Not every frame becomes a request in flight: SASL tokens are done with at once.
    admitted_ = {};
  }
  processing_ = false;
  flush_answers();
  update_reading();
  // A bound that stopped the loop may be gone now that answers given at once have left.
  if (can_continue()) continue_later();
}

void Connection::on_frame(Slice frame) {
  if (sasl_ && sasl_->expects_bare_token())
    return on_sasl_outcome(sasl_->on_bare_token(frame, worker_.strand.wall_now()));
  const std::size_t bytes = frame.size();
  protocol::Reader reader(std::move(frame));
  auto header = protocol::decode_request_header(reader);
  if (!header) return malformed("malformed request header: " + header.error().detail);
  metrics_.requests.add();
  const auto key = static_cast<std::int16_t>(header->api_key);
  if (header->api_key == ApiKey::kSaslHandshake && begin_reauthentication())
    return on_sasl_request(*header, reader.rest());
  if (!sasl_ && is_session_expired()) {
    metrics_.expired_connections_killed.add();
    return refuse_in_its_place("the session expired and " + describe(*header) +
                               " came instead of a re-authentication");
  }
  if (is_sasl(header->api_key)) return on_sasl_request(*header, reader.rest());
  const bool is_api_versions = header->api_key == ApiKey::kApiVersions;
  if (sasl_ && !(is_api_versions && sasl_->may_ask_versions()))
    return malformed(describe(*header) + (sasl_->is_reauthentication() ? " during re-authentication"
                                                                       : " before authentication"));
  if (!worker_.sink.accepts(session_->listener, key, header->api_version)) {
    if (is_api_versions) return answer_too_high_api_versions(*header);
    return malformed("unsupported " + describe(*header));
  }
  Slice body = reader.rest();
  if (is_api_versions) remember_client_software(*header, body);
  pass_to_sink(std::move(*header), std::move(body), bytes);
}

void Connection::pass_to_sink(RequestHeader header, Slice body, std::size_t bytes) {
  Request request;
  request.session = session_;
  request.header = std::move(header);
  request.body = std::move(body);
  request.bytes = bytes;
  request.received = worker_.strand.now();
  request.strand = &worker_.strand;
  request.connection_end = end_;
  request.quota_shares = quota_shares_;
  Responder responder =
      begin_request(static_cast<std::int16_t>(request.header.api_key), request.received);
  worker_.sink.on_request(std::move(request), std::move(responder));
}

void Connection::on_sasl_request(const RequestHeader& header, const Slice& body) {
  const auto versions = protocol::api_info(header.api_key).versions;
  if (header.api_version < versions.min || header.api_version > versions.max)
    return malformed("unsupported " + describe(header));
  if (sasl_) return on_sasl_outcome(sasl_->on_request(header, body, worker_.strand.wall_now()));
  auto answer = illegal_sasl_state(
      header, "SaslAuthenticate request received after successful authentication");
  if (!answer) return malformed(answer.error().detail);
  answer_now(std::move(*answer));
}

void Connection::on_sasl_outcome(SaslAuthenticator::Outcome outcome) {
  using Verdict = SaslAuthenticator::Verdict;
  switch (outcome.verdict) {
    case Verdict::kContinue:
      return answer_now(std::move(outcome.answer));
    case Verdict::kAuthenticated:
      on_authenticated(outcome.session_lifetime);
      return answer_now(std::move(outcome.answer));
    case Verdict::kRefused:
      count_failure();
      log_warn("server", "authentication refused",
               {{"listener", session_->listener},
                {"peer", io::to_string(session_->peer)},
                {"reason", outcome.reason}});
      if (!outcome.answer.empty()) answer_now(std::move(outcome.answer));
      return close_after_answers();
    case Verdict::kFailed:
      return on_failed_authentication(std::move(outcome.answer), outcome.reason);
  }
}

void Connection::on_authenticated(std::optional<milliseconds> session_lifetime) {
  Session session = *session_;
  session.principal = {"User", sasl_->user()};
  session.by_token = sasl_->is_by_token();
  become_known(std::move(session));
  if (sasl_->is_reauthentication())
    metrics_.reauthentication_successes.add();
  else
    metrics_.authentication_successes.add();
  mechanism_ = sasl_->mechanism();
  session_expires_.reset();
  if (session_lifetime)
    session_expires_ =
        worker_.strand.now() + std::min<milliseconds>(*session_lifetime, kLongestSession);
  sasl_.reset();
}

void Connection::count_failure() {
  if (sasl_ && sasl_->is_reauthentication())
    metrics_.reauthentication_failures.add();
  else
    metrics_.authentication_failures.add();
}

/// Whether the handshake that came begins a re-authentication; otherwise it is answered with an
/// illegal state, as by Kafka where sessions do not end and where it was tried a moment ago.
bool Connection::begin_reauthentication() {
  if (sasl_ || !session_expires_) return false;
  const Instant now = worker_.strand.now();
  if (last_reauthentication_ && now - *last_reauthentication_ < kShortestReauthentication)
    return false;
  last_reauthentication_ = now;
  sasl_.emplace(listener_->options.sasl, *worker_.credentials,
                SaslAuthenticator::Established{mechanism_, session_->principal});
  return true;
}

bool Connection::is_session_expired() const {
  return session_expires_ && worker_.strand.now() > *session_expires_;
}

void Connection::on_failed_authentication(Slices answer, const std::string& reason) {
  count_failure();
  log_warn("server",
           sasl_->is_reauthentication() ? "re-authentication failed" : "authentication failed",
           {{"listener", session_->listener},
            {"peer", io::to_string(session_->peer)},
            {"mechanism", sasl_->mechanism()},
            {"user", sasl_->user().substr(0, 256)},
            {"reason", reason}});
  // Slows guessing down; nothing more is read meanwhile.
  delay_timer_ = worker_.strand.call_after(limits_.failed_authentication_delay,
                                           [this, answer = std::move(answer)]() mutable {
                                             delay_timer_ = io::kNoTimer;
                                             if (closed_ || ended_) return;
                                             if (!answer.empty()) answer_now(std::move(answer));
                                             close_after_answers();
                                           });
}

void Connection::answer_too_high_api_versions(const RequestHeader& header) {
  protocol::ApiVersionsResponse response;
  response.error_code = protocol::error_to_wire(ErrorCode::kUnsupportedVersion);
  const auto versions = protocol::ApiVersionsResponse::kVersions;
  response.api_keys.push_back(
      {static_cast<std::int16_t>(ApiKey::kApiVersions), versions.min, versions.max});
  auto answer = protocol::encode_response(ApiKey::kApiVersions, 0, header.correlation_id, response);
  if (!answer) return malformed(answer.error().detail);
  answer_now(std::move(*answer));
}

void Connection::remember_client_software(const RequestHeader& header, const Slice& body) {
  if (header.api_version < kFirstVersionWithSoftware) return;
  auto request = protocol::decode<protocol::ApiVersionsRequest>(body, header.api_version);
  // A bad name is the handler's to answer.
  if (!request || !is_software_name(request->client_software_name) ||
      !is_software_name(request->client_software_version))
    return;
  Session session = *session_;
  session.client_software_name = std::move(request->client_software_name);
  session.client_software_version = std::move(request->client_software_version);
  update_session(std::move(session));
}

void Connection::malformed(const std::string& reason) {
  metrics_.malformed_requests.add();
  refuse_in_its_place(reason);
}

/// Among the answers: what was asked before is still answered.
void Connection::refuse_in_its_place(const std::string& reason) {
  in_flight_.push_back({{}, Reply{Reply::Kind::kClose, {}, reason}});
  metrics_.requests_in_flight.add();
  no_more_requests_ = true;
}

// ---- answers out

Responder Connection::begin_request(std::int16_t api_key, Instant received) {
  const std::uint64_t sequence = first_sequence_ + in_flight_.size();
  in_flight_bytes_ += admitted_.bytes();
  in_flight_.push_back({std::move(admitted_), std::nullopt, api_key, received});
  metrics_.requests_in_flight.add();
  return Responder([strand = &worker_.strand, weak = weak_from_this(), sequence](Reply reply) {
    if (strand->is_current()) {
      if (const auto self = weak.lock()) self->deliver(sequence, std::move(reply));
      return;
    }
    strand->post([weak, sequence, reply = std::move(reply)]() mutable {
      if (const auto self = weak.lock()) self->deliver(sequence, std::move(reply));
    });
  });
}

void Connection::answer_now(Slices answer) {
  in_flight_.push_back({{}, Reply{Reply::Kind::kSend, std::move(answer), {}}});
  metrics_.requests_in_flight.add();
}

void Connection::deliver(std::uint64_t sequence, Reply reply) {
  if (closed_ || ended_) return;
  const std::uint64_t index = sequence - first_sequence_;
  CHECK_LT(index, in_flight_.size());
  if (reply.mute.count() > 0) mute(reply.mute);
  const InFlight& request = in_flight_[index];
  // Not the turn's time: what this turn spent on the request is most of what it took.
  metrics_.add_time(request.api_key, std::chrono::steady_clock::now() - request.received);
  in_flight_[index].reply = std::move(reply);
  last_active_ = worker_.strand.now();
  if (processing_) return;
  flush_answers();
  update_reading();
  // Not from here: the caller may be in the middle of another request on this strand.
  if (can_continue()) continue_later();
}

void Connection::flush_answers() {
  if (closed_ || ended_) return;
  Slices out;
  std::vector<MemoryBudget::Reservation> released;  // wakes others: last, when all is consistent
  std::string close_reason;
  while (!in_flight_.empty() && in_flight_.front().reply && close_reason.empty()) {
    Reply reply = std::move(*in_flight_.front().reply);
    in_flight_bytes_ -= in_flight_.front().memory.bytes();
    if (in_flight_.front().memory) released.push_back(std::move(in_flight_.front().memory));
    in_flight_.pop_front();
    ++first_sequence_;
    metrics_.requests_in_flight.add(-1);
    if (reply.kind == Reply::Kind::kSend)
      out.insert(out.end(), std::make_move_iterator(reply.framed.begin()),
                 std::make_move_iterator(reply.framed.end()));
    else if (reply.kind == Reply::Kind::kClose)
      close_reason = reply.reason.empty() ? "refused" : std::move(reply.reason);
  }
  if (!out.empty()) {
    metrics_.bytes_sent.add(static_cast<std::int64_t>(total_size(out)));
    stream_->write(std::move(out));
  }
  if (!close_reason.empty()) {
    log_warn("server", "connection closed",
             {{"listener", session_->listener},
              {"peer", io::to_string(session_->peer)},
              {"reason", close_reason}});
    end_stream();
  } else if (no_more_requests_ && in_flight_.empty()) {
    end_stream();
  }
}

void Connection::close_after_answers() {
  no_more_requests_ = true;
  if (!processing_) flush_answers();
}

void Connection::end_stream() {
  if (std::exchange(ended_, true)) return;
  no_more_requests_ = true;
  stream_->close_after_flush();
}

void Connection::on_drained() {
  last_active_ = worker_.strand.now();
  update_reading();
  if (can_continue()) continue_later();
}

// ---- pausing, ending

/// Requests that were read before are answered; each may ask for more.
void Connection::mute(std::chrono::milliseconds duration) {
  const Instant until = worker_.strand.now() + duration;
  if (until <= muted_until_) return;
  muted_until_ = until;
  if (mute_timer_ != io::kNoTimer) worker_.strand.cancel(mute_timer_);
  mute_timer_ = worker_.strand.call_at(until, [this] {
    mute_timer_ = io::kNoTimer;
    update_reading();
    if (can_continue()) continue_later();
  });
}

void Connection::update_reading() {
  if (closed_ || ended_) return;
  const bool wanted = may_process() && !frame_waits_ && !reader_.has_input();
  if (wanted == reading_) return;
  reading_ = wanted;
  if (wanted)
    stream_->resume_reading();
  else
    stream_->pause_reading();
}

bool Connection::can_continue() const {
  return may_process() && (reader_.has_input() || frame_waits_) && !waits_for_memory_;
}

void Connection::continue_later() {
  if (std::exchange(continue_posted_, true)) return;
  worker_.strand.post([weak = weak_from_this()] {
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->continue_posted_ = false;
    if (!self->closed_ && !self->ended_) self->process_input();
  });
}

void Connection::check_idle() {
  idle_timer_ = io::kNoTimer;
  const Instant now = worker_.strand.now();
  Instant due = last_active_ + limits_.max_idle;
  if (due <= now) {
    // Waiting for a long poll is not idleness, not taking the answer is.
    const bool waits_for_us = !in_flight_.empty() && stream_->unsent_bytes() == 0;
    if (!waits_for_us) {
      metrics_.connections_closed_idle.add();
      log_debug("server", "idle connection closed",
                {{"listener", session_->listener}, {"peer", io::to_string(session_->peer)}});
      return close({});
    }
    due = now + limits_.max_idle;
  }
  idle_timer_ = worker_.strand.call_at(due, [this] { check_idle(); });
}

void Connection::drain() {
  no_more_requests_ = true;
  if (!open_) return close({});
  flush_answers();
  update_reading();
}

void Connection::cut_stranger(const std::string& reason) {
  if (closed_ || ended_) return;
  metrics_.handshake_failures.add();
  close(reason);
}

void Connection::close(const std::string& reason) {
  if (closed_ || ended_) {
    stream_->close();
    return;
  }
  if (!reason.empty())
    log_warn("server", "connection closed",
             {{"listener", session_->listener},
              {"peer", io::to_string(session_->peer)},
              {"reason", reason}});
  ended_ = true;
  no_more_requests_ = true;
  stream_->close();
}

}  // namespace broker::server
