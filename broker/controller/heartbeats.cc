#include "broker/controller/heartbeats.h"

#include <algorithm>
#include <limits>

namespace broker::controller {
namespace {

constexpr Duration kFlappingWindow = std::chrono::minutes(1);
constexpr int kGraceGrowth = 4;

}  // namespace

void BrokerHeartbeats::reset(const metadata::ClusterImage& cluster, Instant now) {
  sessions_.clear();
  for (const auto& [id, broker] : cluster.brokers) {
    Session session;
    session.epoch = broker.epoch;
    session.last_contact = now;
    sessions_[id] = std::move(session);
  }
}

void BrokerHeartbeats::touch(BrokerId id, BrokerEpoch epoch, Offset metadata_offset, Instant now) {
  Session& session = sessions_[id];
  if (session.epoch != epoch) session = Session{};
  session.epoch = epoch;
  session.heard = true;
  session.last_contact = now;
  session.metadata_offset = metadata_offset;
  session.lost_until.reset();
}

void BrokerHeartbeats::forget(BrokerId id) { sessions_.erase(id); }

void BrokerHeartbeats::connection_lost(BrokerId id, BrokerEpoch epoch, Instant now, int times) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end() || it->second.epoch != epoch || it->second.lost_until) return;
  Session& session = it->second;
  while (!session.losses.empty() && session.losses.front() + kFlappingWindow <= now)
    session.losses.pop_front();
  Duration grace = loss_grace_ * times;
  for (std::size_t i = 0; i < session.losses.size() && grace < session_timeout_; ++i)
    grace *= kGraceGrowth;
  session.losses.push_back(now);
  session.lost_until = now + std::min(grace, session_timeout_);
}

void BrokerHeartbeats::set_shutdown_offset(BrokerId id, Offset offset) {
  sessions_[id].shutdown_offset = offset;
}

std::optional<Offset> BrokerHeartbeats::shutdown_offset(BrokerId id) const {
  const auto it = sessions_.find(id);
  return it == sessions_.end() ? std::nullopt : it->second.shutdown_offset;
}

Instant BrokerHeartbeats::end_of(const Session& session) const {
  const Instant end = session.last_contact + session_timeout_;
  return session.lost_until ? std::min(end, *session.lost_until) : end;
}

bool BrokerHeartbeats::another_is_silent(const metadata::ClusterImage& cluster, BrokerId id,
                                         Instant now) const {
  return std::any_of(sessions_.begin(), sessions_.end(), [&](const auto& entry) {
    const auto& [other, session] = entry;
    if (other == id || !cluster.is_alive(other) || session.lost_until) return false;
    return !session.heard || session.last_contact + session_timeout_ / 3 <= now;
  });
}

bool BrokerHeartbeats::has_valid_session(BrokerId id, BrokerEpoch epoch, Instant now) const {
  const auto it = sessions_.find(id);
  return it != sessions_.end() && it->second.heard && it->second.epoch == epoch &&
         !it->second.lost_until && now < end_of(it->second);
}

std::optional<BrokerHeartbeats::Overdue> BrokerHeartbeats::next_expired(
    const metadata::ClusterImage& cluster, Instant now) const {
  std::optional<std::pair<Instant, Overdue>> first;
  for (const auto& [id, session] : sessions_) {
    const Instant end = end_of(session);
    if (!cluster.is_alive(id) || now < end || (first && first->first <= end)) continue;
    const bool early = now < session.last_contact + session_timeout_;
    if (early && another_is_silent(cluster, id, now)) continue;
    first = {end, {id, session.lost_until.has_value()}};
  }
  return first ? std::optional(first->second) : std::nullopt;
}

std::optional<Instant> BrokerHeartbeats::next_expiry(const metadata::ClusterImage& cluster,
                                                     Instant now) const {
  std::optional<Instant> next;
  for (const auto& [id, session] : sessions_) {
    if (!cluster.is_alive(id)) continue;
    Instant end = end_of(session);
    if (end <= now && another_is_silent(cluster, id, now)) {
      // Until the silent one is heard or overdue itself.
      end = std::min(std::max(now, session.last_contact + session_timeout_), now + loss_grace_);
    }
    if (!next || end < *next) next = end;
  }
  return next;
}

Offset BrokerHeartbeats::lowest_active_offset(const metadata::ClusterImage& cluster) const {
  Offset lowest{std::numeric_limits<std::int64_t>::max()};
  for (const auto& [id, session] : sessions_)
    if (cluster.is_active(id)) lowest = std::min(lowest, session.metadata_offset);
  return lowest;
}

}  // namespace broker::controller
