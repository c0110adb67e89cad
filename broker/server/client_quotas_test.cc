#include "broker/server/client_quotas.h"

#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "broker/server/request_meter.h"
#include "broker/server/server_for_tests.h"

namespace broker::server {
namespace {

using std::chrono::milliseconds;

const std::string kAlice = "alice", kBob = "bob", kReports = "reports";

metadata::ClientQuotasImage user_quota(const std::string& user, const std::string& key,
                                       double limit) {
  metadata::ClientQuotasImage quotas;
  quotas.by_entity.set({{"user", user}}, {{key, limit}});
  return quotas;
}

struct ClientQuotasTest : ::testing::Test {
  ClientQuotas quotas{{}};
  Instant now{std::chrono::hours(1)};
  QuotaShares shares;
  QuotaClient alice{kAlice, kReports, &shares};

  std::int64_t produce(const QuotaClient& client, double bytes) {
    return quotas.charge(QuotaKind::kProduce, client, bytes, now).count();
  }
};

TEST_F(ClientQuotasTest, NobodyWaitsWithoutAQuota) {
  EXPECT_FALSE(quotas.limits(QuotaKind::kProduce));
  EXPECT_EQ(produce(alice, 1e12), 0);
  EXPECT_TRUE(quotas.usage(now).empty());
}

// Kafka's rule: (rate - quota) / quota × window, the window being ten whole seconds at first.
TEST_F(ClientQuotasTest, WhoIsAboveWaitsUntilTheWindowIsBackAtTheLimit) {
  quotas.set_limits(user_quota("alice", "producer_byte_rate", 1000));
  EXPECT_EQ(produce(alice, 10'000), 0);  // exactly the limit over the window
  EXPECT_EQ(produce(alice, 500), 500);   // 1050/s: 5 % of 10 s
  EXPECT_EQ(produce(alice, 10'000), 10'500);
  now += milliseconds(10'999);
  EXPECT_EQ(produce(alice, 1), 9'502) << "the samples are still in the window";
  now += milliseconds(11'000);
  EXPECT_EQ(produce(alice, 1), 0);
}

TEST_F(ClientQuotasTest, OthersAreNotTouched) {
  quotas.set_limits(user_quota("alice", "producer_byte_rate", 1000));
  QuotaShares other;
  EXPECT_EQ(produce({kBob, kReports, &other}, 1e9), 0);
  EXPECT_EQ(quotas.charge(QuotaKind::kFetch, alice, 1e9, now).count(), 0);
}

TEST_F(ClientQuotasTest, AllConnectionsOfAUserShareIt) {
  quotas.set_limits(user_quota("alice", "producer_byte_rate", 1000));
  QuotaShares other;
  const QuotaClient elsewhere{kAlice, kBob, &other};
  EXPECT_EQ(produce(alice, 8'000), 0);
  EXPECT_EQ(produce(elsewhere, 8'000), 6'000);
}

TEST_F(ClientQuotasTest, ANewLimitIsInForceAtOnceAndTheHistoryStays) {
  quotas.set_limits(user_quota("alice", "producer_byte_rate", 1000));
  EXPECT_EQ(produce(alice, 10'000), 0);
  quotas.set_limits(user_quota("alice", "producer_byte_rate", 500));
  EXPECT_EQ(produce(alice, 1), 10'002);
  quotas.set_limits({});
  EXPECT_EQ(produce(alice, 1e9), 0);
}

TEST_F(ClientQuotasTest, WhatIsTakenBackDoesNotCount) {
  quotas.set_limits(user_quota("alice", "consumer_byte_rate", 1000));
  EXPECT_EQ(quotas.burst(QuotaKind::kFetch, alice, now), 10'000);
  EXPECT_EQ(quotas.charge(QuotaKind::kFetch, alice, 15'000, now).count(), 5'000);
  quotas.take_back(QuotaKind::kFetch, alice, 15'000, now);
  EXPECT_EQ(quotas.charge(QuotaKind::kFetch, alice, 10'000, now).count(), 0);
}

TEST_F(ClientQuotasTest, TimeNeverAsksForMoreThanOneSample) {
  quotas.set_limits(user_quota("alice", "request_percentage", 1));
  EXPECT_EQ(quotas.charge(QuotaKind::kRequest, alice, 1'000, now), milliseconds(1'000));
  RequestMeter meter(quotas);
  now += milliseconds(60'000);
  EXPECT_EQ(meter.settle(alice, now), milliseconds(0));
}

TEST_F(ClientQuotasTest, ALimitThatIsNoNumberLimitsNothingAndATinyOneNotForEver) {
  quotas.set_limits(user_quota("alice", "producer_byte_rate", std::nan("")));
  EXPECT_EQ(produce(alice, 1e9), 0);
  quotas.set_limits(user_quota("alice", "producer_byte_rate", 1e-300));
  EXPECT_EQ(produce(alice, 1e9), 0x7fffffff);
}

TEST_F(ClientQuotasTest, UsageNamesWhoSharesAQuota) {
  quotas.set_limits(user_quota("alice", "producer_byte_rate", 1000));
  produce(alice, 20'000);
  const auto usage = quotas.usage(now);
  ASSERT_EQ(usage.size(), 1u);
  EXPECT_EQ(usage[0].user, "alice");
  EXPECT_EQ(usage[0].client_id, "");
  EXPECT_EQ(usage[0].per_second, 2000);
  EXPECT_EQ(usage[0].average_throttle_ms, 10'000);
}

TEST_F(ClientQuotasTest, ClientsThatAreGoneAreForgotten) {
  metadata::ClientQuotasImage limits;
  limits.by_entity.set({{"client-id", std::nullopt}}, {{"producer_byte_rate", 1000.0}});
  quotas.set_limits(limits);
  for (int i = 0; i < 1022; ++i) produce({kAlice, "c" + std::to_string(i), nullptr}, 1);
  EXPECT_EQ(produce(alice, 20'000), 10'000);  // the 1023rd
  now += std::chrono::hours(2);
  EXPECT_EQ(produce({kAlice, "new", nullptr}, 1), 0);
  EXPECT_EQ(produce(alice, 1), 0);
  EXPECT_LE(quotas.usage(now).size(), 3u);
}

TEST_F(ClientQuotasTest, StrandsCountTogether) {
  quotas.set_limits(user_quota("alice", "producer_byte_rate", 1000));
  std::vector<std::thread> strands;
  for (int t = 0; t < 4; ++t)
    strands.emplace_back([&] {
      QuotaShares mine;
      for (int i = 0; i < 1000; ++i) produce({kAlice, kReports, &mine}, 10);
    });
  for (auto& strand : strands) strand.join();
  EXPECT_EQ(quotas.usage(now)[0].per_second, 4000);
}

TEST_F(ServerTest, AMutedConnectionIsAnsweredAtOnceAndReadAgainLater) {
  add("L");
  sink.keep = [](const Request&) { return true; };
  start();
  auto client = connect();
  client->send_bytes(heartbeat(1));
  ASSERT_TRUE(sink.wait_kept(1));
  const auto begin = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(sink.mutex);
    const auto& request = sink.kept[0].request;
    sink.kept[0].responder.send(
        *protocol::encode_response(request.header.api_key, request.header.api_version,
                                   request.header.correlation_id, HeartbeatResponse()),
        300ms);
  }
  EXPECT_EQ(client->read_correlation_id(), 1);
  client->send_bytes(heartbeat(2) + heartbeat(3));
  ASSERT_TRUE(sink.wait_kept(3));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 299ms);
}

}  // namespace
}  // namespace broker::server
