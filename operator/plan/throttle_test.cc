#include "operator/plan/throttle.h"

#include <gtest/gtest.h>

#include "operator/plan/images_for_tests.h"

namespace op::plan {
namespace {

using broker::BrokerId;
using broker::metadata::ConfigResource;
using broker::metadata::ConfigResourceType;
using broker::metadata::MetadataImage;

const std::string kLeaders = "leader.replication.throttled.replicas";
const std::string kFollowers = "follower.replication.throttled.replicas";
const std::string kLeaderRate = "leader.replication.throttled.rate";
const std::string kFollowerRate = "follower.replication.throttled.rate";

MetadataImage three_brokers() {
  MetadataImage image = *MetadataImage::empty();
  for (int id = 0; id < 3; ++id) add_broker(image, id);
  add_topic(image, "t", {{0, 1}, {1, 0}, {0, 1}});
  return image;
}

/// Kafka does it.
void carry_out(MetadataImage& image, const std::vector<ThrottleChange>& changes) {
  for (const ThrottleChange& change : changes) {
    auto configs = image.configs.of(change.resource);
    for (const auto& [key, value] : change.changes) {
      if (value) {
        configs[key] = *value;
      } else {
        configs.erase(key);
      }
    }
    image.configs.by_resource.set(change.resource, configs);
  }
}

const broker::config::ConfigMap& of_topic(const MetadataImage& image) {
  return image.configs.of(ConfigResource{ConfigResourceType::kTopic, "t"});
}

void begin(MetadataImage& image, std::int32_t index, std::int32_t from, std::int32_t to) {
  auto partition = partition_of(image, "t", index);
  partition.adding_replicas = {BrokerId{to}};
  partition.removing_replicas = {BrokerId{from}};
  partition.replicas.push_back(BrokerId{to});
  put_partition(image, "t", index, partition);
}

void end(MetadataImage& image, std::int32_t index, const Ids& replicas) {
  auto partition = partition_of(image, "t", index);
  partition.adding_replicas.clear();
  partition.removing_replicas.clear();
  partition.replicas = to_brokers(replicas);
  put_partition(image, "t", index, partition);
}

TEST(Throttle, IsSetBeforeAsKafkasToolDoesAndRemovedAfterwards) {
  MetadataImage image = three_brokers();
  const MetadataImage before = image;
  const std::vector<Move> first{{"t", 0, Ids{2, 1}}};
  carry_out(image, throttle_for(image, 1000, first));
  EXPECT_EQ(of_topic(image).at(kLeaders), "0:0,0:1");
  EXPECT_EQ(of_topic(image).at(kFollowers), "0:2");
  for (int id = 0; id < 3; ++id) {
    const auto& rates =
        image.configs.of(ConfigResource{ConfigResourceType::kBroker, std::to_string(id)});
    EXPECT_EQ(rates.at(kLeaderRate), "1000");
    EXPECT_EQ(rates.at(kFollowerRate), "1000");
  }
  EXPECT_TRUE(throttle_for(image, 1000, first).empty());
  begin(image, 0, 0, 2);
  EXPECT_TRUE(plan_throttle(image, 1000, false).empty());
  // The next one keeps the list of the one under way.
  carry_out(image, throttle_for(image, 1000, {{"t", 1, Ids{1, 2}}}));
  EXPECT_EQ(of_topic(image).at(kFollowers), "0:2,1:2");
  begin(image, 1, 0, 2);
  end(image, 0, {2, 1});
  EXPECT_TRUE(plan_throttle(image, 1000, false).empty());
  end(image, 1, {1, 2});
  EXPECT_TRUE(plan_throttle(image, 1000, true).empty());  // more is to come
  carry_out(image, plan_throttle(image, 1000, false));
  EXPECT_TRUE(of_topic(image).empty());
  EXPECT_TRUE(plan_throttle(image, 1000, false).empty());
}

TEST(Throttle, WhatSomebodyElseMovesAndWhatChangesMeanwhileIsLimitedToo) {
  MetadataImage image = three_brokers();
  begin(image, 0, 0, 2);
  carry_out(image, plan_throttle(image, 1000, false));
  EXPECT_EQ(of_topic(image).at(kFollowers), "0:2");
  carry_out(image, plan_throttle(image, 2000, false));
  EXPECT_EQ(image.configs.of(ConfigResource{ConfigResourceType::kBroker, "1"}).at(kLeaderRate),
            "2000");
  // Not declared any more: at once without limits.
  carry_out(image, plan_throttle(image, std::nullopt, true));
  EXPECT_TRUE(of_topic(image).empty());
  EXPECT_TRUE(plan_throttle(image, std::nullopt, false).empty());
}

TEST(Throttle, ALeaderThatOnlyChangesAndAWishForAllAreLeftAlone) {
  MetadataImage image = three_brokers();
  EXPECT_TRUE(throttle_for(image, 1000, {{"t", 0, Ids{1, 0}}}).empty());
  EXPECT_TRUE(throttle_for(image, 1000, {{"t", 0, std::nullopt}}).empty());
  carry_out(image, {{{ConfigResourceType::kTopic, "t"}, {{kLeaders, "*"}, {kFollowers, "*"}}}});
  carry_out(image, throttle_for(image, 1000, {{"t", 0, Ids{2, 1}}}));
  EXPECT_EQ(of_topic(image).at(kLeaders), "*");
  carry_out(image, plan_throttle(image, 1000, false));
  EXPECT_EQ(of_topic(image).at(kFollowers), "*");
}

}  // namespace
}  // namespace op::plan
