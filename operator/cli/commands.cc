#include "operator/cli/commands.h"

#include <unistd.h>

#include "broker/common/log.h"
#include "operator/cli/access.h"
#include "operator/cli/cluster_status.h"
#include "operator/cli/gather.h"
#include "operator/cli/render.h"
#include "operator/cli/resources.h"

namespace op::cli {
namespace {

int show(const Options& options, const std::string& table, const std::string& json) {
  print(options.format == Format::kTable ? table : document_text(options.format, json));
  return kDone;
}

int run_kafka_status(const Options& options) {
  const auto brokers = open_kafka(options.target);
  if (!brokers.ok()) return fail(brokers.error());
  const auto view = gather_cluster(**brokers);
  if (!view.ok()) return fail(view.error());
  return show(options, render_cluster(*view, look_at_terminal(STDOUT_FILENO)), cluster_json(*view));
}

int run_status(const Options& options) {
  // As a User: what Kafka itself says.
  if (options.target.is_kafka_only() || !options.target.user.empty())
    return run_kafka_status(options);
  const auto resources = open_resources(options.target);
  if (!resources.ok()) return fail(resources.error());
  auto clusters = find_clusters(**resources, options.target);
  if (!clusters.ok()) return fail(clusters.error());
  const Terminal terminal = look_at_terminal(STDOUT_FILENO);
  std::vector<ClusterReport> reports;
  for (const api::Cluster& cluster : *clusters) {
    auto report = gather_report(**resources, cluster);
    if (!report.ok()) return fail(report.error());
    reports.push_back(std::move(*report));
  }
  return show(options,
              reports.size() == 1 ? render_report(reports.front(), terminal)
                                  : render_clusters(*clusters, terminal),
              reports_json(reports));
}

int run_topics(const Options& options) {
  const auto brokers = open_kafka(options.target);
  if (!brokers.ok()) return fail(brokers.error());
  const bool details = !options.names.empty();
  const auto view = gather_topics(**brokers, options.names, details);
  if (!view.ok()) return fail(view.error());
  const Terminal terminal = look_at_terminal(STDOUT_FILENO);
  return show(options,
              details ? render_partitions(*view, terminal) : render_topics(*view, terminal),
              topics_json(*view));
}

int run_lag(const Options& options) {
  const auto brokers = open_kafka(options.target);
  if (!brokers.ok()) return fail(brokers.error());
  std::vector<std::string> names = options.names;
  if (names.empty()) {
    const auto listed = list_groups(**brokers);
    if (!listed.ok()) return fail(listed.error());
    for (const GroupView& group : *listed) names.push_back(group.id);
  }
  const auto groups = gather_groups(**brokers, names);
  if (!groups.ok()) return fail(groups.error());
  const Terminal terminal = look_at_terminal(STDOUT_FILENO);
  return show(
      options,
      options.names.empty() ? render_groups(*groups, terminal) : render_lag(*groups, terminal),
      groups_json(*groups));
}

}  // namespace

int run_command(const Options& options) {
  // What libraries have to say is for logs; errors reach the user as sentences.
  broker::set_log_level(broker::LogLevel::kError);
  broker::set_log_format(broker::LogFormat::kText);
  switch (options.command) {
    case Command::kStatus:
      return run_status(options);
    case Command::kTopics:
      return run_topics(options);
    case Command::kLag:
      return run_lag(options);
    case Command::kResetOffsets:
      return run_reset_offsets(options);
    case Command::kRoll:
      return run_roll(options);
    case Command::kRebalance:
      return run_rebalance(options);
    case Command::kProduce:
      return run_produce(options);
    case Command::kConsume:
      return run_consume(options);
  }
  return kFailed;
}

}  // namespace op::cli
