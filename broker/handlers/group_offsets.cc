// OffsetCommit, OffsetFetch and OffsetDelete. The coordinator wants topics by name and id; here
// they are checked and named.
#include <memory>
#include <utility>

#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/group_call.h"
#include "broker/handlers/partitions.h"
#include "broker/handlers/services.h"

namespace broker::handlers {
namespace {

using CommitRequest = protocol::OffsetCommitRequest;
using CommitResponse = protocol::OffsetCommitResponse;
using OffsetsRequest = protocol::OffsetFetchRequest;
using OffsetsResponse = protocol::OffsetFetchResponse;

constexpr std::int64_t kNoOffset = -1;

CommitResponse::OffsetCommitResponseTopic refuse_topic(
    const CommitRequest::OffsetCommitRequestTopic& topic, ErrorCode error) {
  CommitResponse::OffsetCommitResponseTopic answer;
  answer.name = topic.name;
  answer.topic_id = topic.topic_id;
  for (const auto& p : topic.partitions) {
    answer.partitions.push_back({p.partition_index, wire(error)});
  }
  return answer;
}

/// Leaves in `topic` only the partitions that exist; the others are answered in `refused`.
void split_unknown_partitions(CommitRequest::OffsetCommitRequestTopic& topic,
                              const metadata::TopicImage& image, CommitResponse& refused) {
  CommitResponse::OffsetCommitResponseTopic answer;
  answer.name = topic.name;
  answer.topic_id = topic.topic_id;
  std::erase_if(topic.partitions, [&](const auto& p) {
    if (image.partitions.find(p.partition_index) != nullptr) return false;
    answer.partitions.push_back({p.partition_index, wire(ErrorCode::kUnknownTopicOrPartition)});
    return true;
  });
  if (!answer.partitions.empty()) refused.topics.push_back(std::move(answer));
}

/// Answers of one topic stand together, whoever gave them.
void merge(CommitResponse& into, CommitResponse from) {
  for (auto& topic : from.topics) {
    auto same = std::find_if(into.topics.begin(), into.topics.end(), [&](const auto& t) {
      return t.name == topic.name && t.topic_id == topic.topic_id;
    });
    if (same == into.topics.end()) {
      into.topics.push_back(std::move(topic));
    } else {
      for (auto& p : topic.partitions) same->partitions.push_back(std::move(p));
    }
  }
}

}  // namespace

void handle_offset_commit(Services& services, Call<CommitRequest> call) {
  const Access access(services, call);
  CommitResponse refused;
  if (!access.may(AclOperation::kRead, ResourceType::kGroup, call.request.group_id)) {
    for (const auto& topic : call.request.topics) {
      refused.topics.push_back(refuse_topic(topic, ErrorCode::kGroupAuthorizationFailed));
    }
    return call.reply(refused);
  }
  const bool by_id = call.version() >= 10;
  CommitRequest accepted = std::move(call.request);
  std::vector<CommitRequest::OffsetCommitRequestTopic> topics;
  for (auto& topic : accepted.topics) {
    const auto image =
        resolve_topic(access, topic.name, topic.topic_id, by_id, AclOperation::kRead);
    if (!image.ok()) {
      refused.topics.push_back(refuse_topic(topic, image.error().code));
      continue;
    }
    topic.name = (*image)->name;
    topic.topic_id = (*image)->id;
    split_unknown_partitions(topic, **image, refused);
    if (!topic.partitions.empty()) topics.push_back(std::move(topic));
  }
  accepted.topics = std::move(topics);
  if (accepted.topics.empty() && !refused.topics.empty()) return call.reply(refused);
  auto context = group_context(call);
  services.groups->offset_commit(
      std::move(context), std::move(accepted),
      [call = std::move(call), refused = std::move(refused)](CommitResponse response) mutable {
        merge(response, std::move(refused));
        call.reply(response);
      });
}

namespace {

/// What is answered without asking the coordinator: for one group, its topics or its error.
using GroupAnswer = OffsetsResponse::OffsetFetchResponseGroup;

GroupAnswer refuse_group(const OffsetsRequest::OffsetFetchRequestGroup& group, ErrorCode error) {
  GroupAnswer answer;
  answer.group_id = group.group_id;
  answer.error_code = wire(error);
  return answer;
}

OffsetsResponse::OffsetFetchResponseTopics refuse_topic(
    const OffsetsRequest::OffsetFetchRequestTopics& topic, ErrorCode error) {
  OffsetsResponse::OffsetFetchResponseTopics answer;
  answer.name = topic.name;
  answer.topic_id = topic.topic_id;
  for (const std::int32_t index : topic.partition_indexes) {
    answer.partitions.push_back({index, kNoOffset, -1, std::string(), wire(error)});
  }
  return answer;
}

/// Versions below 8 ask for one group in fields of their own; from here on there is one form.
std::vector<OffsetsRequest::OffsetFetchRequestGroup> groups_of(const OffsetsRequest& request,
                                                               std::int16_t version) {
  if (version >= 8) return request.groups;
  OffsetsRequest::OffsetFetchRequestGroup group;
  group.group_id = request.group_id;
  group.topics = std::nullopt;
  if (request.topics) {
    group.topics.emplace();
    for (const auto& topic : *request.topics) {
      group.topics->push_back({topic.name, kZeroUuid, topic.partition_indexes});
    }
  }
  return {std::move(group)};
}

/// Checks and names a group's topics; those refused go to `refused`.
void check_topics(const Access& access, OffsetsRequest::OffsetFetchRequestGroup& group, bool by_id,
                  GroupAnswer& refused) {
  if (!group.topics) return;
  std::vector<OffsetsRequest::OffsetFetchRequestTopics> allowed;
  for (auto& topic : *group.topics) {
    const auto image =
        resolve_topic(access, topic.name, topic.topic_id, by_id, AclOperation::kDescribe);
    // By name a topic may be gone while its offsets are still there: only the right to see it
    // counts.
    if (!image.ok() && (by_id || image.error().code == ErrorCode::kTopicAuthorizationFailed)) {
      refused.topics.push_back(refuse_topic(topic, image.error().code));
      continue;
    }
    if (image.ok()) {
      topic.name = (*image)->name;
      topic.topic_id = (*image)->id;
    }
    allowed.push_back(std::move(topic));
  }
  group.topics = std::move(allowed);
}

/// Without a list of topics everything committed is answered: what the caller may not see is left
/// out.
void hide_topics(const Access& access, bool by_id, GroupAnswer& answer) {
  std::erase_if(answer.topics, [&](auto& topic) {
    if (!access.sees(AclOperation::kDescribe, ResourceType::kTopic, topic.name)) return true;
    if (!by_id) return false;
    const auto* image = access.image().topics.find(topic.name);
    if (image == nullptr) return true;
    topic.topic_id = image->id;
    return false;
  });
}

struct OffsetFetch {
  Call<OffsetsRequest> call;
  Access access;
  std::vector<GroupAnswer> refused;  // by group of the request
  std::vector<bool> asked_all;       // by group of the request
  std::vector<std::size_t> asked;    // index of the coordinator's groups in the request
};

void reply(OffsetFetch& fetch) {
  OffsetsResponse response;
  if (fetch.call.version() >= 8) {
    response.groups = std::move(fetch.refused);
    return fetch.call.reply(response);
  }
  GroupAnswer& only = fetch.refused.front();
  response.error_code = only.error_code;
  if (fetch.call.version() < 2 && only.error_code != 0) {  // no field for the whole group's error
    const auto asked = groups_of(fetch.call.request, fetch.call.version()).front().topics;
    only.topics.clear();
    for (const auto& topic : asked.value())
      only.topics.push_back(refuse_topic(topic, static_cast<ErrorCode>(only.error_code)));
  }
  for (auto& topic : only.topics) {
    OffsetsResponse::OffsetFetchResponseTopic old{topic.name, {}};
    for (auto& p : topic.partitions) {
      old.partitions.push_back({p.partition_index, p.committed_offset, p.committed_leader_epoch,
                                std::move(p.metadata), p.error_code});
    }
    response.topics.push_back(std::move(old));
  }
  fetch.call.reply(response);
}

}  // namespace

void handle_offset_fetch(Services& services, Call<OffsetsRequest> call) {
  const std::int16_t version = call.version();
  const bool by_id = version >= 10;
  auto groups = groups_of(call.request, version);
  OffsetsRequest ask;
  ask.require_stable = call.request.require_stable;
  auto context = group_context(call);
  Access access(services, call);
  auto fetch =
      std::make_unique<OffsetFetch>(OffsetFetch{std::move(call), std::move(access), {}, {}, {}});
  for (auto& group : groups) {
    fetch->asked_all.push_back(!group.topics.has_value());
    if (!fetch->access.may(AclOperation::kDescribe, ResourceType::kGroup, group.group_id)) {
      fetch->refused.push_back(refuse_group(group, ErrorCode::kGroupAuthorizationFailed));
      continue;
    }
    GroupAnswer& refused = fetch->refused.emplace_back();
    refused.group_id = group.group_id;
    check_topics(fetch->access, group, by_id, refused);
    fetch->asked.push_back(fetch->refused.size() - 1);
    ask.groups.push_back(std::move(group));
  }
  if (ask.groups.empty()) return reply(*fetch);
  services.groups->offset_fetch(
      std::move(context), std::move(ask),
      [fetch = std::move(fetch), by_id](OffsetsResponse response) mutable {
        for (std::size_t i = 0; i < response.groups.size(); ++i) {
          GroupAnswer& answer = fetch->refused[fetch->asked[i]];
          GroupAnswer& found = response.groups[i];
          if (fetch->asked_all[fetch->asked[i]]) hide_topics(fetch->access, by_id, found);
          answer.error_code = found.error_code;
          for (auto& topic : found.topics) answer.topics.push_back(std::move(topic));
        }
        reply(*fetch);
      });
}

void handle_offset_delete(Services& services, Call<protocol::OffsetDeleteRequest> call) {
  const Access access(services, call);
  protocol::OffsetDeleteResponse refused;
  if (!access.may(AclOperation::kDelete, ResourceType::kGroup, call.request.group_id)) {
    refused.error_code = wire(ErrorCode::kGroupAuthorizationFailed);
    return call.reply(refused);
  }
  auto request = std::move(call.request);
  std::erase_if(request.topics, [&](const auto& topic) {
    const auto image = resolve_topic(access, topic.name, kZeroUuid, false, AclOperation::kRead);
    if (image.ok()) return false;
    protocol::OffsetDeleteResponse::OffsetDeleteResponseTopic answer{topic.name, {}};
    for (const auto& p : topic.partitions) {
      answer.partitions.push_back({p.partition_index, wire(image.error().code)});
    }
    refused.topics.push_back(std::move(answer));
    return true;
  });
  auto context = group_context(call);
  services.groups->offset_delete(std::move(context), std::move(request),
                                 [call = std::move(call), refused = std::move(refused)](
                                     protocol::OffsetDeleteResponse response) mutable {
                                   if (response.error_code == 0) {
                                     for (auto& topic : refused.topics)
                                       response.topics.push_back(std::move(topic));
                                   }
                                   call.reply(response);
                                 });
}

}  // namespace broker::handlers
