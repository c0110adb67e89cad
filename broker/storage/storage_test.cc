// The pure parts: epoch cache, producer state, text files.
#include "broker/record/control_batch.h"
#include "broker/storage/checkpoint_file.h"
#include "broker/storage/leader_epoch_cache.h"
#include "broker/storage/log_dir.h"
#include "broker/storage/meta_properties.h"
#include "broker/storage/producer_state_manager.h"
#include "broker/storage/testing/fixture.h"

namespace broker::storage {
namespace {

using record::AppendOrigin;
using testing::kNow;
using testing::make_batch;

LeaderEpochCache epochs(std::initializer_list<std::pair<int, int>> starts) {
  LeaderEpochCache cache;
  for (const auto& [epoch, offset] : starts) cache.assign(LeaderEpoch{epoch}, Offset{offset});
  return cache;
}

TEST(LeaderEpochCache, AnswersAsOffsetForLeaderEpochMust) {
  const auto cache = epochs({{2, 10}, {4, 30}, {5, 50}});
  const auto end_of = [&](int epoch) {
    return cache.end_offset_for(LeaderEpoch{epoch}, Offset{99});
  };
  EXPECT_EQ(end_of(5), (EpochEnd{LeaderEpoch{5}, Offset{99}}));
  EXPECT_EQ(end_of(6), std::nullopt);
  EXPECT_EQ(end_of(1), (EpochEnd{LeaderEpoch{1}, Offset{10}}));
  EXPECT_EQ(end_of(2), (EpochEnd{LeaderEpoch{2}, Offset{30}}));
  EXPECT_EQ(end_of(3), (EpochEnd{LeaderEpoch{2}, Offset{30}}));
  EXPECT_EQ(cache.epoch_for(Offset{9}), std::nullopt);
  EXPECT_EQ(cache.epoch_for(Offset{49}), LeaderEpoch{4});
}

TEST(LeaderEpochCache, AnEpochWithoutRecordsGivesWay) {
  auto cache = epochs({{1, 0}, {2, 10}});
  EXPECT_TRUE(cache.assign(LeaderEpoch{3}, Offset{10}));
  EXPECT_FALSE(cache.assign(LeaderEpoch{3}, Offset{20}));
  EXPECT_FALSE(cache.assign(LeaderEpoch{2}, Offset{20}));
  EXPECT_EQ(cache.to_text(), "0\n2\n1 0\n3 10\n");
}

TEST(LeaderEpochCache, TruncatesAtBothEnds) {
  auto cache = epochs({{1, 0}, {2, 10}, {3, 20}});
  EXPECT_TRUE(cache.truncate_from_end(Offset{20}));
  EXPECT_FALSE(cache.truncate_from_end(Offset{20}));
  EXPECT_TRUE(cache.truncate_from_start(Offset{15}));
  EXPECT_FALSE(cache.truncate_from_start(Offset{15}));
  EXPECT_EQ(cache.to_text(), "0\n1\n2 15\n");
}

TEST(LeaderEpochCache, RefusesAMalformedCheckpoint) {
  EXPECT_EQ(LeaderEpochCache::parse("0\n2\n1 0\n3 10\n").value().to_text(), "0\n2\n1 0\n3 10\n");
  EXPECT_EQ(LeaderEpochCache::parse("0\n0\n").value().latest(), std::nullopt);
  for (const char* text : {"", "1\n0\n", "0\n2\n1 0\n", "0\n1\n1 x\n", "0\n2\n2 0\n1 5\n"}) {
    EXPECT_EQ(LeaderEpochCache::parse(text).code(), ErrorCode::kKafkaStorageError) << text;
  }
}

class ProducerStateTest : public ::testing::Test {
 protected:
  /// As a leader would see it; what passes is folded in at the next offset.
  Result<std::optional<ProducerBatch>> send(int epoch, std::int32_t sequence, int records = 1,
                                            AppendOrigin origin = AppendOrigin::kClient) {
    const Slice batch = make_batch({.records = records,
                                    .producer_id = 1,
                                    .producer_epoch = static_cast<std::int16_t>(epoch),
                                    .sequence = sequence});
    std::vector<std::uint8_t> bytes(batch.data(), batch.data() + batch.size());
    record::set_base_offset(bytes, next_);
    const record::BatchHeader header(bytes);
    auto result = state_.check(header, origin);
    if (result.ok() && !*result) {
      state_.update(header);
      next_ = header.next_offset();
    }
    return result;
  }
  ErrorCode code(int epoch, std::int32_t sequence) { return send(epoch, sequence).code(); }

