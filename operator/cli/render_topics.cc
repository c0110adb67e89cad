#include <algorithm>

#include "broker/common/text.h"
#include "operator/cli/render.h"
#include "operator/cli/table.h"

namespace op::cli {
namespace {

using broker::join;

/// "4 on 0, 4 on 1, 4 on 2"; with equal shares "4 each on 0 1 2".
std::string leaders_text(const TopicView& topic) {
  const auto leaders = topic.leaders();
  if (leaders.empty()) return "none";
  const bool equal = std::all_of(leaders.begin(), leaders.end(), [&](const auto& entry) {
    return entry.second == leaders.begin()->second;
  });
  if (equal) {
    std::vector<std::int32_t> ids;
    for (const auto& [id, count] : leaders) ids.push_back(id);
    const std::string share = std::to_string(leaders.begin()->second);
    return (ids.size() == 1 ? share + " on " : share + " each on ") + ranges(ids);
  }
  std::vector<std::string> parts;
  for (const auto& [id, count] : leaders)
    parts.push_back(std::to_string(count) + " on " + std::to_string(id));
  return join(parts, ", ");
}

Cell topic_health(const TopicView& topic) {
  const auto& all = topic.partitions;
  const auto offline =
      std::count_if(all.begin(), all.end(), [](const auto& p) { return p.is_offline(); });
  const auto behind =
      std::count_if(all.begin(), all.end(), [](const auto& p) { return p.is_under_replicated(); });
  if (offline > 0) return {std::to_string(offline) + " without leader", Tone::kBad};
  if (behind > 0) return {std::to_string(behind) + " under-replicated", Tone::kWarning};
  return {"in sync", Tone::kGood};
}

std::string size_text(const std::optional<std::int64_t>& bytes) {
  return bytes ? human_bytes(*bytes) : "?";
}

std::string offset_text(const std::optional<std::int64_t>& number) {
  return number ? std::to_string(*number) : "-";
}

std::string in_order(const std::vector<std::int32_t>& ids) {
  std::vector<std::string> words;
  for (const std::int32_t id : ids) words.push_back(std::to_string(id));
  return join(words, " ");
}

std::string note(const TopicsView& view, const Terminal& terminal) {
  if (view.sizes_unknown_why.empty()) return {};
  return paint(view.sizes_unknown_why, Tone::kDim, terminal) + "\n";
}

}  // namespace

std::string render_topics(const TopicsView& view, const Terminal& terminal) {
  if (view.topics.empty()) return "There are no topics, or none that this user may see.\n";
  Table table({{"TOPIC"},
               {"PARTITIONS", Align::kRight},
               {"REPLICAS", Align::kRight},
               {"SIZE", Align::kRight},
               {"LEADERS", Align::kLeft, true},
               {"HEALTH"}});
  for (const TopicView& topic : view.topics) {
    table.add({Cell(topic.name, topic.internal ? Tone::kDim : Tone::kPlain),
               static_cast<std::int64_t>(topic.partitions.size()),
               static_cast<std::int64_t>(topic.replication_factor()),
               view.sizes_unknown_why.empty() ? size_text(topic.size_bytes()) : std::string(),
               leaders_text(topic), topic_health(topic)});
  }
  return table.render(terminal) + note(view, terminal);
}

std::string render_partitions(const TopicsView& view, const Terminal& terminal) {
  std::string out;
  for (const TopicView& topic : view.topics) {
    if (!out.empty()) out += "\n";
    std::vector<std::string> facts{
        counted(static_cast<std::int64_t>(topic.partitions.size()), "partition"),
        counted(static_cast<std::int64_t>(topic.replication_factor()), "replica")};
    if (const auto size = topic.size_bytes(); size) facts.push_back(human_bytes(*size));
    if (topic.internal) facts.push_back("internal");
    if (!topic.id.empty()) facts.push_back("id " + topic.id);
    out += paint(topic.name, Tone::kStrong, terminal) + "   " + join(facts, ", ") + "\n\n";
    Table table({{"PARTITION", Align::kRight},
                 {"LEADER", Align::kRight},
                 {"REPLICAS"},
                 {"OUT OF SYNC"},
                 {"START", Align::kRight},
                 {"END", Align::kRight},
                 {"SIZE", Align::kRight}});
    for (const PartitionView& partition : topic.partitions) {
      table.add(
          {partition.id, partition.is_offline() ? Cell("none", Tone::kBad) : Cell(partition.leader),
           in_order(partition.replicas), Cell(in_order(partition.out_of_sync()), Tone::kWarning),
           offset_text(partition.log_start_offset), offset_text(partition.end_offset),
           view.sizes_unknown_why.empty() ? size_text(partition.size_bytes) : std::string()});
    }
    out += table.render(terminal);
  }
  return out + note(view, terminal);
}

}  // namespace op::cli
