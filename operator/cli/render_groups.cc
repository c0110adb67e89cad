#include <algorithm>
#include <set>

#include "broker/common/text.h"
#include "operator/cli/render.h"
#include "operator/cli/table.h"

namespace op::cli {
namespace {

using broker::join;

std::string lower(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

Cell state_of(const GroupView& group) {
  if (!group.problem.empty()) return {"?", Tone::kBad};
  if (group.state == "Stable") return {group.state, Tone::kGood};
  if (group.state == "Empty") return {group.state, Tone::kDim};
  if (group.state == "Dead") return {group.state, Tone::kBad};
  return {group.state, Tone::kWarning};
}

std::string number_text(const std::optional<std::int64_t>& number) {
  return number ? std::to_string(*number) : "-";
}

Cell lag_cell(const std::optional<std::int64_t>& lag) {
  if (!lag) return {"-", Tone::kDim};
  return {std::to_string(*lag), *lag > 0 ? Tone::kWarning : Tone::kPlain};
}

std::string topics_of(const GroupView& group) {
  std::set<std::string> names;
  for (const PartitionLag& partition : group.partitions) names.insert(partition.partition.topic);
  return join(std::vector<std::string>(names.begin(), names.end()), " ");
}

std::string render_members(const GroupView& group, const Terminal& terminal) {
  Table table({{"MEMBER"}, {"INSTANCE"}, {"CLIENT"}, {"HOST"}, {"PARTITIONS", Align::kLeft, true}});
  for (const MemberView& member : group.members) {
    std::map<std::string, std::vector<std::int32_t>> by_topic;
    for (const auto& partition : member.partitions)
      by_topic[partition.topic].push_back(partition.partition);
    std::vector<std::string> parts;
    for (const auto& [topic, numbers] : by_topic) parts.push_back(topic + ": " + ranges(numbers));
    table.add({member.id, member.instance_id, member.client_id, member.host,
               parts.empty() ? Cell("none", Tone::kDim) : Cell(join(parts, "; "))});
  }
  return table.render(terminal);
}

std::string render_group(const GroupView& group, const Terminal& terminal) {
  std::string out = paint(group.id, Tone::kStrong, terminal) + "   ";
  if (!group.problem.empty()) return out + paint(group.problem, Tone::kBad, terminal) + "\n";
  const Cell state = state_of(group);
  out += paint(state.text, state.tone, terminal);
  std::vector<std::string> facts;
  if (!group.type.empty()) facts.push_back(lower(group.type) + " protocol");
  facts.push_back(counted(static_cast<std::int64_t>(group.members.size()), "member"));
  if (!group.assignor.empty()) facts.push_back("assignor " + group.assignor);
  facts.push_back("coordinator " + std::to_string(group.coordinator));
  if (const auto lag = group.total_lag()) facts.push_back("lag " + std::to_string(*lag));
  out += ", " + join(facts, ", ") + "\n";
  Table table({{"TOPIC"},
               {"PARTITION", Align::kRight},
               {"COMMITTED", Align::kRight},
               {"END", Align::kRight},
               {"LAG", Align::kRight},
               {"MEMBER"},
               {"PROBLEM", Align::kLeft, true}});
  for (const PartitionLag& partition : group.partitions) {
    std::string member;
    if (partition.member) {
      const MemberView& m = group.members[*partition.member];
      member = m.client_id.empty() ? m.id : m.client_id + " " + m.host;
    }
    table.add({partition.partition.topic, partition.partition.partition,
               number_text(partition.committed), number_text(partition.end_offset),
               lag_cell(partition.lag()), member, Cell(partition.problem, Tone::kBad)});
  }
  if (!table.empty()) out += "\n" + table.render(terminal);
  if (!group.members.empty()) out += "\n" + render_members(group, terminal);
  return out;
}

}  // namespace

std::string render_groups(const std::vector<GroupView>& groups, const Terminal& terminal) {
  if (groups.empty()) return "There are no groups, or none that this user may see.\n";
  Table table({{"GROUP"},
               {"STATE"},
               {"PROTOCOL"},
               {"MEMBERS", Align::kRight},
               {"LAG", Align::kRight},
               {"TOPICS", Align::kLeft, true}});
  for (const GroupView& group : groups) {
    table.add({group.id, state_of(group), lower(group.type),
               static_cast<std::int64_t>(group.members.size()), lag_cell(group.total_lag()),
               group.problem.empty() ? Cell(topics_of(group)) : Cell(group.problem, Tone::kBad)});
  }
  return table.render(terminal);
}

std::string render_lag(const std::vector<GroupView>& groups, const Terminal& terminal) {
  std::string out;
  for (const GroupView& group : groups) {
    if (!out.empty()) out += "\n";
    out += render_group(group, terminal);
  }
  return out;
}

}  // namespace op::cli
