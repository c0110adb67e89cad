#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/ids.h"

namespace broker::replication {

/// Counters of one topic on one strand; summed over the strands on collection.
struct TopicCounters {
  std::int64_t bytes_in = 0;
  std::int64_t bytes_out = 0;  // to consumers
  std::int64_t replication_bytes_in = 0;
  std::int64_t replication_bytes_out = 0;
  std::int64_t messages_in = 0;
  std::int64_t produce_requests = 0;  // per partition of a request, as Kafka counts
  std::int64_t fetch_requests = 0;
  std::int64_t failed_produce_requests = 0;
  std::int64_t failed_fetch_requests = 0;
  std::int64_t isr_shrinks = 0;
  std::int64_t isr_expands = 0;

  TopicCounters& operator+=(const TopicCounters& other);
};

/// One partition at the moment of collection.
struct PartitionGauges {
  std::string topic;
  std::int32_t partition = 0;
  Offset log_start_offset;
  Offset log_end_offset;
  Offset high_watermark;
  std::string log_dir;  // that it lies in; "" when there is no log
  std::uint64_t size_bytes = 0;
  std::size_t segments = 0;
  std::size_t replicas = 0;
  std::int64_t lag = 0;  // of a follower: records that are committed and not yet here
  bool leader = false;
  bool under_replicated = false;  // leader with an ISR smaller than its replicas
  bool under_min_isr = false;
  bool at_min_isr = false;
  bool offline = false;
  bool uncleanable = false;  // compaction met something that it cannot read
};

/// Compaction on this broker.
struct CleanerMetrics {
  std::int64_t cleanings = 0;  // that were completed
  int max_dirty_percent = 0;   // of all logs, at the last survey
  std::int64_t max_compaction_delay_seconds = 0;
  std::int64_t ms_since_last_run = 0;
  double last_clean_seconds = 0;
  double last_recopy_percent = 0;
  double last_buffer_utilization_percent = 0;
};

/// What the metrics endpoint shows of this broker's partitions. The exported names are Kafka's as
/// the JMX exporter writes them.
struct MetricsSnapshot {
  std::map<std::string, TopicCounters> topics;
  std::vector<PartitionGauges> partitions;
  std::optional<CleanerMetrics> cleaner;
  std::size_t produce_waiters = 0;
  std::size_t fetch_waiters = 0;
};

namespace metric_names {
inline constexpr const char* kBytesIn = "kafka_server_brokertopicmetrics_bytesin_total";
inline constexpr const char* kBytesOut = "kafka_server_brokertopicmetrics_bytesout_total";
inline constexpr const char* kReplicationBytesIn =
    "kafka_server_brokertopicmetrics_replicationbytesin_total";
inline constexpr const char* kReplicationBytesOut =
    "kafka_server_brokertopicmetrics_replicationbytesout_total";
inline constexpr const char* kMessagesIn = "kafka_server_brokertopicmetrics_messagesin_total";
inline constexpr const char* kProduceRequests =
    "kafka_server_brokertopicmetrics_totalproducerequests_total";
inline constexpr const char* kFetchRequests =
    "kafka_server_brokertopicmetrics_totalfetchrequests_total";
inline constexpr const char* kFailedProduceRequests =
    "kafka_server_brokertopicmetrics_failedproducerequests_total";
inline constexpr const char* kFailedFetchRequests =
    "kafka_server_brokertopicmetrics_failedfetchrequests_total";
inline constexpr const char* kPartitionCount = "kafka_server_replicamanager_partitioncount";
inline constexpr const char* kLeaderCount = "kafka_server_replicamanager_leadercount";
inline constexpr const char* kUnderReplicatedPartitions =
    "kafka_server_replicamanager_underreplicatedpartitions";
inline constexpr const char* kUnderMinIsrPartitions =
    "kafka_server_replicamanager_underminisrpartitioncount";
inline constexpr const char* kAtMinIsrPartitions =
    "kafka_server_replicamanager_atminisrpartitioncount";
inline constexpr const char* kReplicasCount = "kafka_cluster_partition_replicascount";
inline constexpr const char* kPartitionUnderMinIsr = "kafka_cluster_partition_underminisr";
inline constexpr const char* kPartitionAtMinIsr = "kafka_cluster_partition_atminisr";
inline constexpr const char* kOfflineReplicas = "kafka_server_replicamanager_offlinereplicacount";
inline constexpr const char* kIsrShrinks = "kafka_server_replicamanager_isrshrinks_total";
inline constexpr const char* kIsrExpands = "kafka_server_replicamanager_isrexpands_total";
inline constexpr const char* kFollowerLag =
    "kafka_server_fetcherlagmetrics_consumerlag";  // topic, partition
inline constexpr const char* kMaxFollowerLag = "kafka_server_replicafetchermanager_maxlag";
inline constexpr const char* kLogSize = "kafka_log_log_size";                   // topic, partition
inline constexpr const char* kLogStartOffset = "kafka_log_log_logstartoffset";  // topic, partition
inline constexpr const char* kLogEndOffset = "kafka_log_log_logendoffset";      // topic, partition
inline constexpr const char* kLogSegments = "kafka_log_log_numlogsegments";     // topic, partition
inline constexpr const char* kUncleanablePartitions =
    "kafka_log_logcleanermanager_uncleanable_partitions_count";
inline constexpr const char* kUncleanableBytes = "kafka_log_logcleanermanager_uncleanable_bytes";
inline constexpr const char* kMaxDirtyPercent = "kafka_log_logcleanermanager_max_dirty_percent";
inline constexpr const char* kSinceLastCleanerRun =
    "kafka_log_logcleanermanager_time_since_last_run_ms";
inline constexpr const char* kMaxCleanSeconds = "kafka_log_logcleaner_max_clean_time_secs";
inline constexpr const char* kMaxCompactionDelay = "kafka_log_logcleaner_max_compaction_delay_secs";
inline constexpr const char* kRecopyPercent = "kafka_log_logcleaner_cleaner_recopy_percent";
inline constexpr const char* kMaxBufferUtilization =
    "kafka_log_logcleaner_max_buffer_utilization_percent";
inline constexpr const char* kPurgatorySize =
    "kafka_server_delayedoperationpurgatory_purgatorysize";  // delayedOperation: Produce, Fetch
}  // namespace metric_names

}  // namespace broker::replication
