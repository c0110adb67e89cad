#include "broker/storage/directory_health.h"

#include <gtest/gtest.h>

#include "broker/common/log_sink.h"
#include "broker/io/sim/disk.h"
#include "broker/storage/log_manager.h"
#include "broker/storage/testing/fixture.h"

namespace broker::storage {
namespace {

using testing::kNow;
using testing::make_batch;
using State = DirectoryHealth::State;

constexpr const char* kLogs = "/disk/logs";
constexpr std::size_t kReserve = 256 << 10;

/// A log directory on a simulated disk with two logs and the metadata log.
class DirectoryHealthTest : public ::testing::Test {
 protected:
  DirectoryHealthTest() {
    set_log_sink([](LogLevel, std::string_view, std::string_view) {});
    CHECK(fs_->create_directories(kLogs).ok());
    CHECK(write_meta_properties(*fs_, kLogs, {"cluster", BrokerId{1}}).ok());
    open();
  }
  ~DirectoryHealthTest() override { set_log_sink(nullptr); }

  void open() {
    orders_ = payments_ = metadata_ = nullptr;
    manager_ = nullptr;
    manager_ =
        LogManager::open(*fs_, {.directory = kLogs, .seed = 1, .reserve_bytes = kReserve}).value();
    manager_->health().on_change([this] { changes_.push_back(health().state()); });
    ASSERT_TRUE(manager_->load([this](const auto&) { return options_; }, kNow).value().empty());
    orders_ = manager_->create({"orders", 0}, {1, 1}, options_, kNow).value();
    payments_ = manager_->create({"payments", 0}, {1, 2}, options_, kNow).value();
    metadata_ = manager_->create(kMetadataPartition, {1, 3}, options_, kNow).value();
  }
  DirectoryHealth& health() { return manager_->health(); }

  static Result<AppendInfo> append(Log& log, std::size_t value_bytes = 10'000) {
    return log.append_as_leader(make_batch({.value_bytes = value_bytes}), LeaderEpoch{1},
                                AppendOrigin::kClient, kNow);
  }
  /// `free` more bytes can be written.
  void leave(std::uint64_t free) { disk_.behaviour().capacity_bytes = disk_.used_bytes() + free; }
  void make_room() { disk_.behaviour().capacity_bytes = UINT64_MAX; }
  std::size_t size_of(const Log& log) {
    return fs_->stat(log.directory() + "/00000000000000000000.log").value().size;
  }

