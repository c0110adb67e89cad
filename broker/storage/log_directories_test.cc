#include "broker/storage/log_directories.h"

#include <gtest/gtest.h>

#include "broker/common/log_sink.h"
#include "broker/io/sim/disk.h"
#include "broker/storage/testing/fixture.h"

namespace broker::storage {
namespace {

using testing::kNow;
using testing::make_batch;
using State = DirectoryHealth::State;

const std::string kFirstDir = "/a/logs";
const std::string kSecondDir = "/b/logs";
constexpr Uuid kUnassigned{0, 0};
const TopicPartition kPlaced{"orders", 0};
constexpr TopicId kPlacedId{1, 42};

/// Two log directories on disks of their own behind one mount would need two file systems; a
/// directory is broken through its health instead.
class LogDirectoriesTest : public ::testing::Test {
 protected:
  LogDirectoriesTest() {
    set_log_sink([](LogLevel, std::string_view, std::string_view) {});
    format(kFirstDir, {7, 1});
    format(kSecondDir, {7, 2});
    EXPECT_TRUE(open().ok());
  }
  ~LogDirectoriesTest() override { set_log_sink(nullptr); }

  void format(const std::string& path, DirectoryId id, const std::string& cluster = "cluster") {
    CHECK(fs_->create_directories(path).ok());
    CHECK(write_meta_properties(*fs_, path, {cluster, BrokerId{1}, id}).ok());
  }
  Result<void> open(std::vector<std::string> directories = {kFirstDir, kSecondDir}) {
    all_ = nullptr;
    ASSIGN_OR_RETURN(all_, LogDirectories::open(*fs_, {.directories = std::move(directories),
                                                       .metadata_directory = kFirstDir,
                                                       .seed = 3}));
    const auto failures = all_->load([](const auto&) { return LogOptions{}; }, kNow);
    return failures.ok() ? Result<void>{} : failures.error();
  }
  Result<std::shared_ptr<Log>> create(const TopicPartition& partition,
                                      DirectoryId assigned = kUnassigned) {
    return all_->create(partition, kPlacedId, {}, assigned, kNow);
  }
  void fail(std::size_t index) {
    all_->directories()[index].manager->health().fail(
        {ErrorCode::kKafkaStorageError, "write x: Input/output error"});
  }
  std::size_t count(const std::string& directory) {
    return all_->directories()[directory == kFirstDir ? 0 : 1].manager->logs().size();
  }

