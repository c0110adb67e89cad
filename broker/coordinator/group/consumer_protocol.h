#pragma once

#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/coordinator/assignor/assignor.h"
#include "broker/metadata/image.h"
#include "broker/protocol/messages/consumer_protocol_subscription.h"

namespace broker::coordinator::group {

/// What consumers of the classic protocol tell each other in JoinGroup and SyncGroup: a version
/// and a message of that version, or what of a later one is known here.
struct Subscription {
  std::int16_t version = 0;
  protocol::ConsumerProtocolSubscription message;
};
Result<Subscription> parse_subscription(const Slice& bytes);

/// By ids, of the topics that exist. Errors: kUnsupportedVersion when an assignor of the user's own
/// left data in it, which no other could keep.
Result<assignor::Assignment> parse_assignment(const Slice& bytes,
                                              const metadata::MetadataImage& image);
Slice assignment_bytes(const assignor::Assignment& assignment, std::int16_t version,
                       const metadata::MetadataImage& image);

}  // namespace broker::coordinator::group
