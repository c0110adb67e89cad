#pragma once

#include <stdlib.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/io/posix/posix_file.h"
#include "broker/protocol/messages/alter_partition_request.h"
#include "broker/protocol/messages/alter_partition_response.h"
#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/protocol/messages/list_offsets_request.h"
#include "broker/protocol/messages/list_offsets_response.h"
#include "broker/record/batch_builder.h"
#include "broker/record/record_iterator.h"
#include "broker/replication/replica_manager.h"
#include "broker/replication/strands_for_tests.h"
#include "broker/storage/meta_properties.h"

namespace broker::replication::testing {

/// Several ReplicaManagers in one thread, with links that can be cut and a controller that does
/// what AlterPartition asks and what the test says. A broker has one strand.
class TestCluster {
 public:
  static constexpr TopicId kTopic{1, 7};

  struct Options {
    int brokers = 3;
    int min_insync_replicas = 1;
    std::chrono::milliseconds replica_lag_time_max{10'000};
    /// Of every message between brokers; 0: in the same instant.
    std::uint64_t max_delay_ms = 0;
    std::uint64_t seed = 1;
  };

  class Peer;
  struct Broker : PeerConnector, AlterPartitionSender {
    Broker(TestCluster& cluster, BrokerId id) : cluster(cluster), id(id) {}
    std::unique_ptr<PeerConnection> connect(io::Strand&, const metadata::BrokerRegistration& peer,
                                            std::string) override;
    void alter_partition(
        protocol::AlterPartitionRequest request,
        UniqueFunction<void(Result<protocol::AlterPartitionResponse>)> done) override {
      cluster.alter_partition(*this, std::move(request), std::move(done));
    }

    TestCluster& cluster;
    const BrokerId id;
    std::string directory;
    std::unique_ptr<storage::LogDirectories> logs;
    std::unique_ptr<ReplicaManager> replicas;  // null: down
    BrokerEpoch epoch{-1};
    metadata::ImagePtr image = metadata::MetadataImage::empty();
    int connections = 0;
    int fetches = 0;
  };

  explicit TestCluster(Options given)
      : options(given), world(static_cast<std::size_t>(given.brokers)), rng_(given.seed) {
    char name[] = "/tmp/millrace-cluster-XXXXXX";
    directory_ = ::mkdtemp(name);
    for (int i = 1; i <= options.brokers; ++i) {
      auto& broker = *brokers_.emplace_back(std::make_unique<Broker>(*this, BrokerId{i}));
      broker.directory = directory_ + "/" + std::to_string(i);
      CHECK(fs_->create_directories(broker.directory).ok());
      const storage::MetaProperties properties{"cluster", broker.id,
                                               DirectoryId{5, static_cast<std::uint64_t>(i)}};
      CHECK(storage::write_meta_properties(*fs_, broker.directory, properties).ok());
    }
    for (int i = 1; i <= options.brokers; ++i) start(i);
  }
  ~TestCluster() {
    for (int i = 1; i <= options.brokers; ++i)
      if (broker(i).replicas) stop(i);
    (void)fs_->remove_recursively(directory_);
  }

  Broker& broker(int id) { return *brokers_.at(static_cast<std::size_t>(id - 1)); }
  bool is_up(int id) { return broker(id).replicas != nullptr; }
  io::Strand& strand(int id) { return world.strand(static_cast<std::size_t>(id - 1)); }

  /// Runs `task` on the broker's strand, and everything that follows from it.
  template <class F>
  void on(int id, F task) {
    strand(id).post(std::move(task));
    world.run();
  }

  // --- Life of a broker

