#pragma once

#include <string>
#include <vector>

#include "broker/controller/partition_change.h"
#include "broker/controller/partitions.h"
#include "broker/controller/reassignments.h"
#include "broker/controller/test_world.h"
#include "broker/controller/topics.h"

namespace broker::controller {

/// What tests of partitions do to a World, in one line each.
class TestCluster : public World {
 public:
  using World::World;

  void finalise(const std::string& feature, std::int16_t level) {
    protocol::FeatureLevelRecord record;
    record.name = feature;
    record.feature_level = level;
    // Past the check of what this software supports: the logic is there before it is advertised.
    replay({record});
  }
  void set_config(const std::string& topic, const std::string& key, const std::string& value) {
    protocol::ConfigRecord record;
    record.resource_type = static_cast<std::int8_t>(metadata::ConfigResourceType::kTopic);
    record.resource_name = topic;
    record.name = key;
    record.value = value;
    replay({record});
  }

  void fence(int id) { replay(fence_broker(context(), BrokerId{id})); }
  void unfence(int id) { run(beat(id)); }
  /// The broker comes back as a new process; clean: from a controlled shutdown.
  ErrorCode restart(int id, bool clean) {
    auto request = registration(id);
    request.incarnation_id = Uuid{1000, ++incarnation_};
    for (auto& feature : request.features)
      if (feature.name == metadata::kElrVersionFeature) feature.max_supported_version = 1;
    const auto* broker = image().cluster.broker(BrokerId{id});
    if (clean && broker != nullptr) request.previous_broker_epoch = broker->epoch.value;
    return code_of(run(request).error_code);
  }

  /// The leader of the partition reports this ISR, as it would with what it knows.
  ErrorCode alter_isr(const std::string& topic, std::int32_t index, std::vector<std::int32_t> isr,
                      std::int8_t recovery_state = 0) {
    const auto& now = partition(topic, index);
    protocol::AlterPartitionRequest request;
    request.broker_id = now.leader.value;
    const auto* leader = image().cluster.broker(now.leader);
    request.broker_epoch = leader == nullptr ? -1 : leader->epoch.value;
    protocol::AlterPartitionRequest::PartitionData data;
    data.partition_index = index;
    data.leader_epoch = now.leader_epoch.value;
    data.partition_epoch = now.partition_epoch.value;
    data.leader_recovery_state = recovery_state;
    for (const std::int32_t id : isr) data.new_isr_with_epochs.push_back({id, -1});
    request.topics.push_back({image().topics.find(topic)->id, {data}});
    const auto response = run(request);
    if (response.error_code != 0) return code_of(response.error_code);
    return code_of(response.topics.at(0).partitions.at(0).error_code);
  }

  /// nullopt cancels. "" or the error's message.
  std::string reassign(const std::string& topic, std::int32_t index,
                       std::optional<std::vector<std::int32_t>> replicas,
                       bool may_change_count = true) {
    protocol::AlterPartitionReassignmentsRequest request;
    request.allow_replication_factor_change = may_change_count;
    request.topics.push_back({topic, {{index, std::move(replicas)}}});
    const auto response = run(request);
    const auto& result = response.responses.at(0).partitions.at(0);
    last_code_ = code_of(result.error_code);
    return result.error_message.value_or("");
  }
  ErrorCode last_code() const { return last_code_; }

  ErrorCode elect(const std::string& topic, std::int32_t index, std::int8_t type) {
    protocol::ElectLeadersRequest request;
    request.election_type = type;
    request.topic_partitions.emplace();
    request.topic_partitions->push_back({topic, {index}});
    return code_of(run(request).replica_election_results.at(0).partition_result.at(0).error_code);
  }

 private:
  std::uint64_t incarnation_ = 0;
  ErrorCode last_code_ = ErrorCode::kNone;
};

inline std::vector<BrokerId> ids(const std::vector<std::int32_t>& numbers) {
  return to_broker_ids(numbers);
}

}  // namespace broker::controller
