#include "broker/quorum/metadata_log.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <future>

#include "broker/io/posix/event_loop.h"
#include "broker/io/posix/posix_file.h"
#include "broker/io/posix/worker_pool.h"
#include "broker/metadata/delta.h"
#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/protocol/messages/fetch_snapshot_request.h"
#include "broker/protocol/messages/fetch_snapshot_response.h"
#include "broker/quorum/election_state.h"
#include "broker/quorum/format.h"
#include "broker/storage/log_manager.h"

namespace broker::quorum {
namespace {

const std::string kClusterId = "vlCBQGpBQF6bDlFpnKDZ0w";
constexpr BrokerId kNode{1};

/// Replays what the log hands over, as a controller does.
class Listener final : public QuorumListener {
 public:
  void on_snapshot(const LoadedSnapshot& loaded) override {
    delta = metadata::MetadataDelta(metadata::MetadataImage::empty());
    for (const auto& record : loaded.records) ASSERT_TRUE(delta.replay(record).ok());
    publish(loaded.id.end_offset + -1, loaded.id.epoch);
    ++snapshots;
  }
  void on_committed(const CommittedRecords& records) override {
    for (const auto& record : records.records) ASSERT_TRUE(delta.replay(record).ok());
    publish(records.last_offset, records.epoch);
  }
  void on_leader(LeaderEpoch leader_epoch) override { epoch = leader_epoch; }
  void on_resigned() override {}
  void on_high_watermark(Offset offset) override {
    high_watermark = offset;
    if (waiting_for && offset > *waiting_for) {
      waiting_for.reset();
      reached.set_value();
    }
  }
  void on_fatal(const Error& error) override { FAIL() << to_string(error); }
  metadata::ImagePtr committed_image() const override { return image; }

  void publish(Offset offset, LeaderEpoch at) { image = delta.apply({offset, at, 0}).image; }

  metadata::MetadataDelta delta{metadata::MetadataImage::empty()};
  metadata::ImagePtr image = metadata::MetadataImage::empty();
  int snapshots = 0;
  LeaderEpoch epoch{-1};
  Offset high_watermark{-1};
  std::optional<Offset> waiting_for;
  std::promise<void> reached;
};

metadata::MetadataRecords topic(const std::string& name, std::uint64_t id) {
  protocol::TopicRecord record;
  record.name = name;
  record.topic_id = Uuid{7, id};
  return {record};
}

class MetadataLogTest : public ::testing::Test {
 protected:
  MetadataLogTest() {
    directory_ = (std::filesystem::temp_directory_path() /
                  ("metadata-log-" + std::to_string(Rng::os_seed())))
                     .string();
    std::filesystem::create_directories(directory_);
    loop_.start();
    format();
  }
  ~MetadataLogTest() override {
    stop();
    workers_.reset();
    loop_.stop();
    loop_.join();
    std::filesystem::remove_all(directory_);
  }

  void format() {
    Rng rng(5);
    FormatOptions options;
    options.cluster_id = kClusterId;
    options.node_id = kNode;
    options.log_dirs = {directory_};
    options.metadata_log_dir = directory_;
    options.metadata_directory_id = disk_;
    options.initial_voters = {{kNode, disk_, "CONTROLLER", {"localhost", 9090}}};
    ASSERT_TRUE(format_storage(*files_, options, rng, 1000).ok());
  }

  template <class Work>
  auto on_loop(Work work) {
    std::promise<decltype(work())> promise;
    auto future = promise.get_future();
    loop_.post([&] {
      if constexpr (std::is_void_v<decltype(work())>) {
        work();
        promise.set_value();
      } else {
        promise.set_value(work());
      }
    });
    return future.get();
  }

  void start(MetadataLogOptions options = {}) {
    listener_ = std::make_unique<Listener>();
    on_loop([&] {
      auto opened = storage::LogManager::open(*files_, {directory_});
      ASSERT_TRUE(opened.ok()) << opened.error().detail;
      logs_ = std::move(*opened);
      auto storage = logs_->create(storage::kMetadataPartition, kMetadataTopicId, {}, 1000);
      ASSERT_TRUE(storage.ok()) << storage.error().detail;
      options.cluster_id = kClusterId;
      options.node_id = kNode;
      options.directory_id = disk_;
      log_ = std::make_unique<MetadataLog>(MetadataLog::Ports{loop_, *workers_, *files_}, *storage,
                                           options);
      const auto started = log_->start(*listener_);
      ASSERT_TRUE(started.ok()) << started.error().detail;
    });
  }
  void stop() {
    if (!log_) return;
    on_loop([&] {
      log_->stop();
      log_.reset();
      logs_.reset();
    });
  }

