#include "operator/cli/rebalance_view.h"

#include <gtest/gtest.h>

namespace op::cli {
namespace {

api::Rebalance proposed() {
  api::Rebalance out;
  out.metadata.name = "even";
  out.metadata.namespace_ = "kafka";
  out.spec.cluster_ref.object = {"kafka", "orders"};
  out.spec.goals = {api::RebalanceGoal::kRackSpread, api::RebalanceGoal::kReplicaCount};
  out.status.state = api::RebalanceState::kProposed;
  out.status.summary = "8 partitions, 8.0 MiB";
  out.status.proposal = api::RebalanceProposal{};
  out.status.proposal->id = "5f2b91c4";
  out.status.proposal->brokers = {"broker   replicas   leaders", "0        12 -> 8    6 -> 4"};
  api::set_condition(out.status.conditions,
                     {"Ready", api::ConditionStatus::kFalse, "AwaitingApproval",
                      "8 partitions to be moved, 8.0 MiB to be copied", 1, ""},
                     "2026-01-01T00:00:00Z");
  return out;
}

TEST(RebalanceView, ShowsTheProposalAndHowToApproveIt) {
  EXPECT_EQ(render_rebalance(proposed(), {}),
            "Rebalance   kafka/even\n"
            "Cluster     orders\n"
            "Goals       RackSpread, ReplicaCount\n"
            "State       Proposed\n"
            "            8 partitions to be moved, 8.0 MiB to be copied\n"
            "Proposal    5f2b91c4\n"
            "\n"
            "broker   replicas   leaders\n"
            "0        12 -> 8    6 -> 4\n"
            "\n"
            "Approve it with: millrace rebalance even --approve\n");
}

TEST(RebalanceView, SeveralHaveALineEach) {
  EXPECT_EQ(render_rebalances({proposed(), proposed()}, {}),
            "NAME   CLUSTER   STATE      PROGRESS                REASON\n"
            "even   orders    Proposed   8 partitions, 8.0 MiB   AwaitingApproval\n"
            "even   orders    Proposed   8 partitions, 8.0 MiB   AwaitingApproval\n");
}

}  // namespace
}  // namespace op::cli
