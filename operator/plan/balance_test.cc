#include "operator/plan/balance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <fstream>

#include "broker/common/rng.h"
#include "operator/plan/images_for_tests.h"

namespace op::plan {
namespace {

using broker::BrokerId;
using broker::Rng;
using broker::metadata::MetadataImage;

struct Shape {
  int brokers = 6;
  int racks = 3;
  int topics = 10;
  int partitions = 10;
  int replicas = 3;
  bool spread_over_racks = true;
};

/// Replicas anywhere, more on some brokers than on others; sizes from bytes to gigabytes.
MetadataImage random_image(Rng& rng, const Shape& shape, PartitionBytes& bytes) {
  MetadataImage image = *MetadataImage::empty();
  for (int id = 0; id < shape.brokers; ++id)
    add_broker(image, id, shape.racks == 0 ? "" : "r" + std::to_string(id % shape.racks));
  // The first half of the brokers was there first.
  const auto draw = [&] {
    const auto all = static_cast<std::uint64_t>(shape.brokers);
    const std::uint64_t one = rng.below(all);
    return static_cast<std::int32_t>(rng.below(3) == 0 ? one : one / 2);
  };
  for (int t = 0; t < shape.topics; ++t) {
    const std::string name = "topic-" + std::to_string(t);
    std::vector<Ids> partitions;
    for (int p = 0; p < shape.partitions; ++p) {
      Ids ids;
      for (int tries = 0; static_cast<int>(ids.size()) < shape.replicas; ++tries) {
        const std::int32_t id = tries < 1000 ? draw() : (ids.back() + 1) % shape.brokers;
        const bool rack_taken = shape.spread_over_racks && shape.racks >= shape.replicas &&
                                std::any_of(ids.begin(), ids.end(), [&](std::int32_t o) {
                                  return o % shape.racks == id % shape.racks;
                                });
        if (!rack_taken && std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
      }
      partitions.push_back(ids);
      bytes[name].push_back(static_cast<std::int64_t>(std::exp2(rng.below(30))));
    }
    add_topic(image, name, partitions);
  }
  return image;
}

std::pair<std::int64_t, std::int64_t> range(const Balancer& balancer,
                                            std::int64_t Balancer::Broker::*figure) {
  const auto [low, high] =
      std::minmax_element(balancer.brokers().begin(), balancer.brokers().end(),
                          [&](const auto& a, const auto& b) { return a.*figure < b.*figure; });
  return {(*low).*figure, (*high).*figure};
}

std::int64_t copies(const Balancer& balancer) {
  std::int64_t out = 0;
  for (const auto& change : balancer.changes()) out += static_cast<std::int64_t>(change.copies);
  return out;
}

std::int64_t copied_bytes(const Balancer& balancer) {
  std::int64_t out = 0;
  for (const auto& change : balancer.changes()) out += change.bytes;
  return out;
}

std::size_t rack_violations(const MetadataImage& image,
                            const std::vector<Balancer::Change>& changes, std::size_t racks) {
  std::map<std::pair<std::string, std::int32_t>, Ids> changed;
  for (const auto& change : changes)
    changed[{change.move.topic, change.move.partition}] = *change.move.replicas;
  std::size_t out = 0;
  for (const auto& [id, topic] : image.topics.by_id) {
    for (const auto& [index, partition] : topic.partitions) {
      const auto found = changed.find({topic.name, index});
      const Ids ids = found == changed.end() ? target_replicas(partition) : found->second;
      std::set<std::string> seen;
      for (const std::int32_t replica : ids)
        seen.insert(*image.cluster.broker(BrokerId{replica})->rack);
      EXPECT_EQ(std::set<std::int32_t>(ids.begin(), ids.end()).size(), ids.size());
      out += seen.size() < std::min(racks, ids.size()) ? 1 : 0;
    }
  }
  return out;
}

TEST(Balancer, ReplicasAreEvenedWithTheFewestCopiesThereCanBe) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PartitionBytes bytes;
    const int racks = static_cast<int>(rng.below(2)) * 3;
    const Shape shape{.brokers = 6 + 3 * static_cast<int>(rng.below(3)),
                      .racks = racks,
                      .topics = 1 + static_cast<int>(rng.below(20)),
                      .partitions = 1 + static_cast<int>(rng.below(30)),
                      .replicas = 1 + static_cast<int>(rng.below(3))};
    const MetadataImage image = random_image(rng, shape, bytes);
    Balancer balancer(image, {}, bytes);
    const std::int64_t bound = balancer.surplus();
    balancer.even_replicas();
    const auto [low, high] = range(balancer, &Balancer::Broker::replicas);
    // With three replicas in three racks each rack has its own number of them.
    const bool racks_differ = racks > 0 && shape.replicas == 3;
    EXPECT_LE(high - low, racks_differ ? 2 : 1);
    EXPECT_GE(copies(balancer), high - low <= 1 ? bound : 0);
    EXPECT_LE(copies(balancer), bound + bound / 50 + 2);
  }
}

TEST(Balancer, EveryPartitionGetsTheRacksItCanHave) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PartitionBytes bytes;
    const Shape shape{.brokers = 7,
                      .racks = 3,
                      .topics = 5,
                      .partitions = 20,
                      .replicas = 2 + static_cast<int>(rng.below(2)),
                      .spread_over_racks = false};
    const MetadataImage image = random_image(rng, shape, bytes);
    const std::size_t before = rack_violations(image, {}, 3);
    ASSERT_GT(before, 0u);
    Balancer balancer(image, {}, bytes);
    balancer.even_racks();
    EXPECT_EQ(rack_violations(image, balancer.changes(), 3), 0u);
    // One copy for each rack that is missing: three replicas in one rack miss two.
    EXPECT_LE(copies(balancer), static_cast<std::int64_t>(2 * before));
    balancer.even_replicas();
    balancer.even_disk(true);
    balancer.even_leaders();
    EXPECT_EQ(rack_violations(image, balancer.changes(), 3), 0u);
  }
}