  /// Appends, and returns once it is committed.
  Offset append(const metadata::MetadataRecords& records) {
    auto reached = on_loop([&] {
      listener_->reached = std::promise<void>();
      const auto offset = log_->append(records, metadata::kLatestMetadataVersion);
      EXPECT_TRUE(offset.ok());
      listener_->waiting_for = *offset;
      return std::pair(*offset, listener_->reached.get_future().share());
    });
    reached.second.wait();
    return reached.first;
  }

  /// Returns when what was given to the pool before is done and reported.
  void drain_workers() {
    std::promise<void> done;
    on_loop([&] {
      workers_->run(
          loop_, [] {}, [&] { done.set_value(); });
    });
    done.get_future().wait();
  }

  protocol::FetchResponse fetch(std::int64_t offset, std::int32_t last_epoch, std::int32_t epoch) {
    protocol::FetchRequest request;
    request.max_wait_ms = 0;
    auto& partition =
        request.topics.emplace_back(protocol::FetchRequest::FetchTopic{"", kMetadataTopicId, {}})
            .partitions.emplace_back();
    partition.fetch_offset = offset;
    partition.last_fetched_epoch = last_epoch;
    partition.current_leader_epoch = epoch;
    return on_loop([&] {
      protocol::FetchResponse out;
      log_->fetch(request, 17,
                  [&](protocol::FetchResponse response) { out = std::move(response); });
      return out;
    });
  }

