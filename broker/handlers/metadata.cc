#include <set>

#include "broker/common/topic_name.h"
#include "broker/controller/channel.h"
#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/auto_create.h"
#include "broker/handlers/controller_call.h"
#include "broker/handlers/nodes.h"
#include "broker/handlers/services.h"
#include "broker/protocol/messages/metadata_request.h"
#include "broker/protocol/messages/metadata_response.h"

namespace broker::handlers {
namespace {

using protocol::MetadataResponse;
using TopicAnswer = MetadataResponse::MetadataResponseTopic;

MetadataResponse::MetadataResponsePartition describe(
    const metadata::MetadataImage& image, std::int32_t index,
    const metadata::PartitionRegistration& partition, const std::string& listener) {
  MetadataResponse::MetadataResponsePartition answer;
  answer.partition_index = index;
  answer.leader_id = partition.leader.value;
  answer.leader_epoch = partition.leader_epoch.value;
  answer.replica_nodes = raw_ids(partition.replicas);
  answer.isr_nodes = raw_ids(partition.isr);
  answer.offline_replicas = offline_replicas(image, partition, listener);
  if (partition.leader == metadata::kNoLeader || !image.cluster.is_alive(partition.leader)) {
    answer.leader_id = metadata::kNoLeader.value;
    answer.error_code = wire(ErrorCode::kLeaderNotAvailable);
  } else if (image.cluster.broker(partition.leader)->find_endpoint(listener) == nullptr) {
    answer.leader_id = metadata::kNoLeader.value;
    answer.error_code = wire(ErrorCode::kListenerNotFound);
  }
  return answer;
}

TopicAnswer describe(const Access& access, const metadata::TopicImage& topic,
                     const Call<protocol::MetadataRequest>& call) {
  TopicAnswer answer;
  answer.name = topic.name;
  answer.topic_id = topic.id;
  answer.is_internal = is_internal_topic(topic.name);
  for (const auto& [index, partition] : topic.partitions) {
    answer.partitions.push_back(
        describe(access.image(), index, partition, call.session().listener));
  }
  if (call.request.include_topic_authorized_operations) {
    answer.topic_authorized_operations =
        access.authorized_operations(ResourceType::kTopic, topic.name);
  }
  return answer;
}

TopicAnswer refused(ErrorCode error, std::optional<std::string> name, const Uuid& id) {
  TopicAnswer answer;
  answer.error_code = wire(error);
  answer.is_internal = name && is_internal_topic(*name);
  answer.name = std::move(name);
  answer.topic_id = id;
  return answer;
}

/// By id (version 12 and later): ids are no secret, so existence may show.
TopicAnswer answer_by_id(const Access& access, const Uuid& id,
                         const Call<protocol::MetadataRequest>& call) {
  const metadata::TopicImage* topic = access.image().topics.find(id);
  if (topic == nullptr) return refused(ErrorCode::kUnknownTopicId, std::nullopt, id);
  if (!access.may(AclOperation::kDescribe, ResourceType::kTopic, topic->name)) {
    return refused(ErrorCode::kTopicAuthorizationFailed, std::nullopt, id);
  }
  return describe(access, *topic, call);
}

TopicAnswer answer_by_name(const Access& access, const std::string& name,
                           const Call<protocol::MetadataRequest>& call,
                           std::set<std::string>& to_create, bool auto_create) {
  if (!access.may(AclOperation::kDescribe, ResourceType::kTopic, name)) {
    return refused(ErrorCode::kTopicAuthorizationFailed, name, kZeroUuid);
  }
  if (const auto* topic = access.image().topics.find(name)) return describe(access, *topic, call);
  if (!is_valid_topic_name(name)) {
    return refused(ErrorCode::kInvalidTopicException, name, kZeroUuid);
  }
  if (auto_create) {
    if (!access.sees(AclOperation::kCreate, ResourceType::kCluster,
                     std::string(security::kClusterName)) &&
        !access.may(AclOperation::kCreate, ResourceType::kTopic, name)) {
      return refused(ErrorCode::kTopicAuthorizationFailed, name, kZeroUuid);
    }
    to_create.insert(name);
  }
  return refused(ErrorCode::kUnknownTopicOrPartition, name, kZeroUuid);
}

/// What the image says now. `to_create`: topics that are not there and may be created.
MetadataResponse answer(Services& services, const Call<protocol::MetadataRequest>& call,
                        std::set<std::string>& to_create) {
  const Access access(services, call);
  const auto& image = access.image();
  const auto& wanted = call.request.topics;
  MetadataResponse response;

  for (const auto& [id, broker] : image.cluster.brokers) {
    const auto* endpoint = broker.find_endpoint(call.session().listener);
    if (broker.fenced || endpoint == nullptr) continue;
    response.brokers.push_back({id.value, endpoint->host, endpoint->port, broker.rack});
  }
  response.cluster_id = services.cluster_id;
  // KRaft brokers name any live broker: controllers take no requests of clients.
  response.controller_id = response.brokers.empty() ? -1 : response.brokers.front().node_id;

  const bool all = !wanted || (call.version() == 0 && wanted->empty());
  if (all) {
    for (const auto& [name, id] : image.topics.ids) {
      if (access.sees(AclOperation::kDescribe, ResourceType::kTopic, name)) {
        response.topics.push_back(describe(access, *image.topics.find(id), call));
      }
    }
  } else {
    const bool auto_create =
        services.config.auto_create_topics_enable && call.request.allow_auto_topic_creation;
    std::set<std::string> seen;
    for (const auto& topic : *wanted) {
      if (!topic.topic_id.is_zero()) {
        response.topics.push_back(answer_by_id(access, topic.topic_id, call));
      } else if (seen.insert(topic.name.value_or("")).second) {
        response.topics.push_back(
            answer_by_name(access, topic.name.value_or(""), call, to_create, auto_create));
      }
    }
  }
  if (call.version() >= 8 && call.version() <= 10 &&
      call.request.include_cluster_authorized_operations) {
    response.cluster_authorized_operations =
        access.sees(AclOperation::kDescribe, ResourceType::kCluster,
                    std::string(security::kClusterName))
            ? access.authorized_operations(ResourceType::kCluster,
                                           std::string(security::kClusterName))
            : 0;
  }
  return response;
}

}  // namespace

void handle_metadata(Services& services, Call<protocol::MetadataRequest> call) {
  std::set<std::string> to_create;
  MetadataResponse response = answer(services, call, to_create);
  if (to_create.empty()) return call.reply(response);
  const Asker asker = asker_of(services, call);
  auto_create_topics(services, asker, to_create, [&services, call = std::move(call)]() mutable {
    // Where the image is behind the controller the client asks again.
    std::set<std::string> not_created;
    call.reply(answer(services, call, not_created));
  });
}

}  // namespace broker::handlers
