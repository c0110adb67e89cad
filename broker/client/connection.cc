#include "broker/client/connection.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "broker/common/endian.h"
#include "broker/protocol/frame.h"
#include "broker/protocol/messages/api_versions_request.h"
#include "broker/protocol/messages/api_versions_response.h"
#include "broker/protocol/messages/sasl_authenticate_request.h"
#include "broker/protocol/messages/sasl_authenticate_response.h"
#include "broker/protocol/messages/sasl_handshake_request.h"
#include "broker/protocol/messages/sasl_handshake_response.h"
#include "broker/security/sasl.h"

namespace broker::client {
namespace {

constexpr std::size_t kReadChunk = 64 << 10;
constexpr std::size_t kKeptBuffer = 256 << 10;  // a larger one is given back after its answer
constexpr std::size_t kFramePrefix = 4;
constexpr std::chrono::milliseconds kLongestSession = std::chrono::hours(24 * 365);
constexpr int kRenewPercent = 90;  // of the session's time; Kafka's clients: 85 to 95

}  // namespace

/// Shared with posted tasks, so that a task outliving the Connection finds `stopped_` instead of
/// freed memory.
class Connection::Impl : public io::StreamHandler, public std::enable_shared_from_this<Impl> {
 public:
  Impl(io::Strand& strand, ConnectionOptions options)
      : strand_(strand), options_(std::move(options)) {}

  void open(io::Transport& transport) {
    strand_.check_current();
    stream_ = transport.connect(strand_, options_.endpoint, options_.tls, options_.server_name);
    limit_opening("not connected in time");
    stream_->start(*this);
  }

  void stop() {
    stopped_ = true;
    on_closed_callback_ = nullptr;
    on_ready_callback_ = nullptr;
    for (auto& [id, call] : in_flight_) strand_.cancel(call.timer);
    in_flight_.clear();
    for (auto& [id, call] : waiting_) strand_.cancel(call.timer);
    waiting_.clear();
    strand_.cancel(connect_timer_);
    stream_.reset();
  }

  void call(protocol::ApiKey key, protocol::VersionRange ours, Encode encode, Decode decode,
            Duration timeout) {
    strand_.check_current();
    if (state_ == State::kClosed) return later(std::move(decode), unsent_);
    if (in_flight_.size() + waiting_.size() >= options_.max_in_flight) {
      return later(std::move(decode), {ErrorCode::kThrottlingQuotaExceeded,
                                       "too many requests in flight to " + peer()});
    }
    Call call{key,         ours, std::move(encode), std::move(decode), strand_.now() + timeout,
              io::kNoTimer};
    renew_session_if_due();
    if (state_ == State::kReady) return send(std::move(call));
    const std::int32_t id = next_correlation_id_++;
    call.timer = strand_.call_after(timeout, [self = weak_from_this(), id] {
      if (auto impl = self.lock()) impl->on_wait_over(id);
    });
    waiting_.emplace(id, std::move(call));
  }

  // --- stream events ---
  void on_open() override { negotiate_versions(); }

  std::span<std::uint8_t> read_buffer() override {
    if (buffer_.size() < filled_ + kReadChunk) buffer_.resize(filled_ + kReadChunk);
    return std::span(buffer_).subspan(filled_);
  }

  void on_read(std::size_t n) override {
    const auto keep = shared_from_this();
    filled_ += n;
    std::size_t at = 0;
    while (!stopped_ && state_ != State::kClosed && filled_ - at >= kFramePrefix) {
      const auto size = load_be<std::int32_t>(buffer_.data() + at);
      if (size < 4 || static_cast<std::size_t>(size) > options_.max_response_bytes) {
        return fail({ErrorCode::kCorruptMessage, peer() + " sent a frame of " +
                                                     std::to_string(size) +
                                                     " bytes: not a Kafka listener?"});
      }
      const std::size_t frame = kFramePrefix + static_cast<std::size_t>(size);
      if (filled_ - at < frame) {
        if (buffer_.size() < at + frame) buffer_.resize(at + frame);
        break;
      }
      on_frame(Slice::copy_of(std::span(buffer_).subspan(at + kFramePrefix, frame - kFramePrefix)));
      at += frame;
    }
    if (at == 0) return;
    std::memmove(buffer_.data(), buffer_.data() + at, filled_ - at);
    filled_ -= at;
    if (buffer_.size() > kKeptBuffer && filled_ < kReadChunk) {
      buffer_.resize(filled_);
      buffer_.shrink_to_fit();
    }
  }

  void on_drained() override {}

