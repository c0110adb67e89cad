#include "broker/common/defect.h"
#include "broker/common/log.h"
#include "broker/coordinator/group/consumer_records.h"
#include "broker/coordinator/group/group_shard.h"
#include "broker/coordinator/group/records.h"
#include "broker/protocol/messages/offset_commit_request.h"
#include "broker/protocol/messages/offset_delete_request.h"
#include "broker/protocol/messages/offset_fetch_request.h"

namespace broker::coordinator::group {

namespace {

using protocol::OffsetCommitRequest;
using protocol::OffsetCommitResponse;

// One batch must fit into max.message.bytes; what is left goes with the next.
constexpr std::size_t kMaxTombstones = 2'000;

void set_error(OffsetCommitResponse& response, ErrorCode error, bool keep_refused) {
  for (auto& topic : response.topics)
    for (auto& partition : topic.partitions)
      if (!keep_refused || partition.error_code == 0) partition.error_code = wire(error);
}

ErrorCode commit_error(ErrorCode error) {
  return error == ErrorCode::kMessageTooLarge ? ErrorCode::kInvalidCommitOffsetSize : error;
}

}  // namespace

ErrorCode GroupShard::check_commit(const CallContext& call, const OffsetCommitRequest& request,
                                   const Now& now) {
  if (has_defect(Defect::kLateCommitsAccepted)) return ErrorCode::kNone;
  const std::int32_t generation = request.generation_id_or_member_epoch;
  Group* group = find_mutable(request.group_id);
  if (!group) {
    // A simple consumer, which assigns itself, keeps its offsets here without ever joining.
    if (generation < 0) return ErrorCode::kNone;
    return call.version >= 9 ? ErrorCode::kGroupIdNotFound : ErrorCode::kIllegalGeneration;
  }
  if (group->consumer)
    return check_consumer_commit(*group->consumer, {request.member_id, request.group_instance_id,
                                                    generation, false, call.version});
  if (generation < 0 && group->state == State::kEmpty) return ErrorCode::kNone;
  if (generation < 0 && request.member_id.empty() && !request.group_instance_id)
    return ErrorCode::kUnknownMemberId;
  const ErrorCode member = group->check_member(request.member_id, request.group_instance_id);
  if (member != ErrorCode::kNone) return member;
  if (generation != group->generation) return ErrorCode::kIllegalGeneration;
  // The partitions may belong to another member already.
  if (group->state == State::kCompletingRebalance) return ErrorCode::kRebalanceInProgress;
  touch_session(*group, *group->find(request.member_id), now);
  return ErrorCode::kNone;
}

Result<Record> GroupShard::commit_record(const Group* group, const std::string& group_id,
                                         const CommitOrigin& from, const TopicPartition& at,
                                         const Uuid& topic_id, CommittedOffset offset) const {
  if (group && group->consumer && !has_defect(Defect::kLateCommitsAccepted)) {
    const ErrorCode error =
        check_consumer_partition(*group->consumer, from, topic_id, at.partition);
    if (error != ErrorCode::kNone) return error;
  }
  if (offset.metadata.size() > options_.offset_metadata_max_bytes)
    return ErrorCode::kOffsetMetadataTooLarge;
  return offset_record(group_id, at.topic, at.partition, std::move(offset));
}

Output GroupShard::commit_offsets(const CallContext& call, const OffsetCommitRequest& request,
                                  const Now& now, Reply<OffsetCommitResponse> reply) {
  Output out;
  OffsetCommitResponse response;
  const ErrorCode refused = check_commit(call, request, now);
  const Group* known = find(request.group_id);
  for (const auto& topic : request.topics) {
    auto& answer = response.topics.emplace_back();
    answer.name = topic.name;
    answer.topic_id = topic.topic_id;
    for (const auto& partition : topic.partitions) {
      auto& result = answer.partitions.emplace_back();
      result.partition_index = partition.partition_index;
      result.error_code = wire(refused);
      if (refused != ErrorCode::kNone) continue;
      const bool retained = request.retention_time_ms >= 0;
      auto record = commit_record(
          known, request.group_id,
          {request.member_id, request.group_instance_id, request.generation_id_or_member_epoch},
          {topic.name, partition.partition_index}, topic.topic_id,
          {.offset = partition.committed_offset,
           .leader_epoch = partition.committed_leader_epoch,
           .metadata = partition.committed_metadata.value_or(""),
           .commit_timestamp = now.wall,
           .expire_timestamp = retained ? now.wall + request.retention_time_ms : -1,
           .topic_id = topic.topic_id});
      if (record.ok())
        out.records.push_back(std::move(*record));
      else
        result.error_code = wire(record.code());
    }
  }
  if (out.records.empty()) {
    reply(std::move(response));
    return out;
  }
  out.on_committed.push_back(
      [reply = std::move(reply), response = std::move(response)](ErrorCode error) mutable {
        if (error != ErrorCode::kNone) set_error(response, commit_error(error), true);
        reply(std::move(response));
      });
  return out;
}

Output GroupShard::fetch_offsets(
    const protocol::OffsetFetchRequest::OffsetFetchRequestGroup& request, bool require_stable,
    Reply<protocol::OffsetFetchResponse::OffsetFetchResponseGroup> reply) const {
  protocol::OffsetFetchResponse::OffsetFetchResponseGroup response;
  response.group_id = request.group_id;
  const Group* group = find(request.group_id);
  const ErrorCode refused =
      group && group->consumer
          ? check_consumer_fetch(*group->consumer, request.member_id, request.member_epoch)
          : ErrorCode::kNone;
  if (refused != ErrorCode::kNone) {
    response.error_code = wire(refused);
    reply(std::move(response));
    return {};
  }
  const auto add = [&](auto& topic, std::int32_t partition, const CommittedOffset& offset) {
    auto& entry = topic.partitions.emplace_back();
    entry.partition_index = partition;
    if (require_stable && pending_.contains(request.group_id, {topic.name, partition})) {
      entry.committed_offset = -1;
      entry.error_code = wire(ErrorCode::kUnstableOffsetCommit);
      return;
    }
    entry.committed_offset = offset.offset;
    entry.committed_leader_epoch = offset.leader_epoch;
    entry.metadata = offset.metadata;
  };
  if (request.topics) {
    for (const auto& topic : *request.topics) {
      auto& answer = response.topics.emplace_back();
      answer.name = topic.name;
      answer.topic_id = topic.topic_id;
      for (const std::int32_t partition : topic.partition_indexes) {
        CommittedOffset found;
        if (group) {
          const auto at = group->offsets.find({topic.name, partition});
          // An offset of an earlier topic of this name says nothing about the present one.
          if (at != group->offsets.end() &&
              (topic.topic_id.is_zero() || at->second.topic_id.is_zero() ||
               topic.topic_id == at->second.topic_id))
            found = at->second;
        }
        add(answer, partition, found);
      }
    }
  } else if (group) {
    for (const auto& [at, offset] : group->offsets) {
      if (response.topics.empty() || response.topics.back().name != at.first) {
        response.topics.emplace_back();
        response.topics.back().name = at.first;
        response.topics.back().topic_id = offset.topic_id;
      }
      add(response.topics.back(), at.second, offset);
    }
  }
  Output out;
  out.on_committed.push_back([reply = std::move(reply),
                              response = std::move(response)](ErrorCode error) mutable {
    if (error != ErrorCode::kNone) {
      response.topics.clear();
      // Clients look for the coordinator again on this one only.
      response.error_code =
          wire(error == ErrorCode::kCoordinatorNotAvailable ? ErrorCode::kNotCoordinator : error);
    }
    reply(std::move(response));
  });
  return out;
}

Output GroupShard::delete_offsets(const protocol::OffsetDeleteRequest& request,
                                  Reply<protocol::OffsetDeleteResponse> reply) const {
  Output out;
  protocol::OffsetDeleteResponse response;
  const Group* group = find(request.group_id);
  std::optional<std::set<std::string>> subscribed;
  if (group) subscribed = group->subscribed_topics();
  if (!group)
    response.error_code = wire(ErrorCode::kGroupIdNotFound);
  else if (!group->is_empty() && !subscribed)
    response.error_code = wire(ErrorCode::kNonEmptyGroup);
  if (response.error_code == 0) {
    for (const auto& topic : request.topics) {
      auto& answer = response.topics.emplace_back();
      answer.name = topic.name;
      const bool in_use = !group->is_empty() && subscribed && subscribed->contains(topic.name);
      for (const auto& partition : topic.partitions) {
        auto& result = answer.partitions.emplace_back();
        result.partition_index = partition.partition_index;
        if (in_use)
          result.error_code = wire(ErrorCode::kGroupSubscribedToTopic);
        else if (group->offsets.contains({topic.name, partition.partition_index}))
          out.records.push_back(offset_tombstone(group->id, topic.name, partition.partition_index));
      }
    }
  }
  out.on_committed.push_back(
      [reply = std::move(reply), response = std::move(response)](ErrorCode error) mutable {
        if (error != ErrorCode::kNone) {
          response.error_code = wire(error);
          response.topics.clear();
        }
        reply(std::move(response));
      });
  return out;
}

Output GroupShard::forget_topics(const std::set<std::string>& topics) const {
  Output out;
  for (const auto& [id, group] : groups_)
    for (const auto& [at, offset] : group.offsets)
      if (topics.contains(at.first))
        out.records.push_back(offset_tombstone(id, at.first, at.second));
  for (const auto& [producer, groups] : pending_.all())
    for (const auto& [id, offsets] : groups)
      for (const auto& [at, offset] : offsets)
        if (topics.contains(at.first))
          out.records.push_back(offset_tombstone(id, at.first, at.second));
  return out;
}

namespace {

// Whether the group's rules let this offset expire `retention` after some moment, and which.
std::optional<WallMs> expiry_base(const Group& group,
                                  const std::optional<std::set<std::string>>& subscribed,
                                  const std::string& topic, const CommittedOffset& offset) {
  if (group.consumer) {
    // Whoever is there may still want what it is subscribed to.
    if (!group.is_empty() && subscribed && subscribed->contains(topic)) return std::nullopt;
    return offset.commit_timestamp;
  }
  if (group.protocol_type.empty()) return offset.commit_timestamp;
  if (group.state == State::kEmpty)
    return group.state_since < 0 ? offset.commit_timestamp : group.state_since;
  if (group.state == State::kStable && subscribed && !subscribed->contains(topic))
    return offset.commit_timestamp;
  return std::nullopt;
}

bool has_expired(const std::optional<WallMs>& base, const CommittedOffset& offset, WallMs now,
                 std::chrono::milliseconds retention) {
  if (!base) return false;
  if (offset.expire_timestamp >= 0) return now >= offset.expire_timestamp;
  return now - *base >= retention.count();
}

}  // namespace

void GroupShard::expire_offsets(const Now& now, Output& out) {
  next_expiry_check_ = now.now + options_.offsets_retention_check_interval;
  std::size_t expired = 0;
  std::vector<std::string> never_written;
  for (const auto& [id, group] : groups_) {
    if (expired >= kMaxTombstones) {
      next_expiry_check_ = now.now + std::chrono::milliseconds(1);
      break;
    }
    const auto subscribed = group.subscribed_topics();
    std::size_t left = group.offsets.size();
    for (const auto& [at, offset] : group.offsets) {
      const auto base = expiry_base(group, subscribed, at.first, offset);
      if (expired >= kMaxTombstones ||
          !has_expired(base, offset, now.wall, options_.offsets_retention) ||
          pending_.contains(id, at))
        continue;
      out.records.push_back(offset_tombstone(id, at.first, at.second));
      --left;
      ++expired;
    }
    if (group.is_unused() && group.generation == 0) never_written.push_back(id);
    if ((group.generation == 0 && !group.consumer) || left > 0 || !group.is_empty() ||
        !group.pending_members.empty() || pending_.has(id))
      continue;
    if (group.consumer)
      remove_consumer_group(id, *group.consumer, out.records);
    else
      out.records.push_back(group_tombstone(id));
    ++expired;
  }
  for (const std::string& id : never_written) groups_.erase(id);
  if (expired > 0) log_info("group", "expired offsets and groups", {{"tombstones", expired}});
}

}  // namespace broker::coordinator::group
