// Quotas, feature levels, and what eligible leader replicas ask of min.insync.replicas.
#include <gtest/gtest.h>

#include "broker/controller/configs.h"
#include "broker/controller/min_insync.h"
#include "broker/controller/quotas.h"
#include "broker/controller/test_cluster.h"

namespace broker::controller {
namespace {

std::string alter_quota(World& world,
                        std::vector<protocol::AlterClientQuotasRequest::EntityData> entity,
                        const std::string& key, double value, bool remove = false) {
  protocol::AlterClientQuotasRequest request;
  request.entries.push_back({std::move(entity), {{key, value, remove}}});
  const auto response = world.run(request);
  return response.entries.at(0).error_message.value_or("");
}

TEST(Quotas, AreSetChangedAndRemoved) {
  World world(1);
  EXPECT_EQ(alter_quota(world, {{"user", "alice"}}, "producer_byte_rate", 1000), "");
  const metadata::QuotaEntity alice{{"user", "alice"}};
  EXPECT_EQ(world.image().client_quotas.by_entity.find(alice)->at("producer_byte_rate"), 1000);
  EXPECT_EQ(alter_quota(world, {{"user", "alice"}}, "producer_byte_rate", 1000), "");
  EXPECT_EQ(world.last_records(), 0u);
  EXPECT_EQ(alter_quota(world, {{"user", "alice"}}, "producer_byte_rate", 0, true), "");
  EXPECT_EQ(world.image().client_quotas.by_entity.find(alice), nullptr);
}

TEST(Quotas, SayWhatKafkaSaysAboutBadOnes) {
  World world(1);
  EXPECT_EQ(alter_quota(world, {}, "producer_byte_rate", 1), "Invalid empty client quota entity");
  EXPECT_EQ(alter_quota(world, {{"group", "g"}}, "producer_byte_rate", 1),
            "Unhandled client quota entity type: group");
  EXPECT_EQ(alter_quota(world, {{"user", ""}}, "producer_byte_rate", 1),
            "Empty user not supported");
  EXPECT_EQ(alter_quota(world, {{"user", "a"}}, "connection_creation_rate", 1),
            "Invalid configuration key connection_creation_rate");
  EXPECT_EQ(alter_quota(world, {{"user", "a"}}, "producer_byte_rate", 0),
            "Quota producer_byte_rate must be greater than 0");
  EXPECT_EQ(alter_quota(world, {{"user", "a"}}, "producer_byte_rate", 1.5),
            "producer_byte_rate cannot be a fractional value.");
  EXPECT_EQ(alter_quota(world, {{"user", "a"}}, "consumer_byte_rate", 1e19),
            "Proposed value for consumer_byte_rate is too large for a LONG.");
  EXPECT_EQ(alter_quota(world, {{"ip", "10.0.0.1"}}, "connection_creation_rate", 2147483648.0),
            "Proposed value for connection_creation_rate is too large for an INT.");
}

std::string set_level(World& world, const std::string& feature, std::int16_t level,
                      std::int8_t type) {
  protocol::UpdateFeaturesRequest request;
  request.feature_updates.push_back({feature, level, false, type});
  const auto response = world.run(request);
  const std::string message = response.error_message.value_or("");
  const auto at = message.find(". ");
  return at == std::string::npos ? message : message.substr(at + 2);
}

TEST(FeatureLevels, GoDownOnlyWhenAskedAndOnlyWhenNothingIsLost) {
  World world(1);
  EXPECT_EQ(set_level(world, "metadata.version", 30, 1), "");
  EXPECT_EQ(set_level(world, "metadata.version", 29, 1),
            "Can't downgrade the version of this feature without setting the upgrade type to "
            "either safe or unsafe downgrade.");
  EXPECT_EQ(set_level(world, "metadata.version", 29, 2),
            "Refusing to perform the requested downgrade because it might delete metadata "
            "information.");
  EXPECT_EQ(set_level(world, "metadata.version", 29, 3),
            "Unsafe metadata downgrade is not supported in this version.");
  EXPECT_EQ(set_level(world, "metadata.version", 29, 7),
            "The controller does not support the given upgrade type.");
  protocol::FeatureLevelRecord older;
  older.name = "metadata.version";
  older.feature_level = 29;
  world.replay({older});
  EXPECT_EQ(set_level(world, "metadata.version", 24, 2), "");
  EXPECT_EQ(world.image().features.metadata_version(), 24);
}

protocol::IncrementalAlterConfigsResponse alter_min_isr(World& world, std::int8_t type,
                                                        const std::string& name,
                                                        std::optional<std::string> value) {
  protocol::IncrementalAlterConfigsRequest request;
  const std::int8_t operation = value ? 0 : 1;
  request.resources.push_back({type, name, {{"min.insync.replicas", operation, value}}});
  return world.run(request);
}

TEST(MinInsync, IsOneForAllBrokersWhileLeadersAreElectedFromTheElr) {
  TestCluster world(3);
  EXPECT_EQ(alter_min_isr(world, 4, "1", "3").responses[0].error_code, 0);
  EXPECT_EQ(set_level(world, "eligible.leader.replicas.version", 1, 1), "");
  EXPECT_TRUE(world.image().configs.of({metadata::ConfigResourceType::kBroker, "1"}).empty());
  EXPECT_EQ(world.image()
                .configs.of({metadata::ConfigResourceType::kBroker, ""})
                .at("min.insync.replicas"),
            "1");
  EXPECT_EQ(*alter_min_isr(world, 4, "1", "2").responses[0].error_message,
            "Broker-level min.insync.replicas cannot be altered while ELR is enabled.");
  EXPECT_EQ(*alter_min_isr(world, 4, "", std::nullopt).responses[0].error_message,
            "Cluster-level min.insync.replicas cannot be removed while ELR is enabled.");
}

TEST(MinInsync, IsPinnedInANewClusterThatHasTheElr) {
  World world(1);
  world.options().static_values["min.insync.replicas"] = "2";
  protocol::FeatureLevelRecord elr;
  elr.name = "eligible.leader.replicas.version";
  elr.feature_level = 1;
  world.options().bootstrap_records.emplace_back(elr);
  const auto records = bootstrap_records(world.context());
  ASSERT_EQ(records.size(), 5u);  // in Kafka's order: begin, levels, the minimum, end
  const auto* pinned = std::get_if<protocol::ConfigRecord>(&records[3]);
  ASSERT_NE(pinned, nullptr);
  EXPECT_EQ(pinned->resource_name, "");
  EXPECT_EQ(pinned->name, "min.insync.replicas");
  EXPECT_EQ(pinned->value, "2");
}

TEST(MinInsync, AnotherMinimumEndsEligibility) {
  TestCluster world(3);
  world.finalise("eligible.leader.replicas.version", 1);
  world.add_topic("t", {{0, 1, 2}});
  EXPECT_EQ(alter_min_isr(world, 2, "t", "2").responses[0].error_code, 0);
  for (const int id : {2, 1}) world.fence(id);
  EXPECT_EQ(world.partition("t").elr, ids({1}));
  EXPECT_EQ(alter_min_isr(world, 2, "t", "1").responses[0].error_code, 0);
  EXPECT_TRUE(world.partition("t").elr.empty());
}

TEST(MinInsync, AnotherMinimumLeavesAPartitionWithoutInSyncReplicasItsEligibleOnes) {
  TestCluster world(3);
  world.finalise("eligible.leader.replicas.version", 1);
  world.add_topic("t", {{0, 1, 2}});
  EXPECT_EQ(alter_min_isr(world, 2, "t", "2").responses[0].error_code, 0);
  for (const int id : {2, 1, 0}) world.fence(id);
  EXPECT_EQ(alter_min_isr(world, 2, "t", "1").responses[0].error_code, 0);
  EXPECT_EQ(world.partition("t").elr, ids({0, 1}));
  // The first to come back commits alone now: the other is not eligible any more.
  world.unfence(1);
  EXPECT_EQ(world.partition("t").leader, BrokerId{1});
  EXPECT_EQ(world.partition("t").isr, ids({1}));
  EXPECT_TRUE(world.partition("t").elr.empty());
}

}  // namespace
}  // namespace broker::controller
