#include "operator/plan/pki_plan.h"

#include <gtest/gtest.h>

namespace op::plan {
namespace {

using namespace std::chrono_literals;

constexpr broker::WallMs kDay = 86'400'000;

pki::CertificateFacts facts(broker::WallMs from, broker::WallMs until) {
  return {.subject = "CN=ca-0",
          .issuer = "CN=ca-0",
          .not_before = from,
          .not_after = until,
          .key_id = "k",
          .issuer_key_id = "k",
          .is_ca = true};
}

pki::CertificateFacts leaf_facts() {
  auto leaf = facts(0, 300 * kDay);
  leaf.subject = "CN=x";
  return leaf;
}

TEST(PkiPlan, LeavesAreRenewedForEachReasonAndOtherwiseKept) {
  const auto ca = facts(0, 1825 * kDay);
  LeafInput in{leaf_facts(), "x", {"a"}, {}, ca, kDay, {}};
  in.observed->dns_names = {"a"};
  EXPECT_EQ(leaf_is_outdated(in), std::nullopt);
  in.now = 200 * kDay;
  EXPECT_EQ(leaf_is_outdated(in)->reason, "CertificateExpiring");
  in.now = kDay;
  in.dns_names = {"a", "b"};
  EXPECT_EQ(leaf_is_outdated(in)->reason, "CertificateNamesChanged");
  in.observed->issuer_key_id = "other";
  EXPECT_EQ(leaf_is_outdated(in)->reason, "CaChanged");
  in.observed.reset();
  EXPECT_EQ(leaf_is_outdated(in)->reason, "CertificateMissing");
}

ObservedCa stable() {
  ObservedCa ca{.bundle = {facts(0, 1825 * kDay)}, .key_matches = true, .generation = 1};
  ca.bundle.front().subject = ca.bundle.front().issuer = "CN=ca-1";
  return ca;
}

/// The next CA is made, and goes to the brokers.
ObservedCa distributing() {
  ObservedCa ca = stable();
  ca.next = facts(1500 * kDay, 3000 * kDay);
  ca.next->subject = ca.next->issuer = "CN=ca-2";
  ca.next->key_id = ca.next->issuer_key_id = "k2";
  ca.next_key_matches = true;
  ca.bundle.push_back(*ca.next);
  return ca;
}

/// It signs, and the one before is still trusted.
ObservedCa switched() {
  ObservedCa ca = distributing();
  std::swap(ca.bundle[0], ca.bundle[1]);
  ca.next.reset();
  ca.generation = 2;
  return ca;
}

CaInput with(std::optional<ObservedCa> ca, broker::WallMs now = kDay) {
  return {.observed = std::move(ca),
          .own_prefix = "CN=ca-",
          .signs_servers = true,
          .now = now,
          .leaf_validity = 365 * 24h};
}

TEST(PkiPlan, MakesACaOnceAndKeepsIt) {
  EXPECT_EQ(std::get<MakeCa>(plan_ca(with(std::nullopt))).generation, 1);
  EXPECT_EQ(plan_ca(with(stable())), CaAction(KeepCa{}));
  EXPECT_EQ(awaited_evidence(stable(), kDay), CaEvidence::kNone);
}

TEST(PkiPlan, TheNextCaIsPreparedInTimeAndSignsNothingYet) {
  const auto prepared = std::get<PrepareCa>(plan_ca(with(stable(), 1500 * kDay)));
  EXPECT_EQ(prepared.generation, 2);
  EXPECT_EQ(prepared.why.reason, "CaExpiring");
}

TEST(PkiPlan, IsReplacedOnRequestOnce) {
  CaInput in = with(stable());
  in.renew = "today";
  EXPECT_EQ(std::get<PrepareCa>(plan_ca(in)).why.reason, "CaRenewalAsked");
  in.observed->renewed = "today";
  EXPECT_EQ(plan_ca(in), CaAction(KeepCa{}));
}

TEST(PkiPlan, TheNextCaSignsOnlyWhenEveryBrokerWasSeenToTrustIt) {
  EXPECT_EQ(awaited_evidence(distributing(), kDay), CaEvidence::kTrustsNext);
  CaInput in = with(distributing());
  in.unseen = "node 2 does not trust it yet";
  const auto kept = std::get<KeepCa>(plan_ca(in));
  ASSERT_TRUE(kept.waiting);
  EXPECT_EQ(kept.waiting->message,
            "CN=ca-2 signs when every broker trusts it; node 2 does not trust it yet");
  in.now = 1800 * kDay;  // however long that takes
  EXPECT_TRUE(std::holds_alternative<KeepCa>(plan_ca(in)));
  in.unseen.reset();
  EXPECT_TRUE(std::holds_alternative<SwitchCa>(plan_ca(in)));
}

TEST(PkiPlan, WhenTheOldOneHasEndedThereIsNothingToWaitFor) {
  CaInput in = with(distributing(), 1825 * kDay);
  in.unseen = "node 2 does not trust it yet";
  EXPECT_EQ(awaited_evidence(*in.observed, in.now), CaEvidence::kNone);
  EXPECT_TRUE(std::holds_alternative<SwitchCa>(plan_ca(in)));
  const auto made = std::get<MakeCa>(plan_ca(with(stable(), 1825 * kDay)));
  EXPECT_EQ(made.generation, 2);
  EXPECT_TRUE(made.keep_trusting);
}

TEST(PkiPlan, ClientsGetTheirTimeBeforeWhereTheOldOneCannotVouchForTheNext) {
  CaInput in = with(distributing());
  in.observed->bundle.front().path_length = 0;
  EXPECT_TRUE(std::holds_alternative<ConfirmCa>(plan_ca(in)));
  in.observed->seen_at = kDay;
  in.now = 10 * kDay;
  EXPECT_EQ(std::get<KeepCa>(plan_ca(in)).look_again_at, 31 * kDay);
  in.end_overlap = true;
  EXPECT_TRUE(std::holds_alternative<SwitchCa>(plan_ca(in)));
  in.end_overlap = false;
  in.now = 31 * kDay;
  EXPECT_TRUE(std::holds_alternative<SwitchCa>(plan_ca(in)));
  in.observed->seen_at = 0;
  in.signs_servers = false;  // what clients show is looked at by brokers alone
  EXPECT_TRUE(std::holds_alternative<SwitchCa>(plan_ca(in)));
}

TEST(PkiPlan, TheOldCaIsTrustedUntilEveryBrokerWasSeenAndClientsHadTheirTime) {
  EXPECT_EQ(awaited_evidence(switched(), kDay), CaEvidence::kServesSigned);
  CaInput in = with(switched());
  in.unseen = "node 0 still has a certificate of CN=ca-1";
  EXPECT_TRUE(std::get<KeepCa>(plan_ca(in)).waiting);
  in.unseen.reset();
  EXPECT_TRUE(std::holds_alternative<ConfirmCa>(plan_ca(in)));
  in.observed->seen_at = kDay;
  EXPECT_EQ(phase_of(*in.observed), CaPhase::kOverlap);
  EXPECT_EQ(plan_ca(in), CaAction(KeepCa{std::nullopt, 31 * kDay}));
  in.now = 31 * kDay;
  EXPECT_EQ(std::get<DropCas>(plan_ca(in)).indexes, (std::vector<std::size_t>{1}));
}

TEST(PkiPlan, WhatHasEndedIsNotTrustedAnyLonger) {
  CaInput in = with(switched(), 1826 * kDay);
  EXPECT_EQ(std::get<DropCas>(plan_ca(in)).indexes, (std::vector<std::size_t>{1}));
}

TEST(PkiPlan, ALostCaIsFollowedInTheSameSteps) {
  CaInput in = with(std::nullopt);
  in.trusted_elsewhere = stable();
  in.trusted_elsewhere->key_matches = false;
  in.trusted_elsewhere->generation = 3;
  EXPECT_EQ(std::get<PrepareCa>(plan_ca(in)).generation, 4);
  CaInput changed = with(stable());
  changed.observed->key_matches = false;
  EXPECT_EQ(std::get<PrepareCa>(plan_ca(changed)).why.reason, "CaChanged");
}

TEST(PkiPlan, LeavesOfTheNextCaStandWhereTheKeyOfTheFirstIsLost) {
  const auto ca = facts(0, 1825 * kDay);
  LeafInput in{leaf_facts(), "x", {}, {}, ca, kDay, {}};
  in.observed->issuer_key_id = "k2";
  EXPECT_EQ(leaf_is_outdated(in)->reason, "CaChanged");
  in.other_issuer_key_id = "k2";
  EXPECT_EQ(leaf_is_outdated(in), std::nullopt);
}

TEST(PkiPlan, AGivenCertificateMustFitItsKeyItsTimeAndWhatClientsDial) {
  ProvidedLeaf leaf{facts(0, 10 * kDay), true, {"10.0.0.7", "Kafka-0.brokers.kafka.svc"}};
  leaf.facts.dns_names = {"*.brokers.kafka.svc"};
  leaf.facts.ip_addresses = {"10.0.0.7"};
  EXPECT_EQ(unfit(leaf, kDay), std::nullopt);
  leaf.hosts.push_back("a.b.brokers.kafka.svc");  // a wildcard is one label
  EXPECT_EQ(unfit(leaf, kDay),
            "its certificate does not name a.b.brokers.kafka.svc, which clients dial");
  EXPECT_EQ(unfit(leaf, 10 * kDay), "its certificate ended 1970-01-11T00:00:00Z");
  leaf.facts.not_before = 2 * kDay;
  EXPECT_EQ(unfit(leaf, kDay), "its certificate is not valid before 1970-01-03T00:00:00Z");
  leaf.key_matches = false;
  EXPECT_EQ(unfit(leaf, kDay), "its key does not belong to its certificate");
}

/// An intermediate CA of the user and the root above it.
pki::CertificateFacts users_ca() {
  auto ca = facts(0, 1825 * kDay);
  ca.subject = "CN=shop CA";
  ca.issuer = "CN=shop root";
  ca.key_id = "shop";
  ca.issuer_key_id = "root";
  return ca;
}
pki::CertificateFacts users_root() {
  auto root = users_ca();
  root.subject = root.issuer;
  root.key_id = root.issuer_key_id;
  return root;
}

TEST(PkiPlan, AGivenCaIsTakenInTheSameStepsAndSoIsOurOwnAfterIt) {
  CaInput in = with(stable());
  in.wants_provided = true;
  EXPECT_EQ(plan_ca(in), CaAction(KeepCa{})) << "it cannot be used: what signs goes on";
  in.provided = users_ca();
  EXPECT_EQ(std::get<PrepareCa>(plan_ca(in)).why.reason, "CaChanged");
  in.observed =
      ObservedCa{.bundle = {users_ca(), users_root()}, .key_matches = true, .generation = 2};
  EXPECT_EQ(plan_ca(in), CaAction(KeepCa{})) << "what is above it is not an old one";
  EXPECT_EQ(phase_of(*in.observed), CaPhase::kStable);
  in.provided->serial = "2";
  EXPECT_TRUE(std::holds_alternative<RefreshCa>(plan_ca(in)));
  in.wants_provided = false;
  in.provided.reset();
  EXPECT_TRUE(std::holds_alternative<PrepareCa>(plan_ca(in)));
}

TEST(PkiPlan, ANextCaThatIsNoLongerAskedForNeverSigns) {
  CaInput in = with(distributing());
  in.wants_provided = true;
  in.provided = users_ca();
  EXPECT_TRUE(std::holds_alternative<PrepareCa>(plan_ca(in)));
  in.provided.reset();
  EXPECT_TRUE(std::holds_alternative<SwitchCa>(plan_ca(in))) << "nothing better is to be had";
}

TEST(PkiPlan, AGivenCaMustBeOneAndBringItsRoot) {
  ProvidedCa ca{users_ca(), true, {users_root()}};
  EXPECT_EQ(unfit(ca, kDay), std::nullopt);
  ca.others.clear();
  EXPECT_EQ(unfit(ca, kDay), "ca.crt does not hold the root above CN=shop CA");
  ca.facts.is_ca = false;
  EXPECT_EQ(unfit(ca, kDay), "its certificate is not one of a CA (basicConstraints)");
  ca.key_matches = false;
  EXPECT_EQ(unfit(ca, kDay), "its key does not belong to its certificate");
}

}  // namespace
}  // namespace op::plan
