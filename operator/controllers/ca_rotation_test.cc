#include "operator/controllers/world_for_tests.h"

namespace op::controllers {
namespace {

constexpr broker::WallMs kDay = 86'400'000;
constexpr const char* kClusterCa = "orders-cluster-ca";
constexpr const char* kUsersCa = "orders-users-ca";

/// Three nodes, a user of each kind, and a clock that the test moves.
class CaRotation : public ::testing::Test {
 protected:
  CaRotation() {
    restart();
    spec_ = cluster_spec();
    spec_["pools"][0]["replicas"] = 3;
    spec_["certificates"] = {{"leafValidity", "30d"}};
    spec_["listeners"] = json::parse(R"([
      {"name": "tls", "port": 9093, "tls": {}, "authentication": [{"type": "ScramSha512"}]},
      {"name": "mtls", "port": 9094, "tls": {}, "authentication": [{"type": "Mtls"}]}])");
    declare();
    world.put("User", "kafka", "alice", in_orders({{"authentication", {{"type", "ScramSha512"}}}}));
    world.put("User", "kafka", "bob", in_orders({{"authentication", {{"type", "Mtls"}}}}));
    world.settle();
    look();
  }

  void restart() {
    OperatorSettings settings;
    settings.wall_now = [this] { return now; };
    world.start_operator(std::move(settings));
  }
  void declare() {
    json object = json::parse(resource("Cluster", "kafka", "orders", spec_));
    object["metadata"]["annotations"] = annotations_;
    ASSERT_TRUE(world.store.put(object.dump()).ok());
  }
  void annotate(const std::string& name, const std::string& value) {
    annotations_[name] = value;
    declare();
    world.settle();
  }
  void look() {
    world.op->runner().enqueue({std::string(api::Cluster::kKind), {"kafka", "orders"}});
    world.settle();
  }

  SecretData secret(const std::string& name) const {
    const auto object = world.store.get(kube::kSecret, {"kafka", name});
    return object ? secret_data(*object) : SecretData();
  }
  std::vector<std::string> trusted(const std::string& name, const std::string& key) const {
    std::vector<std::string> subjects;
    for (const auto& one : certificate_facts(value_of(secret(name), key)))
      subjects.push_back(one.subject);
    return subjects;
  }
  std::string issuer_of(int node) const {
    return pki::read_certificate(
               value_of(secret("orders-main-certs"), std::to_string(node) + ".pem"))
        ->issuer;
  }
  std::string issuer_of_bob() const {
    return pki::read_certificate(value_of(secret("bob"), "tls.crt"))->issuer;
  }
  json ca_status(const char* which) const {
    return world.status(kube::kCluster, "kafka", "orders")["certificates"][which];
  }
  std::string condition(const std::string& type) const {
    const json status = world.status(kube::kCluster, "kafka", "orders");
    for (const json& c : status["conditions"]) {
      if (c["type"] == type)
        return c["status"].get<std::string>() + " " + c["reason"].get<std::string>() + ": " +
               c.value("message", "");
    }
    return "none";
  }