  io::sim::Scheduler scheduler_{1};
  io::sim::Disk disk_{scheduler_};
  std::unique_ptr<io::FileSystem> fs_ = disk_.mount(std::make_shared<io::sim::Life>());
  LogOptions options_;
  std::unique_ptr<LogManager> manager_;
  std::shared_ptr<Log> orders_, payments_, metadata_;
  std::vector<State> changes_;
};

TEST_F(DirectoryHealthTest, WhatDoesNotFitIsTakenBackAndTheLogGoesOn) {
  ASSERT_TRUE(append(*orders_).ok());
  const auto size = size_of(*orders_);
  leave(5'000);
  EXPECT_EQ(append(*orders_).code(), ErrorCode::kKafkaStorageError);
  EXPECT_EQ(changes_, std::vector{State::kFull});
  EXPECT_EQ(size_of(*orders_), size) << "half a batch must not stay";
  EXPECT_EQ(orders_->log_end_offset(), Offset{1});
  EXPECT_FALSE(orders_->failed());
  EXPECT_TRUE(orders_->read(Offset{0}, Offset{1}, 1 << 20, true).ok());

  make_room();
  EXPECT_EQ(append(*orders_, 1).code(), ErrorCode::kKafkaStorageError) << "until it was looked at";
  health().set_reserve_aside();
  EXPECT_EQ(changes_, (std::vector{State::kFull, State::kOnline}));
  EXPECT_EQ(append(*orders_).value().first_offset, Offset{1});
  EXPECT_EQ(orders_->read(Offset{0}, Offset{2}, 1 << 20, true).value().records.size(), 2 * size);
}

TEST_F(DirectoryHealthTest, TheReserveIsForTheMetadataLogAndTheCheckpoints) {
  leave(1'000);
  ASSERT_FALSE(append(*orders_).ok());
  leave(0);
  ASSERT_TRUE(health().is_full());
  EXPECT_EQ(append(*payments_, 1).code(), ErrorCode::kKafkaStorageError);
  make_room();
  open();
  leave(0);
  EXPECT_TRUE(append(*metadata_).ok()) << "it may be the first to notice";
  EXPECT_TRUE(health().is_full());
  EXPECT_TRUE(append(*metadata_).ok());
  EXPECT_TRUE(manager_->checkpoint(std::vector{metadata_->positions(Offset{2})}).ok());
  EXPECT_TRUE(metadata_->flush(kNow).ok());
  EXPECT_FALSE(append(*orders_, 1).ok());
}

TEST_F(DirectoryHealthTest, AFullDirectoryIsOnlineAgainOnlyWithRoomBesideTheReserve) {
  leave(0);
  ASSERT_FALSE(append(*orders_).ok());
  leave(kReserve);
  health().set_reserve_aside();
  EXPECT_TRUE(health().is_full()) << "the next batch would fill it";
  leave(8 * kReserve);
  health().set_reserve_aside();
  EXPECT_EQ(health().state(), State::kOnline);
  EXPECT_FALSE(fs_->exists(std::string(kLogs) + "/.room.tmp"));
}

TEST_F(DirectoryHealthTest, ASegmentThatMustBeRolledOnAFullDiskIsRolled) {
  options_.segment_bytes = 25'000;
  orders_->update_options(options_);
  ASSERT_TRUE(append(*orders_).ok());
  ASSERT_TRUE(append(*orders_).ok());
  leave(3);
  const auto rolled = append(*orders_);
  EXPECT_TRUE(health().is_full());
  EXPECT_FALSE(orders_->failed());
  const std::int64_t end = rolled.ok() ? 3 : 2;
  make_room();
  health().set_reserve_aside();
  EXPECT_EQ(append(*orders_).value().first_offset, Offset{end});
  EXPECT_TRUE(orders_->read(Offset{0}, Offset{end}, 1 << 20, true).ok());
}

TEST_F(DirectoryHealthTest, AFailedWriteTakesTheWholeDirectoryOffline) {
  ASSERT_TRUE(append(*orders_).ok());
  disk_.behaviour().write_failure = 1;
  EXPECT_EQ(append(*orders_).code(), ErrorCode::kKafkaStorageError);
  disk_.behaviour().write_failure = 0;
  EXPECT_EQ(changes_, std::vector{State::kOffline});
  EXPECT_TRUE(payments_->failed());
  EXPECT_EQ(append(*payments_).code(), ErrorCode::kKafkaStorageError);
  EXPECT_EQ(manager_->create({"new", 0}, {1, 4}, {}, kNow).code(), ErrorCode::kKafkaStorageError);
  EXPECT_EQ(manager_->checkpoint({}).code(), ErrorCode::kKafkaStorageError);
  EXPECT_FALSE(manager_->shut_down(BrokerEpoch{1}, kNow).ok());
  EXPECT_FALSE(fs_->exists(std::string(kLogs) + "/.kafka_cleanshutdown"));
}

TEST_F(DirectoryHealthTest, AFailedSyncIsFinalEvenForLackOfSpace) {
  ASSERT_TRUE(append(*orders_).ok());
  const FlushJob job = orders_->prepare_flush().value();
  disk_.behaviour().sync_failure = 1;
  const auto outcome = job.run();
  disk_.behaviour().sync_failure = 0;
  EXPECT_FALSE(orders_->complete_flush(job, outcome, kNow).ok());
  EXPECT_EQ(health().state(), State::kOffline);
  health().set_reserve_aside();
  EXPECT_EQ(health().state(), State::kOffline) << "until the next start";
  EXPECT_EQ(orders_->recovery_point(), Offset{0});
}

TEST_F(DirectoryHealthTest, AFailedReadTakesTheDirectoryOffline) {
  ASSERT_TRUE(append(*orders_).ok());
  disk_.behaviour().read_failure = 1;
  EXPECT_FALSE(orders_->read(Offset{0}, Offset{1}, 1 << 20, true).ok());
  EXPECT_EQ(health().state(), State::kOffline);
}

}  // namespace
}  // namespace broker::storage
