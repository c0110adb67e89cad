// What followers and observers ask of the log: Fetch, FetchSnapshot and DescribeQuorum as KRaft
// answers them.
#include <algorithm>

#include "broker/protocol/messages/describe_quorum_request.h"
#include "broker/protocol/messages/describe_quorum_response.h"
#include "broker/quorum/metadata_log_parts.h"

namespace broker::quorum {
namespace {

/// How far an answer to an epoch question (KIP-595) differs from what the reader has.
bool diverges(const std::optional<storage::EpochEnd>& end, LeaderEpoch epoch, Offset offset) {
  return !end || end->epoch != epoch || end->end_offset < offset;
}

/// Who reads. An id of -1 is a reader that belongs to no node, such as an operator.
ReplicaKey reader_of(const protocol::FetchRequest& request) {
  const std::int32_t id =
      request.replica_state.replica_id >= 0 ? request.replica_state.replica_id : request.replica_id;
  return {BrokerId{id}, request.topics.front().partitions.front().replica_directory_id};
}

}  // namespace

void MetadataLog::name_leader(protocol::FetchResponse& response, std::int16_t version) const {
  auto& partition = response.responses.front().partitions.front();
  const LeaderAndEpoch known = leader();
  partition.current_leader = {known.leader ? known.leader->value : -1, known.epoch.value};
  if (!known.endpoint || version < 16) return;
  response.node_endpoints.push_back(
      {known.leader->value, known.endpoint->host, known.endpoint->port, std::nullopt});
}

/// Whether what the reader has is a beginning of this log. If not, the answer says what to do.
MetadataLog::Position MetadataLog::check_position(const protocol::FetchRequest& request,
                                                  protocol::FetchResponse& response) const {
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
    return Position::kRefused;
  };
  if (!running()) return refuse(ErrorCode::kBrokerNotAvailable);
  if (wanted.current_leader_epoch >= 0 && wanted.current_leader_epoch < epoch().value) {
    return refuse(ErrorCode::kFencedLeaderEpoch);
  }
  if (wanted.current_leader_epoch > epoch().value) return refuse(ErrorCode::kUnknownLeaderEpoch);
  if (!leads()) return refuse(ErrorCode::kNotLeaderOrFollower);
  if (offset.value < 0 || wanted.last_fetched_epoch < 0 ||
      wanted.last_fetched_epoch > epoch().value) {
    return refuse(ErrorCode::kInvalidRequest);
  }

  const LeaderEpoch last_epoch{wanted.last_fetched_epoch};
  if (snapshot_ &&
      (offset.value == 0 || offset < log_->log_start_offset() ||
       last_epoch < log_->epoch_for_offset(log_->log_start_offset()).value_or(LeaderEpoch{0}))) {
    const bool matches = offset == snapshot_->end_offset && last_epoch == snapshot_->epoch;
    if (!matches) {
      partition.snapshot_id = {snapshot_->end_offset.value, snapshot_->epoch.value};
      return Position::kElsewhere;
    }
  }
  const bool at_snapshot =
      snapshot_ && offset == snapshot_->end_offset && last_epoch == snapshot_->epoch;
  if (offset.value > 0 && !at_snapshot) {
    const auto end = log_->end_offset_for_epoch(last_epoch);
    if (diverges(end, last_epoch, offset)) {
      const auto last = end.value_or(storage::EpochEnd{LeaderEpoch{0}, Offset{0}});
      partition.diverging_epoch = {last.epoch.value, last.end_offset.value};
      return Position::kElsewhere;
    }
  }
  return Position::kValid;
}

/// Fills in records; false when there is nothing to say yet.
bool MetadataLog::read_into(const protocol::FetchRequest& request,
                            protocol::FetchResponse& response) {
  const auto& wanted = request.topics.front().partitions.front();
  auto& partition = response.responses.front().partitions.front();
  const Offset offset{wanted.fetch_offset};
  // Followers must have what is not committed yet, for it to become so.
  const Offset end =
      core_->voter_of(reader_of(request)) != nullptr ? log_->log_end_offset() : high_watermark_;
  if (offset < end) {
    const auto max_bytes = static_cast<std::size_t>(
        std::max(1, std::min({request.max_bytes, options_.fetch_max_bytes})));
    auto read = log_->read(offset, end, max_bytes, true);
    if (!read.ok()) {
      partition.error_code = wire(read.error().code);
      partition.high_watermark = -1;
      return true;
    }
    partition.records = std::move(read->records);
    return true;
  }
  // The reader may have the records, but not know yet that they are committed (KIP-1166).
  return high_watermark_.value > wanted.high_watermark;
}