  void on_closed(const Error& reason) override {
    if (stopped_ || state_ == State::kClosed) return;
    const std::string why = reason.code == ErrorCode::kNone ? "closed by the peer" : reason.detail;
    end({ErrorCode::kNetworkException, peer() + ": " + why});
  }

  void on_closed_callback(UniqueFunction<void(const Error&)> callback) {
    on_closed_callback_ = std::move(callback);
  }
  void on_ready_callback(UniqueFunction<void()> callback) {
    on_ready_callback_ = std::move(callback);
  }
  void close(std::string why) { fail({ErrorCode::kNetworkException, peer() + ": " + why}); }
  bool ready() const { return state_ == State::kReady || state_ == State::kRenewing; }
  bool was_ready() const { return was_ready_; }
  std::optional<protocol::VersionRange> node_versions(protocol::ApiKey key) const {
    const auto found = versions_.find(static_cast<std::int16_t>(key));
    return found == versions_.end() ? std::nullopt : std::optional(found->second);
  }
  const ConnectionOptions& options() const { return options_; }

 private:
  enum class State { kOpening, kReady, kRenewing, kClosed };
  struct Call {
    protocol::ApiKey key;
    protocol::VersionRange ours;
    Encode encode;
    Decode decode;
    Instant deadline;
    io::TimerId timer;  // while it waits for the connection
  };
  struct InFlight {
    protocol::ApiKey key;
    std::int16_t version;
    Decode decode;
    io::TimerId timer;
  };

  std::string peer() const { return io::to_string(options_.endpoint); }

  /// Answers on a later turn: a caller never sees its callback run inside call().
  void later(Decode decode, Error error) {
    strand_.post([self = shared_from_this(), decode = std::move(decode),
                  error = std::move(error)]() mutable {
      if (!self->stopped_) decode(std::move(error));
    });
  }

  // --- opening: ApiVersions, then SASL ---

  void limit_opening(const char* why) {
    connect_timer_ = strand_.call_after(options_.connect_timeout, [self = weak_from_this(), why] {
      if (auto impl = self.lock()) {
        impl->connect_timer_ = io::kNoTimer;
        impl->fail({ErrorCode::kRequestTimedOut, why});
      }
    });
  }

  /// Before its session ends the node wants to see the credentials again (KIP-368). Calls wait
  /// meanwhile; what was sent before is still answered.
  void renew_session_if_due() {
    if (state_ != State::kReady || !renew_at_ || strand_.now() < *renew_at_) return;
    state_ = State::kRenewing;
    limit_opening("the session was not renewed in time");
    start_sasl();
  }

  void note_session_lifetime(std::chrono::milliseconds lifetime) {
    renew_at_.reset();
    if (lifetime.count() > 0)
      renew_at_ = strand_.now() + std::min(lifetime, kLongestSession) * kRenewPercent / 100;
  }

  /// ApiVersions may be asked before SASL. An older node answers version 0 with
  /// UNSUPPORTED_VERSION, and is asked again with 0.
  void negotiate_versions(std::int16_t version = protocol::ApiVersionsRequest::kVersions.max) {
    protocol::ApiVersionsRequest request;
    request.client_software_name = "millrace";
    request.client_software_version = "1.0";
    exchange<protocol::ApiVersionsResponse>(
        std::move(request), version, [this, version](protocol::ApiVersionsResponse response) {
          if (static_cast<ErrorCode>(response.error_code) == ErrorCode::kUnsupportedVersion &&
              version > 0) {
            return negotiate_versions(0);
          }
          if (response.error_code != 0) return fail_opening("ApiVersions", response.error_code, "");
          for (const auto& api : response.api_keys) {
            versions_[api.api_key] = {api.min_version, api.max_version};
          }
          if (options_.sasl) return start_sasl();
          become_ready();
        });
  }

  void start_sasl() {
    auto exchange_result = security::make_sasl_client(
        options_.sasl->mechanism, options_.sasl->username, options_.sasl->password);
    if (!exchange_result.ok()) return fail(exchange_result.error());
    sasl_ = std::move(*exchange_result);
    protocol::SaslHandshakeRequest request;
    request.mechanism = options_.sasl->mechanism;
    exchange<protocol::SaslHandshakeResponse>(
        std::move(request), 1, [this](protocol::SaslHandshakeResponse response) {
          if (response.error_code != 0) {
            std::string offered;
            for (const auto& m : response.mechanisms) offered += (offered.empty() ? "" : ", ") + m;
            return fail_opening("SaslHandshake", response.error_code, "the node offers " + offered);
          }
          sasl_step({});
        });
  }