  void start(int id) {
    Broker& b = broker(id);
    storage::LogDirectoriesOptions logs;
    logs.directories = {b.directory};
    logs.metadata_directory = b.directory;
    b.logs = storage::LogDirectories::open(*fs_, logs).value();
    ReplicaManagerOptions manager;
    manager.node = b.id;
    manager.replica_lag_time_max = options.replica_lag_time_max;
    manager.replica_fetch_backoff = std::chrono::milliseconds(200);
    b.replicas =
        std::make_unique<ReplicaManager>(manager, Strands(strand(id), {&strand(id)}), *b.logs,
                                         ReplicaManagerPorts{world.workers(), &b, &b});
    const auto options_for = [&](const TopicPartition& p) {
      return b.replicas->log_options(image_, p.topic);
    };
    CHECK(b.logs->load(options_for, world.wall()).ok());
    b.epoch = BrokerEpoch{++epochs_};
    metadata::BrokerRegistration registration;
    registration.id = b.id;
    registration.epoch = b.epoch;
    registration.fenced = false;
    image_.cluster.brokers.set(b.id, registration);
    b.image = metadata::MetadataImage::empty();
    on(id, [&b] {
      b.replicas->start();
      b.replicas->set_broker_epoch(b.epoch);
    });
    publish();
  }

  /// The process ends; `crash`: without the marks of a clean end.
  void stop(int id, bool crash = false) {
    Broker& b = broker(id);
    cut_off(id);
    bool stopped = false;
    on(id,
       [&] { b.replicas->shut_down(std::nullopt, [&](const Result<void>&) { stopped = true; }); });
    CHECK(stopped);
    b.replicas.reset();
    b.logs.reset();
    heal(id);
    if (!crash) return;
    (void)fs_->remove(b.directory + "/.kafka_cleanshutdown");
    (void)fs_->remove(b.directory + "/replication-offset-checkpoint");
    (void)fs_->remove(b.directory + "/recovery-point-offset-checkpoint");
  }

  /// Nobody reaches it, and it reaches nobody; lines break.
  void cut_off(int id);
  void heal(int id) { cut_off_.erase(BrokerId{id}); }
  bool reachable(BrokerId a, BrokerId b) const {
    return !cut_off_.contains(a) && !cut_off_.contains(b);
  }

  // --- The controller

  metadata::PartitionRegistration registration() {
    const auto* found = image_.topics.partition(kTopic, 0);
    CHECK(found != nullptr);
    return *found;
  }
  void create_topic(std::vector<int> replicas) {
    metadata::PartitionRegistration partition;
    for (const int id : replicas) partition.replicas.push_back(BrokerId{id});
    partition.directories.resize(replicas.size());
    partition.isr = partition.replicas;
    partition.leader = partition.replicas.front();
    partition.leader_epoch = LeaderEpoch{0};
    metadata::TopicImage topic{"orders", kTopic, {}};
    topic.partitions.set(0, partition);
    image_.topics.by_id.set(kTopic, topic);
    image_.topics.ids.set("orders", kTopic);
    image_.configs.by_resource.set(
        {metadata::ConfigResourceType::kTopic, "orders"},
        config::ConfigMap{{"min.insync.replicas", std::to_string(options.min_insync_replicas)}});
    publish();
  }
  void change(metadata::PartitionRegistration partition) {
    partition.partition_epoch.value += 1;
    metadata::TopicImage topic = *image_.topics.find(kTopic);
    topic.partitions.set(0, std::move(partition));
    image_.topics.by_id.set(kTopic, topic);
    publish();
  }
  /// More keys of all brokers and of the topic.
  void configure(const config::ConfigMap& brokers, const config::ConfigMap& topic) {
    const auto add = [&](const metadata::ConfigResource& resource, const config::ConfigMap& keys) {
      config::ConfigMap all = image_.configs.of(resource);
      for (const auto& [key, value] : keys) all[key] = value;
      image_.configs.by_resource.set(resource, all);
    };
    add({metadata::ConfigResourceType::kBroker, ""}, brokers);
    add({metadata::ConfigResourceType::kTopic, "orders"}, topic);
    publish();
  }
  /// A new leader, with `isr`.
  void elect(int leader, std::vector<int> isr) {
    metadata::PartitionRegistration partition = registration();
    partition.leader = BrokerId{leader};
    partition.leader_epoch.value += 1;
    partition.isr.clear();
    for (const int id : isr) partition.isr.push_back(BrokerId{id});
    change(std::move(partition));
  }
  void fence(int id, bool fenced) {
    metadata::BrokerRegistration registration = *image_.cluster.broker(BrokerId{id});
    registration.fenced = fenced;
    image_.cluster.brokers.set(BrokerId{id}, registration);
    publish();
  }
  std::vector<int> isr() {
    std::vector<int> ids;
    for (const BrokerId id : registration().isr) ids.push_back(id.value);
    std::sort(ids.begin(), ids.end());
    return ids;
  }
  void publish() {
    hand_out_image();
    world.run();
  }
  std::set<int> behind;  // brokers that learn nothing new
  ErrorCode refuse_isr_changes = ErrorCode::kNone;
  int isr_requests = 0;

