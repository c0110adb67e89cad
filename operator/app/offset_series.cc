#include "operator/app/offset_series.h"

#include <algorithm>
#include <tuple>

#include "broker/metadata/image.h"

namespace op::app {
namespace {

namespace metadata = broker::metadata;
using broker::TopicPartition;
using kafka::OffsetsSnapshot;

Labels labels_of_partition(const Labels& cluster, const TopicPartition& partition) {
  return with(cluster,
              {{"topic", partition.topic}, {"partition", std::to_string(partition.partition)}});
}

std::size_t alive_replicas_in_sync(const metadata::PartitionRegistration& partition) {
  return partition.leader == metadata::kNoLeader ? 0 : partition.isr.size();
}

void add_partition(Series& out, const Labels& labels,
                   const metadata::PartitionRegistration& partition) {
  const std::size_t in_sync = alive_replicas_in_sync(partition);
  const auto gauge = [&](const char* name, const char* help, double value) {
    out.gauge(name, help, value, labels);
  };
  gauge("kafka_topic_partition_leader", "Broker that leads the partition; -1: none",
        partition.leader.value);
  gauge("kafka_topic_partition_leader_is_preferred", "1 while the first replica leads",
        !partition.replicas.empty() && partition.replicas.front() == partition.leader ? 1 : 0);
  gauge("kafka_topic_partition_replicas", "Replicas",
        static_cast<double>(partition.replicas.size()));
  gauge("kafka_topic_partition_in_sync_replica", "Replicas in sync", static_cast<double>(in_sync));
  gauge("kafka_topic_partition_under_replicated_partition", "1 while a replica is not in sync",
        in_sync < partition.replicas.size() ? 1 : 0);
}

/// Sums that stay when there are too many partitions for a series each.
void add_topics(Series& out, const Labels& cluster, const metadata::MetadataImage& image) {
  std::size_t partitions = 0;
  std::size_t under_replicated = 0;
  std::size_t offline = 0;
  std::map<std::string, const metadata::TopicImage*> topics;
  for (const auto& [id, topic] : image.topics.by_id) {
    topics.emplace(topic.name, &topic);
    for (const auto& [index, partition] : topic.partitions) {
      ++partitions;
      offline += partition.leader == metadata::kNoLeader;
      under_replicated += alive_replicas_in_sync(partition) < partition.replicas.size();
    }
  }
  std::size_t alive = 0;
  std::size_t brokers = 0;
  for (const auto& [id, broker] : image.cluster.brokers) {
    ++brokers;
    alive += !broker.fenced;
  }
  const auto gauge = [&](const char* name, const char* help, std::size_t value) {
    out.gauge(name, help, static_cast<double>(value), cluster);
  };
  gauge("kafka_brokers", "Brokers that serve clients", alive);
  gauge("millrace_cluster_fenced_brokers", "Registered brokers that do not serve clients",
        brokers - alive);
  gauge("millrace_cluster_topics", "Topics", topics.size());
  gauge("millrace_cluster_partitions", "Partitions", partitions);
  gauge("millrace_cluster_under_replicated_partitions", "Partitions with a replica out of sync",
        under_replicated);
  gauge("millrace_cluster_offline_partitions", "Partitions without a leader", offline);
  if (topics.size() > kMaxPartitionSeries) return;
  for (const auto& [name, topic] : topics)
    out.gauge("kafka_topic_partitions", "Partitions of a topic",
              static_cast<double>(topic->partitions.size()), with(cluster, {{"topic", name}}));
  if (partitions > kMaxPartitionSeries) return;
  for (const auto& [name, topic] : topics)
    for (const auto& [index, partition] : topic->partitions)
      add_partition(out, labels_of_partition(cluster, {name, index}), partition);
}

void add_logs(Series& out, const Labels& cluster, const OffsetsSnapshot& offsets) {
  if (offsets.logs_left_out || offsets.logs.size() > kMaxPartitionSeries) return;
  for (const auto& [partition, log] : offsets.logs) {
    const Labels labels = labels_of_partition(cluster, partition);
    if (log.end >= 0)
      out.gauge("kafka_topic_partition_current_offset", "End of the log, as consumers see it",
                static_cast<double>(log.end), labels);
    if (log.start >= 0)
      out.gauge("kafka_topic_partition_oldest_offset", "First offset of the log",
                static_cast<double>(log.start), labels);
  }
}

void add_groups(Series& out, const Labels& cluster, const OffsetsSnapshot& offsets) {
  struct Sum {
    std::int64_t offset = 0;
    std::int64_t lag = 0;
    bool lag_known = true;
  };
  std::map<std::pair<std::string, std::string>, Sum> sums;  // group, topic
  const bool each = offsets.committed.size() <= kMaxPartitionSeries;
  for (const auto& committed : offsets.committed) {
    const std::int64_t lag = offsets.lag_of(committed);
    Sum& sum = sums[{committed.group, committed.partition.topic}];
    sum.offset += committed.offset;
    sum.lag += std::max<std::int64_t>(lag, 0);
    // The topic is gone, or its leader did not answer: half a sum would look like progress.
    sum.lag_known = sum.lag_known && lag >= 0;
    if (!each) continue;
    const Labels labels = with(labels_of_partition(cluster, committed.partition),
                               {{"consumergroup", committed.group}});
    out.gauge("kafka_consumergroup_current_offset", "Offset committed by a group",
              static_cast<double>(committed.offset), labels);
    if (lag >= 0)
      out.gauge("kafka_consumergroup_lag",
                "Records between a group's offset and the end of the log", static_cast<double>(lag),
                labels);
  }
  if (sums.size() > kMaxPartitionSeries) return;
  for (const auto& [key, sum] : sums) {
    const Labels labels = with(cluster, {{"consumergroup", key.first}, {"topic", key.second}});
    out.gauge("kafka_consumergroup_current_offset_sum", "Committed offsets of a group, summed",
              static_cast<double>(sum.offset), labels);
    if (sum.lag_known)
      out.gauge("kafka_consumergroup_lag_sum", "Lag of a group in a topic",
                static_cast<double>(sum.lag), labels);
  }
}

}  // namespace

void add_offsets(Series& out, const controllers::OperatorMetrics::Cluster& cluster) {
  const Labels labels = labels_of(cluster.ref);
  if (cluster.image) add_topics(out, labels, *cluster.image);
  if (!cluster.offsets) return;
  const OffsetsSnapshot& offsets = *cluster.offsets;
  const std::chrono::duration<double> age = std::chrono::steady_clock::now() - offsets.finished_at;
  const std::chrono::duration<double> took = offsets.took;
  out.gauge("millrace_offsets_complete", "1 when the last round was answered by all, and fits",
            offsets.problem.empty() && !offsets.logs_left_out && !offsets.groups_left_out &&
                    offsets.committed.size() <= kMaxPartitionSeries
                ? 1
                : 0,
            labels);
  out.gauge("millrace_offsets_age_seconds", "Since the last round ended", age.count(), labels);
  out.gauge("millrace_offsets_round_seconds", "How long the last round took", took.count(), labels);
  add_logs(out, labels, offsets);
  add_groups(out, labels, offsets);
}

}  // namespace op::app
