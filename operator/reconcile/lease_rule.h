#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "broker/common/time.h"

namespace op::reconcile {

struct LeaseOptions {
  broker::Duration duration = std::chrono::seconds(15);        // others wait this long
  broker::Duration renew_deadline = std::chrono::seconds(10);  // we stop acting after this long
  broker::Duration retry_period = std::chrono::seconds(2);

  /// The others in proportion; but a look every two seconds is often enough.
  static LeaseOptions lasting(std::chrono::seconds duration);
};

/// What stands in the lease, as read from the API server.
struct LeaseRecord {
  std::string holder;   // "" = free
  std::string version;  // changes with every write of it: resourceVersion
  std::int64_t duration_s = 15;
  std::int32_t transitions = 0;

  bool operator==(const LeaseRecord&) const = default;
};

enum class LeaseAction {
  kWait,     // somebody else leads
  kAcquire,  // write our name
  kRenew,    // ours: write the renew time
};

/// Decides from what was seen and when, on our monotonic clock alone: another machine's wall clock
/// is not trusted. A lease has expired when its record has not changed for its duration since *we*
/// first saw it (as client-go does). Pure.
class LeaseRule {
 public:
  LeaseRule(LeaseOptions options, std::string identity)
      : options_(options), identity_(std::move(identity)) {}

  /// `record`: nullopt = there is no lease object.
  LeaseAction observe(const std::optional<LeaseRecord>& record, broker::Instant now);
  /// A write of ours that *started* at `started` succeeded: we lead from then.
  void wrote(broker::Instant started, std::string version);
  /// We gave it up, or a write was answered with a conflict.
  void lost();

  /// True while nobody else can lead: a renewal started within the last renew_deadline. Every
  /// action of a leader asks first.
  bool may_act(broker::Instant now) const;
  /// When the next observe() should happen.
  broker::Instant next_try(broker::Instant now) const { return now + options_.retry_period; }
  const std::string& identity() const { return identity_; }

 private:
  const LeaseOptions options_;
  const std::string identity_;
  std::optional<LeaseRecord> seen_;
  broker::Instant seen_at_{};
  std::optional<broker::Instant> renewed_at_;
};

}  // namespace op::reconcile
