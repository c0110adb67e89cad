#include "broker/app/metrics_text.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <numeric>
#include <sstream>
#include <vector>

#include "broker/common/version.h"
#include "broker/protocol/api.h"

namespace broker::app {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Labels = std::vector<ClientMetric::Label>;
using replication::PartitionGauges;
using replication::TopicCounters;
namespace names = replication::metric_names;

/// Above this many partitions the series per partition are left out: a scrape must stay small.
constexpr std::size_t kMaxPartitionSeries = 5000;

class Families {
 public:
  void gauge(const std::string& name, const std::string& help, double value, Labels labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.gauge.value = value;
    family(name, help, MetricType::Gauge).metric.push_back(std::move(metric));
  }
  void counter(const std::string& name, const std::string& help, double value, Labels labels = {}) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.counter.value = value;
    family(name, help, MetricType::Counter).metric.push_back(std::move(metric));
  }
  void histogram(const std::string& name, const std::string& help, ClientMetric::Histogram value,
                 Labels labels) {
    ClientMetric metric;
    metric.label = std::move(labels);
    metric.histogram = std::move(value);
    family(name, help, MetricType::Histogram).metric.push_back(std::move(metric));
  }
  const std::vector<MetricFamily>& all() const { return families_; }

 private:
  MetricFamily& family(const std::string& name, const std::string& help, MetricType type) {
    if (families_.empty() || families_.back().name != name) {
      families_.push_back({name, help, type, {}});
    }
    return families_.back();
  }
  std::vector<MetricFamily> families_;
};

struct TopicSeries {
  const char* name;
  const char* help;
  std::int64_t TopicCounters::*value;
};
constexpr TopicSeries kTopicSeries[] = {
    {names::kBytesIn, "Bytes received from producers", &TopicCounters::bytes_in},
    {names::kBytesOut, "Bytes sent to consumers", &TopicCounters::bytes_out},
    {names::kReplicationBytesIn, "Bytes fetched from leaders",
     &TopicCounters::replication_bytes_in},
    {names::kReplicationBytesOut, "Bytes sent to followers", &TopicCounters::replication_bytes_out},
    {names::kMessagesIn, "Records appended", &TopicCounters::messages_in},
    {names::kProduceRequests, "Produce requests", &TopicCounters::produce_requests},
    {names::kFailedProduceRequests, "Failed produce requests",
     &TopicCounters::failed_produce_requests},
    {names::kFetchRequests, "Fetch requests", &TopicCounters::fetch_requests},
    {names::kFailedFetchRequests, "Failed fetch requests", &TopicCounters::failed_fetch_requests},
};

