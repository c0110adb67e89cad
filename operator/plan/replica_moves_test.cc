#include "operator/plan/replica_moves.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "broker/common/rng.h"
#include "operator/plan/images_for_tests.h"

namespace op::plan {
namespace {

using broker::BrokerId;
using broker::Uuid;
using broker::metadata::MetadataImage;
using broker::metadata::PartitionRegistration;
using broker::metadata::TopicImage;

/// Kafka carries the moves out at once.
void carry_out(MetadataImage& image, const std::vector<Move>& moves) {
  for (const Move& move : moves) {
    PartitionRegistration partition = partition_of(image, move.topic, move.partition);
    ASSERT_TRUE(move.replicas.has_value());
    partition.replicas = partition.isr = to_brokers(*move.replicas);
    partition.leader = partition.replicas.front();
    put_partition(image, move.topic, move.partition, partition);
  }
}

std::map<std::int32_t, int> counts(const MetadataImage& image) {
  std::map<std::int32_t, int> out;
  for (const auto& [id, broker] : image.cluster.brokers) out[id.value] = 0;
  for (const auto& [id, topic] : image.topics.by_id)
    for (const auto& [index, partition] : topic.partitions)
      for (const BrokerId replica : partition.replicas) ++out[replica.value];
  return out;
}

std::size_t racks_of(const MetadataImage& image, const std::vector<BrokerId>& replicas) {
  std::set<std::string> racks;
  for (const BrokerId id : replicas) racks.insert(*image.cluster.broker(id)->rack);
  return racks.size();
}

/// Brokers 0…n-1 in three racks, partitions on the first `used` of them.
MetadataImage in_racks(int brokers, int used, int partitions) {
  MetadataImage image = *MetadataImage::empty();
  for (int id = 0; id < brokers; ++id) add_broker(image, id, "r" + std::to_string(id % 3));
  std::vector<Ids> replicas;
  for (int i = 0; i < partitions; ++i)
    replicas.push_back({i % used, (i + 1) % used, (i + 2) % used});
  add_topic(image, "orders", replicas);
  return image;
}

TEST(ReplicaMover, SpreadsOntoNewBrokersUntilAllHoldTheSame) {
  MetadataImage image = *MetadataImage::empty();
  for (int id = 0; id < 5; ++id) add_broker(image, id);
  add_topic(image, "a", {{0, 1, 2}, {1, 2, 0}, {2, 0, 1}, {0, 1, 2}, {1, 2, 0}});
  add_topic(image, "b", {{0, 1, 2}, {1, 2, 0}, {2, 0, 1}, {0, 1, 2}, {1, 2, 0}});
  EXPECT_EQ(ReplicaMover(image, {}).surplus(), 12);
  for (int round = 0; round < 50; ++round) {
    const auto moves = ReplicaMover(image, {}).spread(4);
    if (moves.empty()) break;
    carry_out(image, moves);
  }
  for (const auto& [id, count] : counts(image)) EXPECT_EQ(count, 6) << id;
  EXPECT_EQ(ReplicaMover(image, {}).surplus(), 0);
  // Also of each topic, and of the leaders.
  std::map<std::int32_t, int> leaders;
  for (const auto& [id, topic] : image.topics.by_id) {
    std::map<std::int32_t, int> held;
    for (const auto& [index, partition] : topic.partitions) {
      for (const BrokerId replica : partition.replicas) ++held[replica.value];
      ++leaders[partition.replicas.front().value];
    }
    for (const auto& [broker, count] : held) EXPECT_LE(count, 4) << topic.name << " " << broker;
    EXPECT_EQ(held.size(), 5u) << topic.name;
  }
  for (int id = 0; id < 5; ++id) EXPECT_GE(leaders[id], 1) << id;
}

TEST(ReplicaMover, GivesUpNoRackToBeEven) {
  MetadataImage image = in_racks(5, 3, 30);
  for (int round = 0; round < 100; ++round) {
    const auto moves = ReplicaMover(image, {}).spread(7);
    if (moves.empty()) break;
    carry_out(image, moves);
    for (const auto& [index, partition] : image.topics.find("orders")->partitions)
      ASSERT_EQ(racks_of(image, partition.replicas), 3u) << index;
  }
  const auto held = counts(image);  // r0: 0 and 3, r1: 1 and 4, r2: 2 alone
  EXPECT_EQ(held.at(2), 30);
  for (const int id : {0, 1, 3, 4}) EXPECT_EQ(held.at(id), 15) << id;
}

TEST(ReplicaMover, DrainsABrokerAndKeepsRacksApart) {
  MetadataImage image = in_racks(6, 6, 24);
  for (int round = 0; round < 20; ++round) {
    ReplicaMover mover(image, {3, 5});
    const auto moves = mover.drain({3, 5}, 5);
    if (moves.empty()) break;
    EXPECT_LE(moves.size(), 5u);
    carry_out(image, moves);
  }
  const auto held = counts(image);
  EXPECT_EQ(held.at(3), 0);
  EXPECT_EQ(held.at(5), 0);
  for (const auto& [index, partition] : image.topics.find("orders")->partitions) {
    EXPECT_EQ(racks_of(image, partition.replicas), 3u) << index;
    EXPECT_EQ(std::set(partition.replicas.begin(), partition.replicas.end()).size(), 3u);
  }
}

TEST(ReplicaMover, LeavesWhatDoesNotFit) {
  MetadataImage image = *MetadataImage::empty();
  for (int id = 0; id < 3; ++id) add_broker(image, id);
  add_topic(image, "wide", {{0, 1, 2}});
  add_topic(image, "narrow", {{2}});
  ReplicaMover mover(image, {2});
  const auto moves = mover.drain({2}, 10);
  ASSERT_EQ(moves.size(), 1u);
  EXPECT_EQ(moves[0].topic, "narrow");
}

TEST(ReplicaMover, TakesBackWhatWasOnItsWayToABrokerThatLeaves) {
  MetadataImage image = *MetadataImage::empty();
  for (int id = 0; id < 4; ++id) add_broker(image, id);
  add_topic(image, "a", {{0, 1}, {1, 2}});
  PartitionRegistration partition = partition_of(image, "a", 0);
  partition.replicas = to_brokers({0, 3, 1});  // 1 goes to 3
  partition.adding_replicas = to_brokers({3});
  partition.removing_replicas = to_brokers({1});
  put_partition(image, "a", 0, partition);
  ReplicaMover back(image, {3});
  EXPECT_EQ(back.drain({3}, 10), (std::vector<Move>{{"a", 0, std::nullopt}}));
  // Where it came from leaves too: somewhere else at once.
  ReplicaMover on(image, {1, 3});
  const auto moves = on.drain({1, 3}, 10);
  ASSERT_EQ(moves.size(), 2u);
  EXPECT_EQ(moves[0], (Move{"a", 0, Ids{0, 2}}));
  EXPECT_EQ(moves[1], (Move{"a", 1, Ids{0, 2}}));
}

TEST(ReplicaMover, PlacesNothingOnWhoCannotTakeIt) {
  MetadataImage image = *MetadataImage::empty();
  for (int id = 0; id < 5; ++id) add_broker(image, id);
  auto fenced = *image.cluster.broker(BrokerId{1});
  fenced.fenced = true;
  image.cluster.brokers.set(fenced.id, fenced);
  auto cordoned = *image.cluster.broker(BrokerId{2});
  cordoned.cordoned_log_dirs = cordoned.log_dirs;
  image.cluster.brokers.set(cordoned.id, cordoned);
  add_topic(image, "a", {{4}, {4}, {4}, {4}});
  ReplicaMover mover(image, {3});
  EXPECT_EQ(mover.candidates(), 2u);
  for (const Move& move : mover.spread(10)) EXPECT_EQ(move.replicas, (Ids{0}));
}

TEST(ReplicaMover, ChangesTheReplicationFactorAndSparesTheLeader) {
  MetadataImage image = in_racks(6, 3, 6);
  const TopicImage topic = *image.topics.find("orders");
  ReplicaMover more(image, {});
  const auto grown = more.resize(topic, 4, 100);
  ASSERT_EQ(grown.size(), 6u);
  for (const Move& move : grown) {
    ASSERT_EQ(move.replicas->size(), 4u);
    EXPECT_GE(move.replicas->back(), 3);
  }
  ReplicaMover fewer(image, {});
  for (const Move& move : fewer.resize(topic, 1, 100))
    EXPECT_EQ(move.replicas, Ids{topic.partitions.find(move.partition)->replicas[0].value});
  PartitionRegistration partition = partition_of(image, "orders", 0);
  partition.isr = to_brokers({0, 2});  // 1 is behind: rather that one
  put_partition(image, "orders", 0, partition);
  ReplicaMover two(image, {});
  EXPECT_EQ(two.resize(*image.topics.find("orders"), 2, 1)[0].replicas, (Ids{0, 2}));
  ReplicaMover none(image, {});
  EXPECT_TRUE(none.resize(topic, 7, 100).empty());
}

TEST(ReplicaMover, SettlesOnRandomClustersWithoutLosingARack) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    broker::Rng rng(seed);
    MetadataImage image = *MetadataImage::empty();
    const auto brokers = 2 + static_cast<int>(rng.below(8));
    const auto racks = 1 + rng.below(4);
    for (int id = 0; id < brokers; ++id)
      add_broker(image, id, "r" + std::to_string(rng.below(racks)));
    std::vector<Ids> partitions(1 + rng.below(40));
    for (Ids& replicas : partitions) {
      const auto wanted = 1 + rng.below(std::min<std::uint64_t>(3, brokers));
      while (replicas.size() < wanted) {
        const auto id = static_cast<std::int32_t>(rng.below(brokers));
        if (std::find(replicas.begin(), replicas.end(), id) == replicas.end())
          replicas.push_back(id);
      }
    }
    add_topic(image, "t", partitions);
    int rounds = 0;
    while (true) {
      const MetadataImage before = image;
      const auto moves = ReplicaMover(image, {}).spread(1 + rng.below(8));
      if (moves.empty()) break;
      carry_out(image, moves);
      for (const auto& [index, partition] : image.topics.find("t")->partitions) {
        const auto& old = before.topics.find("t")->partitions.find(index)->replicas;
        ASSERT_EQ(partition.replicas.size(), old.size());
        ASSERT_GE(racks_of(image, partition.replicas), racks_of(image, old));
      }
      ASSERT_LT(++rounds, 1000);
    }
    if (racks == 1) {
      const auto held = counts(image);
      int least = 1 << 20, most = 0;
      for (const auto& [id, count] : held)
        least = std::min(least, count), most = std::max(most, count);
      EXPECT_LE(most - least, 1);
    }
  }
}

}  // namespace
}  // namespace op::plan
