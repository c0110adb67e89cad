#include "broker/controller/mutation_quota.h"

#include <gtest/gtest.h>

#include "broker/controller/test_cluster.h"

namespace broker::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct MutationQuotaTest : ::testing::Test {
  metadata::ClientQuotasImage limits;
  MutationQuotas quotas{{}};
  Instant now{seconds(1'000)};
  Caller alice{{"User", "alice"}, "127.0.0.1", "admin"};

  MutationQuotaTest() {
    limits.by_entity.set({{"user", "alice"}}, {{"controller_mutation_rate", 2.0}});
  }
  MutationQuota of(const Caller& caller) { return *quotas.of(limits, caller, now); }
};

TEST_F(MutationQuotaTest, NobodyElseIsLimited) {
  EXPECT_FALSE(quotas.of(limits, {{"User", "bob"}, "127.0.0.1", "admin"}, now));
}

TEST_F(MutationQuotaTest, ABurstMayOweAndTheNextIsRefusedUntilItIsPaid) {
  auto first = of(alice);
  EXPECT_TRUE(first.charge(30).ok());  // 22 are there
  EXPECT_EQ(first.throttle(), milliseconds(0));
  auto second = of(alice);
  const auto refused = second.charge(1);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.code(), ErrorCode::kThrottlingQuotaExceeded);
  EXPECT_EQ(refused.error().detail, "The throttling quota has been exceeded.");
  EXPECT_EQ(second.throttle(), milliseconds(4'000));
  now += milliseconds(3'999);
  EXPECT_FALSE(of(alice).charge(1).ok());
  now += milliseconds(1);
  EXPECT_TRUE(of(alice).charge(1).ok());
}

TEST_F(MutationQuotaTest, ClientsThatDoNotKnowTheErrorAreMadeToWaitInstead) {
  alice.strict_quota = false;
  auto first = of(alice);
  EXPECT_TRUE(first.charge(30).ok());
  EXPECT_EQ(first.throttle(), milliseconds(4'000));
  auto second = of(alice);
  EXPECT_TRUE(second.charge(2).ok());
  EXPECT_EQ(second.throttle(), milliseconds(5'000));
}

TEST(Decisions, ChargePartitionsThatComeAndGoAndRefuseTheRest) {
  TestCluster world(1);
  metadata::ClientQuotasImage limits;
  limits.by_entity.set({{"user", "alice"}}, {{"controller_mutation_rate", 1.0}});
  MutationQuotas quotas{{}};
  const Caller alice{{"User", "alice"}, "127.0.0.1", ""};
  const auto run = [&](const auto& request) {
    auto quota = quotas.of(limits, alice, world.now());
    auto context = world.context();
    context.mutation_quota = &*quota;
    auto result = decide(context, request);
    world.replay(result.records);
    return result.response;
  };
  protocol::CreateTopicsRequest create;
  for (const char* name : {"wide", "exists"}) {
    auto& topic = create.topics.emplace_back();
    topic.name = name;
    topic.num_partitions = 12;  // 11 are there
    topic.replication_factor = 1;
  }
  const auto created = run(create);
  EXPECT_EQ(code_of(created.topics[0].error_code), ErrorCode::kNone);
  EXPECT_EQ(code_of(created.topics[1].error_code), ErrorCode::kThrottlingQuotaExceeded);
  EXPECT_EQ(world.image().topics.find("exists"), nullptr);

  protocol::CreatePartitionsRequest more;
  more.topics.push_back({"wide", 13, std::nullopt});
  EXPECT_EQ(code_of(run(more).results[0].error_code), ErrorCode::kThrottlingQuotaExceeded);
  protocol::DeleteTopicsRequest gone;
  gone.topics.push_back({"wide", kZeroUuid});
  EXPECT_EQ(code_of(run(gone).responses[0].error_code), ErrorCode::kThrottlingQuotaExceeded);
  world.advance(seconds(1));  // what was owed is paid
  EXPECT_EQ(code_of(run(more).results[0].error_code), ErrorCode::kNone);
  EXPECT_EQ(code_of(run(gone).responses[0].error_code), ErrorCode::kThrottlingQuotaExceeded);
  world.advance(seconds(1));
  EXPECT_EQ(code_of(run(gone).responses[0].error_code), ErrorCode::kNone);
}

}  // namespace
}  // namespace broker::controller
