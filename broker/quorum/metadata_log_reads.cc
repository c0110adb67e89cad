// What followers and observers ask of the log: Fetch, FetchSnapshot and DescribeQuorum as KRaft
// answers them.
#include <algorithm>

#include "broker/protocol/messages/describe_quorum_request.h"
#include "broker/protocol/messages/describe_quorum_response.h"
#include "broker/protocol/messages/fetch_snapshot_request.h"
#include "broker/protocol/messages/fetch_snapshot_response.h"
#include "broker/quorum/metadata_log.h"
#include "broker/quorum/parked_fetch.h"

namespace broker::quorum {
namespace {

constexpr std::string_view kTopicName = "__cluster_metadata";

std::int16_t wire(ErrorCode code) { return static_cast<std::int16_t>(code); }

/// How far an answer to an epoch question (KIP-595) differs from what the reader has.
bool diverges(const std::optional<storage::EpochEnd>& end, LeaderEpoch epoch, Offset offset) {
  return !end || end->epoch != epoch || end->end_offset < offset;
}

}  // namespace

void MetadataLog::name_leader(protocol::FetchResponse& response, std::int16_t version) const {
  auto& partition = response.responses.front().partitions.front();
  partition.current_leader = {leader_ ? options_.node_id.value : -1, epoch_.value};
  if (!leader_ || version < 16) return;
  const Voter* self = voters_.find(options_.node_id, options_.directory_id);
  response.node_endpoints.push_back(
      {self->id.value, self->endpoint.host, self->endpoint.port, std::nullopt});
}

/// Fills the answer; false when there is nothing to say yet.
bool MetadataLog::answer_fetch(const protocol::FetchRequest& request,
                               protocol::FetchResponse& response) {
  const auto& wanted = request.topics.front().partitions.front();
  auto& partition = response.responses.front().partitions.front();
  const Offset offset{wanted.fetch_offset};
  partition.log_start_offset = log_->log_start_offset().value;
  partition.high_watermark = high_watermark_.value;
  partition.last_stable_offset = high_watermark_.value;
  partition.records = Slice();

  const auto refuse = [&](ErrorCode error) {
    partition.error_code = wire(error);
    partition.high_watermark = -1;
    return true;
  };
  if (!leader_) return refuse(ErrorCode::kNotLeaderOrFollower);
  if (wanted.current_leader_epoch >= 0 && wanted.current_leader_epoch < epoch_.value) {
    return refuse(ErrorCode::kFencedLeaderEpoch);
  }
  if (wanted.current_leader_epoch > epoch_.value) return refuse(ErrorCode::kUnknownLeaderEpoch);
  if (offset.value < 0 || wanted.last_fetched_epoch < 0 ||
      wanted.last_fetched_epoch > epoch_.value) {
    return refuse(ErrorCode::kInvalidRequest);
  }

