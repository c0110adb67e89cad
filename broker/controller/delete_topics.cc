#include <set>

#include "broker/controller/topics.h"

namespace broker::controller {
namespace {

using protocol::DeleteTopicsRequest;
using protocol::DeleteTopicsResponse;
using TopicState = DeleteTopicsRequest::DeleteTopicState;

/// By id or by name. Errors: as DeleteTopics answers them.
Result<const metadata::TopicImage*> find_topic(const metadata::TopicsImage& topics,
                                               const TopicState& wanted) {
  if (wanted.name && !wanted.topic_id.is_zero())
    return Error{ErrorCode::kInvalidRequest, "You may not specify both topic name and topic id."};
  if (wanted.name) {
    if (const metadata::TopicImage* topic = topics.find(*wanted.name)) return topic;
    return Error{ErrorCode::kUnknownTopicOrPartition,
                 "This server does not host this topic-partition."};
  }
  if (wanted.topic_id.is_zero())
    return Error{ErrorCode::kInvalidRequest, "Neither topic name nor id were specified."};
  if (const metadata::TopicImage* topic = topics.find(wanted.topic_id)) return topic;
  return Error{ErrorCode::kUnknownTopicId, "This server does not host this topic ID."};
}

}  // namespace

ControllerResult<DeleteTopicsResponse> decide(const DecideContext& context,
                                              const DeleteTopicsRequest& request) {
  std::vector<TopicState> wanted = request.topics;
  for (const std::string& name : request.topic_names) wanted.push_back({name, kZeroUuid});

  ControllerResult<DeleteTopicsResponse> out;
  std::set<TopicId> deleted;
  for (const TopicState& state : wanted) {
    DeleteTopicsResponse::DeletableTopicResult result;
    result.name = state.name;
    result.topic_id = state.topic_id;
    Result<const metadata::TopicImage*> topic =
        context.options.delete_topic_enable
            ? find_topic(context.image.topics, state)
            : Result<const metadata::TopicImage*>(
                  Error{ErrorCode::kTopicDeletionDisabled, "Topic deletion is disabled."});
    if (topic.ok() && !deleted.insert((*topic)->id).second)
      topic = Error{ErrorCode::kInvalidRequest, "Duplicate topic name."};
    if (topic.ok()) {
      if (const auto paid = context.charge_partitions((*topic)->partitions.size()); !paid.ok())
        topic = paid.error();
    }
    if (topic.ok()) {
      result.name = (*topic)->name;
      result.topic_id = (*topic)->id;
      protocol::RemoveTopicRecord record;
      record.topic_id = (*topic)->id;
      out.records.emplace_back(record);
    } else {
      result.error_code = static_cast<std::int16_t>(topic.code());
      result.error_message = topic.error().detail;
    }
    out.response.responses.push_back(std::move(result));
  }
  return out;
}

}  // namespace broker::controller
