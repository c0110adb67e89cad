#include "operator/cli/rebalance_view.h"

#include <nlohmann/json.hpp>

#include "operator/api/json.h"
#include "operator/cli/table.h"

namespace op::cli {
namespace {

using nlohmann::json;

const api::Condition* ready_of(const api::Rebalance& rebalance) {
  return api::find_condition(rebalance.status.conditions, api::condition::kReady);
}

Tone tone_of(const api::Rebalance& rebalance) {
  switch (rebalance.status.state) {
    case api::RebalanceState::kDone:
      return Tone::kGood;
    case api::RebalanceState::kCancelled:
      return Tone::kWarning;
    case api::RebalanceState::kPlanning:
    case api::RebalanceState::kProposed:
    case api::RebalanceState::kRunning:
    case api::RebalanceState::kStopping:
      return Tone::kPlain;
  }
  return Tone::kPlain;
}

std::string goals(const api::Rebalance& rebalance) {
  std::string out;
  for (const api::RebalanceGoal goal : rebalance.spec.goals)
    out += (out.empty() ? "" : ", ") + std::string(to_string(goal));
  return out;
}

}  // namespace

std::string render_rebalance(const api::Rebalance& rebalance, const Terminal& terminal) {
  const api::RebalanceStatus& status = rebalance.status;
  const api::Condition* ready = ready_of(rebalance);
  std::vector<Fact> facts{
      {"Rebalance", rebalance.metadata.namespace_ + "/" + rebalance.metadata.name},
      {"Cluster", rebalance.spec.cluster_ref.object.name},
      {"Goals", goals(rebalance)},
      {"State", Cell(std::string(to_string(status.state)), tone_of(rebalance))}};
  if (ready != nullptr && !ready->message.empty()) facts.push_back({"", ready->message});
  if (status.proposal) facts.push_back({"Proposal", status.proposal->id});
  std::string out = render_facts(facts, terminal);
  if (!status.proposal || status.proposal->brokers.empty()) return out;
  out += "\n";
  for (const std::string& line : status.proposal->brokers) out += line + "\n";
  if (status.state == api::RebalanceState::kProposed &&
      rebalance.spec.mode == api::RebalanceMode::kManual)
    out += "\nApprove it with: millrace rebalance " + rebalance.metadata.name + " --approve\n";
  return out;
}

std::string render_rebalances(const std::vector<api::Rebalance>& rebalances,
                              const Terminal& terminal) {
  Table table({{"NAME"}, {"CLUSTER"}, {"STATE"}, {"PROGRESS"}, {"REASON"}});
  for (const api::Rebalance& rebalance : rebalances) {
    const api::Condition* ready = ready_of(rebalance);
    table.add({rebalance.metadata.name, rebalance.spec.cluster_ref.object.name,
               Cell(std::string(to_string(rebalance.status.state)), tone_of(rebalance)),
               rebalance.status.summary, ready == nullptr ? std::string() : ready->reason});
  }
  return table.render(terminal);
}

std::string rebalances_json(const std::vector<api::Rebalance>& rebalances) {
  json out = json::array();
  for (const api::Rebalance& rebalance : rebalances) {
    out.push_back({{"name", rebalance.metadata.name},
                   {"namespace", rebalance.metadata.namespace_},
                   {"cluster", rebalance.spec.cluster_ref.object.name},
                   {"status", api::encode_status(rebalance.status)}});
  }
  return out.dump();
}

}  // namespace op::cli
