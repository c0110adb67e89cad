#pragma once

#include "broker/common/result.h"
#include "broker/coordinator/group/consumer_group.h"
#include "broker/metadata/image.h"

namespace broker::coordinator::group {

/// The existing topics among `names`.
std::set<Uuid> topic_ids(const std::set<std::string>& names, const metadata::MetadataImage& image);

/// Asks the assignor for the group as it is after `change`. A member that takes over a static
/// member's place begins with what that one was to have.
assignor::GroupAssignment compute_target(const ConsumerGroup& group, const MemberChange& change,
                                         assignor::Assignor assign,
                                         const metadata::MetadataImage& image);

}  // namespace broker::coordinator::group
