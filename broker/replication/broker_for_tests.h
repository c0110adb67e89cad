#pragma once

#include <stdlib.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/io/posix/posix_file.h"
#include "broker/record/batch_builder.h"
#include "broker/replication/replica_manager.h"
#include "broker/replication/strands_for_tests.h"
#include "broker/storage/meta_properties.h"

namespace broker::replication::testing {

inline constexpr BrokerId kNode{1};
inline constexpr TopicId kOrders{1, 7};

/// One batch of `records` records.
inline Slice batch(int records = 1, std::int64_t producer_id = -1, std::int32_t sequence = -1) {
  record::BatchOptions options;
  options.producer_id = ProducerId{producer_id};
  options.producer_epoch = ProducerEpoch{static_cast<std::int16_t>(producer_id < 0 ? -1 : 0)};
  options.base_sequence = sequence;
  record::BatchBuilder builder(options);
  for (int i = 0; i < records; ++i) builder.add(1'700'000'000'000, "key", "value");
  return builder.build().value();
}

/// A ReplicaManager on a directory of its own, with topics that it leads alone.
class TestBroker {
 public:
  explicit TestBroker(std::size_t strands = 1) : world(strands) {
    char name[] = "/tmp/millrace-replication-XXXXXX";
    directory_ = ::mkdtemp(name);
    const storage::MetaProperties properties{"cluster", kNode, DirectoryId{5, 5}};
    CHECK(storage::write_meta_properties(*fs_, directory_, properties).ok());
    image_ = *metadata::MetadataImage::empty();
    open();
  }
  ~TestBroker() {
    stop();
    (void)fs_->remove_recursively(directory_);
  }

  void open() {
    storage::LogDirectoriesOptions options;
    options.directories = {directory_};
    options.metadata_directory = directory_;
    logs_ = storage::LogDirectories::open(*fs_, options).value();
    ReplicaManagerOptions manager;
    manager.node = kNode;
    replicas = std::make_unique<ReplicaManager>(manager, world.strands(), *logs_,
                                                ReplicaManagerPorts{world.workers()});
    const auto image = std::make_shared<const metadata::MetadataImage>(image_);
    CHECK(logs_
              ->load(
                  [&](const TopicPartition& partition) {
                    return replicas->log_options(*image, partition.topic);
                  },
                  world.wall())
              .ok());
  }
  /// Makes `replicas` follow the image as it is; a listener registers between open() and this.
  void start() {
    replicas->start();
    metadata::MetadataUpdate all{std::make_shared<const metadata::MetadataImage>(image_), {}};
    all.changes = metadata::diff(*metadata::MetadataImage::empty(), *all.image);
    apply(std::move(all));
  }
  void stop() {
    if (!replicas) return;
    bool stopped = false;
    replicas->shut_down(std::nullopt, [&](Result<void> result) {
      CHECK(result.ok() || logs_->any_offline());
      stopped = true;
    });
    world.run();
    CHECK(stopped);
    replicas.reset();
    logs_.reset();
  }

  void create_topic(const std::string& name, TopicId id, int partitions,
                    std::map<std::string, std::string> configs = {},
                    const std::vector<BrokerId>& replicas_of_each = {kNode}, int epoch = 1,
                    BrokerId leader = kNode) {
    metadata::TopicImage topic{name, id, {}};
    for (int i = 0; i < partitions; ++i)
      topic.partitions.set(i, registration(replicas_of_each, {leader}, epoch, leader));
    image_.topics.by_id.set(id, topic);
    image_.topics.ids.set(name, id);
    if (!configs.empty())
      image_.configs.by_resource.set({metadata::ConfigResourceType::kTopic, name},
                                     config::ConfigMap(configs.begin(), configs.end()));
  }
  void delete_topic(const std::string& name, TopicId id) {
    image_.topics.by_id.erase(id);
    image_.topics.ids.erase(name);
  }
  static metadata::PartitionRegistration registration(std::vector<BrokerId> replicas,
                                                      std::vector<BrokerId> isr, int epoch = 1,
                                                      BrokerId leader = kNode) {
    metadata::PartitionRegistration partition;
    partition.directories.resize(replicas.size());
    partition.replicas = std::move(replicas);
    partition.isr = std::move(isr);
    partition.leader = leader;
    partition.leader_epoch = LeaderEpoch{epoch};
    return partition;
  }
  /// Publishes what create_topic() and delete_topic() have changed.
  metadata::MetadataUpdate publish() {
    auto before = published_;
    published_ = std::make_shared<const metadata::MetadataImage>(image_);
    metadata::MetadataUpdate update{published_, metadata::diff(*before, *published_)};
    apply(update);
    return update;
  }

  ProduceResult produce(int partition, Slice records, Acks acks = Acks::kAll) {
    std::optional<ProduceResult> answer;
    ProducePlan plan;
    plan.acks = acks;
    plan.partitions.push_back({{kOrders, "orders", partition}, std::move(records)});
    replicas->produce(std::move(plan), [&](std::vector<ProduceResult> results) {
      answer = std::move(results.at(0));
    });
    world.run();
    CHECK(answer.has_value());
    return *answer;
  }

  using Fetched = std::shared_ptr<std::optional<std::vector<FetchResult>>>;
  Fetched fetch(std::vector<std::pair<int, std::int64_t>> partitions, FetchPlan plan = {}) {
    for (const auto& [partition, offset] : partitions)
      plan.partitions.push_back({{kOrders, "orders", partition}, {Offset{offset}}});
    auto answer = std::make_shared<std::optional<std::vector<FetchResult>>>();
    replicas->fetch(std::move(plan), [answer](std::vector<FetchResult> results) {
      CHECK(!answer->has_value());
      *answer = std::move(results);
    });
    world.run();
    return answer;
  }

  MetricsSnapshot collect() {
    MetricsSnapshot snapshot;
    replicas->collect([&](MetricsSnapshot s) { snapshot = std::move(s); });
    world.run();
    return snapshot;
  }

  /// The disk of the only log directory fails.
  void fail_disk() {
    logs_->of_metadata().health().fail({ErrorCode::kKafkaStorageError, "Input/output error"});
    replicas->on_directory_offline();
    world.run();
  }

  TestWorld world;
  std::unique_ptr<ReplicaManager> replicas;
  std::string directory() const { return directory_; }
  io::FileSystem& fs() { return *fs_; }

 private:
  void apply(metadata::MetadataUpdate update) {
    published_ = update.image;
    bool applied = false;
    replicas->apply(update, [&] { applied = true; });
    world.run();
    CHECK(applied);
  }

  std::unique_ptr<io::FileSystem> fs_ = io::posix::make_posix_file_system();
  std::string directory_;
  metadata::MetadataImage image_;
  metadata::ImagePtr published_ = metadata::MetadataImage::empty();
  std::unique_ptr<storage::LogDirectories> logs_;
};

}  // namespace broker::replication::testing