  broker::WallMs now = 1'800'000'000'000;
  World world;
  json spec_;
  json annotations_ = json::object();
};

using Names = std::vector<std::string>;
const Names kFirst{"CN=orders-cluster-ca-1"};
const Names kBoth{"CN=orders-cluster-ca-1", "CN=orders-cluster-ca-2"};
const Names kBothSwitched{"CN=orders-cluster-ca-2", "CN=orders-cluster-ca-1"};
const Names kSecond{"CN=orders-cluster-ca-2"};

TEST_F(CaRotation, AStableCaAsksNobodyAnything) {
  EXPECT_EQ(ca_status("clusterCa")["phase"], "Stable");
  EXPECT_EQ(trusted(kClusterCa, "ca.crt"), kFirst);
  EXPECT_EQ(world.infrastructure.probes, 0);
}

TEST_F(CaRotation, NobodyIsEverShownWhatItDoesNotTrust) {
  const auto pods = world.pods_started;
  world.infrastructure.hold(1);
  annotate("millrace.io/renew-cluster-ca", "now");
  look();
  // Trusted everywhere, signing nothing.
  EXPECT_EQ(ca_status("clusterCa")["phase"], "Distributing");
  EXPECT_EQ(trusted(kClusterCa, "ca.crt"), kBoth);
  EXPECT_EQ(trusted("orders-main-certs", "cluster-ca.crt"), kBoth);
  EXPECT_EQ(trusted("alice", "ca.crt"), kBoth);
  EXPECT_EQ(issuer_of(0), kFirst.front());
  EXPECT_TRUE(condition("Ready").starts_with("True Ready")) << condition("Ready");
  EXPECT_EQ(
      condition("Reconciling"),
      "True CaRotating: CN=orders-cluster-ca-2 signs when every broker trusts it; node 1 does "
      "not trust it yet");
  look();
  EXPECT_EQ(issuer_of(0), kFirst.front());

  world.infrastructure.release(1);
  world.infrastructure.hold(2);  // takes the trust, and then nothing for a while
  look();
  look();
  EXPECT_EQ(trusted(kClusterCa, "ca.crt"), kBothSwitched);
  for (int node : {0, 1, 2}) EXPECT_EQ(issuer_of(node), kSecond.front());
  EXPECT_EQ(ca_status("clusterCa")["phase"], "Reissuing");
  EXPECT_NE(
      condition("Reconciling").find("node 2 still has a certificate of CN=orders-cluster-ca-1"),
      std::string::npos)
      << condition("Reconciling");
  // Who trusts the first one only still accepts what they show.
  const auto chain = certificate_facts(value_of(secret("orders-main-certs"), "0.pem"));
  ASSERT_EQ(chain.size(), 2u);
  EXPECT_EQ(chain[1].subject, kSecond.front());
  EXPECT_EQ(chain[1].issuer, kFirst.front());

  world.infrastructure.release(2);
  look();
  look();
  EXPECT_EQ(ca_status("clusterCa")["phase"], "Overlap");
  EXPECT_TRUE(condition("Reconciling").starts_with("False")) << condition("Reconciling");
  const int probes = world.infrastructure.probes;
  now += 29 * kDay;
  look();
  EXPECT_EQ(trusted("alice", "ca.crt"), kBothSwitched);
  EXPECT_EQ(world.infrastructure.probes, probes) << "what was seen once is not asked for again";
  now += 2 * kDay;
  look();
  look();
  EXPECT_EQ(ca_status("clusterCa")["phase"], "Stable");
  EXPECT_EQ(trusted(kClusterCa, "ca.crt"), kSecond);
  EXPECT_EQ(trusted("orders-main-certs", "cluster-ca.crt"), kSecond);
  EXPECT_EQ(trusted("alice", "ca.crt"), kSecond);
  EXPECT_EQ(certificate_facts(value_of(secret("orders-main-certs"), "0.pem")).size(), 1u);
  EXPECT_EQ(world.pods_started, pods);
}

TEST_F(CaRotation, UsersGetTheirNewCertificatesWhenTheBrokersTrustThem) {
  world.infrastructure.hold(0);
  annotate("millrace.io/renew-users-ca", "1");
  look();
  EXPECT_EQ(ca_status("usersCa")["phase"], "Distributing");
  EXPECT_EQ(issuer_of_bob(), "CN=orders-users-ca-1");
  world.infrastructure.release(0);
  look();
  look();
  EXPECT_EQ(ca_status("usersCa")["phase"], "Overlap");
  EXPECT_EQ(issuer_of_bob(), "CN=orders-users-ca-2");
  EXPECT_EQ(trusted("orders-main-certs", "users-ca.crt").size(), 2u) << "the old one still lets in";
  EXPECT_EQ(ca_status("clusterCa")["generation"], 1) << "the other CA is another matter";
  annotate("millrace.io/end-ca-overlap", "true");
  look();
  EXPECT_EQ(trusted("orders-main-certs", "users-ca.crt"), Names{"CN=orders-users-ca-2"});
}

TEST_F(CaRotation, GoesOnWhereverTheOperatorWasKilled) {
  annotations_["millrace.io/renew-cluster-ca"] = "now";
  annotations_["millrace.io/renew-users-ca"] = "now";
  annotations_["millrace.io/end-ca-overlap"] = "true";
  declare();
  for (int kill = 0; kill < 60; ++kill) {
    world.op->runner().run_until_idle(1 + kill % 3);
    restart();
  }
  for (int round = 0; round < 8; ++round) look();
  EXPECT_EQ(trusted(kClusterCa, "ca.crt"), kSecond);
  EXPECT_EQ(trusted(kUsersCa, "ca.crt"), Names{"CN=orders-users-ca-2"});
  EXPECT_EQ(ca_status("clusterCa")["generation"], 2) << "one, however often it was begun";
  EXPECT_EQ(issuer_of(0), kSecond.front());
  EXPECT_EQ(issuer_of_bob(), "CN=orders-users-ca-2");
  EXPECT_TRUE(condition("Ready").starts_with("True")) << condition("Ready");
}

TEST_F(CaRotation, WhatEndedWhileTheOperatorWasAwayIsMadeAnew) {
  now += 3000 * kDay;
  restart();
  world.settle();
  for (int round = 0; round < 4; ++round) look();
  EXPECT_EQ(trusted(kClusterCa, "ca.crt"), kSecond);
  EXPECT_EQ(issuer_of(1), kSecond.front());
  EXPECT_EQ(issuer_of_bob(), "CN=orders-users-ca-2");
  const auto leaf = pki::read_certificate(value_of(secret("orders-main-certs"), "0.pem"));
  EXPECT_GT(leaf->not_after, now);
  EXPECT_TRUE(condition("Ready").starts_with("True")) << condition("Ready");
}

TEST_F(CaRotation, ALostKeyIsReplacedInTheSameSteps) {
  ASSERT_TRUE(world.store.remove_as_user(kube::kSecret, {"kafka", kClusterCa}).ok());
  world.infrastructure.hold(0);
  restart();  // nobody remembers it
  world.settle();
  look();
  EXPECT_EQ(trusted("orders-main-certs", "cluster-ca.crt"), kBoth);
  EXPECT_EQ(issuer_of(0), kFirst.front());
  world.infrastructure.release(0);
  look();  // clients take the new one first: the old one cannot vouch for it
  now += 31 * kDay;
  for (int round = 0; round < 3; ++round) look();
  EXPECT_EQ(issuer_of(0), kSecond.front());
}

TEST_F(CaRotation, LivesTooShortForKubernetesAreRefused) {
  spec_["certificates"]["leafValidity"] = "1m";
  declare();
  world.settle();
  EXPECT_TRUE(condition("Stalled").starts_with("True Invalid: spec.certificates.leafValidity"))
      << condition("Stalled");
}

}  // namespace
}  // namespace op::controllers
