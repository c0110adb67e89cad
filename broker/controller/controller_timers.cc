// What the active controller does by itself: fencing, preferred leaders, unclean elections, the end
// of delegation tokens, NoOps.
#include <algorithm>
#include <utility>

#include "broker/common/log.h"
#include "broker/controller/controller.h"
#include "broker/controller/delegation_tokens.h"
#include "broker/controller/partitions.h"

namespace broker::controller {
namespace {

/// Elections in one go; the rest follows at once, behind requests that wait (as Kafka).
constexpr std::size_t kMaxElectionsAtOnce = 1000;
constexpr std::size_t kMaxTokensAtOnce = 1000;
/// How long before it took office a new leader's own evidence still counts.
constexpr Duration kFreshEvidence = std::chrono::seconds(5);
/// Before what is due is tried again although the log took nothing.
constexpr Duration kAppendRetryPause = std::chrono::milliseconds(20);
/// The leader before us had to find us first, so it gets a longer grace.
constexpr int kDeposedLeaderGrace = 2;

std::optional<Instant> earlier(std::optional<Instant> a, std::optional<Instant> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

/// The next turn of a period that does not drift: a turn without work is skipped.
Instant turn_after(Instant turn, Duration interval, Instant now) {
  return turn > now ? turn : turn + interval * ((now - turn) / interval + 1);
}

}  // namespace

/// Nobody loses its session by a change of leader, except those whose connection is known to be
/// broken: the last leader (a change of leader mostly means that it died), and whom this node
/// heard of before.
void Controller::take_over_sessions() {
  const Instant now = strand_.now();
  const metadata::ClusterImage& cluster = newest_.newest().cluster;
  heartbeats_.reset(cluster, now);
  for (const auto& [id, loss] : std::exchange(losses_before_office_, {}))
    if (now < loss.at + kFreshEvidence) heartbeats_.connection_lost(id, loss.epoch, now);
  if (!last_leader_) return;
  if (const metadata::BrokerRegistration* broker = cluster.broker(*last_leader_))
    heartbeats_.connection_lost(broker->id, broker->epoch, now, kDeposedLeaderGrace);
}

void Controller::broker_connection_lost(BrokerId id, BrokerEpoch epoch) {
  strand_.check_current();
  if (!active_) {
    losses_before_office_[id] = {epoch, strand_.now()};
    return;
  }
  heartbeats_.connection_lost(id, epoch, strand_.now());
  arm_timer();
}

std::optional<Instant> Controller::next_wakeup() const {
  std::optional<Instant> next = heartbeats_.next_expiry(newest_.newest().cluster, strand_.now());
  if (options_.auto_leader_rebalance_enable && !partitions_.imbalanced().empty())
    next = earlier(
        next, turn_after(next_balance_,
                         std::chrono::milliseconds(options_.leader_imbalance_check_interval_ms),
                         strand_.now()));
  if (!partitions_.leaderless().empty())
    next = earlier(
        next, turn_after(next_unclean_sweep_,
                         std::chrono::milliseconds(options_.unclean_leader_election_interval_ms),
                         strand_.now()));
  if (has_token_sweep())
    next = earlier(next, turn_after(next_token_sweep_, token_sweep_interval(), strand_.now()));
  if (options_.max_idle_interval_ms > 0)
    next = earlier(next, last_append_ + std::chrono::milliseconds(options_.max_idle_interval_ms));
  return next;
}

void Controller::arm_timer() {
  if (!active_) return;
  const auto next = next_wakeup();
  // A timer that fires too early costs one turn; heartbeats move the end of a session all the time.
  if (!next || (timer_ != io::kNoTimer && timer_at_ <= *next)) return;
  strand_.cancel(timer_);
  timer_at_ = *next;
  timer_ = strand_.call_at(*next, [this] { tick(); });
}

void Controller::tick() {
  timer_ = io::kNoTimer;
  if (!active_) return;
  const Offset end = log_->log_end_offset();
  fence_overdue();
  balance_leaders_if_due();
  elect_unclean_leaders_if_due();
  sweep_tokens_if_due();
  write_no_op_if_idle();
  const Instant now = strand_.now();
  const auto next = next_wakeup();
  if (next && *next <= now && log_->log_end_offset() == end) {
    // What is due cannot be appended: another leader is known to the log, and will be to us soon.
    timer_at_ = now + kAppendRetryPause;
    timer_ = strand_.call_at(timer_at_, [this] { tick(); });
    return;
  }
  arm_timer();
}

/// One broker per turn, as Kafka does, so that heartbeats waiting in line can still save others.
void Controller::fence_overdue() {
  const auto overdue = heartbeats_.next_expired(newest_.newest().cluster, strand_.now());
  if (!overdue) return;
  log_warn(kLogger,
           overdue->connection_lost ? "fencing a broker whose connection broke"
                                    : "fencing a broker that sends no heartbeats",
           {{"broker", overdue->id.value}, {"session_timeout_ms", options_.session_timeout_ms}});
  append_own(fence_broker(context(), overdue->id));
}

void Controller::balance_leaders_if_due() {
  const Instant now = strand_.now();
  if (!options_.auto_leader_rebalance_enable || now < next_balance_) return;
  next_balance_ = turn_after(
      next_balance_, std::chrono::milliseconds(options_.leader_imbalance_check_interval_ms), now);
  if (partitions_.imbalanced().empty()) return;
  auto records = elect_preferred_leaders(context(), kMaxElectionsAtOnce);
  if (records.empty()) return;
  if (records.size() >= kMaxElectionsAtOnce) next_balance_ = now;
  log_info(kLogger, "electing preferred leaders", {{"partitions", records.size()}});
  append_own(std::move(records));
}

void Controller::elect_unclean_leaders_if_due() {
  const Instant now = strand_.now();
  if (now < next_unclean_sweep_) return;
  next_unclean_sweep_ =
      turn_after(next_unclean_sweep_,
                 std::chrono::milliseconds(options_.unclean_leader_election_interval_ms), now);
  if (partitions_.leaderless().empty()) return;
  auto records = elect_unclean_leaders(context(), kMaxElectionsAtOnce);
  if (records.empty()) return;
  if (records.size() >= kMaxElectionsAtOnce) next_unclean_sweep_ = now;
  log_warn(kLogger, "electing leaders uncleanly", {{"partitions", records.size()}});
  append_own(std::move(records));
}

bool Controller::has_token_sweep() const {
  return !options_.delegation_tokens.secret_key.empty() &&
         !newest_.newest().delegation_tokens.empty();
}

Duration Controller::token_sweep_interval() const {
  return std::chrono::milliseconds(options_.delegation_tokens.expiry_check_interval_ms);
}

void Controller::sweep_tokens_if_due() {
  const Instant now = strand_.now();
  if (now < next_token_sweep_) return;
  next_token_sweep_ = turn_after(next_token_sweep_, token_sweep_interval(), now);
  if (!has_token_sweep()) return;
  auto records = sweep_delegation_tokens(context(), kMaxTokensAtOnce);
  if (records.empty()) return;
  if (records.size() >= kMaxTokensAtOnce) next_token_sweep_ = now;
  log_info(kLogger, "delegation tokens expired", {{"tokens", records.size()}});
  append_own(std::move(records));
}

void Controller::write_no_op_if_idle() {
  if (options_.max_idle_interval_ms <= 0 ||
      strand_.now() < last_append_ + std::chrono::milliseconds(options_.max_idle_interval_ms))
    return;
  append_own({protocol::NoOpRecord()});
}

}  // namespace broker::controller
