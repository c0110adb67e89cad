#pragma once

#include <deque>
#include <map>
#include <optional>

#include "broker/common/ids.h"
#include "broker/common/time.h"
#include "broker/metadata/cluster_image.h"

namespace broker::controller {

/// Who was heard from when, whose connection broke, and how far each broker has read. Soft state of
/// the active controller: never in the log, rebuilt by heartbeats after a change of leader.
///
/// A broken connection is evidence of a crash: the broker is overdue after a short grace instead of
/// the session timeout, unless it heartbeats again. Each loss within a minute makes the grace of
/// the next one four times as long, up to the session timeout, so that a bad link does not throw a
/// live broker out again and again. A new incarnation starts with a clean slate.
///
/// While another broker that should be alive has been silent for a third of the session timeout (or
/// not been heard by this leader at all), nobody is thrown out early: the silent one may be dead
/// with what it had not synced, and the last in an ISR should be one that lives.
class BrokerHeartbeats {
 public:
  explicit BrokerHeartbeats(Duration session_timeout,
                            Duration loss_grace = std::chrono::milliseconds(100))
      : session_timeout_(session_timeout), loss_grace_(loss_grace) {}

  struct Overdue {
    BrokerId id;
    bool connection_lost = false;  // rather than silent for a whole session
  };

  /// A new leader gives every unfenced broker a fresh session.
  void reset(const metadata::ClusterImage& cluster, Instant now);
  void touch(BrokerId id, BrokerEpoch epoch, Offset metadata_offset, Instant now);
  void forget(BrokerId id);
  /// The connection that carried the broker's heartbeats closed. `times` stretches the grace.
  /// Nothing happens when `epoch` is not the one that heartbeats, or a loss is known already.
  void connection_lost(BrokerId id, BrokerEpoch epoch, Instant now, int times = 1);
  /// Where the broker's controlled shutdown was written, if it is in one.
  void set_shutdown_offset(BrokerId id, Offset offset);
  std::optional<Offset> shutdown_offset(BrokerId id) const;

  /// Whether the broker itself was heard from within the session timeout and is connected as far as
  /// we know. The grace that a new leader gives does not count: a node that restarts with its
  /// controller registers at once.
  bool has_valid_session(BrokerId id, BrokerEpoch epoch, Instant now) const;
  /// The unfenced broker that is overdue for longest.
  std::optional<Overdue> next_expired(const metadata::ClusterImage& cluster, Instant now) const;
  /// When to look for the next overdue broker.
  std::optional<Instant> next_expiry(const metadata::ClusterImage& cluster, Instant now) const;
  /// The lowest offset that all active brokers have read.
  Offset lowest_active_offset(const metadata::ClusterImage& cluster) const;

 private:
  struct Session {
    BrokerEpoch epoch;
    bool heard = false;
    Instant last_contact{};
    Offset metadata_offset{-1};
    std::optional<Offset> shutdown_offset;
    std::optional<Instant> lost_until;  // the grace of a broken connection ends
    std::deque<Instant> losses;         // of the last minute
  };
  Instant end_of(const Session& session) const;
  bool another_is_silent(const metadata::ClusterImage& cluster, BrokerId id, Instant now) const;

  const Duration session_timeout_;
  const Duration loss_grace_;
  std::map<BrokerId, Session> sessions_;
};

}  // namespace broker::controller
