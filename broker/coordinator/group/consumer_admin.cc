// ConsumerGroupDescribe, and offsets as members of consumer groups may commit and fetch them.
#include "broker/coordinator/group/group_shard.h"
#include "broker/protocol/messages/consumer_group_describe_response.h"

namespace broker::coordinator::group {

using protocol::ConsumerGroupDescribeResponse;

namespace {

// Topics that are gone have no name to show.
void add(const OwnedPartitions& owned, const metadata::MetadataImage& image,
         std::map<Uuid, ConsumerGroupDescribeResponse::TopicPartitions>& topics) {
  for (const auto& [id, partitions] : owned) {
    const metadata::TopicImage* topic = image.topics.find(id);
    if (!topic) continue;
    auto& entry = topics[id];
    entry.topic_id = id;
    entry.topic_name = topic->name;
    for (const auto& [partition, epoch] : partitions) entry.partitions.push_back(partition);
  }
}

ConsumerGroupDescribeResponse::Member describe_member(const ConsumerGroup& group,
                                                      const ConsumerMember& member,
                                                      const metadata::MetadataImage& image) {
  ConsumerGroupDescribeResponse::Member entry;
  entry.member_id = member.id;
  entry.instance_id = member.instance_id;
  entry.rack_id = member.rack_id;
  entry.member_epoch = member.epoch;
  entry.client_id = member.client_id;
  entry.client_host = member.client_host;
  entry.subscribed_topic_names.assign(member.topics.begin(), member.topics.end());
  entry.subscribed_topic_regex = member.regex;
  entry.member_type = member.classic ? 0 : 1;
  std::map<Uuid, ConsumerGroupDescribeResponse::TopicPartitions> topics;
  add(member.assigned, image, topics);
  add(member.pending_revocation, image, topics);
  for (auto& [id, topic] : topics) entry.assignment.topic_partitions.push_back(std::move(topic));
  const auto target = group.target.find(member.id);
  if (target == group.target.end()) return entry;
  for (const auto& [id, partitions] : target->second)
    if (const metadata::TopicImage* topic = image.topics.find(id))
      entry.target_assignment.topic_partitions.push_back(
          {.topic_id = id,
           .topic_name = topic->name,
           .partitions = {partitions.begin(), partitions.end()}});
  return entry;
}

}  // namespace

Output GroupShard::describe_consumer(
    const std::string& group_id, Reply<ConsumerGroupDescribeResponse::DescribedGroup> reply) const {
  ConsumerGroupDescribeResponse::DescribedGroup described;
  described.group_id = group_id;
  const Group* known = find(group_id);
  if (known && known->consumer) {
    const ConsumerGroup& group = *known->consumer;
    described.group_state = group.state_name();
    described.group_epoch = group.epoch;
    described.assignment_epoch = group.assignment_epoch;
    described.assignor_name =
        group.preferred_assignor().value_or(options_.consumer.assignors.front());
    const metadata::ImagePtr image = ports_.image();
    for (const auto& [id, member] : group.members())
      described.members.push_back(describe_member(group, member, *image));
  } else {
    described.error_code = static_cast<std::int16_t>(ErrorCode::kGroupIdNotFound);
    described.error_message = known ? "Group " + group_id + " is not a consumer group."
                                    : "Group " + group_id + " not found.";
  }
  Output out;
  out.on_committed.push_back(
      [reply = std::move(reply), described = std::move(described)](ErrorCode error) mutable {
        if (error != ErrorCode::kNone) {
          ConsumerGroupDescribeResponse::DescribedGroup failed;
          failed.group_id = described.group_id;
          failed.error_code = static_cast<std::int16_t>(error);
          described = std::move(failed);
        }
        reply(std::move(described));
      });
  return out;
}

ErrorCode GroupShard::check_consumer_commit(const ConsumerGroup& group, const CommitOrigin& from) {
  if (from.epoch < 0 && group.members().empty()) return ErrorCode::kNone;
  if (from.transactional && from.epoch == -1 && from.member_id.empty() && !from.instance_id)
    return ErrorCode::kNone;
  const ConsumerMember* member = group.find(from.member_id);
  if (!member) return ErrorCode::kUnknownMemberId;
  if (!from.transactional && !member->classic && from.version < 9)
    return ErrorCode::kUnsupportedVersion;
  if (from.epoch <= member->epoch) return ErrorCode::kNone;
  return member->classic ? ErrorCode::kIllegalGeneration : ErrorCode::kStaleMemberEpoch;
}

ErrorCode GroupShard::check_consumer_partition(const ConsumerGroup& group, const CommitOrigin& from,
                                               const Uuid& topic, std::int32_t partition) {
  const ConsumerMember* member = group.find(from.member_id);
  if (!member || from.epoch == member->epoch) return ErrorCode::kNone;
  // In an earlier epoch it may commit what it has had since then (KIP-1251).
  for (const OwnedPartitions* owned : {&member->assigned, &member->pending_revocation}) {
    const auto at = owned->find(topic);
    if (at == owned->end()) continue;
    const auto since = at->second.find(partition);
    if (since != at->second.end() && from.epoch >= since->second) return ErrorCode::kNone;
  }
  return member->classic ? ErrorCode::kIllegalGeneration : ErrorCode::kStaleMemberEpoch;
}

ErrorCode GroupShard::check_consumer_fetch(const ConsumerGroup& group,
                                           const std::optional<std::string>& member_id,
                                           std::int32_t epoch) {
  if (!member_id && epoch < 0) return ErrorCode::kNone;
  const ConsumerMember* member = member_id ? group.find(*member_id) : nullptr;
  if (!member) return ErrorCode::kUnknownMemberId;
  if (member->epoch == epoch) return ErrorCode::kNone;
  return member->classic ? ErrorCode::kIllegalGeneration : ErrorCode::kStaleMemberEpoch;
}

}  // namespace broker::coordinator::group
