#include <utility>
#include <vector>

#include "broker/coordinator/group/group_coordinator.h"
#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/partitions.h"
#include "broker/handlers/services.h"

namespace broker::handlers {
namespace {

using protocol::TxnOffsetCommitRequest;
using protocol::TxnOffsetCommitResponse;

/// Since this version clients understand kTransactionAbortable; since the next one the group
/// coordinator adds itself to the transaction (KIP-890).
constexpr std::int16_t kFirstVersionWithAbortable = 4;
constexpr std::int16_t kFirstVersionThatAdds = 5;

void refuse(TxnOffsetCommitResponse& response, const std::string& topic, std::int32_t partition,
            ErrorCode error) {
  if (response.topics.empty() || response.topics.back().name != topic)
    response.topics.push_back({topic, {}});
  response.topics.back().partitions.push_back({partition, wire(error)});
}

/// Answers of one topic stand together, whoever gave them.
void merge(TxnOffsetCommitResponse& into, TxnOffsetCommitResponse from) {
  for (auto& topic : from.topics) {
    auto* same = &topic;
    for (auto& each : into.topics)
      if (each.name == topic.name) same = &each;
    if (same == &topic) {
      into.topics.push_back(std::move(topic));
    } else {
      for (auto& partition : topic.partitions) same->partitions.push_back(std::move(partition));
    }
  }
}

}  // namespace

void handle_txn_offset_commit(Services& services, Call<TxnOffsetCommitRequest> call) {
  const Access access(services, call);
  TxnOffsetCommitRequest& request = call.request;
  ErrorCode for_all = ErrorCode::kNone;
  if (!access.may(AclOperation::kWrite, ResourceType::kTransactionalId, request.transactional_id))
    for_all = ErrorCode::kTransactionalIdAuthorizationFailed;
  else if (!access.may(AclOperation::kRead, ResourceType::kGroup, request.group_id))
    for_all = ErrorCode::kGroupAuthorizationFailed;

  TxnOffsetCommitResponse refused;
  std::vector<TxnOffsetCommitRequest::TxnOffsetCommitRequestTopic> topics;
  for (auto& topic : request.topics) {
    const auto image = for_all == ErrorCode::kNone ? resolve_topic(access, topic.name, kZeroUuid,
                                                                   false, AclOperation::kRead)
                                                   : Result<const metadata::TopicImage*>(for_all);
    std::erase_if(topic.partitions, [&](const auto& partition) {
      ErrorCode error = image.code();
      if (image.ok() && !(*image)->partitions.find(partition.partition_index))
        error = ErrorCode::kUnknownTopicOrPartition;
      if (error == ErrorCode::kNone) return false;
      refuse(refused, topic.name, partition.partition_index, error);
      return true;
    });
    if (!topic.partitions.empty()) topics.push_back(std::move(topic));
  }
  if (topics.empty()) return call.reply(refused);
  request.topics = std::move(topics);
  replication::TransactionCheck check;
  check.transactional_id = request.transactional_id;
  check.producer_id = ProducerId{request.producer_id};
  check.producer_epoch = ProducerEpoch{request.producer_epoch};
  check.add_partition = call.version() >= kFirstVersionThatAdds;
  check.knows_abortable = call.version() >= kFirstVersionWithAbortable;
  auto passed_on = std::move(request);
  services.groups->txn_offset_commit(std::move(check), std::move(passed_on),
                                     [call = std::move(call), refused = std::move(refused)](
                                         TxnOffsetCommitResponse response) mutable {
                                       merge(response, std::move(refused));
                                       call.reply(response);
                                     });
}

}  // namespace broker::handlers
