// DescribeTransactions, ListTransactions, DescribeProducers.
#include <re2/re2.h>

#include <memory>
#include <utility>

#include "broker/coordinator/transaction/transaction_coordinator.h"
#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/partitions.h"
#include "broker/handlers/services.h"
#include "broker/protocol/messages/describe_producers_request.h"
#include "broker/protocol/messages/describe_producers_response.h"
#include "broker/protocol/messages/describe_transactions_request.h"
#include "broker/protocol/messages/describe_transactions_response.h"
#include "broker/protocol/messages/list_transactions_request.h"
#include "broker/protocol/messages/list_transactions_response.h"
#include "broker/replication/replica_manager.h"

namespace broker::handlers {

namespace txn = coordinator::transaction;

void handle_describe_transactions(Services& services,
                                  Call<protocol::DescribeTransactionsRequest> call) {
  struct Gather {
    Call<protocol::DescribeTransactionsRequest> call;
    Access access;
    protocol::DescribeTransactionsResponse response;
    std::size_t left = 1;

    void answered() {
      if (--left == 0) call.reply(response);
    }
  };
  Access access(services, call);
  const auto ids = std::move(call.request.transactional_ids);
  const auto gather = std::make_shared<Gather>(Gather{std::move(call), std::move(access), {}});
  gather->response.transaction_states.resize(ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (!gather->access.may(AclOperation::kDescribe, ResourceType::kTransactionalId, ids[i])) {
      auto& refused = gather->response.transaction_states[i];
      refused.transactional_id = ids[i];
      refused.error_code = wire(ErrorCode::kTransactionalIdAuthorizationFailed);
      continue;
    }
    ++gather->left;
    services.transactions->describe(
        ids[i], [gather, i](txn::TransactionShard::Described described) {
          std::erase_if(described.topics, [&](const auto& topic) {
            return !gather->access.sees(AclOperation::kDescribe, ResourceType::kTopic, topic.topic);
          });
          gather->response.transaction_states[i] = std::move(described);
          gather->answered();
        });
  }
  gather->answered();
}

void handle_list_transactions(Services& services, Call<protocol::ListTransactionsRequest> call) {
  // States that Kafka has in memory only: known, but never the state of anything here.
  const auto is_known = [](const std::string& name) {
    return name == "Dead" || name == "PrepareEpochFence";
  };
  Access access(services, call);
  txn::ListFilter filter;
  protocol::ListTransactionsResponse response;
  for (const std::string& name : call.request.state_filters) {
    const auto state = txn::parse_state_name(name);
    if (!state && !is_known(name)) {
      response.unknown_state_filters.push_back(name);
      continue;
    }
    if (!filter.states) filter.states.emplace();
    if (state) filter.states->insert(*state);
  }
  for (const std::int64_t id : call.request.producer_id_filters)
    filter.producers.insert(ProducerId{id});
  filter.running = std::chrono::milliseconds(call.request.duration_filter);
  if (const auto& pattern = call.request.transactional_id_pattern; pattern && !pattern->empty()) {
    RE2::Options options;
    options.set_log_errors(false);
    const auto regex = std::make_shared<const RE2>(*pattern, options);
    if (!regex->ok()) {
      response.error_code = wire(ErrorCode::kInvalidRegularExpression);
      return call.reply(response);
    }
    filter.matches = [regex](const std::string& id) { return RE2::FullMatch(id, *regex); };
  }
  services.transactions->list(
      std::move(filter),
      [call = std::move(call), access = std::move(access),
       response = std::move(response)](txn::TransactionCoordinator::Listing listing) mutable {
        response.error_code = wire(listing.error);
        response.transaction_states = std::move(listing.transactions);
        if (listing.error != ErrorCode::kNone) response.transaction_states.clear();
        std::erase_if(response.transaction_states, [&](const auto& each) {
          return !access.sees(AclOperation::kDescribe, ResourceType::kTransactionalId,
                              each.transactional_id);
        });
        call.reply(response);
      });
}

namespace {

void fill(protocol::DescribeProducersResponse::PartitionResponse& answer,
          const replication::Partition::ActiveProducers& active) {
  answer.error_code = wire(active.error);
  for (const auto& [id, state] : active.producers) {
    auto& producer = answer.active_producers.emplace_back();
    producer.producer_id = id.value;
    producer.producer_epoch = state.epoch.value;
    producer.last_sequence = state.last_sequence();
    producer.last_timestamp = state.last_timestamp;
    producer.coordinator_epoch = state.coordinator_epoch;
    producer.current_txn_start_offset = state.current_txn_first_offset.value_or(Offset{-1}).value;
  }
}

}  // namespace

void handle_describe_producers(Services& services, Call<protocol::DescribeProducersRequest> call) {
  struct Gather {
    Call<protocol::DescribeProducersRequest> call;
    protocol::DescribeProducersResponse response;
    std::vector<Slot> slots;
  };
  const Access access(services, call);
  auto gather = std::make_unique<Gather>(Gather{std::move(call), {}, {}});
  std::vector<replication::ReplicaManager::ProducersPartition> asked;
  for (const auto& topic : gather->call.request.topics) {
    auto& answer = gather->response.topics.emplace_back();
    answer.name = topic.name;
    const auto image = resolve_topic(access, topic.name, kZeroUuid, false, AclOperation::kRead);
    for (const std::int32_t index : topic.partition_indexes) {
      auto& partition = answer.partitions.emplace_back();
      partition.partition_index = index;
      auto at = image.ok() ? resolve_partition(**image, index)
                           : Result<replication::TopicIdPartition>(image.error());
      if (!at.ok()) {
        partition.error_code = wire(at.error().code);
        continue;
      }
      gather->slots.push_back({gather->response.topics.size() - 1, answer.partitions.size() - 1});
      asked.push_back({std::move(*at)});
    }
  }
  if (asked.empty()) return gather->call.reply(gather->response);
  services.replicas->active_producers(
      std::move(asked), [gather = std::move(gather)](
                            std::vector<replication::Partition::ActiveProducers> results) mutable {
        for (std::size_t i = 0; i < results.size(); ++i) {
          const Slot& slot = gather->slots[i];
          fill(gather->response.topics[slot.topic].partitions[slot.partition], results[i]);
        }
        gather->call.reply(gather->response);
      });
}

}  // namespace broker::handlers