  // --- Clients

  struct Produced {
    std::optional<ProduceResult> result;
  };
  std::shared_ptr<Produced> produce(int leader, Slice records, Acks acks = Acks::kAll) {
    auto produced = std::make_shared<Produced>();
    on(leader, [this, leader, records = std::move(records), acks, produced] {
      ProducePlan plan;
      plan.acks = acks;
      plan.partitions.push_back({{kTopic, "orders", 0}, records});
      broker(leader).replicas->produce(std::move(plan), [produced](auto results) {
        produced->result = std::move(results.at(0));
      });
    });
    return produced;
  }
  static Slice batch(const std::string& value, std::int64_t producer_id = -1,
                     std::int32_t sequence = -1) {
    record::BatchOptions options;
    options.producer_id = ProducerId{producer_id};
    options.producer_epoch = ProducerEpoch{static_cast<std::int16_t>(producer_id < 0 ? -1 : 0)};
    options.base_sequence = sequence;
    record::BatchBuilder builder(options);
    builder.add(1'700'000'000'000, "", value);
    return builder.build().value();
  }

  // --- Looking inside

  Partition& partition(int id) {
    Partition* found = nullptr;
    on(id, [&] { found = broker(id).replicas->find(kTopic, 0); });
    CHECK(found != nullptr);
    return *found;
  }
  Offset log_end(int id) { return partition(id).log()->log_end_offset(); }
  Offset high_watermark(int id) { return partition(id).high_watermark(); }
  /// "epoch:value" by offset, below `end`.
  std::map<std::int64_t, std::string> content(int id, std::optional<Offset> end = std::nullopt) {
    std::map<std::int64_t, std::string> content;
    storage::Log& log = *partition(id).log();
    const Offset stop = end.value_or(log.log_end_offset());
    for (Offset at = log.log_start_offset(); at < stop;) {
      const auto read = log.read(at, stop, 1 << 20, true);
      CHECK(read.ok());
      if (read->records.empty()) break;
      record::BatchReader batches(read->records);
      while (const auto batch = batches.next().value()) {
        const record::BatchHeader header = batch->header();
        const std::string bytes(batch->bytes.view().substr(record::kBatchHeaderSize));
        content[header.base_offset().value] =
            std::to_string(header.leader_epoch().value) + ":" + bytes;
      }
      at = read->next_offset;
    }
    return content;
  }

  const Options options;
  TestWorld world;

 private:
  /// To brokers that the controller reaches.
  void hand_out_image() {
    const auto image = std::make_shared<const metadata::MetadataImage>(image_);
    for (const auto& each : brokers_) {
      Broker& b = *each;
      if (!b.replicas || cut_off_.contains(b.id) || behind.contains(b.id.value)) continue;
      metadata::MetadataUpdate update{image, metadata::diff(*b.image, *image)};
      b.image = image;
      strand(b.id.value).post([&b, update] {
        if (b.replicas) b.replicas->apply(update);
      });
    }
  }
  void alter_partition(Broker& from, protocol::AlterPartitionRequest request,
                       UniqueFunction<void(Result<protocol::AlterPartitionResponse>)> done);
  void deliver(BrokerId from, BrokerId to, Task task);