std::string read_proc(const char* path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// The number behind "key: " in a /proc file; 0 if it is not there.
double proc_value(const std::string& text, const std::string& key) {
  const auto at = text.find(key);
  return at == std::string::npos ? 0 : std::strtod(text.c_str() + at + key.size(), nullptr);
}

/// CPU time of the event loops, to the nanosecond.
double loop_cpu_seconds() {
  double nanoseconds = 0;
  std::error_code error;
  for (auto it = std::filesystem::directory_iterator("/proc/self/task", error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    const std::string task = it->path().string();
    if (read_proc((task + "/comm").c_str()).rfind("loop-", 0) != 0) continue;
    nanoseconds += std::strtod(read_proc((task + "/schedstat").c_str()).c_str(), nullptr);
  }
  return nanoseconds / 1e9;
}

using server::RequestTimes;

RequestTimes::Counts& operator+=(RequestTimes::Counts& sum, const RequestTimes::Counts& more) {
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += more[i];
  return sum;
}

RequestTimes::Counts operator-(RequestTimes::Counts now, const RequestTimes::Counts& before) {
  for (std::size_t i = 0; i < now.size(); ++i) now[i] -= before[i];
  return now;
}

std::int64_t sum_of(const RequestTimes::Counts& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
}

/// Calls `visit(listener, API, times)` for what was asked at least once.
template <class Visit>
void each_request(const node::Node& node, Visit visit) {
  for (const auto& listener : node.config().listeners.listeners) {
    const auto& times = node.listener_metrics(listener.name).times;
    for (const protocol::ApiInfo& api : protocol::all_apis()) {
      const auto key = static_cast<std::size_t>(api.key);
      if (key < times.size() && times[key].cells.size() > 0 && sum_of(times[key].counts()) > 0)
        visit(listener.name, api, times[key]);
    }
  }
}

/// By Kafka's names: it tells the fetches of consumers from those of other nodes. We tell them by
/// the listener, where the other nodes have one of their own.
std::map<std::string, RequestTimes::Counts> requests_of(const node::Node& node) {
  const auto& config = node.config();
  const auto& all = config.listeners.listeners;
  const auto is_clients = [&](const std::string& name) {
    const auto& controllers = config.listeners.controller_listeners;
    return name != config.listeners.inter_broker_listener &&
           std::count(controllers.begin(), controllers.end(), name) == 0;
  };
  const bool told_apart =
      std::any_of(all.begin(), all.end(), [&](const auto& one) { return is_clients(one.name); });
  std::map<std::string, RequestTimes::Counts> out;
  each_request(node, [&](const std::string& listener, const protocol::ApiInfo& api,
                         const RequestTimes& times) {
    const auto counts = times.counts();
    out[std::string(api.name)] += counts;
    if (api.key == protocol::ApiKey::kFetch)
      out[is_clients(listener) || !told_apart ? "FetchConsumer" : "FetchFollower"] += counts;
  });
  return out;
}

MetricsSample sample_of(const node::Node& node, const node::NodeMetrics& metrics) {
  MetricsSample sample;
  sample.at = std::chrono::steady_clock::now();
  sample.requests = requests_of(node);
  sample.loop_cpu_seconds = loop_cpu_seconds();
  sample.metadata_log_end = metrics.quorum_log_end_offset;
  sample.leads_quorum = metrics.quorum_leader == metrics.node_id.value;
  sample.commits = metrics.controller.commits;
  sample.commit_seconds = std::chrono::duration<double>(metrics.controller.commit_time).count();
  return sample;
}

/// Kafka's gauges are of the last half minute.
constexpr Duration kRateWindow = std::chrono::seconds(30);

void add_rates(Families& out, const node::NodeMetrics& metrics, const MetricsSample& now,
               const MetricsHistory& history) {
  const MetricsSample& before = history.before(now.at, kRateWindow);
  const double seconds = std::max(0.001, std::chrono::duration<double>(now.at - before.at).count());
  const double busy = (now.loop_cpu_seconds - before.loop_cpu_seconds) /
                      (seconds * static_cast<double>(std::max<std::size_t>(1, metrics.loops)));
  const double idle = std::clamp(1 - busy, 0.0, 1.0);
  // The loops do what Kafka has network threads and request handlers for.
  out.gauge("kafka_network_socketserver_networkprocessoravgidle_percent",
            "The part of the time (0 to 1) that the event loops had nothing to do", idle);
  out.gauge("kafka_server_kafkarequesthandlerpool_requesthandleravgidle_percent",
            "The same: event loops handle the requests too", idle);
  const bool leads = now.leads_quorum && before.leads_quorum;
  const double records = static_cast<double>(std::max<std::int64_t>(
                             0, now.metadata_log_end - before.metadata_log_end)) /
                         seconds;
  out.gauge("kafka_server_raftmetrics_append_records_rate",
            "Records per second appended to the metadata log as its leader", leads ? records : 0);
  out.gauge("kafka_server_raftmetrics_fetch_records_rate",
            "Records per second fetched from the leader of the metadata log",
            now.leads_quorum ? 0 : records);
  const auto commits = static_cast<double>(now.commits - before.commits);
  out.gauge("kafka_server_raftmetrics_commit_latency_avg",
            "Milliseconds from append to commit in the metadata log, on its leader",
            commits > 0 ? 1000 * (now.commit_seconds - before.commit_seconds) / commits : 0);
}

void add_requests(Families& out, const node::Node& node, const MetricsSample& now,
                  const MetricsHistory& history) {
  static constexpr std::pair<double, const char*> kQuantiles[] = {{0.5, "0.50"},  {0.75, "0.75"},
                                                                  {0.95, "0.95"}, {0.98, "0.98"},
                                                                  {0.99, "0.99"}, {0.999, "0.999"}};
  const MetricsSample& before = history.before(now.at, MetricsHistory::kDepth);
  for (const auto& [name, counts] : now.requests) {
    const auto known = before.requests.find(name);
    const auto recent = known == before.requests.end() ? counts : counts - known->second;
    for (const auto& [part, label] : kQuantiles)
      out.gauge("kafka_network_requestmetrics_totaltimems",
                "Milliseconds from a request to its answer, of the last five minutes",
                quantile_ms(recent, part), {{"request", name}, {"quantile", label}});
  }
  for (const char* metric : {"kafka_network_requestmetrics_totaltimems_count",
                             "kafka_network_requestmetrics_requests_total"})
    for (const auto& [name, counts] : now.requests)
      out.counter(metric, "Requests", static_cast<double>(sum_of(counts)), {{"request", name}});
  each_request(node, [&](const std::string& listener, const protocol::ApiInfo& api,
                         const RequestTimes& times) {
    ClientMetric::Histogram histogram;
    const auto counts = times.counts();
    for (std::size_t cell = 0; cell < counts.size(); ++cell) {
      histogram.sample_count += static_cast<std::uint64_t>(counts[cell]);
      const bool last = cell + 1 == counts.size();
      if (!last && cell % 2 == 0) continue;  // every other bound will do
      histogram.bucket.push_back(
          {histogram.sample_count,
           last ? std::numeric_limits<double>::infinity()
                : std::chrono::duration<double>(RequestTimes::bound(cell)).count()});
    }
    histogram.sample_sum = static_cast<double>(times.microseconds.value()) / 1e6;
    out.histogram("millrace_request_duration_seconds", "From a request to its answer",
                  std::move(histogram),
                  {{"listener", listener}, {"request", std::string(api.name)}});
  });
}

void add_topics(Families& out, const replication::MetricsSnapshot& snapshot) {
  TopicCounters total;
  for (const auto& [topic, counters] : snapshot.topics) total += counters;
  for (const auto& series : kTopicSeries) {
    // Kafka has one series without a topic, and one per topic.
    out.counter(series.name, series.help, static_cast<double>(total.*series.value));
    for (const auto& [topic, counters] : snapshot.topics) {
      out.counter(series.name, series.help, static_cast<double>(counters.*series.value),
                  {{"topic", topic}});
    }
  }
}

struct PartitionSeries {
  const char* name;
  const char* help;
  double (*value)(const PartitionGauges&);
};
constexpr PartitionSeries kPartitionSeries[] = {
    {names::kLogSize, "Size of the log in bytes",
     [](const PartitionGauges& p) { return static_cast<double>(p.size_bytes); }},
    {names::kLogStartOffset, "First offset",
     [](const PartitionGauges& p) { return static_cast<double>(p.log_start_offset.value); }},
    {names::kLogEndOffset, "Next offset",
     [](const PartitionGauges& p) { return static_cast<double>(p.log_end_offset.value); }},
    {names::kLogSegments, "Segments",
     [](const PartitionGauges& p) { return static_cast<double>(p.segments); }},
    {names::kReplicasCount, "Replicas",
     [](const PartitionGauges& p) { return static_cast<double>(p.replicas); }},
    {names::kPartitionUnderMinIsr, "1 while the ISR is smaller than min.insync.replicas",
     [](const PartitionGauges& p) { return p.under_min_isr ? 1.0 : 0.0; }},
    {names::kPartitionAtMinIsr, "1 while the ISR is exactly min.insync.replicas",
     [](const PartitionGauges& p) { return p.at_min_isr ? 1.0 : 0.0; }},
};

void add_partitions(Families& out, const replication::MetricsSnapshot& snapshot) {
  if (snapshot.partitions.size() > kMaxPartitionSeries) return;
  const auto labels = [](const PartitionGauges& partition) -> Labels {
    return {{"topic", partition.topic}, {"partition", std::to_string(partition.partition)}};
  };
  for (const auto& series : kPartitionSeries) {
    for (const auto& partition : snapshot.partitions) {
      out.gauge(series.name, series.help, series.value(partition), labels(partition));
    }
  }
  for (const auto& partition : snapshot.partitions) {
    if (partition.leader) continue;
    out.gauge(names::kFollowerLag, "Committed records that this follower does not have yet",
              static_cast<double>(partition.lag), labels(partition));
  }
}

void add_replica_manager(Families& out, const replication::MetricsSnapshot& snapshot) {
  double leaders = 0, under_replicated = 0, under_min = 0, at_min = 0, offline = 0;
  std::int64_t max_lag = 0;
  TopicCounters total;
  for (const auto& [topic, counters] : snapshot.topics) total += counters;
  for (const auto& p : snapshot.partitions) {
    leaders += p.leader;
    under_replicated += p.under_replicated;
    under_min += p.under_min_isr;
    at_min += p.at_min_isr;
    offline += p.offline;
    if (!p.leader) max_lag = std::max(max_lag, p.lag);
  }
  out.gauge(names::kPartitionCount, "Partitions on this broker",
            static_cast<double>(snapshot.partitions.size()));
  out.gauge(names::kLeaderCount, "Partitions led by this broker", leaders);
  out.gauge(names::kUnderReplicatedPartitions, "Led partitions whose ISR is short",
            under_replicated);
  out.gauge(names::kUnderMinIsrPartitions, "Led partitions below min.insync.replicas", under_min);
  out.gauge(names::kAtMinIsrPartitions, "Led partitions at min.insync.replicas", at_min);
  out.gauge(names::kOfflineReplicas, "Replicas whose log cannot be used", offline);
  out.gauge(names::kMaxFollowerLag, "The longest lag of a follower on this broker",
            static_cast<double>(max_lag));
  out.counter(names::kIsrShrinks, "Times that a led partition's ISR shrank",
              static_cast<double>(total.isr_shrinks));
  out.counter(names::kIsrExpands, "Times that a led partition's ISR grew",
              static_cast<double>(total.isr_expands));
  out.gauge(names::kPurgatorySize, "Requests waiting",
            static_cast<double>(snapshot.produce_waiters), {{"delayedOperation", "Produce"}});
  out.gauge(names::kPurgatorySize, "Requests waiting", static_cast<double>(snapshot.fetch_waiters),
            {{"delayedOperation", "Fetch"}});
}

void add_directories(Families& out, const node::NodeMetrics& metrics) {
  const auto count = [&](bool node::LogDirectoryMetrics::*which) {
    return static_cast<double>(std::count_if(metrics.log_dirs.begin(), metrics.log_dirs.end(),
                                             [&](const auto& one) { return one.*which; }));
  };
  out.gauge("kafka_log_logmanager_offlinelogdirectorycount", "Log directories that failed",
            count(&node::LogDirectoryMetrics::offline));
  out.gauge("millrace_log_full_directories", "Log directories that take no records: disk full",
            count(&node::LogDirectoryMetrics::full));
  std::map<std::string, std::filesystem::space_info> spaces;
  for (const auto& directory : metrics.log_dirs) {
    std::error_code error;
    const auto space = std::filesystem::space(directory.path, error);
    if (!error && !directory.offline) spaces[directory.path] = space;
  }
  for (const auto& [path, space] : spaces)
    out.gauge("millrace_log_directory_total_bytes", "Size of the file system of a log directory",
              static_cast<double>(space.capacity), {{"logDirectory", path}});
  for (const auto& [path, space] : spaces)
    out.gauge("millrace_log_directory_usable_bytes", "What is left of it",
              static_cast<double>(space.available), {{"logDirectory", path}});
}

void add_cleaner(Families& out, const replication::MetricsSnapshot& snapshot) {
  double uncleanable = 0, bytes = 0;
  for (const auto& p : snapshot.partitions) {
    uncleanable += p.uncleanable;
    if (p.uncleanable) bytes += static_cast<double>(p.size_bytes);
  }
  const auto cleaner = snapshot.cleaner.value_or(replication::CleanerMetrics{});
  out.gauge(names::kUncleanablePartitions, "Logs whose content cannot be compacted", uncleanable);
  out.gauge(names::kUncleanableBytes, "Size of the logs that cannot be compacted", bytes);
  out.gauge(names::kMaxDirtyPercent, "The largest dirty part of a compacted log, in percent",
            cleaner.max_dirty_percent);
  out.gauge(names::kSinceLastCleanerRun, "Since the cleaner last looked for work",
            static_cast<double>(cleaner.ms_since_last_run));
  out.gauge(names::kMaxCleanSeconds, "How long the last cleaning took", cleaner.last_clean_seconds);
  out.gauge(names::kMaxCompactionDelay, "By how much max.compaction.lag.ms is exceeded at most",
            static_cast<double>(cleaner.max_compaction_delay_seconds));
  out.gauge(names::kRecopyPercent, "What the last cleaning kept of the bytes it read",
            cleaner.last_recopy_percent);
  out.gauge(names::kMaxBufferUtilization, "How full the map of keys was in the last cleaning",
            cleaner.last_buffer_utilization_percent);
}

/// What every controller shows of the cluster, active or not.
void add_controller(Families& out, const node::NodeMetrics& metrics) {
  out.gauge("kafka_controller_kafkacontroller_activecontrollercount", "1 on the active controller",
            metrics.active_controller ? 1 : 0);
  out.gauge("kafka_controller_kafkacontroller_offlinepartitionscount",
            "Partitions without a leader", static_cast<double>(metrics.offline_partitions));
  out.counter("kafka_controller_controllerstats_uncleanleaderelections_total",
              "Leaders elected although they may lack records",
              static_cast<double>(metrics.controller.unclean_elections));
  out.gauge("kafka_controller_kafkacontroller_activebrokercount", "Unfenced brokers",
            static_cast<double>(metrics.active_brokers));
  out.gauge("kafka_controller_kafkacontroller_fencedbrokercount", "Fenced brokers",
            static_cast<double>(metrics.fenced_brokers));
  out.gauge("kafka_controller_kafkacontroller_globaltopiccount", "Topics",
            static_cast<double>(metrics.topics));
}

const char* quorum_state(const node::NodeMetrics& metrics) {
  if (!metrics.is_voter) return "observer";
  if (metrics.quorum_leader < 0) return "unattached";
  return metrics.quorum_leader == metrics.node_id.value ? "leader" : "follower";
}

void add_quorum(Families& out, const node::NodeMetrics& metrics) {
  out.gauge("kafka_server_raftmetrics_current_leader", "Leader of the metadata quorum",
            metrics.quorum_leader);
  out.gauge("kafka_server_raftmetrics_current_vote", "Voted for in the current epoch; -1: nobody",
            metrics.quorum_vote);
  out.gauge("kafka_server_raftmetrics_current_epoch", "Epoch of the metadata quorum",
            metrics.quorum_epoch);
  out.gauge("kafka_server_raftmetrics_high_watermark", "Committed end of the metadata log",
            static_cast<double>(metrics.quorum_high_watermark));
  out.gauge("kafka_server_raftmetrics_log_end_offset", "End of the metadata log",
            static_cast<double>(metrics.quorum_log_end_offset));
  out.gauge("kafka_server_raftmetrics_current_state", "State in the metadata quorum", 1,
            {{"current_state", quorum_state(metrics)}});
}

void add_groups(Families& out, const coordinator::group::GroupMetrics& groups,
                const replication::MetricsSnapshot& snapshot) {
  out.gauge("kafka_coordinator_group_groupmetadatamanager_numgroups", "Groups coordinated here",
            static_cast<double>(groups.groups));
  out.gauge("kafka_coordinator_group_groupmetadatamanager_numoffsets", "Committed offsets",
            static_cast<double>(groups.offsets.size()));
  if (groups.offsets.size() > kMaxPartitionSeries) return;
  const auto labels = [](const coordinator::group::OffsetGauge& o) {
    return Labels{
        {"consumergroup", o.group}, {"topic", o.topic}, {"partition", std::to_string(o.partition)}};
  };
  for (const auto& offset : groups.offsets) {
    out.gauge("kafka_consumergroup_current_offset", "Offset committed by a group",
              static_cast<double>(offset.offset), labels(offset));
  }
  // Lag is known where this broker leads the partition too.
  std::map<std::pair<std::string, std::int32_t>, std::int64_t> ends;
  for (const auto& p : snapshot.partitions) {
    if (p.leader) ends[{p.topic, p.partition}] = p.high_watermark.value;
  }
  for (const auto& offset : groups.offsets) {
    const auto end = ends.find({offset.topic, offset.partition});
    if (end == ends.end()) continue;
    out.gauge("kafka_consumergroup_lag", "Records between a group's offset and the high watermark",
              static_cast<double>(std::max<std::int64_t>(0, end->second - offset.offset)),
              labels(offset));
  }
}

/// Whoever has a quota, with what was used of it.
void add_quotas(Families& out, const std::vector<server::ClientQuotas::Usage>& quotas) {
  using server::QuotaKind;
  const auto labels = [](const server::ClientQuotas::Usage& usage) -> Labels {
    const char* resource = usage.kind == QuotaKind::kProduce ? "Produce"
                           : usage.kind == QuotaKind::kFetch ? "Fetch"
                                                             : "Request";
    return {{"resource", resource}, {"user", usage.user}, {"clientId", usage.client_id}};
  };
  for (const auto& usage : quotas)
    if (usage.kind != QuotaKind::kRequest)
      out.gauge("kafka_server_quota_byte_rate", "Bytes per second of clients that share a quota",
                usage.per_second, labels(usage));
  for (const auto& usage : quotas)
    if (usage.kind == QuotaKind::kRequest)
      out.gauge("kafka_server_quota_request_time",
                "Percent of a core spent on requests of clients that share a quota",
                usage.per_second, labels(usage));
  for (const auto& usage : quotas)
    out.gauge("kafka_server_quota_throttle_time",
              "Milliseconds that clients above their quota were told to wait, on average",
              usage.average_throttle_ms, labels(usage));
}

void add_listeners(Families& out, const node::Node& node) {
  struct Series {
    const char* name;
    const char* help;
    bool counter;
    server::Counter server::ListenerMetrics::*cell;
  };
  static constexpr Series kSeries[] = {
      {"kafka_server_socket_server_metrics_connection_count", "Open connections", false,
       &server::ListenerMetrics::connections_active},
      {"kafka_server_socket_server_metrics_connection_creation_total", "Accepted connections", true,
       &server::ListenerMetrics::connections_accepted},
      {"kafka_server_socket_server_metrics_successful_authentication_total",
       "Successful authentications", true, &server::ListenerMetrics::authentication_successes},
      {"kafka_server_socket_server_metrics_failed_authentication_total", "Failed authentications",
       true, &server::ListenerMetrics::authentication_failures},
      {"kafka_server_socket_server_metrics_successful_reauthentication_total",
       "Successful re-authentications", true, &server::ListenerMetrics::reauthentication_successes},
      {"kafka_server_socket_server_metrics_failed_reauthentication_total",
       "Failed re-authentications", true, &server::ListenerMetrics::reauthentication_failures},
      {"kafka_server_socket_server_metrics_expired_connections_killed_count",
       "Connections closed because they went on without re-authenticating", true,
       &server::ListenerMetrics::expired_connections_killed},
      {"kafka_server_socket_server_metrics_request_total", "Requests", true,
       &server::ListenerMetrics::requests},
      {"kafka_server_socket_server_metrics_incoming_byte_total", "Bytes received", true,
       &server::ListenerMetrics::bytes_received},
      {"kafka_server_socket_server_metrics_outgoing_byte_total", "Bytes sent", true,
       &server::ListenerMetrics::bytes_sent},
      {"millrace_server_handshake_failures_total", "Failed TLS handshakes", true,
       &server::ListenerMetrics::handshake_failures},
      {"millrace_server_malformed_requests_total", "Connections closed over an unreadable request",
       true, &server::ListenerMetrics::malformed_requests},
  };
  for (const Series& series : kSeries) {
    for (const auto& listener : node.config().listeners.listeners) {
      const double value =
          static_cast<double>((node.listener_metrics(listener.name).*series.cell).value());
      const Labels labels{{"listener", listener.name}};
      if (series.counter) {
        out.counter(series.name, series.help, value, labels);
      } else {
        out.gauge(series.name, series.help, value, labels);
      }
    }
  }
}

void add_process(Families& out) {
  const std::string io = read_proc("/proc/self/io");
  out.counter("kafka_server_kafkaserver_linux_disk_read_bytes", "Bytes read from disk",
              proc_value(io, "\nread_bytes: "));
  out.counter("kafka_server_kafkaserver_linux_disk_write_bytes", "Bytes written to disk",
              proc_value(io, "\nwrite_bytes: "));
  std::error_code error;
  double fds = 0;
  for (auto it = std::filesystem::directory_iterator("/proc/self/fd", error);
       !error && it != std::filesystem::directory_iterator(); it.increment(error)) {
    ++fds;
  }
  out.gauge("process_open_fds", "Open file descriptors", fds);
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
    out.gauge("process_max_fds", "Limit of open file descriptors",
              static_cast<double>(limit.rlim_cur));
  rusage usage{};
  if (getrusage(RUSAGE_SELF, &usage) == 0) {
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    out.counter("process_cpu_seconds_total", "CPU time, user and system",
                seconds(usage.ru_utime) + seconds(usage.ru_stime));
  }
  out.gauge("process_resident_memory_bytes", "Resident memory",
            proc_value(read_proc("/proc/self/status"), "VmRSS:") * 1024);
}

}  // namespace

std::string metrics_text(const node::Node& node, const node::NodeMetrics* metrics,
                         MetricsHistory& history) {
  Families out;
  if (metrics != nullptr) {
    out.gauge("kafka_broker_info", "1", 1,
              {{"id", std::to_string(metrics->node_id.value)},
               {"cluster_id", metrics->cluster_id},
               {"version", kVersion}});
    if (node.config().is_broker) {
      add_replica_manager(out, metrics->replication);
      add_cleaner(out, metrics->replication);
    }
    add_directories(out, *metrics);
    if (metrics->is_controller) add_controller(out, *metrics);
    add_quorum(out, *metrics);
    if (node.config().is_broker) add_groups(out, metrics->groups, metrics->replication);
    add_quotas(out, metrics->quotas);
    add_listeners(out, node);
    MetricsSample now = sample_of(node, *metrics);
    add_rates(out, *metrics, now, history);
    add_requests(out, node, now, history);
    history.add(std::move(now));
    add_topics(out, metrics->replication);
    add_partitions(out, metrics->replication);
  }
  add_process(out);
  return prometheus::TextSerializer().Serialize(out.all());
}

}  // namespace broker::app
