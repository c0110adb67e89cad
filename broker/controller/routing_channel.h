#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "broker/client/connection.h"
#include "broker/controller/controller.h"
#include "broker/controller/envelope.h"
#include "broker/io/strand.h"
#include "broker/io/transport.h"
#include "broker/quorum/types.h"

namespace broker::controller {

struct RouterOptions {
  BrokerId node;
  client::ConnectionOptions connection;  // its endpoint is the leader's
  /// How long a request looks for a controller that decides it: this node's own, and a client's.
  std::chrono::milliseconds own_timeout{4'500};
  std::chrono::milliseconds caller_timeout{30'000};
  std::chrono::milliseconds min_backoff{20};
  std::chrono::milliseconds max_backoff{300};
};

/// Brings requests to the active controller: to the one of this process while this node leads the
/// quorum, else over one connection to the leader's controller listener. What was not decided
/// (nobody leads, the connection broke, NOT_CONTROLLER) is sent again, as Kafka's brokers do, to
/// whoever leads by then, until its time is over. Lives on the quorum's strand.
class ControllerRouter {
 public:
  ControllerRouter(io::Strand& strand, io::Transport& transport, Controller& local,
                   RouterOptions options);
  ~ControllerRouter();
  ControllerRouter(const ControllerRouter&) = delete;
  ControllerRouter& operator=(const ControllerRouter&) = delete;

  io::Strand& strand() { return strand_; }
  void on_leader_change(const quorum::LeaderAndEpoch& leader);
  /// `callback` runs whenever the way to the controller changes: another one leads, or the
  /// connection to it broke or was made. Whoever must be heard from speaks up then.
  void on_new_way(UniqueFunction<void()> callback) { on_new_way_ = std::move(callback); }

  /// `done` runs on this strand, perhaps before send() returns. Errors: as ControllerChannel::send.
  void send(std::optional<Caller> caller, ControllerRequest request, ControllerChannel::Done done);

  /// The same for a request that somebody else than Controller answers on the leader. `local` asks
  /// there while this node leads; an Error of it means: not decided.
  template <class Request>
  using Answer = UniqueFunction<void(Result<typename Request::Response>)>;
  template <class Request>
  using Local = std::function<void(const Request&, Answer<Request>)>;
  template <class Request>
  void route(std::optional<Caller> caller, Request request, Local<Request> local,
             Answer<Request> done) {
    add(std::make_shared<TypedErrand<Request>>(std::move(caller), std::move(request),
                                               std::move(local), std::move(done)));
  }

  /// Ends everything that waits with kBrokerNotAvailable.
  void stop();

 private:
  using ErrandId = std::uint64_t;
  /// Reports a try: nullopt when the errand is done, else why it was not decided.
  using Verdict = UniqueFunction<void(std::optional<Error>)>;

  /// One request, to be tried until somebody decides it.
  class Errand {
   public:
    virtual ~Errand() = default;
    virtual bool for_caller() const = 0;
    virtual void try_local(Verdict verdict) = 0;
    virtual void try_remote(client::Connection& connection, Duration timeout, Verdict verdict) = 0;
    virtual void fail(const Error& error) = 0;
  };
  template <class Request>
  class TypedErrand;

  struct Entry {
    std::shared_ptr<Errand> errand;
    Instant deadline;
    io::TimerId timer = io::kNoTimer;
    std::uint32_t tries = 0;  // a verdict on an earlier one is ignored
  };

  void add(std::shared_ptr<Errand> errand);
  void try_once(ErrandId id);
  void try_waiting();
  void on_verdict(ErrandId id, std::uint32_t attempt, const std::optional<Error>& not_decided);
  void give_up(ErrandId id);
  void retry_later();
  void connect();
  void drop_connection();
  bool leads_here() const { return leader_.leader == options_.node; }

  io::Strand& strand_;
  io::Transport& transport_;
  Controller& local_;
  const RouterOptions options_;
  quorum::LeaderAndEpoch leader_;
  std::map<ErrandId, Entry> errands_;
  std::set<ErrandId> waiting_;  // the others are being tried
  ErrandId next_id_ = 0;
  std::unique_ptr<client::Connection> connection_;
  io::TimerId retry_timer_ = io::kNoTimer;
  Duration backoff_;
  UniqueFunction<void()> on_new_way_;
  bool cut_off_ = false;  // and the log says so
  bool stopped_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // guards callbacks
};

/// The router as one strand sees it: `home` is where send() is called and where answers arrive.
/// Router and controller must outlive what is under way.
class RoutingChannel final : public ControllerChannel {
 public:
  RoutingChannel(io::Strand& home, ControllerRouter& router) : home_(home), router_(router) {}

  void send(ControllerRequest request, Done done) override {
    pass_on(std::nullopt, std::move(request), std::move(done));
  }
  void send_for(Caller caller, ControllerRequest request, Done done) override {
    pass_on(std::move(caller), std::move(request), std::move(done));
  }

 private:
  void pass_on(std::optional<Caller> caller, ControllerRequest request, Done done);

  io::Strand& home_;
  ControllerRouter& router_;
};

// --- one errand of one API

template <class Request>
class ControllerRouter::TypedErrand final
    : public Errand,
      public std::enable_shared_from_this<TypedErrand<Request>> {
 public:
  using Response = typename Request::Response;
  TypedErrand(std::optional<Caller> caller, Request request, Local<Request> local,
              Answer<Request> done)
      : caller_(std::move(caller)),
        request_(std::move(request)),
        local_(std::move(local)),
        done_(std::move(done)) {}

  bool for_caller() const override { return caller_.has_value(); }

  void try_local(Verdict verdict) override {
    local_(request_, [self = this->shared_from_this(),
                      verdict = std::move(verdict)](Result<Response> result) mutable {
      self->judge(std::move(result), std::move(verdict));
    });
  }

  void try_remote(client::Connection& connection, Duration timeout, Verdict verdict) override {
    if (caller_) return try_in_envelope(connection, timeout, std::move(verdict));
    connection.call(
        request_,
        [self = this->shared_from_this(),
         verdict = std::move(verdict)](Result<Response> result) mutable {
          self->judge(std::move(result), std::move(verdict));
        },
        timeout);
  }

  void fail(const Error& error) override {
    if (done_) std::exchange(done_, nullptr)(error);
  }

 private:
  void try_in_envelope(client::Connection& connection, Duration timeout, Verdict verdict) {
    const auto theirs = connection.node_versions(Request::kApiKey);
    std::int16_t version =
        theirs ? std::min(theirs->max, Request::kVersions.max) : Request::kVersions.max;
    // The version tells the controller what the client understands.
    if (const auto lenient = last_lenient_version(Request::kApiKey);
        lenient && !caller_->strict_quota)
      version = std::min(version, *lenient);
    auto envelope = wrap_message(*caller_, request_, version);
    if (!envelope.ok()) return judge(envelope.error(), std::move(verdict));
    connection.call(
        std::move(*envelope),
        [self = this->shared_from_this(), version,
         verdict = std::move(verdict)](Result<protocol::EnvelopeResponse> result) mutable {
          self->judge(result.ok() ? unwrap_message<Response>(*result, Request::kApiKey, version)
                                  : Result<Response>(result.error()),
                      std::move(verdict));
        },
        timeout);
  }

  void judge(Result<Response> result, Verdict verdict) {
    std::optional<Error> not_decided;
    if (!result.ok()) {
      if (may_be_tried_again(result.error().code)) not_decided = result.error();
    } else if constexpr (requires(Response r) { r.error_code; }) {
      if (result->error_code == static_cast<std::int16_t>(ErrorCode::kNotController))
        not_decided = Error{ErrorCode::kNotController, {}};
    }
    if (!not_decided && done_) std::exchange(done_, nullptr)(std::move(result));
    verdict(std::move(not_decided));
  }

  static bool may_be_tried_again(ErrorCode code) {
    return code == ErrorCode::kNotController || code == ErrorCode::kNetworkException ||
           code == ErrorCode::kBrokerNotAvailable || code == ErrorCode::kRequestTimedOut ||
           code == ErrorCode::kThrottlingQuotaExceeded;
  }

  const std::optional<Caller> caller_;
  const Request request_;
  const Local<Request> local_;
  Answer<Request> done_;
};

}  // namespace broker::controller