bool MetadataLog::answer_fetch(const protocol::FetchRequest& request,
                               protocol::FetchResponse& response) {
  return check_position(request, response) != Position::kValid || read_into(request, response);
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
  const ReplicaKey reader = reader_of(request);
  const Position position = check_position(request, response);
  if (reader.id.value >= 0 && position != Position::kRefused) {
    // A voter vouches for what is below its offset: that may commit it.
    const Instant now = ports_.strand.now();
    if (position == Position::kValid) {
      core_->on_replica_fetched(now, reader,
                                Offset{request.topics.front().partitions.front().fetch_offset});
    } else {
      core_->on_replica_contact(now, reader);
    }
    run();
  }
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
  // The callbacks may bring the next fetches: they run when the list is in order again.
  std::vector<std::pair<ParkedFetch, protocol::FetchResponse>> ready;
  for (auto it = parked_.begin(); it != parked_.end();) {
    protocol::FetchResponse response;
    auto& topic = response.responses.emplace_back();
    topic.topic_id = kMetadataTopicId;
    topic.partitions.emplace_back();
    if (!answer_fetch(it->request, response) && it->request.max_wait_ms > 0) {
      ++it;
      continue;
    }
    ports_.strand.cancel(it->timer);
    ready.emplace_back(std::move(*it), std::move(response));
    it = parked_.erase(it);
  }
  for (auto& [parked, response] : ready) {
    name_leader(response, parked.version);
    parked.done(std::move(response));
  }
}

protocol::FetchSnapshotResponse MetadataLog::fetch_snapshot(
    const protocol::FetchSnapshotRequest& request, std::int16_t version) {
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
  const LeaderAndEpoch known = leader();
  out.current_leader = {known.leader ? known.leader->value : -1, known.epoch.value};
  if (known.endpoint && version >= 1) {
    response.node_endpoints.push_back(
        {known.leader->value, known.endpoint->host, known.endpoint->port});
  }
  const auto refuse = [&](ErrorCode error) {
    out.error_code = wire(error);
    return response;
  };
  if (topic.name != kTopicName || wanted.partition != 0) {
    return refuse(ErrorCode::kUnknownTopicOrPartition);
  }
  if (!running()) return refuse(ErrorCode::kBrokerNotAvailable);
  if (wanted.current_leader_epoch < epoch().value) return refuse(ErrorCode::kFencedLeaderEpoch);
  if (wanted.current_leader_epoch > epoch().value) return refuse(ErrorCode::kUnknownLeaderEpoch);
  if (!leads()) return refuse(ErrorCode::kNotLeaderOrFollower);
  if (request.replica_id >= 0) {
    core_->on_replica_contact(ports_.strand.now(),
                              {BrokerId{request.replica_id}, wanted.replica_directory_id});
    run();
  }
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
  if (only_partition(request) == nullptr) {
    response.error_code = wire(ErrorCode::kInvalidRequest);
    return response;
  }
  auto& topic = response.topics.emplace_back();
  topic.topic_name = kTopicName;
  auto& partition = topic.partitions.emplace_back();
  if (!leads()) {
    partition.error_code = wire(ErrorCode::kNotLeaderOrFollower);
    return response;
  }
  partition.leader_id = options_.node_id.value;
  partition.leader_epoch = epoch().value;
  partition.high_watermark = high_watermark_.value;
  const Instant now = ports_.strand.now();
  const WallMs wall = ports_.strand.wall_now();
  const auto wall_of = [&](const std::optional<Instant>& when) -> WallMs {
    if (!when) return -1;
    return wall - std::chrono::duration_cast<std::chrono::milliseconds>(now - *when).count();
  };
  const auto state_of = [&](const ReplicaKey& key, const ReplicaProgress& progress) {
    return protocol::DescribeQuorumResponse::ReplicaState{
        key.id.value, key.directory, progress.log_end ? progress.log_end->value : -1,
        wall_of(progress.last_fetch), wall_of(progress.last_caught_up)};
  };
  for (const Voter& voter : voters().voters) {
    const ReplicaKey key{voter.id, voter.directory_id};
    const auto replica = core_->replicas().find(key);
    if (voter.id == options_.node_id) {
      partition.current_voters.push_back(
          {voter.id.value, voter.directory_id, log_->log_end_offset().value, wall, wall});
    } else {
      partition.current_voters.push_back(
          state_of(key, replica == core_->replicas().end() ? ReplicaProgress{} : replica->second));
    }
    auto& node = response.nodes.emplace_back();
    node.node_id = voter.id.value;
    node.listeners.push_back({voter.listener, voter.endpoint.host, voter.endpoint.port});
    for (const VoterListener& listener : voter.more_listeners) {
      node.listeners.push_back({listener.name, listener.endpoint.host, listener.endpoint.port});
    }
  }
  for (const auto& [key, progress] : core_->replicas()) {
    if (core_->voter_of(key) == nullptr) partition.observers.push_back(state_of(key, progress));
  }
  return response;
}

}  // namespace broker::quorum
