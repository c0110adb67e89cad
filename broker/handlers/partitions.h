#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "broker/common/result.h"
#include "broker/handlers/access.h"
#include "broker/replication/types.h"

namespace broker::handlers {

/// Where one partition of a request stands, so that an answer of replication finds its place.
struct Slot {
  std::size_t topic = 0;
  std::size_t partition = 0;
};

/// The topic that a request names by name or by id, after the check of `operation`.
/// Errors: kTopicAuthorizationFailed; kUnknownTopicOrPartition or kUnknownTopicId; a topic that the
/// caller may not describe is not told from one that does not exist.
Result<const metadata::TopicImage*> resolve_topic(const Access& access, const std::string& name,
                                                  const Uuid& id, bool by_id,
                                                  AclOperation operation);

/// Errors: kUnknownTopicOrPartition.
Result<replication::TopicIdPartition> resolve_partition(const metadata::TopicImage& topic,
                                                        std::int32_t index);

/// The wire's -1 is nullopt.
inline std::optional<LeaderEpoch> optional_epoch(std::int32_t epoch) {
  return epoch < 0 ? std::nullopt : std::optional(LeaderEpoch{epoch});
}

/// Adds the leader's address to a response once (KIP-951), if it is known and reachable on
/// `listener`.
template <class Response>
void add_node_endpoint(Response& response, const metadata::MetadataImage& image, BrokerId leader,
                       const std::string& listener) {
  const auto* broker = image.cluster.broker(leader);
  const auto* endpoint = broker == nullptr ? nullptr : broker->find_endpoint(listener);
  if (endpoint == nullptr) return;
  for (const auto& known : response.node_endpoints) {
    if (known.node_id == leader.value) return;
  }
  response.node_endpoints.push_back({leader.value, endpoint->host, endpoint->port, broker->rack});
}

}  // namespace broker::handlers
