#include <memory>
#include <utility>
#include <vector>

#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/controller_call.h"
#include "broker/handlers/partitions.h"
#include "broker/handlers/services.h"
#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/replication/fetch_session.h"
#include "broker/replication/replica_manager.h"
#include "broker/server/client_quotas.h"

namespace broker::handlers {
namespace {

using protocol::FetchRequest;
using protocol::FetchResponse;
using replication::FetchResult;
using replication::FetchSessionCache;
using replication::SessionPartition;

constexpr std::int16_t kFirstVersionWithTopicIds = 13;

struct Fetch {
  Call<FetchRequest> call;
  FetchSessionCache::Fetch session;
  std::vector<FetchResult> results;  // by index of session.partitions
  std::vector<std::size_t> planned;  // plan index -> session index
};

replication::SessionRequest session_request(const Call<FetchRequest>& call, bool replica) {
  const FetchRequest& request = call.request;
  replication::SessionRequest session;
  session.session_id = request.session_id;
  session.session_epoch = request.session_epoch;
  session.by_topic_id = call.version() >= 13;
  session.privileged = replica;
  for (const auto& topic : request.topics) {
    for (const auto& p : topic.partitions) {
      session.partitions.push_back({{topic.topic, topic.topic_id, p.partition},
                                    p.partition_max_bytes,
                                    Offset{p.fetch_offset},
                                    Offset{p.log_start_offset},
                                    p.current_leader_epoch,
                                    p.last_fetched_epoch});
    }
  }
  for (const auto& topic : request.forgotten_topics_data) {
    for (const std::int32_t partition : topic.partitions) {
      session.forgotten.push_back({topic.topic, topic.topic_id, partition});
    }
  }
  return session;
}

bool is_replica(const Call<FetchRequest>& call) {
  return (call.version() >= 15 ? call.request.replica_state.replica_id : call.request.replica_id) >=
         0;
}

void reply_error(Call<FetchRequest> call, ErrorCode error) {
  FetchResponse response;
  response.error_code = wire(error);
  call.reply(response);
}

/// `may_read`: followers were checked once for CLUSTER_ACTION, consumers are checked per topic.
Result<replication::TopicIdPartition> resolve(const Access& access, const SessionPartition& wanted,
                                              bool by_id, bool replica, bool cluster_action) {
  if (replica) {
    if (!cluster_action) return ErrorCode::kTopicAuthorizationFailed;
    const auto* topic = by_id ? access.image().topics.find(wanted.key.topic_id)
                              : access.image().topics.find(wanted.key.topic);
    if (topic == nullptr) {
      return by_id ? ErrorCode::kUnknownTopicId : ErrorCode::kUnknownTopicOrPartition;
    }
    return resolve_partition(*topic, wanted.key.partition);
  }
  ASSIGN_OR_RETURN(const auto* topic, resolve_topic(access, wanted.key.topic, wanted.key.topic_id,
                                                    by_id, AclOperation::kRead));
  return resolve_partition(*topic, wanted.key.partition);
}

replication::FetchPlan make_plan(const Services& services, const Access& access, Fetch& fetch) {
  const FetchRequest& request = fetch.call.request;
  replication::FetchPlan plan;
  const std::int32_t replica_id =
      fetch.call.version() >= 15 ? request.replica_state.replica_id : request.replica_id;
  plan.reader = {BrokerId{replica_id}, BrokerEpoch{request.replica_state.replica_epoch},
                 fetch.call.version() >= 11, !security::uses_tls(fetch.call.session().protocol)};
  plan.rack = request.rack_id;
  plan.isolation = request.isolation_level == 1 ? replication::Isolation::kReadCommitted
                                                : replication::Isolation::kReadUncommitted;
  plan.max_wait = std::chrono::milliseconds(std::max(0, request.max_wait_ms));
  plan.min_bytes = request.min_bytes;
  plan.max_bytes = std::min(request.max_bytes, services.config.fetch_max_bytes);
  if (services.client_quotas != nullptr && !plan.reader.is_replica()) {
    // More could never be sent at once.
    const auto burst = services.client_quotas->burst(
        server::QuotaKind::kFetch, fetch.call.quota_client(), fetch.call.strand().now());
    if (burst && *burst < plan.max_bytes) plan.max_bytes = static_cast<std::int32_t>(*burst);
    plan.min_bytes = std::min(plan.min_bytes, plan.max_bytes);
  }
  const bool cluster_action =
      plan.reader.is_replica() && access.may_on_cluster(AclOperation::kClusterAction);
  fetch.results.resize(fetch.session.partitions.size());
  for (std::size_t i = 0; i < fetch.session.partitions.size(); ++i) {
    const SessionPartition& wanted = fetch.session.partitions[i];
    auto at = resolve(access, wanted, fetch.session.by_topic_id, plan.reader.is_replica(),
                      cluster_action);
    if (!at.ok()) {
      fetch.results[i].error = at.error().code;
      continue;
    }
    fetch.planned.push_back(i);
    plan.partitions.push_back({std::move(*at),
                               {wanted.fetch_offset, optional_epoch(wanted.current_leader_epoch),
                                optional_epoch(wanted.last_fetched_epoch)},
                               wanted.max_bytes});
  }
  // An error is news: do not let the client wait for it.
  if (fetch.planned.size() < fetch.results.size()) plan.max_wait = std::chrono::milliseconds(0);
  return plan;
}

FetchResponse::PartitionData answer_for(std::int32_t partition, FetchResult& result,
                                        std::int16_t version) {
  FetchResponse::PartitionData data;
  data.partition_index = partition;
  data.error_code = wire(result.error);
  data.high_watermark = result.high_watermark.value;
  data.last_stable_offset = result.last_stable_offset.value;
  data.log_start_offset = result.log_start_offset.value;
  if (version >= 12 && result.diverging_epoch) {
    data.diverging_epoch = {result.diverging_epoch->epoch.value,
                            result.diverging_epoch->end_offset.value};
  }
  if (version >= 12) {
    data.current_leader = {result.current_leader.leader.value, result.current_leader.epoch.value};
  }
  for (const auto& aborted : result.aborted) {
    data.aborted_transactions->push_back({aborted.producer_id.value, aborted.first_offset.value});
  }
  if (result.preferred_read_replica) {
    data.preferred_read_replica = result.preferred_read_replica->value;
  }
  data.records = std::move(result.records);
  return data;
}

replication::SessionOutcome outcome(const FetchResult& result) {
  return {result.high_watermark.value,
          result.log_start_offset.value,
          !result.records.empty(),
          result.error != ErrorCode::kNone,
          result.diverging_epoch.has_value(),
          result.preferred_read_replica.has_value()};
}

/// How much of the answer counts: as good as its size, known before it is made.
double bytes_of(const Fetch& fetch) {
  constexpr std::size_t kPerAnswer = 40;
  constexpr std::size_t kPerPartition = 60;
  std::size_t bytes = kPerAnswer;
  for (std::size_t i = 0; i < fetch.results.size(); ++i) {
    const FetchResult& result = fetch.results[i];
    if (fetch.session.full || !result.records.empty() || result.error != ErrorCode::kNone)
      bytes += kPerPartition + result.records.size();
  }
  return static_cast<double>(bytes);
}

/// A consumer above its quota gets an answer without partitions, and what it did not get does not
/// count. True if the call was answered so.
bool throttle_fetch(Services& services, Fetch& fetch) {
  if (services.client_quotas == nullptr || is_replica(fetch.call)) return false;
  auto& quotas = *services.client_quotas;
  const bool limited = quotas.limits(server::QuotaKind::kFetch);
  if (!limited && fetch.call.context.meter == nullptr) return false;
  const server::QuotaClient client = fetch.call.quota_client();
  const Instant now = fetch.call.strand().now();
  const double bytes = bytes_of(fetch);
  const auto wait = std::max(fetch.call.settle_time(),
                             quotas.charge(server::QuotaKind::kFetch, client, bytes, now));
  if (wait.count() == 0) return false;
  quotas.take_back(server::QuotaKind::kFetch, client, bytes, now);
  FetchResponse response;
  response.throttle_time_ms = static_cast<std::int32_t>(wait.count());
  // A new session does not begin with it: the client asks in full again.
  response.session_id = fetch.session.session_id;
  fetch.call.reply(response);
  return true;
}

void finish(Services& services, Fetch& fetch) {
  if (throttle_fetch(services, fetch)) return;
  std::vector<replication::SessionOutcome> outcomes;
  outcomes.reserve(fetch.results.size());
  for (const auto& result : fetch.results) outcomes.push_back(outcome(result));
  auto& cache = services.fetch_sessions(fetch.call.strand());
  const auto session = cache.finish(fetch.session, outcomes, fetch.call.strand().now());

  FetchResponse response;
  response.session_id = session.session_id;
  const auto state = services.state.get();
  for (std::size_t i = 0; i < fetch.results.size(); ++i) {
    if (!session.include[i]) continue;
    const auto& key = fetch.session.partitions[i].key;
    if (response.responses.empty() || response.responses.back().topic != key.topic ||
        response.responses.back().topic_id != key.topic_id) {
      response.responses.push_back({key.topic, key.topic_id, {}});
    }
    FetchResult& result = fetch.results[i];
    if (fetch.call.version() >= 16 && result.current_leader.leader.value >= 0) {
      add_node_endpoint(response, *state->image, result.current_leader.leader,
                        fetch.call.session().listener);
    }
    response.responses.back().partitions.push_back(
        answer_for(key.partition, result, fetch.call.version()));
  }
  fetch.call.reply(response);
}

/// A follower's fetch. Without the right every partition that it names is refused, as in Kafka.
void serve_replica(Services& services, Call<FetchRequest> call) {
  const Access access(services, call);
  if (!access.may_on_cluster(AclOperation::kClusterAction)) {
    FetchResponse response;
    for (const auto& topic : call.request.topics) {
      auto& answer = response.responses.emplace_back();
      answer.topic_id = topic.topic_id;
      for (const auto& partition : topic.partitions) {
        FetchResult result;
        result.error = ErrorCode::kTopicAuthorizationFailed;
        answer.partitions.push_back(answer_for(partition.partition, result, call.version()));
      }
    }
    return call.reply(response);
  }
  auto request = std::move(call.request);
  services.replicas->serve_replica(
      std::move(request),
      [call = std::move(call)](FetchResponse response) mutable { call.reply(response); });
}

}  // namespace

void handle_fetch(Services& services, Call<FetchRequest> call) {
  if (is_controller_listener(services, call.session().listener)) {
    return handle_metadata_fetch(services, std::move(call));
  }
  const bool replica = is_replica(call);
  if (replica) call.context.meter.reset();  // followers have their own throttle
  if (replica && call.version() >= kFirstVersionWithTopicIds) {
    return serve_replica(services, std::move(call));
  }
  auto& cache = services.fetch_sessions(call.strand());
  auto session = cache.begin(session_request(call, replica), call.strand().now());
  if (!session.ok()) return reply_error(std::move(call), session.error().code);

  const Access access(services, call);
  auto fetch = std::make_unique<Fetch>(Fetch{std::move(call), std::move(*session), {}, {}});
  auto plan = make_plan(services, access, *fetch);
  if (plan.partitions.empty()) return finish(services, *fetch);
  services.replicas->fetch(std::move(plan), [&services, fetch = std::move(fetch)](
                                                std::vector<FetchResult> results) mutable {
    for (std::size_t i = 0; i < results.size(); ++i) {
      fetch->results[fetch->planned[i]] = std::move(results[i]);
    }
    finish(services, *fetch);
  });
}

}  // namespace broker::handlers
