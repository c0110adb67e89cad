#include <algorithm>
#include <iterator>
#include <set>

#include "broker/common/topic_name.h"
#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/nodes.h"
#include "broker/protocol/messages/describe_topic_partitions_request.h"
#include "broker/protocol/messages/describe_topic_partitions_response.h"

namespace broker::handlers {
namespace {

using protocol::DescribeTopicPartitionsRequest;
using protocol::DescribeTopicPartitionsResponse;
using TopicPart = DescribeTopicPartitionsResponse::DescribeTopicPartitionsResponseTopic;
using PartitionAnswer = DescribeTopicPartitionsResponse::DescribeTopicPartitionsResponsePartition;

PartitionAnswer describe_partition(const metadata::MetadataImage& image, std::int32_t index,
                                   const metadata::PartitionRegistration& partition,
                                   const std::string& listener) {
  PartitionAnswer answer;
  answer.partition_index = index;
  answer.leader_id = partition.leader.value;
  answer.leader_epoch = partition.leader_epoch.value;
  answer.replica_nodes = raw_ids(partition.replicas);
  answer.isr_nodes = raw_ids(partition.isr);
  answer.eligible_leader_replicas = raw_ids(partition.elr);
  answer.last_known_elr = raw_ids(partition.last_known_elr);
  answer.offline_replicas = offline_replicas(image, partition, listener);
  // Unlike Metadata, Kafka names no error here: there simply is no leader.
  const bool can_be_asked = partition.leader != metadata::kNoLeader &&
                            image.cluster.is_alive(partition.leader) &&
                            image.cluster.broker(partition.leader)->find_endpoint(listener);
  if (!can_be_asked) answer.leader_id = metadata::kNoLeader.value;
  return answer;
}

TopicPart refused(ErrorCode error, const std::string& name) {
  TopicPart answer;
  answer.error_code = wire(error);
  answer.name = name;
  const bool exists_or_not = error == ErrorCode::kUnknownTopicOrPartition;
  answer.is_internal = exists_or_not && is_internal_topic(name);
  return answer;
}

/// One page: topics in the order of their names, from where the last page ended.
class Page {
 public:
  Page(const Services& services, const Call<DescribeTopicPartitionsRequest>& call)
      : access_(services, call),
        request_(call.request),
        listener_(call.session().listener),
        room_(static_cast<std::size_t>(
            std::max(1, std::min(services.config.max_request_partition_size_limit,
                                 call.request.response_partition_limit)))) {}

  /// It stands at a partition of one of the topics that are asked for.
  bool cursor_is_valid() const {
    if (!request_.cursor) return true;
    if (request_.cursor->partition_index < 0) return false;
    return request_.topics.empty() ||
           std::any_of(request_.topics.begin(), request_.topics.end(), [&](const auto& topic) {
             return topic.name == request_.cursor->topic_name;
           });
  }

  DescribeTopicPartitionsResponse make() {
    const std::string from = request_.cursor ? request_.cursor->topic_name : "";
    if (request_.topics.empty()) {
      const auto& ids = access_.image().topics.ids;
      for (const auto& [name, id] : ids) {
        if (name < from || !access_.sees(AclOperation::kDescribe, ResourceType::kTopic, name))
          continue;
        if (!add(name)) break;
      }
      return std::move(response_);
    }
    std::set<std::string> wanted;
    for (const auto& topic : request_.topics)
      if (topic.name >= from) wanted.insert(topic.name);
    std::vector<TopicPart> denied;
    for (const std::string& name : wanted) {
      if (!access_.may(AclOperation::kDescribe, ResourceType::kTopic, name))
        denied.push_back(refused(ErrorCode::kTopicAuthorizationFailed, name));
      else if (!add(name))
        break;
    }
    std::move(denied.begin(), denied.end(), std::back_inserter(response_.topics));
    return std::move(response_);
  }

 private:
  /// False: the page is full, and the cursor stands where the next begins.
  bool add(const std::string& name) {
    const metadata::TopicImage* topic = access_.image().topics.find(name);
    if (room_ == 0) return end_at(name, 0);
    if (topic == nullptr) {
      response_.topics.push_back(refused(is_valid_topic_name(name)
                                             ? ErrorCode::kUnknownTopicOrPartition
                                             : ErrorCode::kInvalidTopicException,
                                         name));
      with_operations(response_.topics.back());
      return true;
    }
    const bool goes_on = request_.cursor && request_.cursor->topic_name == name;
    const std::int32_t first = goes_on ? request_.cursor->partition_index : 0;
    TopicPart& answer = response_.topics.emplace_back();
    answer.name = name;
    answer.topic_id = topic->id;
    answer.is_internal = is_internal_topic(name);
    with_operations(answer);
    for (const auto& [index, partition] : topic->partitions) {
      if (index < first) continue;
      if (room_ == 0) return end_at(name, index);
      answer.partitions.push_back(describe_partition(access_.image(), index, partition, listener_));
      --room_;
    }
    return true;
  }

  void with_operations(TopicPart& answer) const {
    answer.topic_authorized_operations =
        access_.authorized_operations(ResourceType::kTopic, *answer.name);
  }

  bool end_at(const std::string& name, std::int32_t partition) {
    response_.next_cursor = DescribeTopicPartitionsResponse::Cursor{name, partition};
    return false;
  }

  const Access access_;
  const DescribeTopicPartitionsRequest& request_;
  const std::string listener_;
  std::size_t room_;  // partitions that still fit
  DescribeTopicPartitionsResponse response_;
};

}  // namespace

void handle_describe_topic_partitions(Services& services,
                                      Call<DescribeTopicPartitionsRequest> call) {
  Page page(services, call);
  if (!page.cursor_is_valid()) {
    DescribeTopicPartitionsResponse response;
    for (const auto& topic : call.request.topics)
      response.topics.push_back(refused(ErrorCode::kInvalidRequest, topic.name));
    return call.reply(response);
  }
  call.reply(page.make());
}

}  // namespace broker::handlers
