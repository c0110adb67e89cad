#include <gtest/gtest.h>

#include "broker/coordinator/group/consumer_harness_for_tests.h"
#include "broker/coordinator/group/consumer_protocol.h"

namespace broker::coordinator::group {
namespace {

GroupOptions with_policy(MigrationPolicy policy) {
  GroupOptions options;
  options.consumer.migration = policy;
  options.consumer.settings.assignment_interval = 0ms;
  return options;
}

/// A group that changes its protocol.
class Migration : public ConsumerHarness {
 public:
  explicit Migration(MigrationPolicy policy = MigrationPolicy::kBidirectional)
      : ConsumerHarness({{"orders", 2}}, with_policy(policy)) {}

  static JoinArgs classic(std::string member = {}) {
    return {.member = std::move(member), .metadata = subscription({"orders"})};
  }
  /// A stable classic group of one member that has both partitions; returns its id.
  std::string start_classic() {
    auto [member, joined] = join_new(classic());
    advance(3s);
    const Slice all = assignment_bytes({{id("orders"), {0, 1}}}, 1, *image);
    sync(member, (*joined)->generation_id, {{member, std::string(all.view())}});
    CHECK(state() == "Stable");
    return member;
  }
  std::string assigned(const protocol::SyncGroupResponse& response) const {
    const auto assignment = parse_assignment(response.assignment, *image);
    std::string text;
    for (const auto& [topic, partitions] : *assignment)
      for (const std::int32_t p : partitions) text += std::to_string(p);
    return text;
  }
};

TEST(GroupMigration, AConsumerTakesAClassicGroupOverAndGetsItsShare) {
  Migration h;
  const std::string old = h.start_classic();
  EXPECT_EQ(h.join("new").error_code, 0);
  EXPECT_EQ(h.consumer().members().size(), 2U);
  // The classic member learns from its heartbeat that it has to join again, and gives one up.
  EXPECT_EQ(h.heartbeat(old, 1), ErrorCode::kRebalanceInProgress);
  auto joined = static_cast<Harness&>(h).join(Migration::classic(old));
  ASSERT_TRUE(joined->has_value());
  EXPECT_EQ((*joined)->error_code, 0);
  EXPECT_EQ((*joined)->protocol_name, "range");
  const auto kept = h.sync(old, (*joined)->generation_id);
  EXPECT_EQ((*kept)->error_code, 0);
  EXPECT_EQ(h.assigned(**kept).size(), 1U);
  // Without owned partitions in its subscription, it has let go with that.
  const auto response = h.beat({.member = "new", .epoch = h.epoch_of("new")});
  EXPECT_EQ(ConsumerHarness::text(response).size(), 1U);
  EXPECT_EQ(h.heartbeat(old, h.epoch_of(old)), ErrorCode::kNone);
  EXPECT_EQ(h.consumer_state(), "Stable");
}

TEST(GroupMigration, TheLastConsumerThatLeavesMakesItAClassicGroupAgain) {
  Migration h;
  const std::string old = h.start_classic();
  h.join("new");
  EXPECT_EQ(h.beat({.member = "new", .epoch = -1}).error_code, 0);
  EXPECT_EQ(h.shard->find("g")->consumer, nullptr);
  EXPECT_EQ(h.shard->find("g")->members.size(), 1U);
  h.advance(1ms);  // the rebalance begins by itself
  EXPECT_EQ(h.state(), "PreparingRebalance");
  auto joined = static_cast<Harness&>(h).join(Migration::classic(old));
  ASSERT_TRUE(joined->has_value());
  EXPECT_EQ((*joined)->error_code, 0);
}

TEST(GroupMigration, IsTheSameAfterTheCoordinatorMoved) {
  Migration h;
  const std::string old = h.start_classic();
  h.commit({.member = old, .generation = 1});
  h.join("new");
  h.restart();
  EXPECT_EQ(h.consumer().members().size(), 2U);
  EXPECT_TRUE(h.consumer().find(old)->classic.has_value());
  EXPECT_EQ(h.committed(), 42);
  EXPECT_EQ(h.heartbeat(old, 1), ErrorCode::kRebalanceInProgress);
}

TEST(GroupMigration, ThePolicyForbidsIt) {
  Migration h(MigrationPolicy::kDowngrade);
  h.start_classic();
  EXPECT_EQ(h.join("new").error_code, static_cast<std::int16_t>(ErrorCode::kGroupIdNotFound));
  EXPECT_EQ(h.state(), "Stable");
}

TEST(GroupMigration, DisabledMeansThatNobodyOfTheOtherProtocolGetsIn) {
  Migration h(MigrationPolicy::kDisabled);
  h.join("new");
  auto refused = static_cast<Harness&>(h).join(Migration::classic());
  EXPECT_EQ(error_of(**refused), ErrorCode::kInconsistentGroupProtocol);
}

TEST(GroupMigration, AClassicMemberJoinsAConsumerGroup) {
  Migration h;
  h.join("new");
  auto asked = static_cast<Harness&>(h).join(Migration::classic());
  EXPECT_EQ(error_of(**asked), ErrorCode::kMemberIdRequired);
  const std::string id = (*asked)->member_id;
  auto joined = static_cast<Harness&>(h).join(Migration::classic(id));
  ASSERT_TRUE(joined->has_value());
  EXPECT_EQ((*joined)->error_code, 0);
  EXPECT_EQ(h.assigned(**h.sync(id, (*joined)->generation_id)), "");  // nothing is free yet
  // A group of another kind finds no common ground.
  JoinArgs other = Migration::classic();
  other.protocols = {"roundrobin"};
  EXPECT_EQ(error_of(**static_cast<Harness&>(h).join(other)),
            ErrorCode::kInconsistentGroupProtocol);
}

TEST(GroupMigration, AClassicMemberOfAConsumerGroupLeaves) {
  Migration h;
  const std::string old = h.start_classic();
  h.join("new");
  const auto left = h.leave({{.member_id = old}});
  EXPECT_EQ(left.members[0].error_code, 0);
  EXPECT_EQ(ConsumerHarness::text(h.beat({.member = "new", .epoch = h.epoch_of("new")})), "0,1");
}

}  // namespace
}  // namespace broker::coordinator::group
