#include "broker/controller/topics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "broker/controller/configs.h"
#include "broker/controller/credentials.h"
#include "broker/controller/placement.h"
#include "broker/controller/test_world.h"

namespace broker::controller {
namespace {

using protocol::CreateTopicsRequest;
using ::testing::HasSubstr;

CreateTopicsRequest create(const std::string& name, std::int32_t partitions = 1,
                           std::int16_t replication_factor = 1) {
  CreateTopicsRequest request;
  auto& topic = request.topics.emplace_back();
  topic.name = name;
  topic.num_partitions = partitions;
  topic.replication_factor = replication_factor;
  return request;
}

/// "CODE: message" of the only topic.
std::string outcome(World& world, const CreateTopicsRequest& request) {
  const auto response = world.run(request);
  const auto& result = response.topics.at(0);
  return std::string(to_string(Error{code_of(result.error_code), ""})) + "|" +
         result.error_message.value_or("");
}

TEST(CreateTopics, GivesDefaultsIdsAndEffectiveConfigs) {
  World world(1);
  world.options().default_num_partitions = 3;
  auto request = create("orders", -1, -1);
  request.topics[0].configs = {{"retention.ms", "5"}};
  const auto response = world.run(request);
  const auto& result = response.topics[0];
  EXPECT_EQ(result.error_code, 0);
  EXPECT_EQ(result.num_partitions, 3);
  EXPECT_EQ(result.replication_factor, 1);
  EXPECT_EQ(world.image().topics.find("orders")->id, result.topic_id);
  const auto retention = std::find_if(result.configs->begin(), result.configs->end(),
                                      [](const auto& c) { return c.name == "retention.ms"; });
  EXPECT_EQ(retention->value, "5");
  EXPECT_EQ(retention->config_source, 1);
  const auto& partition = world.partition("orders", 2);
  EXPECT_EQ(partition.leader, BrokerId{0});
  EXPECT_EQ(partition.directories.front(), World::registration(0).log_dirs.front());
}

TEST(CreateTopics, SaysWhatKafkaSaysAboutBadTopics) {
  World world(1);
  world.run(create("a.b"));
  EXPECT_THAT(outcome(world, create("a.b")), HasSubstr("|Topic 'a.b' already exists."));
  EXPECT_THAT(outcome(world, create("a_b")),
              HasSubstr("|Topic 'a_b' collides with existing topic: a.b"));
  EXPECT_THAT(outcome(world, create("")),
              HasSubstr("|Topic name is invalid: the empty string is not allowed"));
  EXPECT_THAT(outcome(world, create("..")), HasSubstr("|Topic name is invalid: '..' is not"));
  EXPECT_THAT(outcome(world, create("x y")), HasSubstr("contains one or more characters"));
  EXPECT_THAT(outcome(world, create(std::string(250, 'x'))), HasSubstr("max allowed length 249"));
  EXPECT_THAT(outcome(world, create("t", 0)),
              HasSubstr("|Number of partitions was set to an invalid non-positive value."));
  EXPECT_THAT(outcome(world, create("t", 1, 0)),
              HasSubstr("|Replication factor must be larger than 0, or -1 to use the default"));
  EXPECT_THAT(outcome(world, create("t", 1, 2)),
              HasSubstr("|Unable to replicate the partition 2 time(s): The target replication "
                        "factor of 2 cannot be reached because only 1 broker(s) are registered or "
                        "some brokers have all their log directories cordoned."));
  EXPECT_THAT(outcome(world, create("t", 10001)), HasSubstr("Excessively large number"));
  auto request = create("t");
  request.topics[0].configs = {{"nope", "1"}};
  EXPECT_THAT(outcome(world, request), HasSubstr("|Unknown topic config name: nope"));
  request.topics[0].configs = {{"retention.ms", std::nullopt}};
  EXPECT_THAT(outcome(world, request), HasSubstr("|Null value not supported for topic configs"));
  request = create("t", -1, -1);
  request.topics[0].assignments = {{0, {0, 7}}};
  EXPECT_THAT(outcome(world, request), HasSubstr("includes broker 7, but no such broker"));
  request.topics[0].assignments = {{1, {0}}};
  EXPECT_THAT(outcome(world, request), HasSubstr("consecutive 0-based"));
  EXPECT_THAT(outcome(world, create("__cluster_metadata")), HasSubstr("prohibited"));
  EXPECT_EQ(world.image().topics.by_id.size(), 1u);
}

TEST(CreateTopics, OneBadTopicDoesNotSpoilTheOthersAndDuplicatesAreAnsweredOnce) {
  World world(1);
  auto request = create("good");
  request.topics.push_back(create("bad", 0).topics[0]);
  request.topics.push_back(create("twice").topics[0]);
  request.topics.push_back(create("twice").topics[0]);
  const auto response = world.run(request);
  ASSERT_EQ(response.topics.size(), 3u);
  EXPECT_EQ(response.topics[2].error_message, "Duplicate topic name.");
  EXPECT_NE(world.image().topics.find("good"), nullptr);
  EXPECT_EQ(world.image().topics.by_id.size(), 1u);
}

TEST(CreateTopics, ValidateOnlyWritesNothing) {
  World world(1);
  auto request = create("t");
  request.validate_only = true;
  EXPECT_EQ(world.run(request).topics[0].error_code, 0);
  EXPECT_EQ(world.last_records(), 0u);
}

TEST(CreateTopics, WithAllBrokersFencedItIsRefused) {
  World world(1);
  world.replay(fence_broker(world.context(), BrokerId{0}));
  EXPECT_THAT(outcome(world, create("t")), HasSubstr("All brokers are currently fenced."));
}

TEST(DeleteTopics, ByNameAndById) {
  World world(1);
  const auto created = world.run(create("t"));
  world.run(create("u"));
  protocol::DeleteTopicsRequest request;
  request.topic_names = {"u", "none"};
  request.topics = {{std::nullopt, created.topics[0].topic_id}, {std::nullopt, Uuid{9, 9}}};
  const auto response = world.run(request);
  ASSERT_EQ(response.responses.size(), 4u);
  EXPECT_EQ(response.responses[0].name, "t");
  EXPECT_EQ(code_of(response.responses[1].error_code), ErrorCode::kUnknownTopicId);
  EXPECT_EQ(response.responses[2].error_code, 0);
  EXPECT_EQ(code_of(response.responses[3].error_code), ErrorCode::kUnknownTopicOrPartition);
  EXPECT_TRUE(world.image().topics.by_id.empty());
  world.run(create("v"));
  world.options().delete_topic_enable = false;
  request = {};
  request.topic_names = {"v"};
  EXPECT_EQ(code_of(world.run(request).responses[0].error_code), ErrorCode::kTopicDeletionDisabled);
}

TEST(CreatePartitions, OnlyGrows) {
  World world(2);
  world.run(create("t", 2, 2));
  const auto message = [&](std::int32_t count) {
    protocol::CreatePartitionsRequest request;
    request.topics.push_back({"t", count, std::nullopt});
    return world.run(request).results[0].error_message.value_or("");
  };
  EXPECT_EQ(message(2), "Topic already has 2 partition(s).");
  EXPECT_EQ(message(1), "The topic t currently has 2 partition(s); 1 would not be an increase.");
  EXPECT_EQ(message(5), "");
  EXPECT_EQ(world.image().topics.find("t")->partitions.size(), 5u);
  EXPECT_EQ(world.partition("t", 4).replicas.size(), 2u);
}

TEST(Placement, SpreadsLeadersEvenlyAndReplicasOverRacks) {
  World world(6, {"a", "b", "c"});
  Rng rng(7);
  ReplicaPlacer placer(world.image().cluster, rng);
  std::map<BrokerId, int> leaders;
  std::map<BrokerId, int> replicas;
  std::set<std::vector<BrokerId>> together;
  for (int i = 0; i < 60; ++i) {
    const auto placed = placer.place(3);
    ASSERT_TRUE(placed.ok());
    std::set<std::string> racks;
    for (const BrokerId id : *placed) {
      racks.insert(*world.image().cluster.broker(id)->rack);
      ++replicas[id];
    }
    EXPECT_EQ(racks.size(), 3u);
    EXPECT_EQ(std::set<BrokerId>(placed->begin(), placed->end()).size(), 3u);
    ++leaders[placed->front()];
    together.insert(*placed);
  }
  for (int id = 0; id < 6; ++id) {
    EXPECT_EQ(leaders[BrokerId{id}], 10);
    EXPECT_NEAR(replicas[BrokerId{id}], 30, 10);
  }
  EXPECT_GT(together.size(), 6u);
}

TEST(Placement, AFencedBrokerIsNeverFirst) {
  World world(3);
  world.replay(fence_broker(world.context(), BrokerId{1}));
  Rng rng(7);
  ReplicaPlacer placer(world.image().cluster, rng);
  for (int i = 0; i < 12; ++i) {
    const auto placed = placer.place(3);
    ASSERT_TRUE(placed.ok());
    EXPECT_EQ(placed->back(), BrokerId{1});
  }
}

using protocol::IncrementalAlterConfigsRequest;

std::string alter_config(World& world, std::int8_t type, const std::string& name,
                         const IncrementalAlterConfigsRequest::AlterableConfig& change) {
  IncrementalAlterConfigsRequest request;
  request.resources.push_back({type, name, {change}});
  const auto response = world.run(request);
  return response.responses[0].error_message.value_or("");
}

TEST(AlterConfigs, SetDeleteAppendAndSubtractOnATopic) {
  World world(1);
  world.run(create("t"));
  const metadata::ConfigResource topic{metadata::ConfigResourceType::kTopic, "t"};
  EXPECT_EQ(alter_config(world, 2, "t", {"cleanup.policy", 2, "compact"}), "");
  EXPECT_EQ(world.image().configs.of(topic).at("cleanup.policy"), "delete,compact");
  EXPECT_EQ(alter_config(world, 2, "t", {"cleanup.policy", 3, "delete"}), "");
  EXPECT_EQ(world.image().configs.of(topic).at("cleanup.policy"), "compact");
  EXPECT_EQ(alter_config(world, 2, "t", {"retention.ms", 0, "7"}), "");
  EXPECT_EQ(alter_config(world, 2, "t", {"retention.ms", 0, "7"}), "");
  EXPECT_EQ(world.last_records(), 0u);  // unchanged
  EXPECT_EQ(alter_config(world, 2, "t", {"retention.ms", 1, std::nullopt}), "");
  EXPECT_EQ(world.image().configs.of(topic).count("retention.ms"), 0u);

  EXPECT_EQ(alter_config(world, 2, "t", {"retention.ms", 2, "7"}),
            "Can't APPEND to key retention.ms because its type is not LIST.");
  EXPECT_EQ(alter_config(world, 2, "t", {"retention.ms", 0, "x"}),
            "Invalid value x for configuration retention.ms: Not a number of type LONG");
  EXPECT_EQ(alter_config(world, 2, "t", {"what", 0, "x"}), "Unknown topic config name: what");
  EXPECT_EQ(alter_config(world, 2, "none", {"retention.ms", 0, "1"}),
            "The topic 'none' does not exist.");
  EXPECT_EQ(alter_config(world, 2, "t", {"retention.ms", 9, "1"}), "Unknown operation type 9");
}

TEST(AlterConfigs, BrokersTakeDynamicKeysAndRewriteNamedOnes) {
  World world(1);
  EXPECT_EQ(alter_config(world, 4, "", {"log.retention.ms", 0, "5"}), "");
  EXPECT_EQ(alter_config(world, 4, "", {"log.retention.ms", 0, "5"}), "");
  EXPECT_EQ(world.last_records(), 1u);
  EXPECT_EQ(alter_config(world, 4, "0", {"node.id", 0, "5"}),
            "Cannot update these configs dynamically: [node.id]");
  EXPECT_EQ(alter_config(world, 4, "x", {"log.retention.ms", 0, "5"}),
            "Unable to parse broker name as a base 10 number.");
  EXPECT_EQ(alter_config(world, 4, "5", {"log.retention.ms", 0, "5"}),
            "No broker with id 5 found.");
  EXPECT_EQ(alter_config(world, 8, "0", {"kafka", 0, "INFO"}),
            "Unexpected resource type BROKER_LOGGER.");
}

TEST(AlterConfigs, TheOldFormReplacesEverything) {
  World world(1);
  auto request = create("t");
  request.topics[0].configs = {{"retention.ms", "5"}, {"segment.ms", "6"}};
  world.run(request);
  protocol::AlterConfigsRequest alter;
  alter.resources.push_back({2, "t", {{"retention.ms", "7"}}});
  EXPECT_EQ(world.run(alter).responses[0].error_code, 0);
  const auto& values = world.image().configs.of({metadata::ConfigResourceType::kTopic, "t"});
  EXPECT_EQ(values, (config::ConfigMap{{"retention.ms", "7"}}));
}

protocol::CreateAclsRequest::AclCreation acl(const std::string& principal,
                                             const std::string& topic) {
  return {2, topic, 3, principal, "*", 3, 3};
}

TEST(Acls, CreatingTwiceIsOneAndFiltersDelete) {
  World world(1);
  protocol::CreateAclsRequest request;
  request.creations = {acl("User:a", "t"), acl("User:a", "t"), acl("a", "t"), acl("User:b", "t")};
  const auto response = world.run(request);
  EXPECT_EQ(response.results[1].error_code, 0);
  EXPECT_EQ(code_of(response.results[2].error_code), ErrorCode::kInvalidRequest);
  EXPECT_EQ(world.image().acls.by_id.size(), 2u);
  protocol::DeleteAclsRequest remove;
  remove.filters.push_back({2, "t", 3, "User:a", std::nullopt, 1, 1});
  remove.filters.push_back({2, "t", 3, std::nullopt, std::nullopt, 1, 1});
  const auto removed = world.run(remove);
  EXPECT_EQ(removed.filter_results[0].matching_acls.size(), 1u);
  EXPECT_EQ(removed.filter_results[1].matching_acls.size(), 2u);
  EXPECT_TRUE(world.image().acls.by_id.empty());
}

TEST(Scram, AllAlterationsOfAUserHappenOrNone) {
  World world(1);
  using Request = protocol::AlterUserScramCredentialsRequest;
  const auto upsertion = [](const std::string& name, std::int8_t mechanism,
                            std::int32_t iterations) {
    return Request::ScramCredentialUpsertion{
        name, mechanism, iterations, Slice::copy_of(std::string_view("saltsalt")),
        Slice::copy_of(std::string(mechanism == 1 ? 32 : 64, 'p'))};
  };
  Request request;
  request.upsertions = {upsertion("alice", 1, 4096), upsertion("alice", 2, 1),
                        upsertion("bob", 2, 8192), upsertion("eve", 9, 4096)};
  request.deletions = {{"carol", 1}};
  std::map<std::string, std::string> messages;
  for (const auto& result : world.run(request).results)
    messages[result.user] = result.error_message.value_or("");
  EXPECT_EQ(messages["alice"], "Too few iterations");
  EXPECT_EQ(messages["bob"], "");
  EXPECT_EQ(messages["eve"], "Unknown SCRAM mechanism");
  EXPECT_EQ(messages["carol"], "Attempt to delete a user credential that does not exist");
  EXPECT_EQ(world.image().scram.credentials.size(), 1u);
  request = {};
  request.deletions = {{"bob", 2}};
  world.run(request);
  EXPECT_EQ(world.image().scram.credentials.size(), 0u);
}

}  // namespace
}  // namespace broker::controller
