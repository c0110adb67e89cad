// 100,000 partitions: bounds that are generous, so that they fail for an algorithm and not for a
// slow machine; the figures are printed.
#include <gtest/gtest.h>
#include <malloc.h>
#include <time.h>

#include <iostream>

#include "broker/controller/test_quorum.h"
#include "broker/metadata/snapshot.h"

namespace broker::controller {
namespace {

constexpr int kManyBrokers = 6;
constexpr int kTopics = 2000;
constexpr int kPartitionsPerTopic = 50;
constexpr int kPartitions = kTopics * kPartitionsPerTopic;

/// CPU time of this thread, for others use the machine too.
double milliseconds_now() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

std::size_t heap_in_use() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

void note(const std::string& what, double value) {
  std::cout << "[ figure   ] " << what << ": " << value << "\n";
}

struct Scale : ::testing::Test {
  Scale() : quorum(1) {
    quorum.elect(0);
    quorum.commit();
    for (int id = 0; id < kManyBrokers; ++id) {
      quorum.ask(World::registration(id));
      beat(id);
    }
    const std::size_t before = heap_in_use();
    for (int t = 0; t < kTopics; ++t) create(t);
    malloc_trim(0);
    // Two images' worth: of the leader with its index, and of the observer.
    bytes_per_partition = static_cast<double>(heap_in_use() - before) / kPartitions;
  }
  void beat(int id) {
    protocol::BrokerHeartbeatRequest request;
    request.broker_id = id;
    request.broker_epoch = quorum.image().cluster.broker(BrokerId{id})->epoch.value;
    request.current_metadata_offset = quorum.image().provenance.offset.value;
    quorum.ask(request);
  }
  void create(int number) {
    protocol::CreateTopicsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = "topic-" + std::to_string(number);
    topic.num_partitions = -1;
    topic.replication_factor = -1;
    for (std::int32_t p = 0; p < kPartitionsPerTopic; ++p)
      topic.assignments.push_back(
          {p, {p % kManyBrokers, (p + 1) % kManyBrokers, (p + 2) % kManyBrokers}});
    ASSERT_EQ(quorum.ask(request).topics[0].error_code, 0);
  }

  ScriptedQuorum quorum;
  double bytes_per_partition = 0;
};

TEST_F(Scale, ABrokersDeathASnapshotAndMemoryOfAHundredThousandPartitions) {
  note("bytes per partition, image of an observer plus image and index of the controller",
       bytes_per_partition);
  for (int id = 1; id < kManyBrokers; ++id) beat(id);
  const std::size_t leaderless = quorum.image().topics.by_id.size();
  EXPECT_EQ(leaderless, static_cast<std::size_t>(kTopics));

  quorum.leader().broker_connection_lost(BrokerId{0},
                                         quorum.image().cluster.broker(BrokerId{0})->epoch);
  double start = milliseconds_now();
  quorum.advance_without_commit(std::chrono::milliseconds(100));
  const double decided = milliseconds_now() - start;
  note("ms to decide and append a broker's death (50,000 changes)", decided);
  start = milliseconds_now();
  quorum.commit();
  note("ms to publish it, here and at an observer", milliseconds_now() - start);
  EXPECT_TRUE(quorum.image().cluster.broker(BrokerId{0})->fenced);
  EXPECT_EQ(quorum.image().topics.find("topic-7")->partitions.find(0)->leader, BrokerId{1});
  EXPECT_LT(decided, 2000);

  start = milliseconds_now();
  const metadata::ImagePtr image = quorum.leader().committed_image();
  note("ms on the strand to start a snapshot", milliseconds_now() - start);
  EXPECT_LT(milliseconds_now() - start, 20);
  start = milliseconds_now();
  std::size_t bytes = 0;
  for (const auto& record : metadata::image_records(*image)) {
    const auto encoded = metadata::encode_record(record, metadata::kLatestMetadataVersion);
    ASSERT_TRUE(encoded.ok());
    bytes += encoded->size();
  }
  note("ms on the pool to make a snapshot's records", milliseconds_now() - start);
  note("bytes of them per partition", static_cast<double>(bytes) / kPartitions);
}

}  // namespace
}  // namespace broker::controller
