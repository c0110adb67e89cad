#include "broker/handlers/txn_markers.h"

#include <memory>
#include <utility>

#include "broker/common/topic_name.h"
#include "broker/coordinator/group/group_coordinator.h"
#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/partitions.h"
#include "broker/handlers/services.h"
#include "broker/replication/replica_manager.h"

namespace broker::handlers {
namespace {

using protocol::WriteTxnMarkersRequest;
using protocol::WriteTxnMarkersResponse;

record::TxnMarker marker_of(const WriteTxnMarkersRequest::WritableTxnMarker& marker) {
  return {marker.transaction_result ? record::ControlType::kCommit : record::ControlType::kAbort,
          ProducerId{marker.producer_id}, ProducerEpoch{marker.producer_epoch},
          marker.coordinator_epoch};
}

/// The coordinator looks for the leader on this one.
ErrorCode to_marker_error(ErrorCode error) {
  switch (error) {
    case ErrorCode::kCoordinatorNotAvailable:
    case ErrorCode::kCoordinatorLoadInProgress:
    case ErrorCode::kNotCoordinator:
      return ErrorCode::kNotLeaderOrFollower;
    default:
      return error;
  }
}

struct MarkerAnswers {
  WriteTxnMarkersResponse response;
  std::size_t left = 1;
  UniqueFunction<void(WriteTxnMarkersResponse)> done;

  void answered(std::size_t n = 1) {
    left -= n;
    if (left == 0) std::exchange(done, nullptr)(std::move(response));
  }
};

struct MarkerSlot {
  std::size_t marker = 0;
  Slot slot;
};

}  // namespace

void write_markers(Services& services, WriteTxnMarkersRequest request,
                   UniqueFunction<void(WriteTxnMarkersResponse)> done) {
  const auto image = services.state.get()->image;
  const auto gather = std::make_shared<MarkerAnswers>();
  gather->done = std::move(done);
  std::vector<replication::ReplicaManager::MarkerPartition> plan;
  std::vector<MarkerSlot> slots;
  const auto set = [gather](const MarkerSlot& at, ErrorCode error) {
    gather->response.markers[at.marker]
        .topics[at.slot.topic]
        .partitions[at.slot.partition]
        .error_code = wire(to_marker_error(error));
  };
  for (const auto& marker : request.markers) {
    auto& result = gather->response.markers.emplace_back();
    result.producer_id = marker.producer_id;
    for (const auto& topic : marker.topics) {
      auto& answer = result.topics.emplace_back();
      answer.name = topic.name;
      for (const std::int32_t index : topic.partition_indexes) answer.partitions.push_back({index});
    }
  }
  for (std::size_t m = 0; m < request.markers.size(); ++m) {
    const auto& marker = request.markers[m];
    for (std::size_t t = 0; t < marker.topics.size(); ++t) {
      const auto& topic = marker.topics[t];
      const auto* known = image->topics.find(topic.name);
      for (std::size_t p = 0; p < topic.partition_indexes.size(); ++p) {
        const MarkerSlot slot{m, {t, p}};
        const std::int32_t index = topic.partition_indexes[p];
        if (!known || !known->partitions.find(index)) {
          set(slot, ErrorCode::kUnknownTopicOrPartition);
        } else if (topic.name == kGroupOffsetsTopic) {
          ++gather->left;
          services.groups->end_transaction(index, marker_of(marker), marker.transaction_version,
                                           [gather, set, slot](ErrorCode error) {
                                             set(slot, error);
                                             gather->answered();
                                           });
        } else {
          ++gather->left;
          slots.push_back(slot);
          plan.push_back(
              {{known->id, known->name, index}, marker_of(marker), marker.transaction_version});
        }
      }
    }
  }
  services.replicas->write_markers(
      std::move(plan), std::chrono::milliseconds(services.config.request_timeout_ms),
      [gather, set, slots = std::move(slots)](std::vector<ErrorCode> errors) {
        for (std::size_t i = 0; i < errors.size(); ++i) set(slots[i], errors[i]);
        gather->answered(errors.size() + 1);
      });
}

void handle_write_txn_markers(Services& services, Call<WriteTxnMarkersRequest> call) {
  const Access access(services, call);
  const std::string cluster(security::kClusterName);
  if (!access.sees(AclOperation::kAlter, ResourceType::kCluster, cluster) &&
      !access.may_on_cluster(AclOperation::kClusterAction)) {
    // Kafka closes nothing here either: every partition is refused.
    WriteTxnMarkersResponse refused;
    for (const auto& marker : call.request.markers) {
      auto& result = refused.markers.emplace_back();
      result.producer_id = marker.producer_id;
      for (const auto& topic : marker.topics) {
        auto& answer = result.topics.emplace_back();
        answer.name = topic.name;
        for (const std::int32_t index : topic.partition_indexes)
          answer.partitions.push_back({index, wire(ErrorCode::kClusterAuthorizationFailed)});
      }
    }
    return call.reply(refused);
  }
  auto request = std::move(call.request);
  write_markers(
      services, std::move(request),
      [call = std::move(call)](WriteTxnMarkersResponse response) mutable { call.reply(response); });
}

}  // namespace broker::handlers
