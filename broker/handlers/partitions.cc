#include "broker/handlers/partitions.h"

namespace broker::handlers {

Result<const metadata::TopicImage*> resolve_topic(const Access& access, const std::string& name,
                                                  const Uuid& id, bool by_id,
                                                  AclOperation operation) {
  const auto& topics = access.image().topics;
  if (by_id) {
    const metadata::TopicImage* topic = topics.find(id);
    if (topic == nullptr) return ErrorCode::kUnknownTopicId;
    if (!access.may(operation, ResourceType::kTopic, topic->name)) {
      return ErrorCode::kTopicAuthorizationFailed;
    }
    return topic;
  }
  if (!access.may(operation, ResourceType::kTopic, name)) {
    return ErrorCode::kTopicAuthorizationFailed;
  }
  const metadata::TopicImage* topic = topics.find(name);
  if (topic == nullptr) return ErrorCode::kUnknownTopicOrPartition;
  return topic;
}

Result<replication::TopicIdPartition> resolve_partition(const metadata::TopicImage& topic,
                                                        std::int32_t index) {
  if (topic.partitions.find(index) == nullptr) return ErrorCode::kUnknownTopicOrPartition;
  return replication::TopicIdPartition{topic.id, topic.name, index};
}

}  // namespace broker::handlers
