#include "broker/metadata/client_quotas.h"

#include <gtest/gtest.h>

namespace broker::metadata {
namespace {

const std::optional<std::string> kDefault;

struct Level {
  QuotaEntity entity;
  double limit;
  std::string user, client_id;  // of those who share it
};

// Strongest first.
const std::vector<Level> kLevels{
    {{{"client-id", "reports"}, {"user", "alice"}}, 1, "alice", "reports"},
    {{{"client-id", kDefault}, {"user", "alice"}}, 2, "alice", "reports"},
    {{{"user", "alice"}}, 3, "alice", ""},
    {{{"client-id", "reports"}, {"user", kDefault}}, 4, "alice", "reports"},
    {{{"client-id", kDefault}, {"user", kDefault}}, 5, "alice", "reports"},
    {{{"user", kDefault}}, 6, "alice", ""},
    {{{"client-id", "reports"}}, 7, "", "reports"},
    {{{"client-id", kDefault}}, 8, "", "reports"},
};

ClientQuotasImage from_level(std::size_t first) {
  ClientQuotasImage quotas;
  for (std::size_t i = first; i < kLevels.size(); ++i)
    quotas.by_entity.set(kLevels[i].entity, {{"producer_byte_rate", kLevels[i].limit}});
  return quotas;
}

TEST(ClientQuotas, TheStrongestOfEightLevelsBinds) {
  for (std::size_t i = 0; i < kLevels.size(); ++i) {
    const auto match = find_quota(from_level(i), QuotaKind::kProduce, "alice", "reports");
    ASSERT_TRUE(match) << i;
    EXPECT_EQ(match->limit, kLevels[i].limit);
    EXPECT_EQ(match->user, kLevels[i].user);
    EXPECT_EQ(match->client_id, kLevels[i].client_id);
  }
  EXPECT_FALSE(find_quota(from_level(8), QuotaKind::kProduce, "alice", "reports"));
}

TEST(ClientQuotas, ALevelThatDoesNotSetTheKindIsPassedOver) {
  ClientQuotasImage quotas = from_level(2);
  quotas.by_entity.set(kLevels[0].entity, {{"consumer_byte_rate", 9}});
  EXPECT_EQ(find_quota(quotas, QuotaKind::kProduce, "alice", "reports")->limit, 3);
  EXPECT_EQ(find_quota(quotas, QuotaKind::kFetch, "alice", "reports")->limit, 9);
  EXPECT_FALSE(find_quota(quotas, QuotaKind::kRequest, "alice", "reports"));
}

TEST(ClientQuotas, AClientWithoutAnIdIsBoundByUsersAlone) {
  EXPECT_EQ(find_quota(from_level(0), QuotaKind::kProduce, "alice", "")->limit, 3);
  EXPECT_EQ(find_quota(from_level(0), QuotaKind::kProduce, "bob", "")->limit, 6);
  EXPECT_FALSE(find_quota(from_level(6), QuotaKind::kProduce, "alice", ""));
}

TEST(ClientQuotas, AnAddressHasItsOwnLimitOrTheDefault) {
  ClientQuotasImage quotas;
  EXPECT_FALSE(find_ip_quota(quotas, "10.0.0.1"));
  quotas.by_entity.set({{"ip", kDefault}}, {{"connection_creation_rate", 20}});
  quotas.by_entity.set({{"ip", "10.0.0.1"}}, {{"connection_creation_rate", 5}});
  EXPECT_EQ(find_ip_quota(quotas, "10.0.0.1"), 5);
  EXPECT_EQ(find_ip_quota(quotas, "10.0.0.2"), 20);
}

}  // namespace
}  // namespace broker::metadata