  ProducerStateManager state_;
  Offset next_{0};
};

TEST_F(ProducerStateTest, AnUnknownProducerMayStartAnywhere) {
  EXPECT_EQ(code(3, 17), ErrorCode::kNone);
  EXPECT_EQ(code(3, 18), ErrorCode::kNone);
}

TEST_F(ProducerStateTest, SequencesMustFollowAndWrap) {
  EXPECT_EQ(code(0, 2147483647), ErrorCode::kNone);
  EXPECT_EQ(code(0, 1), ErrorCode::kOutOfOrderSequenceNumber);
  EXPECT_EQ(code(0, 0), ErrorCode::kNone);
  EXPECT_EQ(code(0, 2), ErrorCode::kOutOfOrderSequenceNumber);
  EXPECT_EQ(code(0, 1), ErrorCode::kNone);
}

TEST_F(ProducerStateTest, TheLastFiveBatchesAreRecognised) {
  for (int i = 0; i < 7; ++i) ASSERT_TRUE(send(0, 2 * i, 2).ok());
  for (int i = 2; i < 7; ++i) {
    const auto again = send(0, 2 * i, 2);
    ASSERT_TRUE(again.ok() && again->has_value()) << i;
    EXPECT_EQ((*again)->first_offset(), Offset{2 * i});
    EXPECT_EQ((*again)->last_offset, Offset{2 * i + 1});
  }
  EXPECT_EQ(send(0, 2, 2).code(), ErrorCode::kOutOfOrderSequenceNumber) << "too old";
  EXPECT_EQ(send(0, 12, 1).code(), ErrorCode::kOutOfOrderSequenceNumber) << "not the same batch";
}

TEST_F(ProducerStateTest, ANewEpochStartsAtZeroAndFencesTheOld) {
  ASSERT_EQ(code(1, 5), ErrorCode::kNone);
  EXPECT_EQ(code(2, 6), ErrorCode::kOutOfOrderSequenceNumber);
  EXPECT_EQ(code(2, 0), ErrorCode::kNone);
  EXPECT_EQ(code(1, 6), ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(send(1, 6, 1, AppendOrigin::kCoordinator).code(), ErrorCode::kInvalidProducerEpoch);
  EXPECT_TRUE(send(2, 9, 1, AppendOrigin::kCoordinator).ok()) << "sequences are a client's matter";
}

TEST_F(ProducerStateTest, MarkersAreFencedByBothEpochs) {
  ASSERT_EQ(code(3, 0), ErrorCode::kNone);
  record::TxnMarker marker{record::ControlType::kCommit, ProducerId{1}, ProducerEpoch{3}, 7};
  EXPECT_TRUE(state_.check_marker(marker).ok());
  state_.update_marker(marker, next_, kNow);
  marker.coordinator_epoch = 6;
  EXPECT_EQ(state_.check_marker(marker).code(), ErrorCode::kTransactionCoordinatorFenced);
  marker.producer_epoch = ProducerEpoch{2};
  EXPECT_EQ(state_.check_marker(marker).code(), ErrorCode::kInvalidProducerEpoch);
}

TEST_F(ProducerStateTest, AMarkerOfKip890BringsAnEpochAndMayBeRepeated) {
  const Slice open = make_batch({.producer_id = 1, .sequence = 0, .transactional = true});
  state_.update(record::BatchHeader(open.span()));
  record::TxnMarker marker{record::ControlType::kCommit, ProducerId{1}, ProducerEpoch{0}, 7};
  EXPECT_EQ(state_.check_marker(marker, 2).code(), ErrorCode::kInvalidProducerEpoch);
  EXPECT_TRUE(state_.check_marker(marker, 1).ok()) << "before KIP-890 the epoch stays";
  marker.producer_epoch = ProducerEpoch{1};
  EXPECT_TRUE(state_.check_marker(marker, 2).ok());
  state_.update_marker(marker, Offset{1}, kNow);
  EXPECT_TRUE(state_.check_marker(marker, 2).ok());
  EXPECT_EQ(code(0, 1), ErrorCode::kInvalidProducerEpoch);
  EXPECT_EQ(code(1, 1), ErrorCode::kOutOfOrderSequenceNumber);
  EXPECT_EQ(code(1, 0), ErrorCode::kNone);
}

TEST_F(ProducerStateTest, NothingGoesPastAnOpenTransaction) {
  const Slice open = make_batch({.producer_id = 1, .sequence = 0, .transactional = true});
  state_.update(record::BatchHeader(open.span()));
  EXPECT_EQ(code(0, 1), ErrorCode::kInvalidTxnState);
}

TEST_F(ProducerStateTest, IdleProducersExpireUnlessInATransaction) {
  ASSERT_EQ(code(0, 0), ErrorCode::kNone);
  state_.expire(kNow + 999, 1000);
  EXPECT_EQ(state_.producers().size(), 1u);
  state_.expire(kNow + 1000, 1000);
  EXPECT_TRUE(state_.producers().empty());
  EXPECT_EQ(code(0, 55), ErrorCode::kNone) << "not OUT_OF_ORDER after expiry";

  const Slice open = make_batch({.producer_id = 2, .sequence = 0, .transactional = true});
  state_.update(record::BatchHeader(open.span()));
  state_.expire(kNow + 100000, 1000);
  EXPECT_EQ(state_.producers().size(), 1u);
}

TEST_F(ProducerStateTest, SnapshotsHaveKafkasBytes) {
  ASSERT_TRUE(send(3, 7, 2).ok());
  const auto bytes = state_.to_snapshot();
  ASSERT_EQ(bytes.size(), 10u + 46u);
  EXPECT_EQ(load_be<std::int16_t>(&bytes[0]), 1);
  EXPECT_EQ(load_be<std::int32_t>(&bytes[6]), 1);
  EXPECT_EQ(load_be<std::int64_t>(&bytes[10]), 1);         // producer id
  EXPECT_EQ(load_be<std::int16_t>(&bytes[18]), 3);         // epoch
  EXPECT_EQ(load_be<std::int32_t>(&bytes[20]), 8);         // last sequence
  EXPECT_EQ(load_be<std::int64_t>(&bytes[24]), 1);         // last offset
  EXPECT_EQ(load_be<std::int32_t>(&bytes[32]), 1);         // offset delta
  EXPECT_EQ(load_be<std::int64_t>(&bytes[36]), kNow + 1);  // timestamp
  EXPECT_EQ(load_be<std::int32_t>(&bytes[44]), -1);        // coordinator epoch
  EXPECT_EQ(load_be<std::int64_t>(&bytes[48]), -1);        // open transaction

  const auto loaded = ProducerStateManager::from_snapshot(bytes, kNow, 1000);
  EXPECT_EQ(loaded.value().to_snapshot(), bytes);
  EXPECT_TRUE(ProducerStateManager::from_snapshot(bytes, kNow + 5000, 1000)->producers().empty());
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    auto changed = bytes;
    changed[i] ^= 1;
    EXPECT_FALSE(ProducerStateManager::from_snapshot(changed, kNow, 1000).ok()) << i;
  }
}

TEST(OffsetCheckpoint, RoundTripsAndRefusesNonsense) {
  const OffsetCheckpoint offsets{{{"a-b", 3}, Offset{17}}, {{"orders", 0}, Offset{0}}};
  EXPECT_EQ(to_text(offsets), "0\n2\na-b 3 17\norders 0 0\n");
  EXPECT_EQ(parse_offset_checkpoint(to_text(offsets)).value(), offsets);
  for (const char* text : {"", "0\n1\n", "1\n0\n", "0\n1\na 0\n", "0\n1\na b 0\n"}) {
    EXPECT_FALSE(parse_offset_checkpoint(text).ok()) << text;
  }
}

TEST(MetaProperties, ReadsBothVersionsAndJavasEscapes) {
  const auto v1 = parse_meta_properties(
      "#\n#Sat Nov 21 08:00:00 UTC 2026\ncluster.id=I2eXt9rvSnyhct8BYmW6-w\nversion=1\n"
      "directory.id=AAAAAAAAAAAAAAAAAAAAAQ\nnode.id=3\n");
  ASSERT_TRUE(v1.ok());
  EXPECT_EQ(v1->node_id, BrokerId{3});
  EXPECT_EQ(v1->directory_id, kMetadataTopicId);
  EXPECT_EQ(parse_meta_properties(to_text(*v1)).value(), *v1);
  const auto v0 = parse_meta_properties("version=0\r\nbroker.id = 7\ncluster.id=a\\:b\n");
  EXPECT_EQ(v0->node_id, BrokerId{7});
  EXPECT_EQ(v0->cluster_id, "a:b");
}

TEST(MetaProperties, NamesTheKeyThatIsWrong) {
  const auto detail = [](const char* text) { return parse_meta_properties(text).error().detail; };
  EXPECT_NE(detail("version=1\nnode.id=1\n").find("cluster.id"), std::string::npos);
  EXPECT_NE(detail("version=1\ncluster.id=x\nnode.id=-1\n").find("node.id"), std::string::npos);
  EXPECT_NE(detail("version=1\ncluster.id=x\nnode.id=1\ndirectory.id=?\n").find("directory.id"),
            std::string::npos);
  EXPECT_NE(detail("version=9\n").find("version"), std::string::npos);
}

TEST(PartitionDirectory, NamesAreTopicDashPartition) {
  EXPECT_EQ(parse_partition_directory("my-topic-12"), (TopicPartition{"my-topic", 12}));
  for (const char* name : {"lost+found", "orders", "orders-", "-1", "orders-x", "orders-1-stray"}) {
    EXPECT_EQ(parse_partition_directory(name), std::nullopt) << name;
  }
  const std::string doomed =
      doomed_directory_name({std::string(249, 't'), 12345}, Uuid{1, 2}, "-delete");
  EXPECT_EQ(doomed.size(), 255u);
  EXPECT_TRUE(doomed.ends_with("-12345.00000000000000010000000000000002-delete"));
}

}  // namespace
}  // namespace broker::storage
