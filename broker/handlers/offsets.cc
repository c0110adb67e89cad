// ListOffsets, OffsetForLeaderEpoch and DeleteRecords: one question per partition, one answer each.
#include <memory>
#include <utility>
#include <vector>

#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/partitions.h"
#include "broker/handlers/services.h"
#include "broker/protocol/messages/delete_records_request.h"
#include "broker/protocol/messages/delete_records_response.h"
#include "broker/protocol/messages/list_offsets_request.h"
#include "broker/protocol/messages/list_offsets_response.h"
#include "broker/protocol/messages/offset_for_leader_epoch_request.h"
#include "broker/protocol/messages/offset_for_leader_epoch_response.h"
#include "broker/replication/replica_manager.h"

namespace broker::handlers {
namespace {

template <class Request>
struct Gather {
  Call<Request> call;
  typename Request::Response response;
  std::vector<Slot> slots;
};

/// The newest special timestamp that a version may ask for (KIP-734, KIP-405, KIP-1005, KIP-1023).
bool is_known_timestamp(std::int64_t timestamp, std::int16_t version) {
  if (timestamp >= replication::kEarliestTimestamp) return true;
  if (timestamp == replication::kMaxTimestamp) return version >= 7;
  if (timestamp == replication::kEarliestLocalTimestamp) return version >= 8;
  if (timestamp == replication::kLatestTieredTimestamp) return version >= 9;
  return timestamp == -6 && version >= 11;
}

}  // namespace

void handle_list_offsets(Services& services, Call<protocol::ListOffsetsRequest> call) {
  const Access access(services, call);
  auto gather = std::make_unique<Gather<protocol::ListOffsetsRequest>>(
      Gather<protocol::ListOffsetsRequest>{std::move(call), {}, {}});
  const auto& request = gather->call.request;
  replication::ListOffsetsPlan plan;
  plan.reader.replica = BrokerId{request.replica_id};
  plan.isolation = request.isolation_level == 1 ? replication::Isolation::kReadCommitted
                                                : replication::Isolation::kReadUncommitted;
  for (const auto& topic : request.topics) {
    auto& answer = gather->response.topics.emplace_back();
    answer.name = topic.name;
    const auto image = resolve_topic(access, topic.name, kZeroUuid, false, AclOperation::kDescribe);
    for (const auto& p : topic.partitions) {
      answer.partitions.push_back({p.partition_index});
      auto& slot = answer.partitions.back();
      if (!image.ok()) {
        slot.error_code = wire(image.error().code);
        continue;
      }
      auto at = resolve_partition(**image, p.partition_index);
      if (!at.ok()) {
        slot.error_code = wire(at.error().code);
      } else if (!is_known_timestamp(p.timestamp, gather->call.version())) {
        slot.error_code = wire(ErrorCode::kUnsupportedVersion);
      } else {
        gather->slots.push_back({gather->response.topics.size() - 1, answer.partitions.size() - 1});
        plan.partitions.push_back(
            {std::move(*at), optional_epoch(p.current_leader_epoch), p.timestamp});
      }
    }
  }
  if (plan.partitions.empty()) return gather->call.reply(gather->response);
  services.replicas->list_offsets(
      std::move(plan),
      [gather = std::move(gather)](std::vector<replication::ListOffsetsResult> results) mutable {
        for (std::size_t i = 0; i < results.size(); ++i) {
          const Slot& slot = gather->slots[i];
          auto& partition = gather->response.topics[slot.topic].partitions[slot.partition];
          partition.error_code = wire(results[i].error);
          partition.timestamp = results[i].timestamp;
          partition.offset = results[i].offset.value;
          // Versions before 4 have no room for it (KIP-320).
          if (gather->call.version() >= 4) {
            partition.leader_epoch = results[i].leader_epoch.value;
          }
        }
        gather->call.reply(gather->response);
      });
}

void handle_offset_for_leader_epoch(Services& services,
                                    Call<protocol::OffsetForLeaderEpochRequest> call) {
  const Access access(services, call);
  // Followers come with CLUSTER_ACTION, consumers with DESCRIBE on each topic.
  const bool cluster_action = access.sees(AclOperation::kClusterAction, ResourceType::kCluster,
                                          std::string(security::kClusterName));
  using Request = protocol::OffsetForLeaderEpochRequest;
  auto gather = std::make_unique<Gather<Request>>(Gather<Request>{std::move(call), {}, {}});
  std::vector<replication::EpochEndPartition> plan;
  for (const auto& topic : gather->call.request.topics) {
    auto& answer = gather->response.topics.emplace_back();
    answer.topic = topic.topic;
    const metadata::TopicImage* image = access.image().topics.find(topic.topic);
    const bool allowed =
        cluster_action || access.may(AclOperation::kDescribe, ResourceType::kTopic, topic.topic);
    for (const auto& p : topic.partitions) {
      answer.partitions.push_back({0, p.partition});
      ErrorCode error = ErrorCode::kNone;
      if (!allowed) {
        error = ErrorCode::kTopicAuthorizationFailed;
      } else if (image == nullptr || image->partitions.find(p.partition) == nullptr) {
        error = ErrorCode::kUnknownTopicOrPartition;
      }
      if (error != ErrorCode::kNone) {
        answer.partitions.back().error_code = wire(error);
        continue;
      }
      gather->slots.push_back({gather->response.topics.size() - 1, answer.partitions.size() - 1});
      plan.push_back({{image->id, image->name, p.partition},
                      optional_epoch(p.current_leader_epoch),
                      LeaderEpoch{p.leader_epoch}});
    }
  }
  if (plan.empty()) return gather->call.reply(gather->response);
  services.replicas->end_of_epochs(
      std::move(plan),
      [gather = std::move(gather)](std::vector<replication::EpochEndResult> results) mutable {
        for (std::size_t i = 0; i < results.size(); ++i) {
          const Slot& slot = gather->slots[i];
          auto& partition = gather->response.topics[slot.topic].partitions[slot.partition];
          partition.error_code = wire(results[i].error);
          partition.leader_epoch = results[i].end.epoch.value;
          partition.end_offset = results[i].end.end_offset.value;
        }
        gather->call.reply(gather->response);
      });
}

void handle_delete_records(Services& services, Call<protocol::DeleteRecordsRequest> call) {
  const Access access(services, call);
  using Request = protocol::DeleteRecordsRequest;
  auto gather = std::make_unique<Gather<Request>>(Gather<Request>{std::move(call), {}, {}});
  std::vector<replication::DeleteRecordsPartition> plan;
  for (const auto& topic : gather->call.request.topics) {
    auto& answer = gather->response.topics.emplace_back();
    answer.name = topic.name;
    const auto image = resolve_topic(access, topic.name, kZeroUuid, false, AclOperation::kDelete);
    for (const auto& p : topic.partitions) {
      answer.partitions.push_back({p.partition_index, -1, 0});
      auto at = image.ok() ? resolve_partition(**image, p.partition_index)
                           : Result<replication::TopicIdPartition>(image.error());
      if (!at.ok()) {
        answer.partitions.back().error_code = wire(at.error().code);
        continue;
      }
      gather->slots.push_back({gather->response.topics.size() - 1, answer.partitions.size() - 1});
      plan.push_back({std::move(*at), Offset{p.offset}});
    }
  }
  if (plan.empty()) return gather->call.reply(gather->response);
  services.replicas->delete_records(
      std::move(plan),
      [gather = std::move(gather)](std::vector<replication::DeleteRecordsResult> results) mutable {
        for (std::size_t i = 0; i < results.size(); ++i) {
          const Slot& slot = gather->slots[i];
          auto& partition = gather->response.topics[slot.topic].partitions[slot.partition];
          partition.error_code = wire(results[i].error);
          partition.low_watermark = results[i].low_watermark.value;
        }
        gather->call.reply(gather->response);
      });
}

}  // namespace broker::handlers
