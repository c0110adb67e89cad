#pragma once

#include <string>
#include <vector>

#include "operator/cli/text.h"
#include "operator/cli/views.h"

/// Views as people read them, and as JSON for programs. Pure.
namespace op::cli {

/// A line per topic.
std::string render_topics(const TopicsView& view, const Terminal& terminal);
/// One topic after the other with a line per partition.
std::string render_partitions(const TopicsView& view, const Terminal& terminal);
std::string topics_json(const TopicsView& view);

/// A line per group.
std::string render_groups(const std::vector<GroupView>& groups, const Terminal& terminal);
/// Each group with its partitions and members.
std::string render_lag(const std::vector<GroupView>& groups, const Terminal& terminal);
std::string groups_json(const std::vector<GroupView>& groups);

std::string render_cluster(const KafkaView& view, const Terminal& terminal);
std::string cluster_json(const KafkaView& view);

}  // namespace op::cli