  std::unique_ptr<io::FileSystem> fs_ = io::posix::make_posix_file_system();
  std::string directory_;
  std::vector<std::unique_ptr<Broker>> brokers_;
  std::set<BrokerId> cut_off_;
  std::set<Peer*> peers_;
  std::int64_t epochs_ = 0;
  metadata::MetadataImage image_ = *metadata::MetadataImage::empty();
  Rng rng_;
};

/// A line between two brokers; messages keep their order.
class TestCluster::Peer final : public PeerConnection {
 public:
  Peer(TestCluster& cluster, BrokerId from, BrokerId to) : cluster_(cluster), from_(from), to_(to) {
    cluster_.peers_.insert(this);
    if (!up()) break_soon();
  }
  ~Peer() override {
    *alive_ = false;
    cluster_.peers_.erase(this);
  }
  bool touches(BrokerId id) const { return from_ == id || to_ == id; }

  void fetch(protocol::FetchRequest request,
             UniqueFunction<void(Result<protocol::FetchResponse>)> done) override {
    if (broken_ || !up()) return break_soon();
    ++cluster_.broker(to_.value).fetches;
    auto shared = std::make_shared<decltype(done)>(std::move(done));
    // A message under way arrives, whatever becomes of the line.
    send(to_, [this, &cluster = cluster_, to = to_, shared, alive = alive_,
               request = std::move(request)]() mutable {
      auto& target = cluster.broker(to.value);
      if (!target.replicas) return;
      target.replicas->serve_replica(
          std::move(request), [this, shared, alive](protocol::FetchResponse response) {
            if (!*alive || !up()) return;
            send(from_, [this, shared, alive, response = std::move(response)]() mutable {
              if (*alive && !broken_) (*shared)(std::move(response));
            });
          });
    });
  }
  void list_offsets(protocol::ListOffsetsRequest request,
                    UniqueFunction<void(Result<protocol::ListOffsetsResponse>)> done) override {
    if (broken_ || !up()) return break_soon();
    auto shared = std::make_shared<decltype(done)>(std::move(done));
    send(to_, [this, &cluster = cluster_, from = from_, to = to_, shared, alive = alive_,
               request = std::move(request)] {
      auto& target = cluster.broker(to.value);
      if (!target.replicas) return;
      ListOffsetsPlan plan;
      plan.reader = {from, {}};
      const auto& asked = request.topics.at(0).partitions.at(0);
      plan.partitions.push_back({{kTopic, "orders", asked.partition_index},
                                 LeaderEpoch{asked.current_leader_epoch},
                                 asked.timestamp});
      target.replicas->list_offsets(std::move(plan), [this, shared, alive, asked](auto results) {
        if (!*alive || !up()) return;
        protocol::ListOffsetsResponse response;
        auto& topic = response.topics.emplace_back();
        auto& answer = topic.partitions.emplace_back();
        answer.partition_index = asked.partition_index;
        answer.error_code = static_cast<std::int16_t>(results[0].error);
        answer.offset = results[0].offset.value;
        send(from_, [this, shared, alive, response]() mutable {
          if (*alive && !broken_) (*shared)(std::move(response));
        });
      });
    });
  }
  void on_lost(UniqueFunction<void(const Error&)> callback) override {
    lost_ = std::move(callback);
  }

  void break_soon() {
    if (broken_) return;
    broken_ = true;
    cluster_.strand(from_.value).post([this, alive = alive_] {
      if (*alive && lost_)
        std::exchange(lost_, nullptr)(Error{ErrorCode::kNetworkException, "cut"});
    });
  }

 private:
  bool up() const { return cluster_.reachable(from_, to_) && cluster_.is_up(to_.value); }

