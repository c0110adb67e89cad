#include <memory>
#include <utility>
#include <vector>

#include "broker/common/topic_name.h"
#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/partitions.h"
#include "broker/handlers/services.h"
#include "broker/protocol/messages/produce_request.h"
#include "broker/protocol/messages/produce_response.h"
#include "broker/record/batch.h"
#include "broker/replication/replica_manager.h"
#include "broker/server/client_quotas.h"

namespace broker::handlers {
namespace {

using protocol::ProduceRequest;
using protocol::ProduceResponse;

/// Kafka's own admin client may repair internal topics; nobody else may write them.
constexpr std::string_view kAdminClientId = "__admin_client";

struct Produce {
  Call<ProduceRequest> call;
  ProduceResponse response;
  std::vector<Slot> slots;  // of the plan's partitions
  bool failed = false;      // some partition was refused before the log was asked
};

void refuse(Produce& produce, ProduceResponse::TopicProduceResponse& topic, std::int32_t index,
            const Error& error) {
  ProduceResponse::PartitionProduceResponse partition;
  partition.index = index;
  partition.error_code = wire(error.code);
  partition.base_offset = -1;
  if (!error.detail.empty()) partition.error_message = error.detail;
  topic.partition_responses.push_back(std::move(partition));
  produce.failed = true;
}

bool is_transactional(const Slice& records) {
  return records.size() >= record::kBatchHeaderSize &&
         record::BatchHeader(records.span()).magic() == record::kMagic &&
         record::BatchHeader(records.span()).is_transactional();
}

/// What the partitions ask about this producer's transaction (KIP-890): with Produce 12 the client
/// leaves it to them to add themselves to it, since 11 it understands that they were not.
std::optional<replication::TransactionCheck> transaction_of(const Call<ProduceRequest>& call) {
  if (!call.request.transactional_id) return std::nullopt;
  replication::TransactionCheck check;
  check.transactional_id = *call.request.transactional_id;
  check.add_partition = call.version() >= 12;
  check.knows_abortable = call.version() >= 11;
  return check;
}

Result<replication::TopicIdPartition> check(const Produce& produce,
                                            const Result<const metadata::TopicImage*>& topic,
                                            const ProduceRequest::PartitionProduceData& data) {
  if (!topic.ok()) return topic.error();
  if (is_internal_topic((*topic)->name) && produce.call.client_id() != kAdminClientId) {
    return Error{ErrorCode::kInvalidTopicException,
                 "Cannot append to internal topic " + (*topic)->name};
  }
  if (!data.records || data.records->empty()) {
    return Error{ErrorCode::kInvalidRecord, "Produce requests must have at least one record batch"};
  }
  // Without an id nobody could have been asked whether this producer may write transactions.
  if (!produce.call.request.transactional_id && is_transactional(*data.records))
    return ErrorCode::kTransactionalIdAuthorizationFailed;
  return resolve_partition(**topic, data.index);
}

/// Splits the request into what the log is asked and what is refused at once.
replication::ProducePlan make_plan(const Access& access, Produce& produce) {
  replication::ProducePlan plan;
  const bool by_id = produce.call.version() >= 13;
  for (auto& topic_data : produce.call.request.topic_data) {
    auto& answer = produce.response.responses.emplace_back();
    answer.name = topic_data.name;
    answer.topic_id = topic_data.topic_id;
    const auto topic =
        resolve_topic(access, topic_data.name, topic_data.topic_id, by_id, AclOperation::kWrite);
    for (auto& data : topic_data.partition_data) {
      auto partition = check(produce, topic, data);
      if (!partition.ok()) {
        refuse(produce, answer, data.index, partition.error());
        continue;
      }
      produce.slots.push_back(
          {produce.response.responses.size() - 1, answer.partition_responses.size()});
      answer.partition_responses.push_back({data.index});
      plan.partitions.push_back({std::move(*partition), std::move(*data.records)});
    }
  }
  return plan;
}

void fill(Produce& produce, const Slot& slot, replication::ProduceResult result) {
  auto& partition = produce.response.responses[slot.topic].partition_responses[slot.partition];
  partition.error_code = wire(result.error);
  partition.base_offset = result.base_offset.value;
  partition.log_append_time_ms = result.log_append_time;
  partition.log_start_offset = result.log_start_offset.value;
  if (!result.message.empty()) partition.error_message = std::move(result.message);
  for (auto& record : result.record_errors) {
    partition.record_errors.push_back({record.batch_index, std::move(record.message)});
  }
  if (produce.call.version() >= 10) {
    partition.current_leader = {result.current_leader.leader.value,
                                result.current_leader.epoch.value};
  }
  if (result.error != ErrorCode::kNone) produce.failed = true;
}

/// What was appended cannot be taken back: the client is answered and made to wait. 0 within the
/// quota.
std::chrono::milliseconds charge_produce(const Services& services, const Produce& produce) {
  if (services.client_quotas == nullptr) return std::chrono::milliseconds(0);
  const Call<ProduceRequest>& call = produce.call;
  return services.client_quotas->charge(server::QuotaKind::kProduce, call.quota_client(),
                                        static_cast<double>(call.context.bytes),
                                        call.strand().now());
}

void finish(Services& services, Produce& produce, replication::Acks acks) {
  const auto throttle = charge_produce(services, produce);
  if (acks == replication::Acks::kNone) {
    // There is no answer that could carry an error: closing makes the client look for the leader
    // again.
    if (produce.failed)
      return produce.call.responder.close_connection("a produce request with acks=0 failed");
    return produce.call.responder.send_nothing(throttle);
  }
  produce.response.throttle_time_ms = static_cast<std::int32_t>(throttle.count());
  if (produce.call.version() >= 10) {
    const auto state = services.state.get();
    for (const auto& topic : produce.response.responses) {
      for (const auto& partition : topic.partition_responses) {
        if (partition.current_leader.leader_id < 0) continue;
        add_node_endpoint(produce.response, *state->image,
                          BrokerId{partition.current_leader.leader_id},
                          produce.call.session().listener);
      }
    }
  }
  produce.call.reply(produce.response);
}

void refuse_all(Call<ProduceRequest> call, ErrorCode error) {
  Produce produce{std::move(call), {}, {}};
  for (const auto& topic : produce.call.request.topic_data) {
    auto& answer = produce.response.responses.emplace_back();
    answer.name = topic.name;
    answer.topic_id = topic.topic_id;
    for (const auto& data : topic.partition_data) refuse(produce, answer, data.index, {error, {}});
  }
  produce.call.reply(produce.response);
}

}  // namespace

void handle_produce(Services& services, Call<ProduceRequest> call) {
  const Access access(services, call);
  const auto acks = replication::parse_acks(call.request.acks);
  if (!acks.ok()) return refuse_all(std::move(call), acks.error().code);
  if (call.request.transactional_id &&
      !access.may(AclOperation::kWrite, ResourceType::kTransactionalId,
                  *call.request.transactional_id)) {
    return refuse_all(std::move(call), ErrorCode::kTransactionalIdAuthorizationFailed);
  }
  auto produce = std::make_unique<Produce>(Produce{std::move(call), {}, {}});
  auto plan = make_plan(access, *produce);
  plan.acks = *acks;
  plan.timeout = std::chrono::milliseconds(produce->call.request.timeout_ms);
  plan.transaction = transaction_of(produce->call);
  // The batches are in the plan now; what is left of the request is not needed until the answer.
  produce->call.request.topic_data.clear();
  if (plan.partitions.empty()) return finish(services, *produce, *acks);
  services.replicas->produce(std::move(plan),
                             [&services, acks = *acks, produce = std::move(produce)](
                                 std::vector<replication::ProduceResult> results) mutable {
                               for (std::size_t i = 0; i < results.size(); ++i) {
                                 fill(*produce, produce->slots[i], std::move(results[i]));
                               }
                               finish(services, *produce, acks);
                             });
}

}  // namespace broker::handlers
