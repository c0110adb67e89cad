#pragma once

#include "broker/coordinator/assignor/assignor.h"

namespace broker::coordinator::assignor {

/// The uniform assignor for members with different subscriptions: gives what is free to the least
/// loaded subscriber, then levels topic by topic until a round changes nothing, or 16 times.
GroupAssignment assign_mixed_subscriptions(const GroupSpec& group);

}  // namespace broker::coordinator::assignor
