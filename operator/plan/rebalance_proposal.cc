#include <algorithm>

#include "operator/plan/progress.h"
#include "operator/plan/rebalance.h"

namespace op::plan {
namespace {

struct Figures {
  std::int64_t replicas = 0;
  std::int64_t leaders = 0;
  std::int64_t bytes = 0;
};
using FiguresOf = std::map<std::int32_t, Figures>;

void count(FiguresOf& figures, const std::vector<std::int32_t>& replicas, std::int64_t bytes,
           std::int64_t sign) {
  for (std::size_t i = 0; i < replicas.size(); ++i) {
    Figures& of = figures[replicas[i]];
    of.replicas += sign;
    of.leaders += i == 0 ? sign : 0;
    of.bytes += sign * bytes;
  }
}

/// Columns as wide as their widest cell; the last one is not filled up.
std::vector<std::string> aligned(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::vector<std::string> out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - row[i].size() + 3, ' ');
    }
    out.push_back(std::move(line));
  }
  return out;
}

std::string change(const std::string& before, const std::string& after) {
  return before == after ? before : before + " -> " + after;
}

std::vector<std::string> table(const std::vector<Balancer::Broker>& brokers,
                               const FiguresOf& before, const FiguresOf& after) {
  const bool racks = std::any_of(brokers.begin(), brokers.end(),
                                 [](const auto& broker) { return !broker.rack_name.empty(); });
  const bool sizes =
      std::any_of(before.begin(), before.end(), [](const auto& of) { return of.second.bytes > 0; });
  std::vector<std::vector<std::string>> rows;
  auto& header = rows.emplace_back(std::vector<std::string>{"broker"});
  if (racks) header.push_back("rack");
  header.insert(header.end(), {"replicas", "leaders"});
  if (sizes) header.push_back("disk");
  for (const Balancer::Broker& broker : brokers) {
    const Figures& was = before.at(broker.id);
    const Figures& is = after.at(broker.id);
    std::vector<std::string> row{std::to_string(broker.id)};
    if (racks) row.push_back(broker.rack_name);
    row.push_back(change(std::to_string(was.replicas), std::to_string(is.replicas)));
    row.push_back(change(std::to_string(was.leaders), std::to_string(is.leaders)));
    if (sizes) row.push_back(change(human_bytes(was.bytes), human_bytes(is.bytes)));
    rows.push_back(std::move(row));
  }
  return aligned(rows);
}

/// Of the entry in the document, about: both lists and a name.
std::size_t text_bytes(const PlannedMove& move) {
  constexpr std::size_t kWords = 50;
  constexpr std::size_t kOfReplica = 6;
  return 2 * (move.topic.size() + kWords + kOfReplica * move.after.size()) + 24;
}

void pursue(Balancer& balancer, const std::vector<api::RebalanceGoal>& goals) {
  bool counts = false;
  bool leaders = false;
  for (const api::RebalanceGoal goal : goals) {
    switch (goal) {
      case api::RebalanceGoal::kRackSpread:
        balancer.even_racks();
        break;
      case api::RebalanceGoal::kReplicaCount:
        balancer.even_replicas();
        counts = true;
        break;
      case api::RebalanceGoal::kDiskUsage:
        balancer.even_disk(counts);
        balancer.guard_disk();
        break;
      case api::RebalanceGoal::kLeaderCount:
        leaders = true;  // costs nothing, and is undone by nothing when it comes last
        break;
      case api::RebalanceGoal::kNetworkIn:
      case api::RebalanceGoal::kNetworkOut:
        break;  // refused by api::validate
    }
  }
  if (leaders) balancer.even_leaders();
}

}  // namespace

Proposed propose(const broker::metadata::MetadataImage& image,
                 const std::vector<api::RebalanceGoal>& goals, const PartitionBytes& bytes) {
  Balancer balancer(image, {}, bytes);
  FiguresOf before;
  for (const Balancer::Broker& broker : balancer.brokers())
    before[broker.id] = {broker.replicas, broker.preferred, broker.bytes};
  pursue(balancer, goals);
  Proposed out;
  FiguresOf after = before;
  std::size_t text = 0;
  for (const Balancer::Change& change : balancer.changes()) {
    const auto& [topic, index, replicas] = change.move;
    const auto* partition = image.topics.find(topic)->partitions.find(index);
    PlannedMove move{topic, index, target_replicas(*partition), *replicas, change.bytes};
    text += text_bytes(move);
    if (text > kDocumentBytes) break;
    const std::int64_t size = bytes_of(bytes, topic, index);
    count(after, move.before, size, -1);
    count(after, move.after, size, 1);
    out.replicas += static_cast<std::int64_t>(change.copies);
    out.leaders += change.copies == 0 ? 1 : 0;
    out.bytes += change.bytes;
    out.moves.push_back(std::move(move));
  }
  out.table = table(balancer.brokers(), before, after);
  return out;
}

}  // namespace op::plan