  const LeaderEpoch last_epoch{wanted.last_fetched_epoch};
  const bool at_log_start = snapshot_ && offset == snapshot_->end_offset;
  if (snapshot_ &&
      (offset.value == 0 || offset < log_->log_start_offset() ||
       last_epoch < log_->epoch_for_offset(log_->log_start_offset()).value_or(LeaderEpoch{0}))) {
    partition.snapshot_id = {snapshot_->end_offset.value, snapshot_->epoch.value};
    return true;
  }
  const bool matches_snapshot = at_log_start && last_epoch == snapshot_->epoch;
  if (offset.value > 0 && !matches_snapshot) {
    const auto end = log_->end_offset_for_epoch(last_epoch);
    if (diverges(end, last_epoch, offset)) {
      const auto last = end.value_or(storage::EpochEnd{LeaderEpoch{0}, Offset{0}});
      partition.diverging_epoch = {last.epoch.value, last.end_offset.value};
      return true;
    }
  }
  if (offset < high_watermark_) {
    const auto max_bytes = static_cast<std::size_t>(
        std::max(1, std::min({request.max_bytes, options_.fetch_max_bytes})));
    auto read = log_->read(offset, high_watermark_, max_bytes, true);
    if (!read.ok()) return refuse(read.error().code);
    partition.records = std::move(read->records);
    return true;
  }
  // The reader may have the records, but not know yet that they are committed (KIP-1166).
  return high_watermark_.value > wanted.high_watermark;
}

void MetadataLog::fetch(const protocol::FetchRequest& request, std::int16_t version,
                        UniqueFunction<void(protocol::FetchResponse)> done) {
  ports_.strand.check_current();
  protocol::FetchResponse response;
  const bool one_partition = request.topics.size() == 1 &&
                             request.topics.front().partitions.size() == 1 &&
                             request.topics.front().partitions.front().partition == 0;
  // Only topic ids name the log: readers older than version 13 know no quorum.
  if (version < 13 || !one_partition || request.topics.front().topic_id != kMetadataTopicId) {
    response.error_code = wire(ErrorCode::kInvalidRequest);
    return done(std::move(response));
  }
  if (request.cluster_id && *request.cluster_id != options_.cluster_id) {
    response.error_code = wire(ErrorCode::kInconsistentClusterId);
    return done(std::move(response));
  }
  auto& topic = response.responses.emplace_back();
  topic.topic_id = kMetadataTopicId;
  topic.partitions.emplace_back();
  note_observer(request);
  if (answer_fetch(request, response) || request.max_wait_ms <= 0) {
    name_leader(response, version);
    return done(std::move(response));
  }
  auto& parked = parked_.emplace_back(ParkedFetch{request, version, std::move(done)});
  parked.timer = ports_.strand.call_after(std::chrono::milliseconds(request.max_wait_ms),
                                          [this, alive = alive_, it = std::prev(parked_.end())] {
                                            if (!*alive) return;
                                            it->request.max_wait_ms = 0;
                                            it->timer = io::kNoTimer;
                                            wake_fetches();
                                          });
}

void MetadataLog::wake_fetches() {
  std::list<ParkedFetch> ready;
  for (auto it = parked_.begin(); it != parked_.end();) {
    protocol::FetchResponse probe;
    probe.responses.emplace_back().partitions.emplace_back();
    const auto next = std::next(it);
    if (answer_fetch(it->request, probe) || it->request.max_wait_ms <= 0) {
      ports_.strand.cancel(it->timer);
      ready.splice(ready.end(), parked_, it);
    }
    it = next;
  }
  for (auto& parked : ready) {
    protocol::FetchResponse response;
    auto& topic = response.responses.emplace_back();
    topic.topic_id = kMetadataTopicId;
    topic.partitions.emplace_back();
    answer_fetch(parked.request, response);
    name_leader(response, parked.version);
    parked.done(std::move(response));
  }
}

void MetadataLog::note_observer(const protocol::FetchRequest& request) {
  const std::int32_t id =
      request.replica_state.replica_id >= 0 ? request.replica_state.replica_id : request.replica_id;
  // -1 is a reader that belongs to no node, such as an operator.
  if (id < 0 || BrokerId{id} == options_.node_id) return;
  const auto& wanted = request.topics.front().partitions.front();
  Observer& observer = observers_[BrokerId{id}];
  observer.directory_id = wanted.replica_directory_id;
  observer.log_end_offset = Offset{wanted.fetch_offset};
  observer.last_fetch = ports_.strand.wall_now();
  if (observer.log_end_offset >= log_->log_end_offset()) {
    observer.last_caught_up = observer.last_fetch;
  }
}

protocol::FetchSnapshotResponse MetadataLog::fetch_snapshot(
    const protocol::FetchSnapshotRequest& request) {
  ports_.strand.check_current();
  protocol::FetchSnapshotResponse response;
  if (request.cluster_id && *request.cluster_id != options_.cluster_id) {
    response.error_code = wire(ErrorCode::kInconsistentClusterId);
    return response;
  }
  if (request.topics.size() != 1 || request.topics.front().partitions.size() != 1) {
    response.error_code = wire(ErrorCode::kInvalidRequest);
    return response;
  }
  const auto& topic = request.topics.front();
  const auto& wanted = topic.partitions.front();
  auto& out_topic = response.topics.emplace_back();
  out_topic.name = topic.name;
  auto& out = out_topic.partitions.emplace_back();
  out.index = wanted.partition;
  out.snapshot_id = {wanted.snapshot_id.end_offset, wanted.snapshot_id.epoch};
  out.current_leader = {leader_ ? options_.node_id.value : -1, epoch_.value};
  const auto refuse = [&](ErrorCode error) {
    out.error_code = wire(error);
    return response;
  };
  if (topic.name != kTopicName || wanted.partition != 0) {
    return refuse(ErrorCode::kUnknownTopicOrPartition);
  }
  if (!leader_) return refuse(ErrorCode::kNotLeaderOrFollower);
  if (wanted.current_leader_epoch < epoch_.value) return refuse(ErrorCode::kFencedLeaderEpoch);
  if (wanted.current_leader_epoch > epoch_.value) return refuse(ErrorCode::kUnknownLeaderEpoch);
  // The checkpoint of formatting (0-0) is this disk's own and never handed out.
  const storage::SnapshotId id{Offset{wanted.snapshot_id.end_offset},
                               LeaderEpoch{wanted.snapshot_id.epoch}};
  if (id.end_offset.value == 0) return refuse(ErrorCode::kSnapshotNotFound);
  auto reader = storage::SnapshotFileReader::open(ports_.files, log_->directory(), id);
  if (!reader.ok()) return refuse(reader.error().code);
  const auto size = static_cast<std::int64_t>(reader->size_bytes());
  if (wanted.position < 0 || wanted.position >= size) {
    return refuse(ErrorCode::kPositionOutOfRange);
  }
  const std::size_t max_bytes =
      static_cast<std::size_t>(std::max(1, std::min(request.max_bytes, options_.fetch_max_bytes)));
  auto bytes = reader->read(static_cast<std::uint64_t>(wanted.position), max_bytes);
  if (!bytes.ok()) return refuse(bytes.error().code);
  out.size = size;
  out.position = wanted.position;
  out.unaligned_records = std::move(*bytes);
  return response;
}

protocol::DescribeQuorumResponse MetadataLog::describe_quorum(
    const protocol::DescribeQuorumRequest& request) const {
  ports_.strand.check_current();
  protocol::DescribeQuorumResponse response;
  if (request.topics.size() != 1 || request.topics.front().topic_name != kTopicName ||
      request.topics.front().partitions.size() != 1 ||
      request.topics.front().partitions.front().partition_index != 0) {
    response.error_code = wire(ErrorCode::kInvalidRequest);
    return response;
  }
  auto& topic = response.topics.emplace_back();
  topic.topic_name = kTopicName;
  auto& partition = topic.partitions.emplace_back();
  if (!leader_) {
    partition.error_code = wire(ErrorCode::kNotLeaderOrFollower);
    return response;
  }
  partition.leader_id = options_.node_id.value;
  partition.leader_epoch = epoch_.value;
  partition.high_watermark = high_watermark_.value;
  const WallMs now = ports_.strand.wall_now();
  for (const Voter& voter : voters_.voters) {
    partition.current_voters.push_back(
        {voter.id.value, voter.directory_id, log_->log_end_offset().value, now, now});
    response.nodes.push_back(
        {voter.id.value, {{voter.listener, voter.endpoint.host, voter.endpoint.port}}});
  }
  for (const auto& [id, observer] : observers_) {
    partition.observers.push_back({id.value, observer.directory_id, observer.log_end_offset.value,
                                   observer.last_fetch, observer.last_caught_up});
  }
  return response;
}

}  // namespace broker::quorum
