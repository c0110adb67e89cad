#include "broker/controller/delegation_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/controller/channel.h"
#include "broker/controller/test_world.h"
#include "broker/security/delegation_token.h"

namespace broker::controller {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

constexpr std::int64_t kDay = 86'400'000;

struct DelegationTokens : ::testing::Test {
  World world{1};
  const Caller alice{{"User", "alice"}, "10.0.0.1", "c"};
  const Caller bob{{"User", "bob"}, "10.0.0.1", "c"};
  const Caller carol{{"User", "carol"}, "10.0.0.1", "c"};

  DelegationTokens() {
    world.options().delegation_tokens.secret_key = "secret";
    world.set_caller(&alice);
  }
  std::int64_t now() { return world.context().wall_now; }
  protocol::CreateDelegationTokenResponse create(std::int64_t max_lifetime_ms = -1) {
    protocol::CreateDelegationTokenRequest request;
    request.renewers.push_back({"User", "bob"});
    request.max_lifetime_ms = max_lifetime_ms;
    return world.run(request);
  }
  protocol::RenewDelegationTokenResponse renew(const Slice& hmac, std::int64_t period = -1) {
    protocol::RenewDelegationTokenRequest request;
    request.hmac = hmac;
    request.renew_period_ms = period;
    return world.run(request);
  }
  protocol::ExpireDelegationTokenResponse expire(const Slice& hmac, std::int64_t period) {
    protocol::ExpireDelegationTokenRequest request;
    request.hmac = hmac;
    request.expiry_time_period_ms = period;
    return world.run(request);
  }
  const metadata::DelegationTokenImage* token(const std::string& id) {
    return world.image().delegation_tokens.find(id);
  }
};

TEST_F(DelegationTokens, AreTheirRequestersUnlessHeNamesAnOwner) {
  const auto made = create();
  EXPECT_EQ(made.error_code, 0);
  EXPECT_EQ(made.principal_name, "alice");
  EXPECT_EQ(made.issue_timestamp_ms, now());
  EXPECT_EQ(made.expiry_timestamp_ms, now() + kDay);
  EXPECT_EQ(made.max_timestamp_ms, now() + 7 * kDay);
  const auto hmac = security::delegation_token_hmac("secret", made.token_id);
  EXPECT_EQ(made.hmac, Slice(hmac));
  EXPECT_EQ(hmac.size(), 64u);
  ASSERT_NE(token(made.token_id), nullptr);
  EXPECT_EQ(token(made.token_id)->owner, "User:alice");
  EXPECT_THAT(token(made.token_id)->renewers, ElementsAre("User:bob"));

  protocol::CreateDelegationTokenRequest request;
  request.owner_principal_type = "User";
  request.owner_principal_name = "carol";
  request.max_lifetime_ms = 1000;
  const auto hers = world.run(request);
  EXPECT_EQ(hers.principal_name, "carol");
  EXPECT_EQ(hers.token_requester_principal_name, "alice");
  EXPECT_EQ(hers.max_timestamp_ms, now() + 1000);
  EXPECT_EQ(hers.expiry_timestamp_ms, now() + 1000);
  EXPECT_EQ(token(hers.token_id)->requester, "User:alice");
}

TEST_F(DelegationTokens, AreRenewedByOwnerAndRenewersUpToTheirEnd) {
  const auto made = create(2 * kDay);
  world.advance(std::chrono::hours(18));
  EXPECT_EQ(renew(made.hmac).expiry_timestamp_ms, now() + kDay);
  world.set_caller(&bob);
  EXPECT_EQ(renew(made.hmac, 1000).expiry_timestamp_ms, now() + 1000);
  EXPECT_EQ(renew(made.hmac, 90 * kDay).expiry_timestamp_ms, now() + kDay);
  world.advance(std::chrono::hours(20));
  EXPECT_EQ(renew(made.hmac).expiry_timestamp_ms, made.max_timestamp_ms);
  world.set_caller(&carol);
  EXPECT_EQ(code_of(renew(made.hmac).error_code), ErrorCode::kDelegationTokenOwnerMismatch);
  EXPECT_EQ(code_of(renew(Slice::copy_of("none")).error_code), ErrorCode::kDelegationTokenNotFound);
  world.advance(std::chrono::hours(48));
  world.set_caller(&alice);
  EXPECT_EQ(code_of(renew(made.hmac).error_code), ErrorCode::kDelegationTokenExpired);
}

TEST_F(DelegationTokens, ExpireAtOnceOrSooner) {
  const auto one = create();
  const auto other = create();
  EXPECT_EQ(expire(one.hmac, 1000).expiry_timestamp_ms, now() + 1000);
  world.set_caller(&carol);
  EXPECT_EQ(code_of(expire(one.hmac, -1).error_code), ErrorCode::kDelegationTokenOwnerMismatch);
  world.set_caller(&bob);
  EXPECT_EQ(expire(other.hmac, -1).expiry_timestamp_ms, now());
  EXPECT_EQ(token(other.token_id), nullptr);
  world.advance(2s);
  EXPECT_EQ(code_of(expire(one.hmac, 1000).error_code), ErrorCode::kDelegationTokenExpired);
  EXPECT_EQ(expire(one.hmac, -1).error_code, 0);
  EXPECT_TRUE(world.image().delegation_tokens.empty());
}

TEST_F(DelegationTokens, AreSweptWhenTheirTimeIsOver) {
  for (int i = 0; i < 3; ++i) create(1000);
  const auto kept = create();
  EXPECT_TRUE(sweep_delegation_tokens(world.context(), 10).empty());
  world.advance(2s);
  EXPECT_EQ(sweep_delegation_tokens(world.context(), 2).size(), 2u);
  world.replay(sweep_delegation_tokens(world.context(), 10));
  EXPECT_EQ(world.image().delegation_tokens.size(), 1u);
  EXPECT_NE(token(kept.token_id), nullptr);
}

TEST_F(DelegationTokens, AreRefusedWithKafkasErrors) {
  protocol::CreateDelegationTokenRequest group;
  group.renewers.push_back({"Group", "g"});
  EXPECT_EQ(code_of(world.run(group).error_code), ErrorCode::kInvalidPrincipalType);
  EXPECT_EQ(world.last_records(), 0u);

  protocol::FeatureLevelRecord older;
  older.name = "metadata.version";
  older.feature_level = metadata::kMetadataVersion3_6_IV2 - 1;
  world.replay({older});
  EXPECT_EQ(code_of(create().error_code), ErrorCode::kUnsupportedVersion);

  world.options().delegation_tokens.secret_key = "";
  EXPECT_EQ(code_of(create().error_code), ErrorCode::kDelegationTokenAuthDisabled);
  EXPECT_EQ(code_of(renew({}).error_code), ErrorCode::kDelegationTokenAuthDisabled);
  EXPECT_EQ(code_of(expire({}, -1).error_code), ErrorCode::kDelegationTokenAuthDisabled);
}

}  // namespace
}  // namespace broker::controller