  void sasl_step(std::span<const std::uint8_t> challenge) {
    auto step = sasl_->step(challenge);
    if (!step.ok()) return fail(step.error());
    // After the server's last message there may be nothing left to say.
    if (step->complete && step->token.empty()) return become_ready();
    protocol::SaslAuthenticateRequest request;
    request.auth_bytes = Slice(std::move(step->token));
    const auto node = node_versions(protocol::ApiKey::kSaslAuthenticate);
    const std::int16_t version =
        node ? std::min(node->max, protocol::SaslAuthenticateRequest::kVersions.max) : 0;
    exchange<protocol::SaslAuthenticateResponse>(
        std::move(request), version,
        [this, last = step->complete](protocol::SaslAuthenticateResponse response) {
          if (response.error_code != 0) {
            return fail_opening("SaslAuthenticate", response.error_code,
                                response.error_message.value_or(""));
          }
          note_session_lifetime(std::chrono::milliseconds(response.session_lifetime_ms));
          if (last) return become_ready();
          sasl_step(response.auth_bytes.span());
        });
  }

  void become_ready() {
    strand_.cancel(connect_timer_);
    connect_timer_ = io::kNoTimer;
    sasl_.reset();
    state_ = State::kReady;
    was_ready_ = true;
    auto waiting = std::exchange(waiting_, {});
    for (auto& [id, call] : waiting) {
      strand_.cancel(call.timer);
      send(std::move(call));
    }
    if (on_ready_callback_) std::exchange(on_ready_callback_, nullptr)();
  }

  void on_wait_over(std::int32_t id) {
    auto call = waiting_.extract(id);
    if (call.empty()) return;
    call.mapped().decode(
        Error{ErrorCode::kBrokerNotAvailable, "not connected to " + peer() + " in time"});
  }

  /// One request of the opening, at a fixed version; its failure ends the connection.
  template <class Response, class Request, class Done>
  void exchange(Request request, std::int16_t version, Done done) {
    transmit(
        Request::kApiKey, version,
        [&request](protocol::Writer& writer, std::int16_t v) { request.write(writer, v); },
        [this, done = std::move(done)](Result<Answer> answer) mutable {
          if (!answer.ok()) return;  // the connection has ended
          protocol::Reader reader(answer->body);
          Response response;
          // An answer to a too new ApiVersions request is always in version 0 (KIP-511).
          auto read = response.read(reader, answer->version);
          if (!read.ok() && Request::kApiKey == protocol::ApiKey::kApiVersions) {
            protocol::Reader again(answer->body);
            response = {};
            read = response.read(again, 0);
          }
          if (!read.ok())
            return fail({ErrorCode::kCorruptMessage, peer() + ": " + read.error().detail});
          done(std::move(response));
        },
        options_.connect_timeout);
  }

  void fail_opening(const char* step, std::int16_t code, const std::string& detail) {
    const auto error = static_cast<ErrorCode>(code);
    fail({error, peer() + ": " + step + " was refused with " + std::string(error_name(error)) +
                     (detail.empty() ? "" : ": " + detail)});
  }

  // --- requests ---

  void send(Call call) {
    const Instant now = strand_.now();
    if (call.deadline <= now) {
      return later(std::move(call.decode),
                   {ErrorCode::kBrokerNotAvailable, "not connected to " + peer() + " in time"});
    }
    const auto node = node_versions(call.key);
    const std::int16_t highest = node ? std::min(call.ours.max, node->max) : std::int16_t{-1};
    if (!node || highest < std::max(call.ours.min, node->min)) {
      return later(std::move(call.decode),
                   {ErrorCode::kUnsupportedVersion, peer() + " has no version of API " +
                                                        std::to_string(static_cast<int>(call.key)) +
                                                        " in common with us"});
    }
    transmit(call.key, highest, std::move(call.encode), std::move(call.decode),
             call.deadline - now);
  }

  template <class EncodeFn>
  void transmit(protocol::ApiKey key, std::int16_t version, EncodeFn&& encode, Decode decode,
                Duration timeout) {
    const std::int32_t correlation_id = next_correlation_id_++;
    protocol::Writer body;
    encode(body, version);
    auto frame = protocol::encode_request_frame({key, version, correlation_id, options_.client_id},
                                                std::move(body));
    if (!frame.ok()) return later(std::move(decode), frame.error());
    const auto timer = strand_.call_after(timeout, [self = weak_from_this(), correlation_id] {
      if (auto impl = self.lock()) impl->on_timeout(correlation_id);
    });
    in_flight_.emplace(correlation_id, InFlight{key, version, std::move(decode), timer});
    stream_->write(std::move(*frame));
  }

