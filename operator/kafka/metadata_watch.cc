#include "operator/kafka/metadata_watch.h"

#include <algorithm>

#include "broker/common/log.h"
#include "broker/protocol/frame.h"
#include "broker/protocol/messages/describe_cluster_request.h"
#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_snapshot_request.h"

namespace op::kafka {
namespace {

using broker::Error;
using broker::ErrorCode;
using broker::LeaderEpoch;
using broker::Offset;
using broker::Result;
namespace protocol = broker::protocol;

constexpr const char* kLogger = "kafka";
constexpr const char* kTopicName = "__cluster_metadata";
constexpr std::int8_t kControllerEndpoints = 2;
// While records wait for the high watermark: nodes before Fetch v18 do not answer when it moves.
constexpr std::int32_t kUncommittedWaitMs = 50;
constexpr int kRetriesAtOnce = 2;
// An answer without news after less than this was not waited for: asking again at once would spin.
constexpr broker::Duration kWaited = std::chrono::milliseconds(25);
constexpr int kFailuresWhenUnreadable = 10;

template <class Endpoints>
std::optional<broker::io::Endpoint> endpoint_of(std::int32_t id, const Endpoints& endpoints) {
  for (const auto& node : endpoints) {
    if (node.node_id == id && node.port > 0) {
      return broker::io::Endpoint{node.host, static_cast<std::uint16_t>(node.port)};
    }
  }
  return std::nullopt;
}

std::string explain(ErrorCode code) {
  switch (code) {
    case ErrorCode::kClusterAuthorizationFailed:
      return "is not allowed to read the metadata log (CLUSTER_ACTION on the cluster is needed)";
    case ErrorCode::kUnknownTopicOrPartition:
    case ErrorCode::kUnknownTopicId:
    case ErrorCode::kMismatchedEndpointType:
    case ErrorCode::kUnsupportedEndpointType:
      return "answers as a broker: this is no controller listener";
    default:
      return "was answered " + std::string(broker::error_name(code));
  }
}

}  // namespace

MetadataWatch::MetadataWatch(broker::io::Strand& strand, broker::io::Transport& transport,
                             broker::client::ReconnectOptions controllers, WatchOptions options,
                             WatchEvents events)
    : strand_(strand),
      options_(options),
      events_(std::move(events)),
      controller_count_(controllers.bootstrap.size()),
      client_(strand, transport, std::move(controllers)) {}

MetadataWatch::~MetadataWatch() { strand_.cancel(timer_); }

void MetadataWatch::step() {
  if (!cluster_known_) return describe_cluster();
  if (replay_.snapshot()) return fetch_snapshot();
  fetch();
}

/// The first retries are at once: finding the leader takes two requests.
void MetadataWatch::step_after_backoff() {
  const int n = failures_++;
  if (n < kRetriesAtOnce) return step();
  const auto delay = std::min<broker::Duration>(
      options_.max_backoff, options_.min_backoff * (1 << std::min(n - kRetriesAtOnce, 10)));
  timer_ = strand_.call_after(delay, [this] {
    timer_ = broker::io::kNoTimer;
    step();
  });
}

// --- which cluster is it ---

void MetadataWatch::describe_cluster() {
  protocol::DescribeClusterRequest request;
  request.endpoint_type = kControllerEndpoints;
  client_.call(std::move(request), [this](Result<protocol::DescribeClusterResponse> response) {
    if (response.ok()) return on_cluster(*response);
    if (response.code() != ErrorCode::kUnsupportedVersion) return on_call_failed(response.error());
    on_cluster({});  // this node does not tell
  });
}

void MetadataWatch::on_cluster(const protocol::DescribeClusterResponse& response) {
  if (response.error_code != 0) {
    return on_refused(protocol::error_from_wire(response.error_code), {});
  }
  if (cluster_id_ && *cluster_id_ != response.cluster_id) {
    broker::log_warn(kLogger, "another cluster answers",
                     {{"was", *cluster_id_}, {"is", response.cluster_id}});
    leader_epoch_ = 0;
    start_over("another cluster answers");
  }
  cluster_known_ = true;
  cluster_id_ = response.cluster_id;
  events_.on_cluster_id(response.cluster_id);
  step();
}

// --- the log ---

void MetadataWatch::fetch() {
  protocol::FetchRequest request;
  if (!cluster_id_->empty()) request.cluster_id = cluster_id_;
  if (replay_.has_uncommitted() || high_watermark_.value < 0) {
    request.max_wait_ms = kUncommittedWaitMs;
  } else if (synced_) {
    request.max_wait_ms = static_cast<std::int32_t>(options_.max_wait.count());
  }  // else at once: that there is no news is news, too
  request.max_bytes = options_.max_bytes;
  auto& topic = request.topics.emplace_back();
  topic.topic_id = broker::kMetadataTopicId;
  auto& partition = topic.partitions.emplace_back();
  partition.current_leader_epoch = leader_epoch_;
  partition.fetch_offset = replay_.next_offset().value;
  partition.last_fetched_epoch = replay_.last_epoch().value;
  partition.partition_max_bytes = options_.max_bytes;
  partition.high_watermark = high_watermark_.value;
  const auto timeout = std::chrono::milliseconds(request.max_wait_ms) + options_.answer_margin;
  asked_at_ = strand_.now();
  client_.call(
      std::move(request),
      [this](Result<protocol::FetchResponse> response) {
        if (!response.ok()) return on_call_failed(response.error());
        on_fetch(std::move(*response));
      },
      timeout);
}

void MetadataWatch::on_fetch(protocol::FetchResponse response) {
  if (response.error_code != 0) {
    return on_refused(protocol::error_from_wire(response.error_code), {});
  }
  if (response.responses.size() != 1 || response.responses[0].partitions.size() != 1) {
    return on_refused(ErrorCode::kUnknownTopicOrPartition, {});
  }
  PartitionData& partition = response.responses[0].partitions[0];
  if (partition.error_code != 0) {
    const auto& leader = partition.current_leader;
    return on_refused(protocol::error_from_wire(partition.error_code),
                      {leader.leader_id, leader.leader_epoch,
                       endpoint_of(leader.leader_id, response.node_endpoints)});
  }
  behind_ = 0;
  if (partition.diverging_epoch.end_offset >= 0) return on_diverging(partition);
  if (partition.snapshot_id.end_offset >= 0) {
    broker::log_info(kLogger, "reading a metadata snapshot",
                     {{"node", broker::io::to_string(client_.endpoint())},
                      {"end_offset", partition.snapshot_id.end_offset}});
    const SnapshotId id{Offset{partition.snapshot_id.end_offset},
                        LeaderEpoch{partition.snapshot_id.epoch}};
    start_over("reading a snapshot");
    replay_.begin_snapshot(id);
    return step();
  }
  on_records(std::move(partition));
}

void MetadataWatch::on_records(PartitionData partition) {
  const bool waited = strand_.now() - asked_at_ >= kWaited;
  const bool news = (partition.records && !partition.records->empty()) ||
                    partition.high_watermark != high_watermark_.value;
  if (news) {
    if (auto appended = replay_.append(partition.records.value_or(broker::Slice()));
        !appended.ok()) {
      start_over(appended.error().detail);
      return step_after_backoff();
    }
  }
  // A new leader does not know it before it has committed something itself.
  if (partition.high_watermark >= 0) high_watermark_ = Offset{partition.high_watermark};
  auto update = replay_.commit(high_watermark_);
  if (!update.ok()) {
    broker::log_error(
        kLogger, "the metadata log cannot be replayed",
        {{"offset", replay_.replayed_to().value}, {"error", to_string(update.error())}});
    // Soon again would fail again: newer software wrote it, or it is damaged.
    failures_ = std::max(failures_, kFailuresWhenUnreadable);
    start_over("the metadata log cannot be replayed: " + to_string(update.error()));
    return step_after_backoff();
  }
  if (*update && complete_) {
    publish(std::move(**update));
  } else if (*update) {
    first_ = std::move(**update);
  }
  progress();
  if (!news && !waited) return step_after_backoff();
  failures_ = 0;
  step();
}

/// The image is complete, and in step, when it has reached the high watermark.
void MetadataWatch::progress() {
  const bool in_step = high_watermark_.value >= 0 && replay_.replayed_to() >= high_watermark_;
  if (in_step && !complete_ && first_) publish(std::move(*std::exchange(first_, std::nullopt)));
  if (in_step && complete_) return set_state(true, "");
  if (replay_.replayed_to() < high_watermark_) {
    return set_state(false,
                     "replaying the metadata log: " + std::to_string(replay_.replayed_to().value) +
                         " of " + std::to_string(high_watermark_.value));
  }
  set_state(false, "the quorum's leader does not know yet what is committed");
}

void MetadataWatch::publish(broker::metadata::MetadataUpdate update) {
  const bool resynchronised = !std::exchange(complete_, true);
  events_.on_image(update, resynchronised);
}

void MetadataWatch::on_diverging(const PartitionData& partition) {
  const Offset before = replay_.next_offset();
  const auto& end = partition.diverging_epoch;
  const auto truncated = replay_.truncate(LeaderEpoch{end.epoch}, Offset{end.end_offset});
  if (!truncated.ok() || replay_.next_offset() == before) {
    const std::string why =
        truncated.ok() ? "the log does not continue ours" : truncated.error().detail;
    broker::log_warn(kLogger, "reading the metadata log from the beginning", {{"why", why}});
    start_over(why);
  }
  step_after_backoff();
}

// --- a snapshot ---

void MetadataWatch::fetch_snapshot() {
  protocol::FetchSnapshotRequest request;
  if (!cluster_id_->empty()) request.cluster_id = cluster_id_;
  request.max_bytes = options_.max_bytes;
  auto& topic = request.topics.emplace_back();
  topic.name = kTopicName;
  auto& partition = topic.partitions.emplace_back();
  partition.current_leader_epoch = leader_epoch_;
  partition.snapshot_id = {replay_.snapshot()->end_offset.value, replay_.snapshot()->epoch.value};
  partition.position = replay_.snapshot_position();
  client_.call(std::move(request), [this](Result<protocol::FetchSnapshotResponse> response) {
    if (response.ok()) return on_snapshot(std::move(*response));
    replay_ = LogReplay();  // another node's snapshot need not have the same bytes
    on_call_failed(response.error());
  });
}

void MetadataWatch::on_snapshot(protocol::FetchSnapshotResponse response) {
  const bool one = response.topics.size() == 1 && response.topics[0].partitions.size() == 1;
  auto error = protocol::error_from_wire(response.error_code);
  Leader leader;
  if (error == ErrorCode::kNone && one) {
    const auto& partition = response.topics[0].partitions[0];
    error = protocol::error_from_wire(partition.error_code);
    leader = {partition.current_leader.leader_id, partition.current_leader.leader_epoch,
              endpoint_of(partition.current_leader.leader_id, response.node_endpoints)};
  }
  if (error == ErrorCode::kNone && one) {
    return on_snapshot_bytes(std::move(response.topics[0].partitions[0]));
  }
  replay_ = LogReplay();
  if (error == ErrorCode::kSnapshotNotFound || error == ErrorCode::kPositionOutOfRange) {
    return step_after_backoff();  // a newer one has replaced it
  }
  on_refused(error == ErrorCode::kNone ? ErrorCode::kUnknownTopicOrPartition : error, leader);
}

void MetadataWatch::on_snapshot_bytes(protocol::FetchSnapshotResponse::PartitionSnapshot slice) {
  const bool stuck = slice.unaligned_records.empty() && slice.size > replay_.snapshot_position();
  Result<void> taken = stuck ? Error{ErrorCode::kCorruptMessage, "an empty slice of a snapshot"}
                             : replay_.append_snapshot(std::move(slice.unaligned_records));
  if (taken.ok() && replay_.snapshot_position() < slice.size) {
    set_state(false, "reading a snapshot: " + std::to_string(replay_.snapshot_position()) + " of " +
                         std::to_string(slice.size) + " bytes");
    return step();
  }
  auto update =
      taken.ok() ? replay_.end_snapshot() : Result<broker::metadata::MetadataUpdate>(taken.error());
  if (!update.ok()) {
    broker::log_error(kLogger, "a metadata snapshot cannot be replayed",
                      {{"error", to_string(update.error())}});
    failures_ = std::max(failures_, kFailuresWhenUnreadable);
    start_over("a metadata snapshot cannot be replayed: " + to_string(update.error()));
    return step_after_backoff();
  }
  failures_ = 0;
  first_ = std::move(*update);
  // What a snapshot contains was committed.
  high_watermark_ = std::max(high_watermark_, replay_.replayed_to());
  step();
}

// --- what goes wrong ---

void MetadataWatch::start_over(const std::string& why) {
  replay_ = LogReplay();
  complete_ = false;
  first_.reset();
  high_watermark_ = Offset{-1};
  set_state(false, why);
}

void MetadataWatch::on_call_failed(const Error& error) {
  set_state(false, error.code == ErrorCode::kUnsupportedVersion
                       ? error.detail + ": the metadata log cannot be read there"
                       : error.detail);
  // Frozen, or talking nonsense; a lost connection is replaced by itself.
  if (error.code == ErrorCode::kRequestTimedOut || error.code == ErrorCode::kCorruptMessage ||
      error.code == ErrorCode::kUnsupportedVersion) {
    client_.move_on();
  }
  // The call has waited for a connection as long as it could, and goes on doing so.
  if (error.code == ErrorCode::kBrokerNotAvailable) return step();
  step_after_backoff();
}

void MetadataWatch::on_refused(ErrorCode code, const Leader& leader) {
  switch (code) {
    case ErrorCode::kFencedLeaderEpoch:
      if (leader.epoch <= leader_epoch_) {
        follow(leader);
      } else {
        leader_epoch_ = leader.epoch;  // asked again, this node tells whether it leads
      }
      break;
    case ErrorCode::kUnknownLeaderEpoch:
    case ErrorCode::kNotLeaderOrFollower:
    case ErrorCode::kBrokerNotAvailable:
      follow(leader);
      break;
    case ErrorCode::kInconsistentClusterId:
      cluster_known_ = false;
      break;
    default:
      set_state(false, "the request to " + broker::io::to_string(client_.endpoint()) + " " +
                           explain(code));
      client_.move_on();
  }
  step_after_backoff();
}

void MetadataWatch::follow(const Leader& leader) {
  set_state(false, leader.id < 0
                       ? "the controller quorum has no leader"
                       : "looking for the quorum's leader, node " + std::to_string(leader.id));
  if (leader.epoch >= 0 && leader.epoch < leader_epoch_) {
    // A node that was cut off from the others. Only when none knows better was the quorum made
    // anew.
    if (static_cast<std::size_t>(++behind_) < 3 * controller_count_ + 5) return client_.move_on();
    behind_ = 0;
  }
  if (leader.epoch >= 0) leader_epoch_ = leader.epoch;
  client_.move_on(leader.endpoint);
}

void MetadataWatch::set_state(bool synced, std::string problem) {
  if (synced == synced_ && problem == problem_) return;
  if (synced != synced_) {
    broker::log_info(kLogger,
                     synced ? "in step with the metadata log" : "out of step with the metadata log",
                     {{"node", broker::io::to_string(client_.endpoint())},
                      {"offset", replay_.replayed_to().value},
                      {"why", problem}});
  }
  synced_ = synced;
  problem_ = std::move(problem);
  events_.on_state(synced_, problem_);
}

}  // namespace op::kafka