  io::sim::Scheduler scheduler_{1};
  io::sim::Disk disk_{scheduler_};
  std::unique_ptr<io::FileSystem> fs_ = disk_.mount(std::make_shared<io::sim::Life>());
  std::unique_ptr<LogDirectories> all_;
};

TEST_F(LogDirectoriesTest, NewLogsGoWhereTheFewestAre) {
  for (int i = 0; i < 6; ++i) ASSERT_TRUE(create({"orders", i}).ok());
  EXPECT_EQ(count(kFirstDir), 3u);
  EXPECT_EQ(count(kSecondDir), 3u);
}

TEST_F(LogDirectoriesTest, CordonedAndFullOnesGetNothingNewWhileAnotherOneCan) {
  all_->set_cordoned(std::vector<std::string>{kFirstDir});
  EXPECT_EQ(all_->cordoned(), std::vector<DirectoryId>({{7, 1}}));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(create({"orders", i}).ok());
  EXPECT_EQ(count(kSecondDir), 3u);
  ASSERT_TRUE(create({"sent-there", 0}, {7, 1}).ok());
  EXPECT_EQ(count(kFirstDir), 1u);
  all_->directories()[1].manager->health().note_full();
  ASSERT_TRUE(create({"orders", 4}).ok());
  EXPECT_EQ(count(kFirstDir), 2u);
}

TEST_F(LogDirectoriesTest, ALogGoesWhereItIsAssignedAndIsFoundThereAgain) {
  ASSERT_TRUE(create({"other", 0}, {7, 2}).ok());
  const auto log = create(kPlaced, {7, 2});
  ASSERT_TRUE(log.ok());
  EXPECT_EQ(all_->directory_of(kPlaced), (DirectoryId{7, 2}));
  ASSERT_TRUE(
      (*log)->append_as_leader(make_batch(), LeaderEpoch{0}, AppendOrigin::kClient, kNow).ok());
  ASSERT_TRUE(all_->shut_down(BrokerEpoch{5}, kNow).ok());
  ASSERT_TRUE(open().ok());
  EXPECT_TRUE(all_->had_clean_shutdown());
  EXPECT_EQ(all_->previous_broker_epoch(), BrokerEpoch{5});
  EXPECT_EQ(all_->directory_of(kPlaced), (DirectoryId{7, 2}));
  EXPECT_EQ(create(kPlaced, {7, 1}).value()->log_end_offset(), Offset{1}) << "what is there counts";
}

TEST_F(LogDirectoriesTest, OneThatFailsIsOfflineAloneAndNothingIsMadeAnewForIt) {
  ASSERT_TRUE(create(kPlaced, {7, 2}).ok());
  const auto kept = create({"kept", 0}, {7, 1}).value();
  fail(1);
  EXPECT_EQ(all_->ids(State::kOffline), std::vector<DirectoryId>({{7, 2}}));
  EXPECT_TRUE(
      kept->append_as_leader(make_batch(), LeaderEpoch{0}, AppendOrigin::kClient, kNow).ok());
  EXPECT_TRUE(
      all_->checkpoint(std::vector{kept->positions(Offset{1}), LogPositions{.partition = kPlaced}})
          .ok());
  EXPECT_EQ(create(kPlaced, {7, 2}).code(), ErrorCode::kKafkaStorageError);
  EXPECT_EQ(create({"unseen", 0}, {9, 9}).code(), ErrorCode::kKafkaStorageError)
      << "it may lie in the offline one";
  EXPECT_TRUE(create({"new", 0}).ok());
  EXPECT_EQ(all_->directory_of({"new", 0}), (DirectoryId{7, 1}));
  EXPECT_TRUE(all_->shut_down(BrokerEpoch{1}, kNow).ok());
  EXPECT_TRUE(fs_->exists(kFirstDir + "/.kafka_cleanshutdown"));
  EXPECT_FALSE(fs_->exists(kSecondDir + "/.kafka_cleanshutdown"));
}

TEST_F(LogDirectoriesTest, OneThatCannotBeReadAtTheStartIsOfflineAlone) {
  ASSERT_TRUE(all_->shut_down(BrokerEpoch{5}, kNow).ok());
  all_ = nullptr;
  ASSERT_TRUE(fs_->remove(kSecondDir + "/replication-offset-checkpoint").ok());
  ASSERT_TRUE(
      io::write_file_atomically(*fs_, kSecondDir + "/replication-offset-checkpoint", "x").ok());
  ASSERT_TRUE(open().ok());
  EXPECT_TRUE(all_->directories()[1].is_offline());
  EXPECT_FALSE(all_->directories()[0].is_offline());
  EXPECT_FALSE(all_->previous_broker_epoch()) << "not everything is there that was";
}

TEST_F(LogDirectoriesTest, AnEmptyDirectoryBecomesAPartOfTheBroker) {
  const std::string third = "/c/logs";
  ASSERT_TRUE(open({kFirstDir, kSecondDir, third}).ok());
  const auto meta = read_meta_properties(*fs_, third).value();
  ASSERT_TRUE(meta && meta->directory_id);
  EXPECT_EQ(meta->cluster_id, "cluster");
  EXPECT_EQ(all_->directories()[2].id, *meta->directory_id);
}

TEST_F(LogDirectoriesTest, ADirectoryOfAnotherClusterOrAPartitionInTwoStopsTheStart) {
  ASSERT_TRUE(create(kPlaced, {7, 1}).ok());
  ASSERT_TRUE(all_->shut_down({}, kNow).ok());
  all_ = nullptr;
  ASSERT_TRUE(fs_->create_directories(kSecondDir + "/orders-0").ok());
  EXPECT_EQ(open().code(), ErrorCode::kInvalidConfig);
  format(kSecondDir, {7, 2}, "another");
  EXPECT_EQ(open().code(), ErrorCode::kInvalidConfig);
}

}  // namespace
}  // namespace broker::storage
