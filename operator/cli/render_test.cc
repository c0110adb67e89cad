#include "operator/cli/render.h"

#include <gtest/gtest.h>

namespace op::cli {
namespace {

TopicView orders_topic() {
  TopicView topic{.name = "shop.orders", .id = "B8B07wyHTZqn7LLbRW6o4w", .partitions = {}};
  topic.partitions = {{.id = 0,
                       .leader = 0,
                       .replicas = {0, 1, 2},
                       .isr = {0, 1, 2},
                       .size_bytes = 2048,
                       .log_start_offset = 0,
                       .end_offset = 120},
                      {.id = 1,
                       .leader = 1,
                       .replicas = {1, 2, 0},
                       .isr = {1, 0},
                       .size_bytes = 1024,
                       .log_start_offset = 7,
                       .end_offset = 90},
                      {.id = 2,
                       .leader = kNoLeader,
                       .replicas = {2},
                       .isr = {2},
                       .size_bytes = {},
                       .log_start_offset = {},
                       .end_offset = {}}};
  return topic;
}

TEST(RenderTopics, ALinePerTopicSaysWhatIsWrong) {
  TopicsView view{.topics = {{.name = "__consumer_offsets",
                              .id = "",
                              .internal = true,
                              .partitions = {{.id = 0,
                                              .leader = 0,
                                              .replicas = {0},
                                              .isr = {0},
                                              .size_bytes = 0,
                                              .log_start_offset = {},
                                              .end_offset = {}}}},
                             orders_topic()},
                  .sizes_unknown_why = ""};
  EXPECT_EQ(
      render_topics(view, {}),
      "TOPIC                PARTITIONS   REPLICAS   SIZE   LEADERS         HEALTH\n"
      "__consumer_offsets            1          1    0 B   1 on 0          in sync\n"
      "shop.orders                   3          3      ?   1 each on 0 1   1 without leader\n");
  view.sizes_unknown_why = "Sizes are unknown.";
  EXPECT_EQ(render_topics(view, {}),
            "TOPIC                PARTITIONS   REPLICAS   LEADERS         HEALTH\n"
            "__consumer_offsets            1          1   1 on 0          in sync\n"
            "shop.orders                   3          3   1 each on 0 1   1 without leader\n"
            "Sizes are unknown.\n");
  EXPECT_EQ(render_topics({}, {}), "There are no topics, or none that this user may see.\n");
}

TEST(RenderTopics, ANamedTopicShowsItsPartitions) {
  EXPECT_EQ(render_partitions({.topics = {orders_topic()}, .sizes_unknown_why = ""}, {}),
            "shop.orders   3 partitions, 3 replicas, id B8B07wyHTZqn7LLbRW6o4w\n"
            "\n"
            "PARTITION   LEADER   REPLICAS   OUT OF SYNC   START   END      SIZE\n"
            "        0        0   0 1 2                        0   120   2.0 KiB\n"
            "        1        1   1 2 0      2                 7    90   1.0 KiB\n"
            "        2     none   2                            -     -         ?\n");
}

TEST(RenderTopics, JsonSaysTheSame) {
  TopicView topic = orders_topic();
  topic.partitions.erase(topic.partitions.begin());
  EXPECT_EQ(topics_json({.topics = {topic}, .sizes_unknown_why = ""}),
            R"({"topics":[{"name":"shop.orders","id":"B8B07wyHTZqn7LLbRW6o4w","internal":false,)"
            R"("replicationFactor":3,"partitions":[)"
            R"({"partition":1,"leader":1,"replicas":[1,2,0],"inSync":[1,0],"outOfSync":[2],)"
            R"("sizeBytes":1024,"logStartOffset":7,"endOffset":90},)"
            R"({"partition":2,"leader":null,"replicas":[2],"inSync":[2],"outOfSync":[]}]}]})");
}

GroupView billing() {
  GroupView group;
  group.id = "billing";
  group.type = "Consumer";
  group.state = "Stable";
  group.assignor = "uniform";
  group.coordinator = 2;
  group.members = {{"m-1", "", "billing-a", "/10.0.0.7", {{"orders", 0}, {"orders", 1}}},
                   {"m-2", "static", "billing-b", "/10.0.0.8", {}}};
  group.partitions = {{{"orders", 0}, 100, 120, "", 0},
                      {{"orders", 1}, {}, 7, "", 0},
                      {{"returns", 0}, 5, {}, "LEADER_NOT_AVAILABLE", {}}};
  return group;
}

TEST(RenderGroups, LagIsTheSumOfWhatIsKnown) {
  GroupView dead{.id = "gone", .type = "", .state = "Dead"};
  EXPECT_EQ(render_groups({billing(), dead}, {}),
            "GROUP     STATE    PROTOCOL   MEMBERS   LAG   TOPICS\n"
            "billing   Stable   consumer         2    20   orders returns\n"
            "gone      Dead                      0     -\n");
}

TEST(RenderGroups, ANamedGroupShowsPartitionsAndMembers) {
  EXPECT_EQ(
      render_lag({billing()}, {}),
      "billing   Stable, consumer protocol, 2 members, assignor uniform, coordinator 2, lag 20\n"
      "\n"
      "TOPIC     PARTITION   COMMITTED   END   LAG   MEMBER                PROBLEM\n"
      "orders            0         100   120    20   billing-a /10.0.0.7\n"
      "orders            1           -     7     -   billing-a /10.0.0.7\n"
      "returns           0           5     -     -                         LEADER_NOT_AVAILABLE\n"
      "\n"
      "MEMBER   INSTANCE   CLIENT      HOST        PARTITIONS\n"
      "m-1                 billing-a   /10.0.0.7   orders: 0 1\n"
      "m-2      static     billing-b   /10.0.0.8   none\n");
}

TEST(RenderGroups, WhatCannotBeDescribedSaysWhy) {
  GroupView group{.id = "secret", .type = "", .state = ""};
  group.problem = "no access to group secret";
  EXPECT_EQ(render_lag({group}, {}), "secret   no access to group secret\n");
  EXPECT_EQ(groups_json({group}),
            R"({"groups":[{"group":"secret","problem":"no access to group secret"}]})");
}

TEST(RenderGroups, JsonNamesTheMemberOfAPartition) {
  GroupView group = billing();
  group.members.pop_back();
  group.partitions.resize(1);
  EXPECT_EQ(groups_json({group}),
            R"({"groups":[{"group":"billing","state":"Stable","protocol":"Consumer",)"
            R"("assignor":"uniform","coordinator":2,"lag":20,"members":[{"memberId":"m-1",)"
            R"("clientId":"billing-a","host":"/10.0.0.7","partitions":[{"topic":"orders",)"
            R"("partition":0},{"topic":"orders","partition":1}]}],"partitions":[{"topic":"orders",)"
            R"("partition":0,"committed":100,"endOffset":120,"lag":20,"memberId":"m-1"}]}]})");
}

KafkaView three_brokers() {
  KafkaView view;
  view.cluster_id = "EhbY6RQHStKgl5Oe4xwmug";
  view.bootstrap = "10.0.0.1:9092";
  for (std::int32_t id = 0; id < 3; ++id)
    view.brokers.push_back({.id = id,
                            .address = "10.0.0." + std::to_string(id + 1) + ":9092",
                            .rack = "z" + std::to_string(id),
                            .leaders = 4,
                            .replicas = 12});
  view.quorum =
      QuorumView{.leader = 1, .epoch = 4, .voters = {{0, 0}, {1, 0}, {2, 0}}, .observers = {}};
  view.features = {{"metadata.version", 30}, {"group.version", 1}};
  view.topics = 2;
  view.partitions = 12;
  return view;
}

TEST(RenderCluster, AHealthyOneTakesAFewLines) {
  EXPECT_EQ(render_cluster(three_brokers(), {}),
            "Cluster            EhbY6RQHStKgl5Oe4xwmug\n"
            "Reached at         10.0.0.1:9092\n"
            "Brokers            3 up\n"
            "Controllers        0 1 2 (leader 1, epoch 4)\n"
            "Metadata version   4.3-IV0\n"
            "Features           group.version 1\n"
            "Topics             2 topics with 12 partitions\n"
            "Partitions         every replica in sync\n"
            "\n"
            "BROKER   ADDRESS         RACK   STATE   LEADERS   REPLICAS   OUT OF SYNC\n"
            "     0   10.0.0.1:9092   z0     up            4         12             0\n"
            "     1   10.0.0.2:9092   z1     up            4         12             0\n"
            "     2   10.0.0.3:9092   z2     up            4         12             0\n");
}

TEST(RenderCluster, SaysWhoIsAwayAndWhatSuffers) {
  KafkaView view = three_brokers();
  view.brokers[2] = {.id = 2,
                     .address = "10.0.0.3:9092",
                     .rack = "z2",
                     .fenced = true,
                     .replicas = 12,
                     .out_of_sync = 12};
  view.quorum->voters[2].lag_records = 17;
  for (std::int32_t i = 0; i < 7; ++i) view.under_replicated.push_back({"orders", i});
  const std::string text = render_cluster(view, {});
  EXPECT_NE(text.find("Brokers            2 up, 1 fenced\n"), std::string::npos);
  EXPECT_NE(text.find("0 1 2 (leader 1, epoch 4), behind: 2 by 17 records\n"), std::string::npos);
  EXPECT_NE(text.find("Partitions         7 under-replicated: orders-0, orders-1, orders-2, "
                      "orders-3, orders-4 and 2 more\n"),
            std::string::npos);
  EXPECT_NE(
      text.find("     2   10.0.0.3:9092   z2     fenced         0         12            12\n"),
      std::string::npos);
}

TEST(RenderCluster, WithoutTheRightItSaysWhatIsNotKnown) {
  KafkaView view = three_brokers();
  view.quorum.reset();
  view.quorum_unknown_why = "needs the right Describe on the cluster";
  EXPECT_NE(render_cluster(view, {}).find(
                "Controllers        unknown: needs the right Describe on the cluster\n"),
            std::string::npos);
}

}  // namespace
}  // namespace op::cli
