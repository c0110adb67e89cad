#pragma once

#include <functional>
#include <optional>
#include <set>

#include "broker/common/result.h"
#include "broker/coordinator/group/consumer_group.h"

namespace broker::coordinator::group {

/// What moving a member towards its target depends on.
struct Reconciliation {
  std::int32_t target_epoch = 0;
  assignor::Assignment target;
  std::set<Uuid> subscribed;  // what else it has, it has to give up
  bool subscription_changed = false;
  /// What the member says it has; nullopt: it did not say.
  std::optional<OwnedTopics> owned;
  /// The epoch of whoever has a partition, -1 for nobody.
  std::function<std::int32_t(const Uuid&, std::int32_t)> partition_epoch;
};

/// The next state of `member` (KIP-848): first it gives up what is not its own any more, staying in
/// its epoch until it says so; then it moves to the target's epoch and gets what is free, and the
/// rest as others let go. Unchanged when there is nothing to do. Errors: kFencedMemberEpoch for a
/// state that a newer version wrote.
Result<ConsumerMember> reconcile(const ConsumerMember& member, const Reconciliation& in);

bool owns_any(const std::optional<OwnedTopics>& owned, const OwnedPartitions& of);
/// Whether a member says what it has, and all of it is in `assigned`.
bool owns_only(const std::optional<OwnedTopics>& owned, const OwnedPartitions& assigned);

}  // namespace broker::coordinator::group
