#include "broker/node/membership.h"

#include <algorithm>
#include <utility>

#include "broker/common/log.h"
#include "broker/metadata/features.h"

namespace broker::node {
namespace {

constexpr auto kRegisterAgain = std::chrono::milliseconds(50);
/// While something waits for the controller's word, do not sit out a whole interval.
constexpr auto kEager = std::chrono::milliseconds(10);

bool is_final(ErrorCode code) {
  return code == ErrorCode::kInconsistentClusterId || code == ErrorCode::kInvalidRegistration ||
         code == ErrorCode::kUnsupportedVersion || code == ErrorCode::kClusterAuthorizationFailed;
}

}  // namespace

Membership::Membership(io::Strand& strand, controller::ControllerChannel& channel,
                       MembershipOptions options, std::function<Offset()> metadata_offset)
    : strand_(strand),
      channel_(channel),
      options_(std::move(options)),
      metadata_offset_(std::move(metadata_offset)) {}

Membership::~Membership() { stop(); }

void Membership::stop() {
  *alive_ = false;
  strand_.cancel(std::exchange(timer_, io::kNoTimer));
  strand_.cancel(std::exchange(leave_timer_, io::kNoTimer));
}

void Membership::register_broker(UniqueFunction<void(Result<BrokerEpoch>)> done) {
  on_registered_ = std::move(done);
  register_until_ = strand_.now() + options_.registration_timeout;
  try_register();
}

void Membership::try_register() {
  protocol::BrokerRegistrationRequest request;
  request.broker_id = options_.node_id.value;
  request.cluster_id = options_.cluster_id;
  request.incarnation_id = options_.incarnation;
  request.listeners = options_.listeners;
  for (const auto& feature : metadata::supported_features()) {
    request.features.push_back({std::string(feature.name), feature.min, feature.max});
  }
  request.rack = options_.rack;
  request.log_dirs = registered_dirs_ = usable_dirs_;
  if (options_.previous_epoch) request.previous_broker_epoch = options_.previous_epoch->value;
  registering_ = true;
  controller::call(channel_, std::move(request),
                   [this, alive = alive_](Result<protocol::BrokerRegistrationResponse> result) {
                     if (*alive) on_registration(result);
                   });
}

void Membership::on_registration(const Result<protocol::BrokerRegistrationResponse>& result) {
  const ErrorCode code =
      result.ok() ? static_cast<ErrorCode>(result->error_code) : result.error().code;
  if (code == ErrorCode::kNone) {
    registering_ = false;
    epoch_ = BrokerEpoch{result->broker_epoch};
    log_info("node", "registered", {{"node", options_.node_id.value}, {"epoch", epoch_.value}});
    if (on_epoch_) on_epoch_(epoch_);
    if (has_unregistered_directory()) return try_register();  // back meanwhile
    schedule_heartbeat(Duration::zero());
    if (on_registered_) std::exchange(on_registered_, nullptr)(epoch_);
    return;
  }
  const std::string refusal =
      result.ok() ? std::string(error_name(code)) : to_string(result.error());
  if (refusal != last_refusal_) {
    log_info("node", "not registered yet", {{"reason", refusal}});
  }
  last_refusal_ = refusal;
  if (on_registered_ && (is_final(code) || strand_.now() >= register_until_)) {
    return std::exchange(on_registered_, nullptr)(
        Error{is_final(code) ? code : ErrorCode::kRequestTimedOut,
              "the controller does not accept this broker: " + last_refusal_});
  }
  strand_.cancel(timer_);
  timer_ =
      strand_.call_after(on_registered_ ? Duration(kRegisterAgain) : options_.heartbeat_interval,
                         [this, alive = alive_] {
                           if (!*alive) return;
                           timer_ = io::kNoTimer;
                           try_register();
                         });
}

/// With the same incarnation: for the controller it is this very process, fenced or not.
void Membership::register_again() {
  if (registering_ || want_shut_down_) return;
  strand_.cancel(std::exchange(timer_, io::kNoTimer));
  try_register();
}

void Membership::unfence(UniqueFunction<void()> done) {
  want_fence_ = false;
  on_unfenced_ = std::move(done);
  schedule_heartbeat(Duration::zero());
}

void Membership::set_directories(std::vector<DirectoryId> usable,
                                 std::vector<DirectoryId> unusable) {
  const bool changed = unusable != std::exchange(unusable_dirs_, std::move(unusable));
  usable_dirs_ = std::move(usable);
  if (!changed || epoch_.value < 0) return;
  if (has_unregistered_directory()) {
    register_again();
  } else {
    heartbeat_now();
  }
}

/// Failed ones are struck off by heartbeats, so that they have to be registered when they are back.
bool Membership::has_unregistered_directory() {
  std::erase_if(registered_dirs_, [&](const DirectoryId& id) {
    return std::find(unusable_dirs_.begin(), unusable_dirs_.end(), id) != unusable_dirs_.end();
  });
  return std::any_of(usable_dirs_.begin(), usable_dirs_.end(), [&](const DirectoryId& id) {
    return std::find(registered_dirs_.begin(), registered_dirs_.end(), id) ==
           registered_dirs_.end();
  });
}

void Membership::set_cordoned(std::vector<DirectoryId> cordoned) {
  if (cordoned == cordoned_dirs_.value_or(std::vector<DirectoryId>())) return;
  cordoned_dirs_ = std::move(cordoned);
  heartbeat_now();
}

void Membership::step_aside(bool aside) {
  if (std::exchange(aside_, aside) != aside) heartbeat_now();
}

void Membership::give_up() {
  if (on_registered_) {
    strand_.cancel(std::exchange(timer_, io::kNoTimer));
    std::exchange(on_registered_,
                  nullptr)(Error{ErrorCode::kBrokerNotAvailable, "this broker is stopping"});
  } else if (on_unfenced_) {
    std::exchange(on_unfenced_, nullptr)();
  }
}

void Membership::leave(Duration patience, UniqueFunction<void()> done) {
  if (epoch_.value < 0) return done();
  want_shut_down_ = true;
  on_left_ = std::move(done);
  leave_timer_ = strand_.call_after(patience, [this, alive = alive_] {
    if (!*alive || !on_left_) return;
    log_warn("node", "leaves without the controller's consent");
    std::exchange(on_left_, nullptr)();
  });
  schedule_heartbeat(Duration::zero());
}

void Membership::heartbeat_now() {
  if (epoch_.value >= 0 && !registering_) schedule_heartbeat(Duration::zero());
}

void Membership::schedule_heartbeat(Duration delay) {
  strand_.cancel(timer_);
  timer_ = strand_.call_after(delay, [this, alive = alive_] {
    if (!*alive) return;
    timer_ = io::kNoTimer;
    heartbeat();
  });
}

void Membership::heartbeat() {
  if (in_flight_ || registering_) {  // their answers schedule the next
    again_ = in_flight_;
    return;
  }
  in_flight_ = true;
  protocol::BrokerHeartbeatRequest request;
  request.broker_id = options_.node_id.value;
  request.broker_epoch = epoch_.value;
  request.current_metadata_offset = metadata_offset_().value;
  request.offline_log_dirs = unusable_dirs_;
  request.cordoned_log_dirs = cordoned_dirs_;
  request.want_fence = want_fence_ || aside_;
  request.want_shut_down = want_shut_down_;
  controller::call(channel_, std::move(request),
                   [this, alive = alive_](Result<protocol::BrokerHeartbeatResponse> result) {
                     if (*alive) on_heartbeat(result);
                   });
}

void Membership::on_heartbeat(const Result<protocol::BrokerHeartbeatResponse>& result) {
  in_flight_ = false;
  const bool ok = result.ok() && result->error_code == 0;
  if (!ok) {
    log_warn(
        "node", "heartbeat refused",
        {{"error", result.ok() ? std::string(error_name(static_cast<ErrorCode>(result->error_code)))
                               : to_string(result.error())}});
  }
  if (result.ok()) {
    const auto code = static_cast<ErrorCode>(result->error_code);
    if (code == ErrorCode::kStaleBrokerEpoch || code == ErrorCode::kBrokerIdNotRegistered) {
      register_again();
      if (registering_) return;
    }
  }
  if (ok && !result->is_fenced && on_unfenced_) std::exchange(on_unfenced_, nullptr)();
  if (ok && result->should_shut_down && on_left_) {
    strand_.cancel(std::exchange(leave_timer_, io::kNoTimer));
    return std::exchange(on_left_, nullptr)();
  }
  if (std::exchange(again_, false)) return schedule_heartbeat(Duration::zero());
  const bool eager = on_unfenced_ || on_left_;
  schedule_heartbeat(eager ? Duration(kEager) : Duration(options_.heartbeat_interval));
}

}  // namespace broker::node