TEST(Balancer, LeadersAreEvenedWithoutCopyingAnything) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PartitionBytes bytes;
    const Shape shape{.brokers = 5 + static_cast<int>(rng.below(5)),
                      .racks = 0,
                      .topics = 8,
                      .partitions = 15,
                      .replicas = 3};
    const MetadataImage image = random_image(rng, shape, bytes);
    Balancer balancer(image, {}, bytes);
    balancer.even_replicas();
    const std::int64_t copied = copies(balancer);
    balancer.even_leaders();
    EXPECT_EQ(copies(balancer), copied);
    const auto [low, high] = range(balancer, &Balancer::Broker::preferred);
    EXPECT_LE(high - low, 1);
  }
}

TEST(Balancer, BytesComeNearTheMeanAndCountsStayEven) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PartitionBytes bytes;
    const Shape shape{.brokers = 6,
                      .racks = static_cast<int>(rng.below(2)) * 3,
                      .topics = 10,
                      .partitions = 40,
                      .replicas = 2};
    const MetadataImage image = random_image(rng, shape, bytes);
    Balancer balancer(image, {}, bytes);
    std::int64_t total = 0;
    std::int64_t above = 0;
    for (const auto& broker : balancer.brokers()) total += broker.bytes;
    const std::int64_t mean = total / shape.brokers;
    for (const auto& broker : balancer.brokers())
      above += std::max<std::int64_t>(broker.bytes - mean, 0);
    const bool counts = seed % 2 == 0;
    if (counts) balancer.even_replicas();
    balancer.even_disk(counts);
    const auto [low, high] = range(balancer, &Balancer::Broker::bytes);
    EXPECT_LE(high, mean + mean * 6 / 100);
    EXPECT_GE(low, mean - mean * 8 / 100);
    // No plan copies less than what lies above the mean.
    EXPECT_LE(copied_bytes(balancer), 2 * above + mean / 5);
    if (counts) {
      const auto [fewest, most] = range(balancer, &Balancer::Broker::replicas);
      EXPECT_LE(most - fewest, 1);
    }
  }
}