  const DirectoryId disk_{11, 12};
  std::string directory_;
  std::unique_ptr<io::FileSystem> files_ = io::posix::make_posix_file_system();
  io::posix::EventLoop loop_{"quorum"};
  std::unique_ptr<io::WorkerPool> workers_ = io::posix::make_worker_pool(1);
  std::unique_ptr<storage::LogManager> logs_;
  std::unique_ptr<MetadataLog> log_;
  std::unique_ptr<Listener> listener_;
};

TEST_F(MetadataLogTest, WhatWasCommittedIsHandedOverAfterARestart) {
  start();
  EXPECT_EQ(listener_->epoch, LeaderEpoch{1});
  append(topic("orders", 1));
  append(topic("payments", 2));
  stop();
  start();
  EXPECT_EQ(listener_->epoch, LeaderEpoch{2});
  ASSERT_NE(listener_->image->topics.find("orders"), nullptr);
  EXPECT_NE(listener_->image->topics.find("payments"), nullptr);
}

TEST_F(MetadataLogTest, EveryStartIsANewDurableEpoch) {
  for (int expected = 1; expected <= 3; ++expected) {
    start();
    const auto stored = read_election_state(*files_, directory_ + "/__cluster_metadata-0");
    ASSERT_TRUE(stored.ok() && stored->has_value());
    EXPECT_EQ((*stored)->epoch, LeaderEpoch{expected});
    EXPECT_EQ((*stored)->leader, kNode);
    stop();
  }
}

TEST_F(MetadataLogTest, SnapshotStandsForTheLogBeforeIt) {
  MetadataLogOptions eager;
  eager.snapshot_after_bytes = 1;
  start(eager);
  const Offset first = append(topic("orders", 1));
  // The image that the snapshot takes is the listener's: replay what was appended.
  on_loop([&] {
    ASSERT_TRUE(listener_->delta.replay(topic("orders", 1).front()).ok());
    listener_->publish(first, log_->epoch());
  });
  append(topic("payments", 2));
  const std::string metadata = directory_ + "/__cluster_metadata-0";
  drain_workers();
  const auto ids = storage::list_snapshots(*files_, metadata);
  ASSERT_GT(ids->size(), 1U);
  const auto loaded = read_snapshot(*files_, metadata, ids->back());
  ASSERT_TRUE(loaded.ok()) << loaded.error().detail;
  EXPECT_EQ(loaded->voters.kraft_version, 1);
  EXPECT_EQ(loaded->voters.voters.size(), 1U);
  stop();
  start();
  EXPECT_EQ(listener_->snapshots, 1);
  EXPECT_NE(listener_->image->topics.find("orders"), nullptr);
  EXPECT_NE(listener_->image->topics.find("payments"), nullptr);
}

TEST_F(MetadataLogTest, ObserversAreToldTheEpochAndGetOnlyCommittedRecords) {
  start();
  const Offset last = append(topic("orders", 1));
  auto fenced = fetch(0, 0, 0).responses.front().partitions.front();
  EXPECT_EQ(fenced.error_code, static_cast<std::int16_t>(ErrorCode::kFencedLeaderEpoch));
  EXPECT_EQ(fenced.current_leader.leader_id, kNode.value);
  EXPECT_EQ(fenced.current_leader.leader_epoch, 1);
  auto unknown = fetch(0, 0, 9).responses.front().partitions.front();
  EXPECT_EQ(unknown.error_code, static_cast<std::int16_t>(ErrorCode::kUnknownLeaderEpoch));
  auto all = fetch(0, 0, 1).responses.front().partitions.front();
  EXPECT_EQ(all.error_code, 0);
  EXPECT_EQ(all.high_watermark, last.value + 1);
  EXPECT_FALSE(all.records->empty());
  auto end = fetch(last.value + 1, 1, 1).responses.front().partitions.front();
  EXPECT_TRUE(end.records->empty());
  // An epoch that the log never had at this offset: the reader's log differs.
  auto diverged = fetch(last.value + 5, 1, 1).responses.front().partitions.front();
  EXPECT_GE(diverged.diverging_epoch.epoch, 0);
}

TEST_F(MetadataLogTest, AnotherDiskIsAnotherVoter) {
  start();
  stop();
  const auto meta = directory_ + "/meta.properties";
  on_loop([&] {
    auto opened = storage::LogManager::open(*files_, {directory_});
    auto storage = (*opened)->create(storage::kMetadataPartition, kMetadataTopicId, {}, 1000);
    MetadataLogOptions options;
    options.node_id = kNode;
    options.directory_id = DirectoryId{99, 99};
    MetadataLog stranger(MetadataLog::Ports{loop_, *workers_, *files_}, *storage, options);
    Listener listener;
    EXPECT_EQ(stranger.start(listener).code(), ErrorCode::kInconsistentVoterSet);
  });
}

TEST(Format, RefusesADirectoryOfAnotherCluster) {
  const auto files = io::posix::make_posix_file_system();
  const std::string directory =
      (std::filesystem::temp_directory_path() / ("format-" + std::to_string(Rng::os_seed())))
          .string();
  Rng rng(1);
  FormatOptions options;
  options.cluster_id = kClusterId;
  options.node_id = kNode;
  options.log_dirs = {directory};
  options.metadata_log_dir = directory;
  EXPECT_TRUE(format_storage(*files, options, rng, 0).ok());
  EXPECT_TRUE(format_storage(*files, options, rng, 0).ok());  // again: nothing to do
  options.cluster_id = "another";
  const auto refused = format_storage(*files, options, rng, 0);
  EXPECT_EQ(refused.code(), ErrorCode::kInconsistentClusterId);
  EXPECT_NE(refused.error().detail.find(kClusterId), std::string::npos);
  std::filesystem::remove_all(directory);
}

TEST(ElectionState, ReadsWhatItWritesAndWhatKafkaWrites) {
  const ElectionState state{kNode, LeaderEpoch{7}, BrokerId{3}, Uuid{1, 2}};
  EXPECT_EQ(*parse_election_state(to_text(state)), state);
  const auto old = parse_election_state(
      R"({"clusterId":"","leaderId":1,"leaderEpoch":2,"votedId":-1,"appliedOffset":0,"currentVoters":[{"voterId":1}],"data_version":0})");
  ASSERT_TRUE(old.ok());
  EXPECT_EQ(old->epoch, LeaderEpoch{2});
  EXPECT_FALSE(parse_election_state("{").ok());
}

}  // namespace
}  // namespace broker::quorum
