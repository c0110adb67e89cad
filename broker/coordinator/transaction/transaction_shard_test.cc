#include "broker/coordinator/transaction/transaction_shard.h"

#include <gtest/gtest.h>

#include "broker/coordinator/transaction/records.h"

namespace broker::coordinator::transaction {
namespace {

using namespace std::chrono_literals;

constexpr ErrorCode kNone = ErrorCode::kNone;

/// A shard in a world without a log: what it writes is replayed at once, or refused while
/// `write_error` is set; markers are only collected.
class TransactionShardTest : public testing::Test {
 protected:
  TransactionShardTest() { restart(); }

  /// A new coordinator that loads what the old one had written.
  void restart() {
    shard = std::make_unique<TransactionShard>(
        options, 3,
        TransactionShard::Ports{[this](MarkerWork work) { markers.push_back(std::move(work)); },
                                [] {}, [this] { return level; }});
    shard->on_epoch(LeaderEpoch{++epoch});
    for (const Record& record : log) CHECK(shard->replay(record).ok());
    shard->on_loaded(now);
  }

  void carry_out(Output output) {
    if (write_error == kNone || output.records.empty()) {
      for (const Record& record : output.records) {
        CHECK(shard->replay(record).ok());
        log.push_back(record);
      }
      for (auto& each : output.on_committed) each(kNone);
    } else {
      for (auto& each : output.on_committed) each(write_error);
    }
  }

  void advance(std::chrono::milliseconds by) {
    const Instant end = now.now + by;
    while (shard->wake_at() && *shard->wake_at() <= end) {
      move_to(std::max(*shard->wake_at(), now.now));
      carry_out(shard->tick(now));
    }
    move_to(end);
  }
  void move_to(Instant when) {
    now.wall += std::chrono::duration_cast<std::chrono::milliseconds>(when - now.now).count();
    now.now = when;
  }

  ProducerAnswer init(std::optional<ProducerIdAndEpoch> expected = std::nullopt,
                      std::chrono::milliseconds timeout = 60s) {
    const InitProducer request{"tx", timeout, expected};
    ProducerAnswer answer = ask_init(request, std::nullopt);
    return answer.needs_producer_id ? ask_init(request, ProducerId{next_id++}) : answer;
  }
  ProducerAnswer ask_init(const InitProducer& request, std::optional<ProducerId> fresh) {
    ProducerAnswer given;
    carry_out(shard->init_producer(request, fresh, now, [&](ProducerAnswer a) { given = a; }));
    return given;
  }
  ErrorCode add(ProducerIdAndEpoch producer, std::set<TopicPartition> partitions,
                TransactionVersion version = 2) {
    ErrorCode given{};
    carry_out(shard->add_partitions({"tx", producer, std::move(partitions)}, version, now,
                                    [&](ErrorCode error) { given = error; }));
    return given;
  }
  ProducerAnswer end(ProducerIdAndEpoch producer, bool commit, TransactionVersion version = 2) {
    const EndTransaction request{"tx", producer, commit, version};
    ProducerAnswer answer = ask_end(request, std::nullopt);
    return answer.needs_producer_id ? ask_end(request, ProducerId{next_id++}) : answer;
  }
  ProducerAnswer ask_end(const EndTransaction& request, std::optional<ProducerId> fresh) {
    ProducerAnswer given;
    carry_out(shard->end(request, fresh, now, [&](ProducerAnswer a) { given = a; }));
    return given;
  }
  void finish_markers() {
    const auto taken = std::exchange(markers, {});
    for (const MarkerWork& work : taken)
      carry_out(shard->markers_written(work.transactional_id, work.producer, now));
  }
  State state() const { return shard->find("tx")->state; }