TEST(Balancer, WhatIsEvenIsLeftAlone) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    Rng rng(seed);
    PartitionBytes bytes;
    MetadataImage image = random_image(rng, {}, bytes);
    const auto plan = [&](const MetadataImage& of) {
      Balancer balancer(of, {}, bytes);
      balancer.even_racks();
      balancer.even_replicas();
      balancer.even_disk(true);
      balancer.even_leaders();
      return balancer.changes();
    };
    const auto changes = plan(image);
    const auto again = plan(image);
    ASSERT_EQ(changes.size(), again.size());
    for (std::size_t i = 0; i < changes.size(); ++i) EXPECT_EQ(changes[i].move, again[i].move);
    for (const auto& change : changes) {
      auto partition = partition_of(image, change.move.topic, change.move.partition);
      partition.replicas = partition.isr = to_brokers(*change.move.replicas);
      put_partition(image, change.move.topic, change.move.partition, partition);
    }
    EXPECT_TRUE(plan(image).empty());
  }
}

TEST(Balancer, WhatMovesAndWhoIsAwayIsLeftAlone) {
  MetadataImage image = *MetadataImage::empty();
  for (int id = 0; id < 4; ++id) add_broker(image, id);
  add_topic(image, "t", {{0, 1}, {0, 1}, {1, 0}, {0, 1}, {1, 0}, {0, 1}});
  auto moving = partition_of(image, "t", 0);
  moving.adding_replicas = {BrokerId{2}};
  moving.replicas.push_back(BrokerId{2});
  moving.removing_replicas = {BrokerId{1}};
  put_partition(image, "t", 0, moving);
  auto away = *image.cluster.broker(BrokerId{3});
  away.fenced = true;
  image.cluster.brokers.set(away.id, away);
  Balancer balancer(image, {});
  balancer.even_replicas();
  balancer.even_leaders();
  ASSERT_FALSE(balancer.changes().empty());
  for (const auto& change : balancer.changes()) {
    EXPECT_NE(change.move.partition, 0);
    EXPECT_EQ(std::count(change.move.replicas->begin(), change.move.replicas->end(), 3), 0);
  }
}

/// Of this process, in KiB: what is used now ("VmRSS") or was at most ("VmHWM").
std::int64_t memory_kib(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::int64_t value = 0;
    if (word == field + ":" && status >> value) return value;
  }
  return 0;
}

TEST(Balancer, TwoHundredBrokersWithFiftyThousandPartitionsTakeSeconds) {
  Rng rng(1);
  PartitionBytes bytes;
  const Shape shape{.brokers = 200, .racks = 5, .topics = 1000, .partitions = 50, .replicas = 3};
  const MetadataImage image = random_image(rng, shape, bytes);
  std::ofstream("/proc/self/clear_refs") << "5";  // the peak starts anew
  const std::int64_t before = memory_kib("VmRSS");
  const std::clock_t start = std::clock();  // of the processor: others use the machine too
  Balancer balancer(image, {}, bytes);
  const std::int64_t bound = balancer.surplus();
  balancer.even_racks();
  balancer.even_replicas();
  const std::int64_t counted = copies(balancer);
  const std::clock_t counted_at = std::clock();
  balancer.even_disk(true);
  balancer.even_leaders();
  const auto changes = balancer.changes();
  const std::clock_t took = std::clock() - start;
  const std::int64_t peak = memory_kib("VmHWM") - before;
  const auto ms = [](std::clock_t span) { return span * 1000 / CLOCKS_PER_SEC; };
  std::printf(
      "planned in %lld ms (replicas %lld ms), %lld MiB more; %zu partitions, %lld copies "
      "(bound for the replicas %lld, reached with %lld)\n",
      static_cast<long long>(ms(took)), static_cast<long long>(ms(counted_at - start)),
      static_cast<long long>(peak / 1024), changes.size(), static_cast<long long>(copies(balancer)),
      static_cast<long long>(bound), static_cast<long long>(counted));
  const auto [fewest, most] = range(balancer, &Balancer::Broker::replicas);
  const auto [led_least, led_most] = range(balancer, &Balancer::Broker::preferred);
  EXPECT_LE(most - fewest, 1);
  EXPECT_LE(led_most - led_least, 1);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr int kSlower = 20;
#else
  constexpr int kSlower = 1;
#endif
  EXPECT_LE(ms(took), 5000 * kSlower);
  EXPECT_LE(peak / 1024, 256 * kSlower);
}

}  // namespace
}  // namespace op::plan
