#include "broker/server/connection_gate.h"

#include <gtest/gtest.h>

namespace broker::server {
namespace {

using std::chrono::milliseconds;

struct ConnectionGateTest : ::testing::Test {
  ConnectionLimits limits;
  ConnectionGate gate{{}};
  Instant now{std::chrono::hours(1)};

  ConnectionGateTest() { limits.listeners = {{"CLIENTS", {}}, {"INTERNAL", {}}}; }
  bool admit(const std::string& host, const std::string& listener = "CLIENTS") {
    return std::holds_alternative<ConnectionGate::Admitted>(gate.admit(listener, host, now));
  }
};

TEST_F(ConnectionGateTest, ConnectionsAboveTheLimitWaitForOneToEnd) {
  limits.max_connections = 2;
  gate.set_limits(limits);
  EXPECT_TRUE(admit("10.0.0.1"));
  EXPECT_TRUE(gate.has_slot("CLIENTS"));
  EXPECT_TRUE(admit("10.0.0.2"));
  EXPECT_FALSE(gate.has_slot("CLIENTS"));
  gate.closed("CLIENTS", "10.0.0.1");
  EXPECT_TRUE(gate.has_slot("CLIENTS"));
}

TEST_F(ConnectionGateTest, AListenerHasALimitOfItsOwn) {
  limits.listeners["CLIENTS"].max_connections = 1;
  gate.set_limits(limits);
  EXPECT_TRUE(admit("10.0.0.1"));
  EXPECT_FALSE(gate.has_slot("CLIENTS"));
  EXPECT_TRUE(gate.has_slot("INTERNAL"));
}

TEST_F(ConnectionGateTest, OthersGiveWayToTheBrokersOwnListener) {
  limits.max_connections = 1;
  limits.protected_listener = "INTERNAL";
  gate.set_limits(limits);
  EXPECT_TRUE(admit("10.0.0.1"));
  EXPECT_FALSE(gate.has_excess());
  EXPECT_TRUE(gate.has_slot("INTERNAL"));
  EXPECT_TRUE(admit("10.0.0.9", "INTERNAL"));
  EXPECT_TRUE(gate.has_excess());
  gate.closed("CLIENTS", "10.0.0.1");
  EXPECT_FALSE(gate.has_excess());
}

TEST_F(ConnectionGateTest, AControllersListenerIsCountedByItself) {
  limits.max_connections = 1;
  limits.listeners["CONTROLLER"].max_connections = 1;
  limits.separate_listeners = {"CONTROLLER"};
  gate.set_limits(limits);
  EXPECT_TRUE(admit("10.0.0.1"));
  EXPECT_TRUE(gate.has_slot("CONTROLLER"));
  EXPECT_TRUE(admit("10.0.0.9", "CONTROLLER"));
  EXPECT_FALSE(gate.has_slot("CONTROLLER"));
  EXPECT_FALSE(gate.has_excess());
  EXPECT_FALSE(gate.may_be_closed_for_others("CONTROLLER"));
  gate.closed("CLIENTS", "10.0.0.1");
  EXPECT_TRUE(gate.has_slot("CLIENTS"));
}

TEST_F(ConnectionGateTest, AnAddressHasALimitOrItsOwn) {
  limits.max_per_ip = 1;
  limits.max_per_ip_overrides = {{"10.0.0.2", 2}};
  gate.set_limits(limits);
  EXPECT_TRUE(admit("10.0.0.1"));
  const auto refused = gate.admit("CLIENTS", "10.0.0.1", now);
  ASSERT_TRUE(std::holds_alternative<ConnectionGate::TooManyFromHost>(refused));
  EXPECT_EQ(std::get<ConnectionGate::TooManyFromHost>(refused).limit, 1);
  EXPECT_TRUE(admit("10.0.0.2"));
  EXPECT_TRUE(admit("10.0.0.2"));
  EXPECT_FALSE(admit("10.0.0.2"));
  gate.closed("CLIENTS", "10.0.0.1");
  EXPECT_TRUE(admit("10.0.0.1"));
}

TEST_F(ConnectionGateTest, ARateAboveTheLimitMakesTheNextWaitButNotLongerThanASample) {
  limits.creation_rate = 10;
  gate.set_limits(limits);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(gate.arrive("CLIENTS", now).count(), 0) << i;
  EXPECT_EQ(gate.arrive("CLIENTS", now), milliseconds(100));  // 10.1 a second: 1 % of 10 s
  EXPECT_EQ(gate.arrive("INTERNAL", now), milliseconds(200));
  for (int i = 0; i < 50; ++i) gate.arrive("CLIENTS", now);
  EXPECT_EQ(gate.arrive("CLIENTS", now), milliseconds(1'000));
}

TEST_F(ConnectionGateTest, AListenersRateIsItsOwn) {
  limits.listeners["CLIENTS"].creation_rate = 1;
  gate.set_limits(limits);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(gate.arrive("CLIENTS", now).count(), 0);
  EXPECT_EQ(gate.arrive("CLIENTS", now), milliseconds(1'000));
  EXPECT_EQ(gate.arrive("INTERNAL", now).count(), 0);
}

TEST_F(ConnectionGateTest, AnAddressThatConnectsTooFastIsClosedLaterAndCountsForNothing) {
  limits.quotas.by_entity.set({{"ip", "10.0.0.1"}}, {{"connection_creation_rate", 1.0}});
  limits.creation_rate = 2;
  gate.set_limits(limits);
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(gate.arrive("CLIENTS", now).count(), 0);
    EXPECT_TRUE(admit("10.0.0.1"));
  }
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(gate.arrive("CLIENTS", now).count(), 0);
    const auto refused = gate.admit("CLIENTS", "10.0.0.1", now);
    ASSERT_TRUE(std::holds_alternative<ConnectionGate::TooFastFromHost>(refused));
    EXPECT_EQ(std::get<ConnectionGate::TooFastFromHost>(refused).close_after, milliseconds(1'000));
  }
  EXPECT_TRUE(admit("10.0.0.2"));
  now += milliseconds(11'000);
  EXPECT_TRUE(admit("10.0.0.1"));
}

}  // namespace
}  // namespace broker::server
