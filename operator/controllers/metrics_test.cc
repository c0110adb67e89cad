#include "operator/controllers/metrics.h"

#include <gtest/gtest.h>

#include "operator/controllers/world_for_tests.h"

namespace op::controllers {
namespace {

std::int64_t count(const OperatorMetrics& metrics, const std::string& kind,
                   const std::string& ready) {
  std::int64_t out = 0;
  for (const auto& [state, number] : metrics.resources)
    if (state.kind == kind && state.ready == ready) out += number;
  return out;
}

TEST(MetricsCollector, CountsResourcesByTheirConditionAndFollowsChanges) {
  World world;
  world.make_cluster();
  MetricsCollector collector(world.store, world.op->clusters());
  world.put("Topic", "kafka", "good", in_orders({{"partitions", 3}}));
  EXPECT_EQ(count(collector.collect(), "Topic", "Unknown"), 1);  // nobody has looked at it yet
  world.put("Topic", "kafka", "lost", {{"clusterRef", {{"name", "nowhere"}}}, {"partitions", 3}});
  world.settle();
  const OperatorMetrics metrics = collector.collect();
  EXPECT_EQ(count(metrics, "Cluster", "True"), 1);
  EXPECT_EQ(count(metrics, "Topic", "True"), 1);
  EXPECT_EQ((metrics.resources.at({"Topic", "kafka", "False", "ClusterNotFound"})), 1);
  EXPECT_EQ(count(metrics, "Topic", "Unknown"), 0);
}

TEST(MetricsCollector, TellsOfClustersAndTheirCertificates) {
  World world;
  world.make_cluster();
  MetricsCollector collector(world.store, world.op->clusters());
  const OperatorMetrics metrics = collector.collect();
  ASSERT_EQ(metrics.clusters.size(), 1u);
  const auto& cluster = metrics.clusters.front();
  EXPECT_TRUE(cluster.connected);
  EXPECT_TRUE(cluster.conditions.at("Ready"));
  EXPECT_EQ(cluster.brokers, 1);
  EXPECT_EQ(cluster.ready_brokers, 1);
  EXPECT_EQ(cluster.roll_total, 0);
  std::map<std::string, broker::WallMs> ends;
  for (const auto& certificate : metrics.certificates)
    ends[certificate.type] = certificate.not_after;
  ASSERT_EQ(ends.size(), 4u);  // no user has one
  EXPECT_LT(ends.at("broker"), ends.at("cluster-ca"));
  EXPECT_GT(ends.at("users-ca"), 0);
  EXPECT_GT(ends.at("operator"), 0);
}

TEST(MetricsCollector, AClusterThatIsGoneIsNotTold) {
  World world;
  world.make_cluster();
  MetricsCollector collector(world.store, world.op->clusters());
  collector.collect();
  ASSERT_TRUE(world.store.remove_as_user(kube::kCluster, {"kafka", "orders"}).ok());
  world.settle();
  EXPECT_TRUE(collector.collect().clusters.empty());
}

}  // namespace
}  // namespace op::controllers