  TransactionOptions options;
  TransactionVersion level = 2;
  Now now{Instant{} + 1h, 1'000'000};
  std::int64_t next_id = 100;
  std::int32_t epoch = 6;
  ErrorCode write_error = kNone;
  std::vector<Record> log;
  std::vector<MarkerWork> markers;
  std::unique_ptr<TransactionShard> shard;
};

ProducerIdAndEpoch producer(std::int64_t id, std::int16_t epoch) {
  return {ProducerId{id}, ProducerEpoch{epoch}};
}
const std::set<TopicPartition> kTwo{{"orders", 0}, {"orders", 1}};

TEST_F(TransactionShardTest, TheFirstProducerGetsAFreshIdAndTheNextOneFencesIt) {
  EXPECT_EQ(init().producer, producer(100, 0));
  EXPECT_EQ(init().producer, producer(100, 1));
  EXPECT_EQ(add(producer(100, 0), kTwo), ErrorCode::kProducerFenced);
  EXPECT_EQ(add(producer(99, 1), kTwo), ErrorCode::kInvalidProducerIdMapping);
  restart();
  EXPECT_EQ(init().producer, producer(100, 2));
}

TEST_F(TransactionShardTest, RefusesTimeoutsOutOfBounds) {
  EXPECT_EQ(init(std::nullopt, 0ms).error, ErrorCode::kInvalidTransactionTimeout);
  EXPECT_EQ(init(std::nullopt, options.max_timeout + 1ms).error,
            ErrorCode::kInvalidTransactionTimeout);
  EXPECT_EQ(init(std::nullopt, options.max_timeout).error, kNone);
}

TEST_F(TransactionShardTest, AProducerThatNamesItsEpochGoesOnAndARepetitionGetsTheSameAnswer) {
  init();
  EXPECT_EQ(init(producer(100, 0)).producer, producer(100, 1));
  EXPECT_EQ(init(producer(100, 0)).producer, producer(100, 1));
  EXPECT_EQ(init().producer, producer(100, 2));
  EXPECT_EQ(init(producer(100, 0)).error, ErrorCode::kProducerFenced);
  EXPECT_EQ(init(producer(7, 2)).error, ErrorCode::kProducerFenced);
}

TEST_F(TransactionShardTest, ACommitIsAnsweredBeforeTheMarkersAndCompleteAfterThem) {
  init();
  EXPECT_EQ(add(producer(100, 0), kTwo), kNone);
  EXPECT_EQ(state(), State::kOngoing);
  EXPECT_EQ(end(producer(100, 0), true).producer, producer(100, 1));
  EXPECT_EQ(state(), State::kPrepareCommit);
  ASSERT_EQ(markers.size(), 1u);
  EXPECT_TRUE(markers[0].commit);
  EXPECT_EQ(markers[0].producer, producer(100, 1));
  EXPECT_EQ(markers[0].partitions, kTwo);
  EXPECT_EQ(markers[0].coordinator_epoch, LeaderEpoch{7});
  EXPECT_EQ(markers[0].coordinator_partition, 3);
  EXPECT_EQ(markers[0].version, 2);
  // Neither the next transaction nor another producer may come before the markers.
  EXPECT_EQ(add(producer(100, 1), kTwo), ErrorCode::kConcurrentTransactions);
  EXPECT_EQ(init().error, ErrorCode::kConcurrentTransactions);
  finish_markers();
  EXPECT_EQ(state(), State::kCompleteCommit);
  EXPECT_TRUE(shard->find("tx")->partitions.empty());
  EXPECT_EQ(add(producer(100, 1), kTwo), kNone);
}

TEST_F(TransactionShardTest, RepetitionsOfEndTxnAreToldFromTheNextOne) {
  init();
  add(producer(100, 0), kTwo);
  end(producer(100, 0), true);
  finish_markers();
  EXPECT_EQ(end(producer(100, 0), true).producer, producer(100, 1));
  EXPECT_EQ(end(producer(100, 0), false).error, ErrorCode::kInvalidTxnState);
  EXPECT_EQ(end(producer(100, 1), true).error, ErrorCode::kInvalidTxnState);
  // An abort needs no partition and counts as a transaction.
  EXPECT_EQ(end(producer(100, 1), false).producer, producer(100, 2));
  finish_markers();
  EXPECT_EQ(state(), State::kCompleteAbort);
}

TEST_F(TransactionShardTest, EverybodyWaitsForTheMarkers) {
  init();
  add(producer(100, 0), kTwo);
  end(producer(100, 0), true);
  for (const int epoch : {0, 1, 2}) {
    for (const bool commit : {true, false}) {
      EXPECT_EQ(end(producer(100, epoch), commit).error, ErrorCode::kConcurrentTransactions);
    }
    EXPECT_EQ(add(producer(100, epoch), kTwo), ErrorCode::kConcurrentTransactions);
  }
  finish_markers();
  // The producer had begun its next transaction already, and gave it up before it sent a record.
  EXPECT_EQ(end(producer(100, 1), false).producer, producer(100, 2));
}

TEST_F(TransactionShardTest, AnEmptyTransactionCanOnlyBeAborted) {
  init();
  EXPECT_EQ(end(producer(100, 0), true).error, ErrorCode::kInvalidTxnState);
  EXPECT_EQ(end(producer(100, 0), false).producer, producer(100, 1));
  EXPECT_TRUE(markers[0].partitions.empty());
}

TEST_F(TransactionShardTest, OlderClientsKeepTheirEpoch) {
  init();
  EXPECT_EQ(end(producer(100, 0), false, 0).error, ErrorCode::kInvalidTxnState);
  EXPECT_EQ(add(producer(100, 0), kTwo, 0), kNone);
  EXPECT_EQ(end(producer(100, 0), true, 0).producer, producer(100, 0));
  EXPECT_EQ(markers[0].version, 0);
  EXPECT_EQ(end(producer(100, 0), true, 0).error, ErrorCode::kConcurrentTransactions);
  EXPECT_EQ(end(producer(100, 0), false, 0).error, ErrorCode::kConcurrentTransactions);
  finish_markers();
  EXPECT_EQ(end(producer(100, 0), true, 0).error, kNone);
  EXPECT_EQ(end(producer(100, 0), false, 0).error, ErrorCode::kInvalidTxnState);
  EXPECT_EQ(add(producer(100, 0), kTwo, 0), kNone);
}

TEST_F(TransactionShardTest, ANewProducerAbortsWhatTheOldOneLeftOpen) {
  init();
  add(producer(100, 0), kTwo);
  EXPECT_EQ(init().error, ErrorCode::kConcurrentTransactions);
  ASSERT_EQ(markers.size(), 1u);
  EXPECT_FALSE(markers[0].commit);
  EXPECT_EQ(markers[0].producer, producer(100, 1));
  EXPECT_EQ(end(producer(100, 0), true).error, ErrorCode::kConcurrentTransactions);
  finish_markers();
  EXPECT_EQ(init().producer, producer(100, 2));
}

TEST_F(TransactionShardTest, ASilentTransactionIsAbortedAndItsProducerFenced) {
  init(std::nullopt, 30s);
  add(producer(100, 0), kTwo);
  advance(29s);
  EXPECT_EQ(state(), State::kOngoing);
  advance(options.abort_check_interval + 2s);
  EXPECT_EQ(state(), State::kPrepareAbort);
  EXPECT_EQ(markers.at(0).producer, producer(100, 1));
  finish_markers();
  EXPECT_EQ(add(producer(100, 0), kTwo), ErrorCode::kProducerFenced);
}

TEST_F(TransactionShardTest, ANewCoordinatorSendsTheMarkersOfWhatWasDecided) {
  init();
  add(producer(100, 0), kTwo);
  end(producer(100, 0), false);
  markers.clear();
  restart();
  EXPECT_TRUE(markers.empty());
  advance(1ms);
  ASSERT_EQ(markers.size(), 1u);
  EXPECT_EQ(markers[0].coordinator_epoch, LeaderEpoch{8});
  finish_markers();
  EXPECT_EQ(state(), State::kCompleteAbort);
  advance(10s);
  EXPECT_TRUE(markers.empty());
}

TEST_F(TransactionShardTest, WhatCouldNotBeWrittenIsNotInForce) {
  init();
  add(producer(100, 0), kTwo);
  write_error = ErrorCode::kCoordinatorNotAvailable;
  EXPECT_EQ(end(producer(100, 0), true).error, ErrorCode::kCoordinatorNotAvailable);
  EXPECT_EQ(state(), State::kOngoing);
  EXPECT_TRUE(markers.empty());
  write_error = kNone;
  EXPECT_EQ(end(producer(100, 0), true).error, kNone);
  // A completion that fails is tried again, with its markers.
  write_error = ErrorCode::kCoordinatorNotAvailable;
  finish_markers();
  EXPECT_EQ(state(), State::kPrepareCommit);
  write_error = kNone;
  advance(2s);
  finish_markers();
  EXPECT_EQ(state(), State::kCompleteCommit);
}

TEST_F(TransactionShardTest, UsedUpEpochsBringANewId) {
  init();
  Transaction old = *shard->find("tx");
  old.producer.epoch = ProducerEpoch{INT16_MAX - 1};
  log.push_back(transaction_record("tx", old, level));
  restart();
  const ProducerIdAndEpoch last = producer(100, INT16_MAX - 1);
  EXPECT_EQ(add(last, kTwo), kNone);
  EXPECT_EQ(end(last, true).producer, producer(101, 0));
  EXPECT_EQ(markers.at(0).producer, producer(100, INT16_MAX));
  EXPECT_EQ(end(last, true).error, ErrorCode::kConcurrentTransactions);
  finish_markers();
  restart();
  EXPECT_EQ(end(last, true).producer, producer(101, 0));
  EXPECT_EQ(add(producer(101, 0), kTwo), kNone);
}

TEST_F(TransactionShardTest, InitProducerIdChangesTheIdWhenEpochsAreUsedUp) {
  init();
  Transaction old = *shard->find("tx");
  old.producer.epoch = ProducerEpoch{INT16_MAX - 1};
  log.push_back(transaction_record("tx", old, level));
  restart();
  EXPECT_EQ(init().producer, producer(101, 0));
}

TEST_F(TransactionShardTest, VerifiesPartitionByPartition) {
  init();
  add(producer(100, 0), {{"orders", 0}});
  TransactionShard::Verdicts verdicts;
  const auto verify = [&](ProducerIdAndEpoch who) {
    carry_out(shard->verify_partitions({"tx", who, kTwo}, [&](auto v) { verdicts = v; }));
  };
  verify(producer(100, 0));
  EXPECT_EQ((verdicts.at({"orders", 0})), kNone);
  EXPECT_EQ((verdicts.at({"orders", 1})), ErrorCode::kTransactionAbortable);
  verify(producer(100, 1));
  EXPECT_EQ((verdicts.at({"orders", 0})), ErrorCode::kProducerFenced);
}

TEST_F(TransactionShardTest, ForgetsIdsThatNobodyUses) {
  init();
  advance(options.id_expiration - 2h);
  EXPECT_EQ(shard->size(), 1u);
  advance(4h);
  EXPECT_EQ(shard->size(), 0u);
  EXPECT_FALSE(log.back().value);
  EXPECT_EQ(add(producer(100, 0), kTwo), ErrorCode::kInvalidProducerIdMapping);
}

TEST_F(TransactionShardTest, DescribesAndListsWhatItHas) {
  init();
  add(producer(100, 0), kTwo);
  TransactionShard::Described described;
  carry_out(shard->describe("tx", [&](auto d) { described = std::move(d); }));
  EXPECT_EQ(described.transaction_state, "Ongoing");
  EXPECT_EQ(described.transaction_start_time_ms, now.wall);
  ASSERT_EQ(described.topics.size(), 1u);
  EXPECT_EQ(described.topics[0].partitions, (std::vector{0, 1}));
  carry_out(shard->describe("other", [&](auto d) { described = std::move(d); }));
  EXPECT_EQ(described.error_code, static_cast<std::int16_t>(ErrorCode::kTransactionalIdNotFound));

  const auto count = [&](ListFilter filter) {
    TransactionShard::Listed listed;
    carry_out(shard->list(filter, now.wall + 5'000, [&](auto l) { listed = std::move(l); }));
    return listed.size();
  };
  EXPECT_EQ(count({}), 1u);
  EXPECT_EQ(count({.states = std::set{State::kEmpty}}), 0u);
  EXPECT_EQ(count({.producers = {ProducerId{100}}}), 1u);
  EXPECT_EQ(count({.running = 4s}), 1u);
  EXPECT_EQ(count({.running = 5s}), 0u);
}

TEST(TransactionRecords, HaveKafkasBytes) {
  Transaction transaction;
  transaction.producer = producer(5, 2);
  transaction.timeout = 60s;
  transaction.state = State::kOngoing;
  transaction.partitions = kTwo;
  transaction.last_update = 9;
  transaction.start = 8;
  transaction.client_version = 2;
  const auto hex = [](const Slice& bytes) {
    std::string out;
    for (const std::uint8_t byte : bytes.span()) {
      out += "0123456789abcdef"[byte >> 4];
      out += "0123456789abcdef"[byte & 15];
    }
    return out;
  };
  const Record record = transaction_record("tx", transaction, 2);
  EXPECT_EQ(hex(record.key), "000000027478");
  EXPECT_EQ(hex(*record.value),
            "0001"
            "0000000000000005"
            "0002"
            "0000ea60"
            "01"
            "02"
            "076f7264657273"
            "03"
            "00000000"
            "00000001"
            "00"
            "0000000000000009"
            "0000000000000008"
            "0102020002");
  EXPECT_EQ(*parse_transaction_value(*record.value), transaction);
  // Version 0 does not know how the client ends its transactions.
  const Record old = transaction_record("tx", transaction, 0);
  transaction.client_version = 0;
  EXPECT_EQ(*parse_transaction_value(*old.value), transaction);
}

}  // namespace
}  // namespace broker::coordinator::transaction
