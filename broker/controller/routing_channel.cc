#include "broker/controller/routing_channel.h"

#include <algorithm>
#include <utility>

#include "broker/common/log.h"

namespace broker::controller {

ControllerRouter::ControllerRouter(io::Strand& strand, io::Transport& transport, Controller& local,
                                   RouterOptions options)
    : strand_(strand),
      transport_(transport),
      local_(local),
      options_(std::move(options)),
      backoff_(options_.min_backoff) {}

ControllerRouter::~ControllerRouter() { *alive_ = false; }

void ControllerRouter::stop() {
  stopped_ = true;
  strand_.cancel(std::exchange(retry_timer_, io::kNoTimer));
  drop_connection();
  const auto ended = std::exchange(errands_, {});
  waiting_.clear();
  for (const auto& [id, entry] : ended) {
    strand_.cancel(entry.timer);
    entry.errand->fail({ErrorCode::kBrokerNotAvailable, "this node is stopping"});
  }
}

void ControllerRouter::on_leader_change(const quorum::LeaderAndEpoch& leader) {
  strand_.check_current();
  if (stopped_ || leader == leader_) return;
  const bool moved = leader.leader != leader_.leader || leader.endpoint != leader_.endpoint;
  leader_ = leader;
  if (!moved) return;
  backoff_ = options_.min_backoff;
  drop_connection();
  // Whatever the old leader was asked and has not answered.
  for (auto& [id, entry] : errands_) {
    ++entry.tries;
    waiting_.insert(id);
  }
  // On a later turn: the quorum is in the middle of its own change.
  strand_.post([this, alive = alive_] {
    if (!*alive || stopped_) return;
    try_waiting();
    if (leader_.leader && on_new_way_) on_new_way_();
  });
}

namespace {

/// Asks the controller of this process.
template <class Request>
ControllerRouter::Local<Request> ask(Controller& controller, std::optional<Caller> caller) {
  return [&controller, caller = std::move(caller)](const Request& request,
                                                   ControllerRouter::Answer<Request> done) {
    controller.handle(
        ControllerRequest(request),
        [done = std::move(done)](Result<ControllerResponse> result) mutable {
          if (!result.ok()) return done(result.error());
          done(std::get<typename Request::Response>(std::move(*result)));
        },
        caller);
  };
}

}  // namespace

void ControllerRouter::send(std::optional<Caller> caller, ControllerRequest request,
                            ControllerChannel::Done done) {
  std::visit(
      [&](auto&& typed) {
        using Request = std::decay_t<decltype(typed)>;
        auto local = ask<Request>(local_, caller);
        route<Request>(std::move(caller), std::move(typed), std::move(local),
                       [done = std::move(done)](Result<typename Request::Response> r) mutable {
                         if (!r.ok()) return done(r.error());
                         done(ControllerResponse(std::move(*r)));
                       });
      },
      std::move(request));
}

void ControllerRouter::add(std::shared_ptr<Errand> errand) {
  strand_.check_current();
  if (stopped_) return errand->fail({ErrorCode::kBrokerNotAvailable, "this node is stopping"});
  const ErrandId id = next_id_++;
  const auto timeout = errand->for_caller() ? options_.caller_timeout : options_.own_timeout;
  Entry entry{std::move(errand), strand_.now() + timeout};
  entry.timer = strand_.call_at(entry.deadline, [this, alive = alive_, id] {
    if (*alive) give_up(id);
  });
  errands_.emplace(id, std::move(entry));
  waiting_.insert(id);
  try_once(id);
}

void ControllerRouter::try_waiting() {
  const std::set<ErrandId> waiting = waiting_;  // trying changes it
  for (const ErrandId id : waiting) try_once(id);
}

void ControllerRouter::try_once(ErrandId id) {
  const auto found = errands_.find(id);
  if (found == errands_.end() || !waiting_.contains(id)) return;
  Entry& entry = found->second;
  const bool here = leads_here();
  if (!here && (connection_ == nullptr || !connection_->ready())) return connect();
  waiting_.erase(id);
  const auto errand = entry.errand;
  Verdict verdict = [this, alive = alive_, id,
                     attempt = ++entry.tries](std::optional<Error> not_decided) {
    if (*alive) on_verdict(id, attempt, not_decided);
  };
  if (here) return errand->try_local(std::move(verdict));
  errand->try_remote(*connection_, entry.deadline - strand_.now(), std::move(verdict));
}

void ControllerRouter::on_verdict(ErrandId id, std::uint32_t attempt,
                                  const std::optional<Error>& not_decided) {
  const auto found = errands_.find(id);
  if (found == errands_.end()) return;
  if (!not_decided) {
    backoff_ = options_.min_backoff;
    strand_.cancel(found->second.timer);
    errands_.erase(found);
    waiting_.erase(id);
    return;
  }
  if (found->second.tries != attempt) return;  // it is already on another way
  waiting_.insert(id);
  retry_later();
}

void ControllerRouter::give_up(ErrandId id) {
  const auto found = errands_.extract(id);
  if (found.empty()) return;
  waiting_.erase(id);
  found.mapped().errand->fail({ErrorCode::kRequestTimedOut, "no controller decided in time"});
}

void ControllerRouter::retry_later() {
  if (stopped_ || retry_timer_ != io::kNoTimer) return;
  retry_timer_ = strand_.call_after(backoff_, [this, alive = alive_] {
    if (!*alive) return;
    retry_timer_ = io::kNoTimer;
    try_waiting();
  });
  backoff_ = std::min<Duration>(backoff_ * 2, options_.max_backoff);
}

/// At most one connection is under way, and after a failure not before the back-off is over.
void ControllerRouter::connect() {
  if (connection_ != nullptr || retry_timer_ != io::kNoTimer || !leader_.endpoint || leads_here())
    return;
  client::ConnectionOptions options = options_.connection;
  options.endpoint = *leader_.endpoint;
  connection_ = std::make_unique<client::Connection>(strand_, transport_, std::move(options));
  connection_->on_ready([this, alive = alive_] {
    if (!*alive) return;
    cut_off_ = false;
    backoff_ = options_.min_backoff;
    try_waiting();
    if (on_new_way_) on_new_way_();
  });
  connection_->on_closed([this, alive = alive_](const Error& reason) {
    if (!*alive || stopped_) return;
    // Once per outage: it is tried again several times a second.
    if (!std::exchange(cut_off_, true)) {
      log_info("controller", "no connection to the controller", {{"reason", reason.detail}});
    }
    drop_connection();
    retry_later();
  });
}

/// What is under way on it ends with kNetworkException, unless it is moved elsewhere first.
void ControllerRouter::drop_connection() {
  if (connection_ == nullptr) return;
  connection_->on_closed(nullptr);
  connection_->close("another way is taken");
  // Its last callbacks are still on their way through the strand.
  strand_.post([connection = std::shared_ptr<client::Connection>(std::move(connection_))] {});
}

void RoutingChannel::pass_on(std::optional<Caller> caller, ControllerRequest request, Done done) {
  home_.check_current();
  router_.strand().post([&home = home_, &router = router_, caller = std::move(caller),
                         request = std::move(request), done = std::move(done)]() mutable {
    router.send(std::move(caller), std::move(request),
                [&home, done = std::move(done)](Result<ControllerResponse> result) mutable {
                  home.post([done = std::move(done), result = std::move(result)]() mutable {
                    done(std::move(result));
                  });
                });
  });
}

}  // namespace broker::controller
