#include "broker/storage/log_manager.h"

#include "broker/record/control_batch.h"
#include "broker/storage/snapshot_file.h"
#include "broker/storage/testing/fixture.h"

namespace broker::storage {
namespace {

using testing::kNow;
using testing::make_batch;
using testing::TempDir;

const TopicPartition kOrders{"orders", 0};
const TopicId kId{1, 42};

class LogManagerTest : public ::testing::Test {
 protected:
  LogManagerTest() {
    EXPECT_TRUE(write_meta_properties(dir_.fs(), dir_.path(), {"cluster", BrokerId{1}}).ok());
    start();
  }

  void start() {
    manager_ = nullptr;
    auto opened = LogManager::open(dir_.fs(), {.directory = dir_.path(), .seed = 1});
    ASSERT_TRUE(opened.ok()) << to_string(opened.error());
    manager_ = std::move(*opened);
    failures_ = manager_->load([](const TopicPartition&) { return LogOptions{}; }, kNow).value();
  }
  std::shared_ptr<Log> create(const TopicPartition& partition = kOrders, TopicId id = kId) {
    return manager_->create(partition, id, {}, kNow).value();
  }
  void append(Log& log) {
    ASSERT_TRUE(
        log.append_as_leader(make_batch(), LeaderEpoch{0}, AppendOrigin::kClient, kNow).ok());
  }

