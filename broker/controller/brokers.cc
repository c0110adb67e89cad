#include "broker/controller/brokers.h"

#include <algorithm>
#include <set>

#include "broker/common/defect.h"
#include "broker/controller/directories.h"
#include "broker/controller/partition_change.h"
#include "broker/controller/partition_index.h"
#include "broker/metadata/features.h"

namespace broker::controller {
namespace {

using metadata::BrokerRegistration;
using metadata::MetadataRecords;

constexpr std::int8_t kFence = 1;
constexpr std::int8_t kUnfence = -1;

template <class Response>
ControllerResult<Response> refuse(ErrorCode code, std::string note) {
  ControllerResult<Response> result;
  result.response.error_code = static_cast<std::int16_t>(code);
  result.note = std::move(note);
  return result;
}

Result<void> check_features(const metadata::FeaturesImage& features,
                            const protocol::BrokerRegistrationRequest& request) {
  const auto check = [&](std::string_view name, std::int16_t level) -> Result<void> {
    for (const auto& feature : request.features) {
      if (feature.name != name) continue;
      if (feature.min_supported_version <= level && level <= feature.max_supported_version)
        return {};
      return Error{ErrorCode::kUnsupportedVersion,
                   "Unable to register because the broker does not support finalized version " +
                       std::to_string(level) + " of " + std::string(name) +
                       ". The broker wants a version between " +
                       std::to_string(feature.min_supported_version) + " and " +
                       std::to_string(feature.max_supported_version) + ", inclusive."};
    }
    return Error{ErrorCode::kUnsupportedVersion,
                 "Unable to register because the broker does not know the feature " +
                     std::string(name) + ", which is finalized at " + std::to_string(level)};
  };
  RETURN_IF_ERROR(check(metadata::kMetadataVersionFeature, features.metadata_version()));
  for (const auto& [name, level] : features.levels) RETURN_IF_ERROR(check(name, level));
  return {};
}

Result<void> check_directories(const metadata::MetadataImage& image,
                               const protocol::BrokerRegistrationRequest& request) {
  if (image.features.metadata_version() < metadata::kMetadataVersion3_7_IV2) return {};
  const auto invalid = [](std::string why) {
    return Error{ErrorCode::kInvalidRegistration, std::move(why)};
  };
  if (request.log_dirs.empty()) return invalid("No directories specified in request");
  const std::set<Uuid> mine(request.log_dirs.begin(), request.log_dirs.end());
  if (mine.size() != request.log_dirs.size()) return invalid("Duplicate directory ID in request");
  for (const Uuid& id : mine)
    if (id.msb == 0 && id.lsb < 100)
      return invalid("Reserved directory ID in request: " + id.to_string());
  for (const auto& [id, other] : image.cluster.brokers) {
    if (id.value == request.broker_id) continue;
    for (const Uuid& directory : other.log_dirs)
      if (mine.contains(directory))
        return invalid("Broker " + std::to_string(request.broker_id) + " wants directory " +
                       directory.to_string() + ", which broker " + std::to_string(id.value) +
                       " has");
  }
  return {};
}

protocol::RegisterBrokerRecord to_record(const protocol::BrokerRegistrationRequest& request) {
  protocol::RegisterBrokerRecord record;
  record.broker_id = request.broker_id;
  record.is_migrating_zk_broker = request.is_migrating_zk_broker;
  record.incarnation_id = request.incarnation_id;
  for (const auto& l : request.listeners)
    record.end_points.push_back({l.name, l.host, l.port, l.security_protocol});
  for (const auto& f : request.features)
    record.features.push_back({f.name, f.min_supported_version, f.max_supported_version});
  record.rack = request.rack;
  record.log_dirs = request.log_dirs;
  std::sort(record.log_dirs.begin(), record.log_dirs.end());
  return record;
}

protocol::BrokerRegistrationChangeRecord change_of(const BrokerRegistration& broker) {
  protocol::BrokerRegistrationChangeRecord record;
  record.broker_id = broker.id.value;
  record.broker_epoch = broker.epoch.value;
  return record;
}

enum class BrokerState { kFenced, kUnfenced, kControlledShutdown, kShutdownNow };

BrokerState current_state(const BrokerRegistration& broker) {
  if (broker.fenced) return BrokerState::kFenced;
  return broker.in_controlled_shutdown ? BrokerState::kControlledShutdown : BrokerState::kUnfenced;
}

BrokerState next_state(const DecideContext& context, const BrokerHeartbeats& heartbeats,
                       const BrokerRegistration& broker,
                       const protocol::BrokerHeartbeatRequest& request, bool caught_up) {
  switch (current_state(broker)) {
    case BrokerState::kFenced:
      if (request.want_shut_down) return BrokerState::kShutdownNow;
      return !request.want_fence && caught_up ? BrokerState::kUnfenced : BrokerState::kFenced;
    case BrokerState::kUnfenced:
      if (request.want_fence)
        return request.want_shut_down ? BrokerState::kShutdownNow : BrokerState::kFenced;
      if (!request.want_shut_down) return BrokerState::kUnfenced;
      return context.partitions.leaderships(broker.id) > 0 ? BrokerState::kControlledShutdown
                                                           : BrokerState::kShutdownNow;
    case BrokerState::kControlledShutdown: {
      if (context.partitions.leaderships(broker.id) > 0) return BrokerState::kControlledShutdown;
      // The others must know that this broker leads nothing any more before it may go. A new leader
      // does not know where that was written; the heartbeat sets it to the end of the log.
      const auto written = heartbeats.shutdown_offset(broker.id);
      const bool all_know =
          written && heartbeats.lowest_active_offset(context.image.cluster) >= *written;
      return all_know ? BrokerState::kShutdownNow : BrokerState::kControlledShutdown;
    }
    case BrokerState::kShutdownNow:
      break;
  }
  return BrokerState::kShutdownNow;
}

/// In Kafka's order: a broker is out of everything before it is fenced, and unfenced before it
/// leads.
void add_transition(const DecideContext& context, const BrokerRegistration& broker,
                    BrokerState next, MetadataRecords& records) {
  auto change = change_of(broker);
  switch (next) {
    case BrokerState::kFenced:
    case BrokerState::kShutdownNow:
      if (broker.fenced) return;
      add_changes_for(context, {.leaving = broker.id, .returning = {}, .unclean = {}}, records);
      change.fenced = kFence;
      records.emplace_back(std::move(change));
      break;
    case BrokerState::kUnfenced:
      change.fenced = kUnfence;
      records.emplace_back(std::move(change));
      add_changes_for(context, {.leaving = {}, .returning = broker.id, .unclean = {}}, records);
      break;
    case BrokerState::kControlledShutdown:
      change.in_controlled_shutdown = 1;
      records.emplace_back(std::move(change));
      add_changes_for(context, {.leaving = broker.id, .returning = {}, .unclean = {}}, records);
      break;
  }
}

}  // namespace

ControllerResult<protocol::BrokerRegistrationResponse> decide(
    const DecideContext& context, const BrokerHeartbeats& heartbeats,
    const protocol::BrokerRegistrationRequest& request) {
  using Response = protocol::BrokerRegistrationResponse;
  const BrokerId id{request.broker_id};
  if (request.cluster_id != context.options.cluster_id)
    return refuse<Response>(ErrorCode::kInconsistentClusterId,
                            "Expected cluster ID " + context.options.cluster_id +
                                ", but got cluster ID " + request.cluster_id);
  const BrokerRegistration* existing = context.image.cluster.broker(id);
  const bool restarted = existing != nullptr && existing->incarnation != request.incarnation_id;
  if (restarted && heartbeats.has_valid_session(id, existing->epoch, context.now))
    return refuse<Response>(ErrorCode::kDuplicateBrokerRegistration,
                            "Another broker is registered with that broker id. If the broker was "
                            "recently restarted this should self-resolve once the heartbeat "
                            "manager expires the broker's session.");
  if (request.listeners.empty())
    return refuse<Response>(ErrorCode::kInvalidRegistration, "No listeners specified in request");
  if (const auto ok = check_features(context.image.features, request); !ok.ok())
    return refuse<Response>(ok.code(), ok.error().detail);
  if (const auto ok = check_directories(context.image, request); !ok.ok())
    return refuse<Response>(ok.code(), ok.error().detail);

  ControllerResult<Response> result;
  result.atomic = false;
  if (restarted) {
    // Only a broker that comes from a controlled shutdown still has all that it had (KIP-966).
    const bool clean = request.previous_broker_epoch == existing->epoch.value ||
                       has_defect(Defect::kUncleanShutdownUnnoticed);
    Expected expected;
    (clean ? expected.leaving : expected.unclean) = id;
    add_changes_for(context, expected, result.records);
  }
  protocol::RegisterBrokerRecord record = to_record(request);
  if (existing != nullptr && !restarted) {
    record.fenced = existing->fenced;
    record.in_controlled_shutdown = existing->in_controlled_shutdown;
    record.broker_epoch = existing->epoch.value;
  } else {
    // The epoch is the offset of this very record, hence unique and growing.
    record.broker_epoch =
        (context.next_offset + static_cast<std::int64_t>(result.records.size())).value;
  }
  result.response.broker_epoch = record.broker_epoch;
  result.note = "broker " + std::to_string(id.value) + " registered with epoch " +
                std::to_string(record.broker_epoch);
  result.records.emplace_back(std::move(record));
  if (existing != nullptr && !restarted)
    add_returned_directories(context, *existing, request.log_dirs, result.records);
  return result;
}

ControllerResult<protocol::BrokerHeartbeatResponse> decide(
    const DecideContext& context, BrokerHeartbeats& heartbeats,
    const protocol::BrokerHeartbeatRequest& request) {
  using Response = protocol::BrokerHeartbeatResponse;
  const BrokerId id{request.broker_id};
  const BrokerRegistration* broker = context.image.cluster.broker(id);
  if (broker == nullptr)
    return refuse<Response>(
        ErrorCode::kBrokerIdNotRegistered,
        "heartbeat of broker " + std::to_string(id.value) + ", which is not registered");
  if (broker->epoch.value != request.broker_epoch)
    return refuse<Response>(ErrorCode::kStaleBrokerEpoch,
                            "heartbeat of broker " + std::to_string(id.value) + " with epoch " +
                                std::to_string(request.broker_epoch) + ", but it has " +
                                std::to_string(broker->epoch.value));

  const bool caught_up = request.current_metadata_offset >= broker->epoch.value;
  const DirectoryNews news = directory_news(context.image, *broker, request);
  const BrokerState before = current_state(*broker);
  BrokerState next = next_state(context, heartbeats, *broker, request, caught_up);
  // It must not be made leader of what has just gone offline: back with the next heartbeat.
  if (next == BrokerState::kUnfenced && before != next && news.offline) next = before;
  heartbeats.touch(id, broker->epoch, Offset{request.current_metadata_offset}, context.now);

  ControllerResult<Response> result;
  result.atomic = false;
  result.response.is_caught_up = caught_up;
  result.response.is_fenced = next == BrokerState::kFenced || next == BrokerState::kShutdownNow;
  result.response.should_shut_down = next == BrokerState::kShutdownNow;
  if (next != before) {
    add_transition(context, *broker, next, result.records);
    static constexpr const char* kNames[] = {"fenced", "unfenced", "in controlled shutdown",
                                             "told to shut down"};
    result.note = "broker " + std::to_string(id.value) + " is " + kNames[static_cast<int>(next)];
  }
  add_directory_changes(context, *broker, news, next == before, result.records);
  if (next == BrokerState::kControlledShutdown && !heartbeats.shutdown_offset(id))
    heartbeats.set_shutdown_offset(
        id, context.next_offset + (static_cast<std::int64_t>(result.records.size()) - 1));
  return result;
}

ControllerResult<protocol::UnregisterBrokerResponse> decide(
    const DecideContext& context, const protocol::UnregisterBrokerRequest& request) {
  ControllerResult<protocol::UnregisterBrokerResponse> result;
  result.atomic = false;
  result.response.error_message = std::nullopt;
  const BrokerRegistration* broker = context.image.cluster.broker(BrokerId{request.broker_id});
  if (broker == nullptr) {
    result.response.error_code = static_cast<std::int16_t>(ErrorCode::kBrokerIdNotRegistered);
    result.response.error_message =
        "Broker ID " + std::to_string(request.broker_id) + " is not currently registered";
    return result;
  }
  add_changes_for(context, {.leaving = {}, .returning = {}, .unclean = broker->id}, result.records);
  protocol::UnregisterBrokerRecord record;
  record.broker_id = broker->id.value;
  record.broker_epoch = broker->epoch.value;
  result.records.emplace_back(std::move(record));
  result.note = "broker " + std::to_string(broker->id.value) + " unregistered";
  return result;
}

MetadataRecords fence_broker(const DecideContext& context, BrokerId id) {
  MetadataRecords records;
  const BrokerRegistration* broker = context.image.cluster.broker(id);
  if (broker != nullptr) add_transition(context, *broker, BrokerState::kFenced, records);
  return records;
}

}  // namespace broker::controller