  void send(BrokerId to, Task task) {
    const std::uint64_t delay = cluster_.rng_.below(cluster_.options.max_delay_ms + 1);
    Instant& last = to == to_ ? last_out_ : last_in_;
    if (cluster_.options.max_delay_ms == 0) return cluster_.strand(to.value).post(std::move(task));
    last = std::max(last, cluster_.world.now() + std::chrono::milliseconds(delay));
    cluster_.world.call_at(cluster_.strand(to.value), last, std::move(task));
  }

  TestCluster& cluster_;
  const BrokerId from_;
  const BrokerId to_;
  bool broken_ = false;
  Instant last_out_{}, last_in_{};
  UniqueFunction<void(const Error&)> lost_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

inline std::unique_ptr<PeerConnection> TestCluster::Broker::connect(
    io::Strand&, const metadata::BrokerRegistration& peer, std::string) {
  ++connections;
  return std::make_unique<Peer>(cluster, id, peer.id);
}

inline void TestCluster::cut_off(int id) {
  cut_off_.insert(BrokerId{id});
  for (Peer* peer : peers_)
    if (peer->touches(BrokerId{id})) peer->break_soon();
  world.run();
}

inline void TestCluster::alter_partition(
    Broker& from, protocol::AlterPartitionRequest request,
    UniqueFunction<void(Result<protocol::AlterPartitionResponse>)> done) {
  ++isr_requests;
  const auto answer = [&](Result<protocol::AlterPartitionResponse> response) {
    strand(from.id.value).post([done = std::move(done), response = std::move(response)]() mutable {
      done(std::move(response));
    });
  };
  if (cut_off_.contains(from.id)) return answer(ErrorCode::kNetworkException);
  protocol::AlterPartitionResponse response;
  if (request.broker_epoch != from.epoch.value) {
    response.error_code = static_cast<std::int16_t>(ErrorCode::kStaleBrokerEpoch);
    return answer(std::move(response));
  }
  const auto& asked = request.topics.at(0).partitions.at(0);
  auto& topic = response.topics.emplace_back();
  topic.topic_id = request.topics.at(0).topic_id;
  auto& data = topic.partitions.emplace_back();
  metadata::PartitionRegistration partition = registration();
  ErrorCode error = refuse_isr_changes;
  if (partition.leader != from.id || asked.leader_epoch < partition.leader_epoch.value)
    error = ErrorCode::kFencedLeaderEpoch;
  else if (asked.partition_epoch < partition.partition_epoch.value)
    error = ErrorCode::kInvalidUpdateVersion;
  for (const auto& member : asked.new_isr_with_epochs) {
    const auto* registered = image_.cluster.broker(BrokerId{member.broker_id});
    if (registered->fenced ||
        (member.broker_epoch >= 0 && member.broker_epoch != registered->epoch.value))
      error = ErrorCode::kIneligibleReplica;
  }
  data.error_code = static_cast<std::int16_t>(error);
  if (error != ErrorCode::kNone) return answer(std::move(response));
  partition.isr.clear();
  for (const auto& member : asked.new_isr_with_epochs) {
    partition.isr.push_back(BrokerId{member.broker_id});
    data.isr.push_back(member.broker_id);
  }
  partition.partition_epoch.value += 1;
  partition.leader_recovery_state = metadata::LeaderRecoveryState::kRecovered;
  data.leader_id = partition.leader.value;
  data.leader_epoch = partition.leader_epoch.value;
  data.partition_epoch = partition.partition_epoch.value;
  metadata::TopicImage changed = *image_.topics.find(kTopic);
  changed.partitions.set(0, std::move(partition));
  image_.topics.by_id.set(kTopic, changed);
  answer(std::move(response));
  // Behind the answer, and not from inside it.
  strand(from.id.value).post([this] { hand_out_image(); });
}

}  // namespace broker::replication::testing