  TempDir dir_;
  std::unique_ptr<LogManager> manager_;
  std::vector<LogManager::LoadFailure> failures_;
};

TEST_F(LogManagerTest, LogsAreThereAgainAfterACleanStop) {
  append(*create());
  append(*create());
  const std::vector<LogPositions> positions{manager_->find(kOrders)->positions(Offset{1})};
  ASSERT_TRUE(manager_->checkpoint(positions).ok());
  ASSERT_TRUE(manager_->shut_down(BrokerEpoch{77}, kNow).ok());
  EXPECT_EQ(dir_.read(".kafka_cleanshutdown"), R"({"brokerEpoch":77,"version":0})");
  EXPECT_EQ(dir_.read("recovery-point-offset-checkpoint"), "0\n1\norders 0 2\n");
  EXPECT_EQ(dir_.read("replication-offset-checkpoint"), "0\n1\norders 0 1\n");
  EXPECT_EQ(dir_.read("log-start-offset-checkpoint"), "0\n0\n");

  start();
  EXPECT_TRUE(manager_->directory().had_clean_shutdown());
  EXPECT_EQ(manager_->directory().previous_broker_epoch(), BrokerEpoch{77});
  EXPECT_FALSE(dir_.fs().exists(dir_.path() + "/.kafka_cleanshutdown")) << "a crash is unclean";
  const auto log = manager_->find(kOrders);
  ASSERT_NE(log, nullptr);
  EXPECT_EQ(log->log_end_offset(), Offset{2});
  EXPECT_EQ(log->topic_id(), kId);
  EXPECT_EQ(manager_->checkpointed_high_watermark(*log), Offset{1});
}

TEST_F(LogManagerTest, LogsAreRecoveredAfterACrash) {
  append(*create());
  start();
  EXPECT_FALSE(manager_->directory().had_clean_shutdown());
  EXPECT_EQ(manager_->find(kOrders)->log_end_offset(), Offset{1});
  EXPECT_EQ(manager_->find(kOrders)->recovery_point(), Offset{0});
}

TEST_F(LogManagerTest, ADirectoryHasOneOwner) {
  const auto second = LogManager::open(dir_.fs(), {.directory = dir_.path()});
  EXPECT_EQ(second.code(), ErrorCode::kKafkaStorageError);
}

TEST_F(LogManagerTest, AnUnformattedDirectoryIsRefused) {
  TempDir empty;
  const auto opened = LogManager::open(empty.fs(), {.directory = empty.path()});
  EXPECT_EQ(opened.code(), ErrorCode::kInvalidConfig);
  EXPECT_TRUE(empty.names().empty());
}

TEST_F(LogManagerTest, ATopicCreatedAnewDoesNotInheritTheOldLog) {
  append(*create());
  EXPECT_EQ(manager_->create(kOrders, TopicId{1, 43}, {}, kNow).code(),
            ErrorCode::kInconsistentTopicId);
  ASSERT_TRUE(manager_->remove(kOrders, 1000, kNow).ok());
  EXPECT_EQ(manager_->find(kOrders), nullptr);
  EXPECT_EQ(create(kOrders, TopicId{1, 43})->log_end_offset(), Offset{0});
  EXPECT_EQ(dir_.names("-delete").size(), 1u);
  ASSERT_TRUE(manager_->remove_doomed(kNow + 999).ok());
  EXPECT_EQ(dir_.names("-delete").size(), 1u);
  ASSERT_TRUE(manager_->remove_doomed(kNow + 1000).ok());
  EXPECT_TRUE(dir_.names("-delete").empty());
}

TEST_F(LogManagerTest, ADeletionInterruptedByACrashIsFinishedAtTheNextStart) {
  create();
  ASSERT_TRUE(manager_->remove(kOrders, 60000, kNow).ok());
  start();
  EXPECT_TRUE(dir_.names("-delete").empty());
  EXPECT_TRUE(manager_->logs().empty());
}

TEST_F(LogManagerTest, StraysAreSetAsideAndKept) {
  create();
  create({"gone", 3}, TopicId{1, 50});
  create(kMetadataPartition, kMetadataTopicId);
  const auto strays =
      manager_->move_strays_away([](const TopicPartition&, TopicId id) { return id == kId; });
  EXPECT_EQ(strays.value(), (std::vector<TopicPartition>{{"gone", 3}}));
  EXPECT_EQ(dir_.names("-stray").size(), 1u);
  start();
  EXPECT_EQ(dir_.names("-stray").size(), 1u);
  EXPECT_EQ(manager_->logs().size(), 1u) << "neither stray nor metadata";
}

TEST_F(LogManagerTest, ALogThatCannotBeOpenedDoesNotKeepTheOthersFromIt) {
  create();
  append(*create({"bad", 0}, TopicId{1, 51}));
  dir_.write("bad-0/partition.metadata", "nonsense");
  ASSERT_TRUE(dir_.fs().create_directories(dir_.path() + "/lost+found").ok());
  start();
  ASSERT_EQ(failures_.size(), 1u);
  EXPECT_EQ(failures_[0].partition, (TopicPartition{"bad", 0}));
  EXPECT_NE(manager_->find(kOrders), nullptr);
  ASSERT_TRUE(manager_->shut_down(std::nullopt, kNow).ok());
  EXPECT_FALSE(dir_.fs().exists(dir_.path() + "/.kafka_cleanshutdown"));
}

TEST_F(LogManagerTest, OnlyAMalformedHighWatermarkFileIsFatal) {
  dir_.write("recovery-point-offset-checkpoint", "x");
  dir_.write("log-start-offset-checkpoint", "x");
  start();
  dir_.write("replication-offset-checkpoint", "x");
  manager_ = nullptr;
  EXPECT_EQ(LogManager::open(dir_.fs(), {.directory = dir_.path()}).code(),
            ErrorCode::kKafkaStorageError);
}

TEST_F(LogManagerTest, ADirectoryIdIsAddedOnce) {
  ASSERT_TRUE(manager_->directory().ensure_directory_id(Uuid{5, 6}).ok());
  ASSERT_TRUE(manager_->directory().ensure_directory_id(Uuid{7, 8}).ok());
  start();
  EXPECT_EQ(manager_->directory().meta_properties().directory_id, (Uuid{5, 6}));
}

TEST(SnapshotFile, ExistsOnlyOnceFrozenAndReadsBackInBatches) {
  TempDir dir;
  const SnapshotId id{Offset{42}, LeaderEpoch{3}};
  const std::uint8_t header_value[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0};
  const Slice header = record::make_control_batch(record::ControlType::kSnapshotHeader,
                                                  header_value, Offset{0}, id.epoch, kNow);
  {
    auto writer = SnapshotFileWriter::create(dir.fs(), dir.path(), id).value();
    ASSERT_TRUE(writer.append(header).ok());
  }
  EXPECT_TRUE(dir.names().empty()) << "given up";
  auto writer = SnapshotFileWriter::create(dir.fs(), dir.path(), id).value();
  ASSERT_TRUE(writer.append(header).ok());
  ASSERT_TRUE(writer.append(make_batch({.records = 3})).ok());
  EXPECT_TRUE(list_snapshots(dir.fs(), dir.path()).value().empty());
  ASSERT_TRUE(writer.freeze().ok());
  EXPECT_EQ(dir.names(), (std::vector<std::string>{"00000000000000000042-0000000003.checkpoint"}));
  EXPECT_EQ(list_snapshots(dir.fs(), dir.path()).value(), (std::vector<SnapshotId>{id}));

  auto reader = SnapshotFileReader::open(dir.fs(), dir.path(), id).value();
  EXPECT_EQ(reader.next_batch().value()->bytes, header);
  EXPECT_EQ(reader.next_batch().value()->header().record_count(), 3);
  EXPECT_FALSE(reader.next_batch().value().has_value());
  EXPECT_EQ(reader.read(10, 5).value(), header.sub(10, 5));
  EXPECT_EQ(reader.read(reader.size_bytes(), 5).code(), ErrorCode::kPositionOutOfRange);
  EXPECT_EQ(SnapshotFileReader::open(dir.fs(), dir.path(), {Offset{1}, LeaderEpoch{1}}).code(),
            ErrorCode::kSnapshotNotFound);
}

TEST(SnapshotFile, WhatACrashLeftIsRemoved) {
  TempDir dir;
  dir.write("00000000000000000042-0000000003.checkpoint", "");
  dir.write("00000000000000000050-0000000003.checkpoint.part", "");
  dir.write("00000000000000000007-0000000003-123.checkpoint.part", "");
  dir.write("00000000000000000001-0000000001.checkpoint.deleted", "");
  ASSERT_TRUE(remove_unfinished_snapshots(dir.fs(), dir.path()).ok());
  EXPECT_EQ(dir.names().size(), 1u);
}

}  // namespace
}  // namespace broker::storage
