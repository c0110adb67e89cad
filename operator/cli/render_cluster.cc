#include <algorithm>

#include "broker/common/text.h"
#include "broker/metadata/features.h"
#include "operator/cli/render.h"
#include "operator/cli/table.h"

namespace op::cli {
namespace {

using broker::join;

constexpr std::size_t kNamed = 5;  // of a long list; the rest is counted

std::string named(const std::vector<broker::TopicPartition>& partitions) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(partitions.size(), kNamed); ++i)
    names.push_back(to_string(partitions[i]));
  const std::string list = join(names, ", ");
  return partitions.size() > kNamed
             ? list + " and " + std::to_string(partitions.size() - kNamed) + " more"
             : list;
}

Cell partitions_health(const KafkaView& view) {
  if (view.partitions == 0) return {"no topics yet", Tone::kDim};
  if (view.offline.empty() && view.under_replicated.empty())
    return {"every replica in sync", Tone::kGood};
  if (view.offline.empty())
    return {std::to_string(view.under_replicated.size()) +
                " under-replicated: " + named(view.under_replicated),
            Tone::kWarning};
  return {std::to_string(view.offline.size()) + " without leader: " + named(view.offline),
          Tone::kBad};
}

std::string version_text(const KafkaView& view) {
  const auto level = view.features.find(std::string(broker::metadata::kMetadataVersionFeature));
  if (level == view.features.end()) return "unknown";
  const auto name = broker::metadata::metadata_version_name(level->second);
  return name ? std::string(*name) : "level " + std::to_string(level->second);
}

std::string features_text(const KafkaView& view) {
  std::vector<std::string> out;
  for (const auto& [name, level] : view.features)
    if (name != broker::metadata::kMetadataVersionFeature && level > 0)
      out.push_back(name + " " + std::to_string(level));
  return join(out, ", ");
}

Cell controllers_text(const KafkaView& view) {
  if (!view.quorum) return {"unknown: " + view.quorum_unknown_why, Tone::kDim};
  std::vector<std::int32_t> ids;
  std::vector<std::string> behind;
  for (const VoterView& voter : view.quorum->voters) {
    ids.push_back(voter.id);
    if (voter.lag_records > 0)
      behind.push_back(std::to_string(voter.id) + " by " + counted(voter.lag_records, "record"));
  }
  std::string text = ranges(ids) + " (leader " + std::to_string(view.quorum->leader) + ", epoch " +
                     std::to_string(view.quorum->epoch) + ")";
  if (!behind.empty()) text += ", behind: " + join(behind, ", ");
  return text;
}

}  // namespace

std::string render_cluster(const KafkaView& view, const Terminal& terminal) {
  const auto fenced = std::count_if(view.brokers.begin(), view.brokers.end(),
                                    [](const BrokerView& broker) { return broker.fenced; });
  const auto up = static_cast<std::int64_t>(view.brokers.size()) - fenced;
  std::string out = render_facts(
      {{"Cluster", Cell(view.cluster_id, Tone::kStrong)},
       {"Reached at", view.bootstrap},
       {"Brokers",
        fenced > 0
            ? Cell(std::to_string(up) + " up, " + std::to_string(fenced) + " fenced", Tone::kBad)
            : Cell(std::to_string(up) + " up", Tone::kGood)},
       {"Controllers", controllers_text(view)},
       {"Metadata version", version_text(view)},
       {"Features", features_text(view)},
       {"Topics", counted(view.topics, "topic") + " with " + counted(view.partitions, "partition")},
       {"Partitions", partitions_health(view)}},
      terminal);
  Table table({{"BROKER", Align::kRight},
               {"ADDRESS"},
               {"RACK"},
               {"STATE"},
               {"LEADERS", Align::kRight},
               {"REPLICAS", Align::kRight},
               {"OUT OF SYNC", Align::kRight}});
  for (const BrokerView& broker : view.brokers) {
    table.add({broker.id, broker.address, broker.rack,
               broker.fenced ? Cell("fenced", Tone::kBad) : Cell("up", Tone::kGood), broker.leaders,
               broker.replicas,
               broker.out_of_sync > 0 ? Cell(broker.out_of_sync, Tone::kWarning)
                                      : Cell(std::int64_t{0})});
  }
  return out + "\n" + table.render(terminal);
}

}  // namespace op::cli
