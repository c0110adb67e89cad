#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "broker/controller/brokers.h"
#include "broker/controller/cluster.h"
#include "broker/controller/partition_index.h"
#include "broker/controller/types.h"
#include "broker/metadata/delta.h"
#include "broker/metadata/features.h"
#include "broker/protocol/messages/create_topics_request.h"

namespace broker::controller {

inline constexpr ErrorCode code_of(std::int16_t number) { return static_cast<ErrorCode>(number); }

/// Asks for a topic whose partitions have replicas as given.
inline protocol::CreateTopicsRequest topic_with(
    const std::string& name, const std::vector<std::vector<std::int32_t>>& replicas) {
  protocol::CreateTopicsRequest request;
  auto& topic = request.topics.emplace_back();
  topic.name = name;
  topic.num_partitions = -1;
  topic.replication_factor = -1;
  for (std::size_t i = 0; i < replicas.size(); ++i)
    topic.assignments.push_back({static_cast<std::int32_t>(i), replicas[i]});
  return request;
}

/// A cluster's image without log and clock: decide, replay, look.
class World {
 public:
  explicit World(int brokers = 0, std::vector<std::string> racks = {})
      : delta_(metadata::MetadataImage::empty(), metadata::ReplayAs::kObserver),
        heartbeats_(std::chrono::seconds(9)) {
    options_.cluster_id = "c1";
    options_.node_id = BrokerId{0};
    protocol::FeatureLevelRecord level;
    level.name = "metadata.version";
    level.feature_level = metadata::kLatestMetadataVersion;
    options_.bootstrap_records = {level};
    replay(bootstrap_records(context()));
    for (int id = 0; id < brokers; ++id) {
      add_broker(id, racks.empty()
                         ? std::nullopt
                         : std::optional(racks[static_cast<std::size_t>(id) % racks.size()]));
    }
  }

  DecideContext context() {
    DecideContext now{delta_.newest(), options_, rng_, Offset{next_offset_}, now_, partitions_};
    now.caller = caller_;
    now.wall_now =
        std::chrono::duration_cast<std::chrono::milliseconds>(now_.time_since_epoch()).count();
    return now;
  }
  const metadata::MetadataImage& image() const { return delta_.newest(); }
  BrokerHeartbeats& heartbeats() { return heartbeats_; }
  ControllerOptions& options() { return options_; }
  void advance(Duration by) { now_ += by; }
  Instant now() const { return now_; }
  /// Who asks from now on; outlives this or the next.
  void set_caller(const Caller* caller) { caller_ = caller; }

  void replay(const metadata::MetadataRecords& records) {
    const metadata::TopicsImage before = delta_.newest().topics;
    for (const auto& record : records) {
      const auto replayed = delta_.replay(record);
      ASSERT_TRUE(replayed.ok()) << replayed.error().detail;
      ++next_offset_;
    }
    const auto update = delta_.apply({Offset{next_offset_ - 1}, LeaderEpoch{1}, 0});
    partitions_.apply(before, update.image->topics, update.changes);
  }

  template <class Request>
  typename Request::Response run(const Request& request) {
    ControllerResult<typename Request::Response> result;
    if constexpr (requires { decide(context(), heartbeats_, request); })
      result = decide(context(), heartbeats_, request);
    else
      result = decide(context(), request);
    last_records_ = result.records.size();
    replay(result.records);
    return result.response;
  }
  /// Of the last run().
  std::size_t last_records() const { return last_records_; }

  static protocol::BrokerRegistrationRequest registration(int id) {
    protocol::BrokerRegistrationRequest request;
    request.broker_id = id;
    request.cluster_id = "c1";
    request.incarnation_id = Uuid{77, static_cast<std::uint64_t>(id + 1)};
    request.listeners = {{"INTERNAL", "host", 9091, 1}};
    for (const auto& feature : metadata::supported_features())
      request.features.push_back({std::string(feature.name), feature.min, feature.max});
    request.rack = std::nullopt;
    request.log_dirs = {Uuid{88, static_cast<std::uint64_t>(id + 1)}};
    return request;
  }
  protocol::BrokerHeartbeatRequest beat(int id) const {
    protocol::BrokerHeartbeatRequest request;
    request.broker_id = id;
    const auto* broker = image().cluster.broker(BrokerId{id});
    request.broker_epoch = broker == nullptr ? -1 : broker->epoch.value;
    request.current_metadata_offset = next_offset_;
    return request;
  }
  void add_broker(int id, std::optional<std::string> rack = std::nullopt) {
    auto request = registration(id);
    request.rack = std::move(rack);
    ASSERT_EQ(run(request).error_code, 0);
    ASSERT_FALSE(run(beat(id)).is_fenced);
  }
  /// A topic with replicas as given; the first leads.
  void add_topic(const std::string& name, const std::vector<std::vector<std::int32_t>>& replicas);

  const metadata::PartitionRegistration& partition(const std::string& topic,
                                                   std::int32_t index = 0) const {
    return *image().topics.find(topic)->partitions.find(index);
  }

 private:
  ControllerOptions options_;
  metadata::MetadataDelta delta_;
  BrokerHeartbeats heartbeats_;
  PartitionIndex partitions_;
  Rng rng_{42};
  Instant now_{std::chrono::hours(1)};
  std::int64_t next_offset_ = 0;
  std::size_t last_records_ = 0;
  const Caller* caller_ = nullptr;
};

}  // namespace broker::controller
