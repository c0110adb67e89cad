// GroupShard: offsets that are committed with a transaction (KIP-98, KIP-447).
#include <memory>
#include <utility>

#include "broker/common/defect.h"
#include "broker/common/topic_name.h"
#include "broker/coordinator/group/group_coordinator.h"
#include "broker/coordinator/group/group_shard.h"
#include "broker/coordinator/group/records.h"
#include "broker/coordinator/runtime/record_bytes.h"
#include "broker/protocol/messages/offset_commit_key.h"
#include "broker/protocol/messages/offset_commit_value.h"
#include "broker/protocol/messages/txn_offset_commit_request.h"

namespace broker::coordinator::group {

namespace {

using protocol::TxnOffsetCommitRequest;
using protocol::TxnOffsetCommitResponse;

/// What verifying the transaction ended with, as clients of a group coordinator know it.
ErrorCode to_commit_error(ErrorCode error) {
  switch (error) {
    case ErrorCode::kNetworkException:
      // Repeated by all clients, without looking for the coordinator again.
      return ErrorCode::kCoordinatorLoadInProgress;
    case ErrorCode::kNotLeaderOrFollower:
    case ErrorCode::kKafkaStorageError:
      return ErrorCode::kNotCoordinator;
    default:
      return error;
  }
}

TxnOffsetCommitResponse refuse_all(const TxnOffsetCommitRequest& request, ErrorCode error) {
  TxnOffsetCommitResponse response;
  for (const auto& topic : request.topics) {
    auto& answer = response.topics.emplace_back();
    answer.name = topic.name;
    for (const auto& partition : topic.partitions)
      answer.partitions.push_back({partition.partition_index, wire(error)});
  }
  return response;
}

// TxnOffsetCommit has no word for an epoch that is over.
ErrorCode to_transactional(ErrorCode error) {
  return error == ErrorCode::kStaleMemberEpoch ? ErrorCode::kIllegalGeneration : error;
}

}  // namespace

/// Transactions do not take part in rebalances: their offsets are in force later anyway. Clients
/// from before KIP-447 name no member.
ErrorCode GroupShard::check_transactional_commit(const TxnOffsetCommitRequest& request) const {
  const Group* group = find(request.group_id);
  if (!group) return request.generation_id < 0 ? ErrorCode::kNone : ErrorCode::kIllegalGeneration;
  if (request.generation_id < 0 && request.member_id.empty() && !request.group_instance_id)
    return ErrorCode::kNone;
  if (group->consumer)
    return to_transactional(check_consumer_commit(
        *group->consumer,
        {request.member_id, request.group_instance_id, request.generation_id, true}));
  const ErrorCode member = group->check_member(request.member_id, request.group_instance_id);
  if (member != ErrorCode::kNone) return member;
  return request.generation_id == group->generation ? ErrorCode::kNone
                                                    : ErrorCode::kIllegalGeneration;
}

Output GroupShard::commit_offsets_in_transaction(const TxnOffsetCommitRequest& request,
                                                 const Now& now,
                                                 Reply<TxnOffsetCommitResponse> reply) const {
  Output out;
  TxnOffsetCommitResponse response;
  const ErrorCode refused = check_transactional_commit(request);
  const Group* known = find(request.group_id);
  const metadata::ImagePtr image = ports_.image();
  for (const auto& topic : request.topics) {
    auto& answer = response.topics.emplace_back();
    answer.name = topic.name;
    const metadata::TopicImage* in_image = image->topics.find(std::string_view(topic.name));
    for (const auto& partition : topic.partitions) {
      auto& result = answer.partitions.emplace_back();
      result.partition_index = partition.partition_index;
      result.error_code = wire(refused);
      if (refused != ErrorCode::kNone) continue;
      auto record = commit_record(
          known, request.group_id,
          {request.member_id, request.group_instance_id, request.generation_id, true},
          {topic.name, partition.partition_index}, in_image ? in_image->id : kZeroUuid,
          {.offset = partition.committed_offset,
           .leader_epoch = partition.committed_leader_epoch,
           .metadata = partition.committed_metadata.value_or(""),
           .commit_timestamp = now.wall});
      if (record.ok())
        out.records.push_back(std::move(*record));
      else
        result.error_code = wire(to_transactional(record.code()));
    }
  }
  if (!out.records.empty())
    out.transaction = {ProducerId{request.producer_id}, ProducerEpoch{request.producer_epoch}};
  out.on_committed.push_back(
      [reply = std::move(reply), response = std::move(response)](ErrorCode error) mutable {
        if (error == ErrorCode::kMessageTooLarge) error = ErrorCode::kInvalidCommitOffsetSize;
        for (auto& topic : response.topics)
          for (auto& partition : topic.partitions)
            if (error != ErrorCode::kNone && partition.error_code == 0)
              partition.error_code = wire(error);
        reply(std::move(response));
      });
  return out;
}

Result<void> GroupShard::replay_pending(TransactionalProducer producer, const Record& record) {
  protocol::Reader reader(record.key);
  const std::int16_t type = reader.int16();
  if (!reader.ok()) return reader.status();
  if (type != kOffsetCommitKeyType && type != kLegacyOffsetCommitKeyType) return {};
  ASSIGN_OR_RETURN(const auto key, decode<protocol::OffsetCommitKey>(reader, 0));
  ASSIGN_OR_RETURN(const auto value,
                   decode_value<protocol::OffsetCommitValue>(record, kGroupOffsetsTopic));
  if (!value) {
    pending_.drop(key.group, {key.topic, key.partition});
    return {};
  }
  CommittedOffset offset = to_committed_offset(*value);
  offset.order = next_record_++;
  if (has_defect(Defect::kPendingOffsetsInForce))
    group(key.group).offsets[{key.topic, key.partition}] = offset;
  pending_.add(producer.id, key.group, {key.topic, key.partition}, std::move(offset));
  return {};
}

void GroupShard::replay_end(ProducerId producer, bool committed) {
  for (auto& [group_id, offsets] : pending_.take(producer)) {
    if (!committed && !has_defect(Defect::kAbortedOffsetsInForce)) continue;
    for (auto& [at, offset] : offsets) {
      CommittedOffset& known = group(group_id).offsets[at];
      // A plain commit that came after this one knows better.
      if (known.offset < 0 || known.order < offset.order) known = std::move(offset);
    }
  }
}

// --- The coordinator

void GroupCoordinator::txn_offset_commit(replication::TransactionCheck check,
                                         TxnOffsetCommitRequest request,
                                         Reply<TxnOffsetCommitResponse> reply) {
  struct Asked {
    TxnOffsetCommitRequest request;
    Reply<TxnOffsetCommitResponse> reply;
  };
  // Answered on the strand of the call, and never from inside a shard.
  io::Strand& origin = replicas_.strands().current();
  const auto asked = std::make_shared<Asked>(Asked{std::move(request), std::move(reply)});
  const auto answer = [&origin, asked](TxnOffsetCommitResponse response) {
    origin.post([asked, response = std::move(response)]() mutable {
      std::exchange(asked->reply, nullptr)(std::move(response));
    });
  };
  const std::int32_t partitions = runtime_.partition_count();
  if (partitions == 0)
    return answer(refuse_all(asked->request, ErrorCode::kCoordinatorNotAvailable));
  runtime_.run_in_transaction(
      partition_for(asked->request.group_id, partitions), std::move(check),
      [asked, answer](Shard& shard, const Now& now) {
        return static_cast<const GroupShard&>(shard).commit_offsets_in_transaction(asked->request,
                                                                                   now, answer);
      },
      [asked, answer](ErrorCode error) {
        answer(refuse_all(asked->request, to_commit_error(error)));
      });
}

void GroupCoordinator::end_transaction(std::int32_t partition, const record::TxnMarker& marker,
                                       std::int16_t transaction_version, Reply<ErrorCode> reply) {
  io::Strand& origin = replicas_.strands().current();
  runtime_.write_marker(
      partition, marker, transaction_version,
      [&origin, reply = std::move(reply)](ErrorCode error) mutable {
        origin.post([reply = std::move(reply), error]() mutable { reply(error); });
      });
}

}  // namespace broker::coordinator::group