  void on_frame(Slice frame) {
    protocol::Reader reader(frame);
    const std::int32_t correlation_id = load_be<std::int32_t>(frame.data());
    const auto found = in_flight_.find(correlation_id);
    if (found == in_flight_.end()) {
      // The call timed out before; its late answer is dropped.
      return;
    }
    InFlight call = std::move(found->second);
    in_flight_.erase(found);
    strand_.cancel(call.timer);
    const auto header = protocol::decode_response_header(reader, call.key, call.version);
    if (!header.ok()) {
      return call.decode(Error{ErrorCode::kCorruptMessage, peer() + ": " + header.error().detail});
    }
    const std::size_t at = reader.position();
    call.decode(Answer{call.version, frame.sub(at, frame.size() - at)});
  }

  void on_timeout(std::int32_t correlation_id) {
    const auto found = in_flight_.find(correlation_id);
    if (found == in_flight_.end()) return;
    Decode decode = std::move(found->second.decode);
    in_flight_.erase(found);
    decode(Error{ErrorCode::kRequestTimedOut, peer() + " did not answer in time"});
  }

  void fail(Error error) {
    const auto keep = shared_from_this();
    if (stopped_ || state_ == State::kClosed) return;
    stream_->close();
    end(std::move(error));
  }

  void end(Error error) {
    const auto keep = shared_from_this();
    state_ = State::kClosed;
    strand_.cancel(connect_timer_);
    connect_timer_ = io::kNoTimer;
    auto in_flight = std::exchange(in_flight_, {});
    auto waiting = std::exchange(waiting_, {});
    for (auto& [id, call] : in_flight) {
      strand_.cancel(call.timer);
      later(std::move(call.decode), error);
    }
    // What never left is known not to have been carried out.
    unsent_ = error;
    if (error.code == ErrorCode::kNetworkException || error.code == ErrorCode::kRequestTimedOut) {
      unsent_.code = ErrorCode::kBrokerNotAvailable;
    }
    for (auto& [id, call] : waiting) {
      strand_.cancel(call.timer);
      later(std::move(call.decode), unsent_);
    }
    if (on_closed_callback_) {
      strand_.post([self = shared_from_this(), error] {
        if (self->on_closed_callback_) std::exchange(self->on_closed_callback_, nullptr)(error);
      });
    }
  }

  io::Strand& strand_;
  const ConnectionOptions options_;
  std::unique_ptr<io::Stream> stream_;
  State state_ = State::kOpening;
  bool was_ready_ = false;
  bool stopped_ = false;  // the Connection is gone
  Error unsent_;          // what calls get after the end
  std::vector<std::uint8_t> buffer_;
  std::size_t filled_ = 0;
  std::int32_t next_correlation_id_ = 1;
  std::map<std::int32_t, InFlight> in_flight_;
  std::map<std::int32_t, Call> waiting_;  // for the connection, in the order of the calls
  std::unordered_map<std::int16_t, protocol::VersionRange> versions_;
  std::unique_ptr<security::SaslClient> sasl_;
  std::optional<Instant> renew_at_;           // the session's end is near
  io::TimerId connect_timer_ = io::kNoTimer;  // while it opens or renews its session
  UniqueFunction<void(const Error&)> on_closed_callback_;
  UniqueFunction<void()> on_ready_callback_;
};

Connection::Connection(io::Strand& strand, io::Transport& transport, ConnectionOptions options)
    : impl_(std::make_shared<Impl>(strand, std::move(options))) {
  impl_->open(transport);
}

Connection::~Connection() { impl_->stop(); }

bool Connection::ready() const { return impl_->ready(); }
bool Connection::was_ready() const { return impl_->was_ready(); }

void Connection::on_closed(UniqueFunction<void(const Error&)> callback) {
  impl_->on_closed_callback(std::move(callback));
}

void Connection::on_ready(UniqueFunction<void()> callback) {
  impl_->on_ready_callback(std::move(callback));
}

void Connection::close(std::string why) { impl_->close(std::move(why)); }

std::optional<protocol::VersionRange> Connection::node_versions(protocol::ApiKey key) const {
  return impl_->node_versions(key);
}

void Connection::call_encoded(protocol::ApiKey key, protocol::VersionRange ours, Encode encode,
                              Decode decode, std::optional<Duration> timeout) {
  impl_->call(key, ours, std::move(encode), std::move(decode),
              timeout.value_or(impl_->options().request_timeout));
}

}  // namespace broker::client
