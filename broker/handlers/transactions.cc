// AddPartitionsToTxn, AddOffsetsToTxn, EndTxn: authorized here, decided by the coordinator.
#include <memory>
#include <utility>
#include <vector>

#include "broker/common/topic_name.h"
#include "broker/coordinator/group/group_coordinator.h"
#include "broker/coordinator/transaction/transaction_coordinator.h"
#include "broker/handlers/access.h"
#include "broker/handlers/add_partitions.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/services.h"
#include "broker/protocol/messages/add_offsets_to_txn_request.h"
#include "broker/protocol/messages/add_offsets_to_txn_response.h"
#include "broker/protocol/messages/end_txn_request.h"
#include "broker/protocol/messages/end_txn_response.h"

namespace broker::handlers {
namespace {

namespace txn = coordinator::transaction;
using protocol::AddPartitionsToTxnRequest;
using protocol::AddPartitionsToTxnResponse;
using Topics = std::vector<AddPartitionsToTxnRequest::AddPartitionsToTxnTopic>;
using TopicResults = std::vector<AddPartitionsToTxnResponse::AddPartitionsToTxnTopicResult>;

/// Since this version brokers speak for their clients (KIP-890).
constexpr std::int16_t kFirstVersionOfBrokers = 4;

txn::ProducerIdAndEpoch producer_of(std::int64_t id, std::int16_t epoch) {
  return {ProducerId{id}, ProducerEpoch{epoch}};
}

/// Clients before `version` 2 know only this error of an older epoch.
std::int16_t for_version(ErrorCode error, std::int16_t version, std::int16_t since = 2) {
  return wire(error == ErrorCode::kProducerFenced && version < since
                  ? ErrorCode::kInvalidProducerEpoch
                  : error);
}

TopicResults results_of(const Topics& topics,
                        const std::function<ErrorCode(const TopicPartition&)>& error) {
  TopicResults results;
  for (const auto& topic : topics) {
    auto& result = results.emplace_back();
    result.name = topic.name;
    for (const std::int32_t partition : topic.partitions)
      result.results_by_partition.push_back({partition, wire(error({topic.name, partition}))});
  }
  return results;
}

TopicResults results_of(const Topics& topics, ErrorCode error) {
  return results_of(topics, [error](const TopicPartition&) { return error; });
}

/// One transaction of a request: nothing is added unless everything may be.
struct Addition {
  std::string transactional_id;
  txn::ProducerIdAndEpoch producer;
  bool verify_only = false;
  Topics topics;
};

/// Which partitions are refused before the coordinator is asked. `access` null: a broker asks.
std::map<TopicPartition, ErrorCode> refused_partitions(const Access* access,
                                                       const metadata::MetadataImage& image,
                                                       const Topics& topics) {
  std::map<TopicPartition, ErrorCode> refused;
  for (const auto& topic : topics) {
    const bool allowed =
        !access || (!is_internal_topic(topic.name) &&
                    access->may(AclOperation::kWrite, ResourceType::kTopic, topic.name));
    const auto* known = image.topics.find(topic.name);
    for (const std::int32_t partition : topic.partitions) {
      if (!allowed)
        refused[{topic.name, partition}] = ErrorCode::kTopicAuthorizationFailed;
      else if (!known || !known->partitions.find(partition))
        refused[{topic.name, partition}] = ErrorCode::kUnknownTopicOrPartition;
    }
  }
  return refused;
}

void add_one(txn::TransactionCoordinator& coordinator, Addition addition,
             std::map<TopicPartition, ErrorCode> refused, bool by_broker,
             UniqueFunction<void(TopicResults)> done) {
  if (!refused.empty())
    return done(results_of(addition.topics, [&](const TopicPartition& at) {
      const auto found = refused.find(at);
      return found == refused.end() ? ErrorCode::kOperationNotAttempted : found->second;
    }));
  txn::PartitionsOfTransaction request{addition.transactional_id, addition.producer, {}};
  for (const auto& topic : addition.topics)
    for (const std::int32_t partition : topic.partitions)
      request.partitions.insert({topic.name, partition});
  if (addition.verify_only)
    return coordinator.verify_partitions(
        std::move(request), [topics = std::move(addition.topics), done = std::move(done)](
                                txn::TransactionCoordinator::Verdicts verdicts) mutable {
          done(results_of(topics, [&](const TopicPartition& at) { return verdicts.at(at); }));
        });
  const txn::TransactionVersion version = by_broker ? txn::kEpochBumpVersion : 0;
  coordinator.add_partitions(std::move(request), version,
                             [topics = std::move(addition.topics), done = std::move(done)](
                                 ErrorCode error) mutable { done(results_of(topics, error)); });
}

}  // namespace

void add_partitions_of_brokers(txn::TransactionCoordinator& coordinator,
                               const metadata::MetadataImage& image,
                               AddPartitionsToTxnRequest request,
                               UniqueFunction<void(AddPartitionsToTxnResponse)> done) {
  struct Gather {
    AddPartitionsToTxnResponse response;
    std::size_t left = 0;
    UniqueFunction<void(AddPartitionsToTxnResponse)> done;
  };
  if (request.transactions.empty()) return done({});
  const auto gather = std::make_shared<Gather>();
  gather->left = request.transactions.size();
  gather->done = std::move(done);
  for (auto& each : request.transactions) {
    gather->response.results_by_transaction.push_back({each.transactional_id, {}});
  }
  for (std::size_t i = 0; i < request.transactions.size(); ++i) {
    auto& each = request.transactions[i];
    auto refused = refused_partitions(nullptr, image, each.topics);
    add_one(coordinator,
            {each.transactional_id, producer_of(each.producer_id, each.producer_epoch),
             each.verify_only, std::move(each.topics)},
            std::move(refused), true, [gather, i](TopicResults results) {
              gather->response.results_by_transaction[i].topic_results = std::move(results);
              if (--gather->left == 0)
                std::exchange(gather->done, nullptr)(std::move(gather->response));
            });
  }
}

void handle_add_partitions_to_txn(Services& services, Call<AddPartitionsToTxnRequest> call) {
  const Access access(services, call);
  if (call.version() >= kFirstVersionOfBrokers) {
    if (!access.may_on_cluster(AclOperation::kClusterAction)) {
      AddPartitionsToTxnResponse refused;
      refused.error_code = wire(ErrorCode::kClusterAuthorizationFailed);
      return call.reply(refused);
    }
    auto request = std::move(call.request);
    return add_partitions_of_brokers(
        *services.transactions, access.image(), std::move(request),
        [call = std::move(call)](AddPartitionsToTxnResponse response) mutable {
          call.reply(response);
        });
  }
  auto& request = call.request;
  AddPartitionsToTxnResponse refused;
  if (!access.may(AclOperation::kWrite, ResourceType::kTransactionalId,
                  request.v3_and_below_transactional_id)) {
    refused.results_by_topic_v3_and_below =
        results_of(request.v3_and_below_topics, ErrorCode::kTransactionalIdAuthorizationFailed);
    return call.reply(refused);
  }
  Addition addition{
      request.v3_and_below_transactional_id,
      producer_of(request.v3_and_below_producer_id, request.v3_and_below_producer_epoch), false,
      std::move(request.v3_and_below_topics)};
  auto not_allowed = refused_partitions(&access, access.image(), addition.topics);
  add_one(*services.transactions, std::move(addition), std::move(not_allowed), false,
          [call = std::move(call)](TopicResults results) mutable {
            for (auto& topic : results)
              for (auto& partition : topic.results_by_partition)
                partition.partition_error_code = for_version(
                    static_cast<ErrorCode>(partition.partition_error_code), call.version());
            AddPartitionsToTxnResponse response;
            response.results_by_topic_v3_and_below = std::move(results);
            call.reply(response);
          });
}

void handle_add_offsets_to_txn(Services& services, Call<protocol::AddOffsetsToTxnRequest> call) {
  const Access access(services, call);
  const auto& request = call.request;
  protocol::AddOffsetsToTxnResponse response;
  const auto refuse = [&](ErrorCode error) {
    response.error_code = wire(error);
    call.reply(response);
  };
  if (!access.may(AclOperation::kWrite, ResourceType::kTransactionalId, request.transactional_id))
    return refuse(ErrorCode::kTransactionalIdAuthorizationFailed);
  if (!access.may(AclOperation::kRead, ResourceType::kGroup, request.group_id))
    return refuse(ErrorCode::kGroupAuthorizationFailed);
  const auto* offsets = access.image().topics.find(kGroupOffsetsTopic);
  if (!offsets) {
    // Begins to create it; the client comes again.
    (void)services.groups->find_coordinator(request.group_id, access.image());
    return refuse(ErrorCode::kCoordinatorNotAvailable);
  }
  const auto count = static_cast<std::int32_t>(offsets->partitions.size());
  const TopicPartition at{std::string(kGroupOffsetsTopic),
                          coordinator::partition_for(request.group_id, count)};
  txn::PartitionsOfTransaction addition{
      request.transactional_id, producer_of(request.producer_id, request.producer_epoch), {at}};
  services.transactions->add_partitions(
      std::move(addition), 0, [call = std::move(call), response](ErrorCode error) mutable {
        response.error_code = for_version(error, call.version());
        call.reply(response);
      });
}

void handle_end_txn(Services& services, Call<protocol::EndTxnRequest> call) {
  /// Since this version every end brings a new epoch (KIP-890).
  constexpr std::int16_t kFirstVersionWithEpochs = 5;
  const Access access(services, call);
  const auto& request = call.request;
  if (!access.may(AclOperation::kWrite, ResourceType::kTransactionalId, request.transactional_id)) {
    protocol::EndTxnResponse refused;
    refused.error_code = wire(ErrorCode::kTransactionalIdAuthorizationFailed);
    return call.reply(refused);
  }
  const txn::TransactionVersion version =
      call.version() >= kFirstVersionWithEpochs ? txn::kEpochBumpVersion : 0;
  txn::EndTransaction end{request.transactional_id,
                          producer_of(request.producer_id, request.producer_epoch),
                          request.committed, version};
  services.transactions->end(
      std::move(end), [call = std::move(call), version](txn::ProducerAnswer answer) mutable {
        protocol::EndTxnResponse response;
        response.error_code = for_version(answer.error, call.version());
        if (version >= txn::kEpochBumpVersion && answer.error == ErrorCode::kNone) {
          response.producer_id = answer.producer.id.value;
          response.producer_epoch = answer.producer.epoch.value;
        }
        call.reply(response);
      });
}

}  // namespace broker::handlers
