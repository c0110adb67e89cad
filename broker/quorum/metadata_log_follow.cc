// MetadataLog as a follower or an observer: one Fetch after the other, each behind the sync of what
// the last one brought, so that its offset is a promise.
#include <algorithm>

#include "broker/common/log.h"
#include "broker/quorum/metadata_log_parts.h"

namespace broker::quorum {
namespace {

constexpr std::chrono::milliseconds kMaxWait{500};
constexpr std::chrono::milliseconds kFirstRetry{20};
constexpr int kMaxRetryDoublings = 2;  // observers find a new leader by asking around: 80 ms

}  // namespace

void MetadataLog::follow_after(Duration delay) {
  if (fetch_timer_ != io::kNoTimer) return;
  fetch_timer_ = ports_.strand.call_after(delay, [this, alive = alive_] {
    if (!*alive) return;
    fetch_timer_ = io::kNoTimer;
    follow();
  });
}

void MetadataLog::retry_fetch() {
  probing_ = true;
  follow_after(kFirstRetry * (1 << std::min(fetch_failures_, kMaxRetryDoublings)));
}

/// The leader; for an observer that knows none one after the other of those who may know it.
std::optional<io::Endpoint> MetadataLog::fetch_target() {
  if (core_->role() == RaftRole::kFollower) return core_->leader().endpoint;
  if (core_->role() != RaftRole::kUnattached || is_voter()) return std::nullopt;
  std::vector<io::Endpoint> contacts = options_.bootstrap_servers;
  for (const Voter& voter : voters().voters) {
    if (voter.id != options_.node_id) contacts.push_back(voter.endpoint);
  }
  std::erase_if(contacts, [&](const io::Endpoint& endpoint) {
    return std::any_of(options_.listeners.begin(), options_.listeners.end(),
                       [&](const VoterListener& own) { return own.endpoint == endpoint; });
  });
  if (contacts.empty()) return std::nullopt;
  return contacts[next_contact_++ % contacts.size()];
}

void MetadataLog::follow() {
  if (!running() || fetching_ || download_ || fetch_timer_ != io::kNoTimer) return;
  if (ports_.peers == nullptr) return;
  const bool follows = core_->role() == RaftRole::kFollower;
  if (follows && log_->recovery_point() < log_->log_end_offset()) {
    awaiting_sync_ = true;
    leader_high_watermark_ = Offset{0};
    return start_flush();
  }
  const auto target = fetch_target();
  if (!target) return;
  fetching_ = true;
  protocol::FetchRequest request;
  request.cluster_id = options_.cluster_id;
  request.replica_state.replica_id = options_.node_id.value;
  request.max_wait_ms = probing_ || !follows ? 0 : static_cast<std::int32_t>(kMaxWait.count());
  request.max_bytes = options_.fetch_max_bytes;
  protocol::FetchRequest::FetchPartition partition;
  partition.current_leader_epoch = epoch().value;
  partition.fetch_offset = log_->log_end_offset().value;
  partition.last_fetched_epoch = log_end().epoch.value;
  partition.log_start_offset = log_->log_start_offset().value;
  partition.partition_max_bytes = options_.fetch_max_bytes;
  partition.replica_directory_id = options_.directory_id;
  partition.high_watermark = high_watermark_.value;
  request.topics.push_back({{}, kMetadataTopicId, {std::move(partition)}});
  ports_.peers->send(*target, std::move(request), options_.request_timeout,
                     [this, alive = alive_, generation = generation_](Result<PeerResponse> answer) {
                       if (!*alive) return;
                       if (!answer.ok()) return on_fetch_answer(generation, answer.error());
                       on_fetch_answer(generation, std::get<protocol::FetchResponse>(*answer));
                     });
}

void MetadataLog::on_fetch_answer(std::uint64_t generation,
                                  const Result<protocol::FetchResponse>& answer) {
  if (!running() || generation != generation_) return;
  fetching_ = false;
  const Instant now = ports_.strand.now();
  if (!answer.ok()) {
    if (fetch_failures_++ == 0) {
      log_info(kLogger, "the leader cannot be reached", {{"error", to_string(answer.error())}});
    }
    core_->on_leader_unreachable(now);
    run();
    // Unless the role changed, and with it everything.
    if (running() && generation == generation_) retry_fetch();
    return;
  }
  const bool one = answer->responses.size() == 1 && answer->responses[0].partitions.size() == 1;
  if (answer->error_code != 0 || !one) {
    if (fetch_failures_++ == 0) {
      log_warn(kLogger, "a fetch of the metadata log was refused",
               {{"error", answer->error_code}, {"offset", log_end_offset().value}});
    }
    return retry_fetch();
  }
  const LeaderEpoch asked = epoch();
  const bool followed = core_->role() == RaftRole::kFollower;
  const auto& leader = answer->responses[0].partitions[0].current_leader;
  core_->on_leader_seen(
      now, named_leader(leader.leader_id, leader.leader_epoch, answer->node_endpoints));
  const bool follows = followed && core_->role() == RaftRole::kFollower && epoch() == asked;
  const bool refused = answer->responses[0].partitions[0].error_code != 0;
  // It leads no more and knows nobody who does: as good as gone.
  if (follows && refused && leader.leader_id < 0) core_->on_leader_unreachable(now);
  run();
  // A new leader, known or still being written down: the change of role goes on from here.
  if (!running() || generation != generation_ || epoch() != asked) return;
  if (refused || !follows) {
    ++fetch_failures_;
    return retry_fetch();
  }
  on_fetched(*answer);
}

void MetadataLog::on_fetched(const protocol::FetchResponse& response) {
  const auto& partition = response.responses.front().partitions.front();
  fetch_failures_ = 0;
  probing_ = false;
  core_->on_fetched(ports_.strand.now());
  arm_timer();
  if (partition.diverging_epoch.epoch >= 0) {
    return truncate_diverging({LeaderEpoch{partition.diverging_epoch.epoch},
                               Offset{partition.diverging_epoch.end_offset}});
  }
  if (partition.snapshot_id.end_offset >= 0) {
    return start_download(
        {Offset{partition.snapshot_id.end_offset}, LeaderEpoch{partition.snapshot_id.epoch}});
  }
  leader_high_watermark_ = Offset{partition.high_watermark};
  if (!partition.records || partition.records->empty()) return on_caught_up_on_disk();
  append_fetched(*partition.records);
}

void MetadataLog::append_fetched(const Slice& records) {
  const auto refuse = [&](const std::string& why) {
    log_error(kLogger, "the leader's records are not appended",
              {{"reason", why}, {"offset", log_end_offset().value}});
    ++fetch_failures_;
    retry_fetch();
  };
  record::BatchReader batches(records);
  std::vector<record::Batch> fetched;
  for (Offset expected = log_end_offset();;) {
    const auto batch = batches.next();
    if (!batch.ok()) return refuse(to_string(batch.error()));
    if (!*batch || (*batch)->header().leader_epoch() > epoch()) break;
    if ((*batch)->header().base_offset() != expected) return refuse("there is a gap");
    if (const auto sound = record::check_batch((*batch)->bytes.span()); !sound.ok()) {
      return refuse(to_string(sound.error()));
    }
    expected = (*batch)->header().next_offset();
    fetched.push_back(std::move(**batch));
  }
  if (fetched.empty()) return on_caught_up_on_disk();
  const auto appended = log_->append_as_follower(records, ports_.strand.wall_now(), epoch());
  if (!appended.ok()) return fail(appended.error());
  for (const record::Batch& batch : fetched) {
    if (const auto added = voters_.add(batch); !added.ok()) return fail(added.error());
  }
  note_log_end();
  awaiting_sync_ = true;
  start_flush();
}

/// All of the log is on disk: the leader may hear of it, and count on it.
void MetadataLog::on_caught_up_on_disk() {
  awaiting_sync_ = false;
  if (core_->role() != RaftRole::kFollower) return;
  core_->on_leader_high_watermark(leader_high_watermark_);
  on_commit(core_->high_watermark());
  if (!running()) return;
  maybe_correct_own_voter();
  run();
  follow();
}

/// The leader's log took another way behind `leaders`; so does this one now (KIP-595).
void MetadataLog::truncate_diverging(storage::EpochEnd leaders) {
  const LogEnd end = log_end();
  const auto own =
      log_->end_offset_for_epoch(leaders.epoch).value_or(storage::EpochEnd{end.epoch, end.offset});
  Offset to =
      own.epoch == leaders.epoch ? std::min(own.end_offset, leaders.end_offset) : own.end_offset;
  if (to >= end.offset) to = std::min(end.offset, leaders.end_offset);
  log_warn(kLogger, "the log differs from the leader's and is truncated",
           {{"from", end.offset.value},
            {"to", to.value},
            {"leaderEpoch", leaders.epoch.value},
            {"highWatermark", high_watermark_.value}});
  if (to < high_watermark_) {
    return fail({ErrorCode::kKafkaStorageError, "the leader's log ends at " +
                                                    std::to_string(to.value) +
                                                    " where this one has committed records up to " +
                                                    std::to_string(high_watermark_.value)});
  }
  const auto truncated = log_->truncate_to(to, ports_.strand.wall_now());
  if (!truncated.ok()) return fail(truncated.error());
  voters_.truncate_to(to);
  note_log_end();
  if (const auto noted = note_truncation(); !noted.ok()) return fail(noted.error());
  run();
  if (to < end.offset) return follow();
  ++fetch_failures_;  // nothing gained: do not ask for the same in a loop
  retry_fetch();
}

Result<void> MetadataLog::note_truncation() {
  if (!ports_.write_checkpoint) return {};
  return ports_.write_checkpoint(log_->positions(high_watermark_));
}

// --- the leader's snapshot ---

void MetadataLog::start_download(storage::SnapshotId id) {
  log_info(kLogger, "fetching a snapshot", {{"file", storage::snapshot_file_name(id)}});
  auto file = storage::SnapshotFileWriter::create(ports_.files, log_->directory(), id);
  if (!file.ok()) return fail(file.error());
  download_ = std::make_unique<Download>(Download{std::move(*file)});
  fetch_chunk();
}

void MetadataLog::fetch_chunk() {
  const storage::SnapshotId id = download_->file.id();
  protocol::FetchSnapshotRequest request;
  request.cluster_id = options_.cluster_id;
  request.replica_id = options_.node_id.value;
  request.max_bytes = options_.fetch_max_bytes;
  protocol::FetchSnapshotRequest::PartitionSnapshot partition;
  partition.current_leader_epoch = epoch().value;
  partition.snapshot_id = {id.end_offset.value, id.epoch.value};
  partition.position = static_cast<std::int64_t>(download_->file.size_bytes());
  partition.replica_directory_id = options_.directory_id;
  request.topics.push_back({std::string(kTopicName), {std::move(partition)}});
  const auto leader = core_->leader().endpoint;
  CHECK(leader);
  ports_.peers->send(*leader, std::move(request), options_.request_timeout,
                     [this, alive = alive_, generation = generation_](Result<PeerResponse> answer) {
                       if (!*alive || !running() || generation != generation_) return;
                       if (answer.ok()) {
                         return on_chunk(std::get<protocol::FetchSnapshotResponse>(*answer));
                       }
                       download_.reset();
                       on_fetch_answer(generation, answer.error());
                     });
}

void MetadataLog::on_chunk(const protocol::FetchSnapshotResponse& response) {
  const auto* partition = response.topics.size() == 1 && response.topics[0].partitions.size() == 1
                              ? &response.topics[0].partitions[0]
                              : nullptr;
  const auto position = static_cast<std::int64_t>(download_->file.size_bytes());
  if (response.error_code != 0 || partition == nullptr || partition->error_code != 0 ||
      partition->position != position) {
    log_warn(kLogger, "the snapshot cannot be fetched",
             {{"error", partition == nullptr ? response.error_code : partition->error_code}});
    download_.reset();
    ++fetch_failures_;
    return retry_fetch();
  }
  core_->on_fetched(ports_.strand.now());
  arm_timer();
  const auto written = download_->file.append(partition->unaligned_records);
  if (!written.ok()) return fail(written.error());
  if (static_cast<std::int64_t>(download_->file.size_bytes()) < partition->size &&
      !partition->unaligned_records.empty()) {
    return fetch_chunk();
  }
  finish_download();
}

void MetadataLog::finish_download() {
  struct Finished {
    std::unique_ptr<Download> download;
    Result<LoadedSnapshot> snapshot = ErrorCode::kSnapshotNotFound;
  };
  auto finished = std::make_shared<Finished>(Finished{std::move(download_)});
  fetching_ = true;  // until it is installed
  ports_.workers.run(
      ports_.strand,
      [finished, &files = ports_.files, directory = log_->directory()] {
        const storage::SnapshotId id = finished->download->file.id();
        if (const auto frozen = finished->download->file.freeze(); !frozen.ok()) {
          finished->snapshot = frozen.error();
        } else {
          finished->snapshot = read_snapshot(files, directory, id);
        }
      },
      [this, alive = alive_, generation = generation_, finished] {
        if (!*alive || !running() || generation != generation_) return;
        fetching_ = false;
        if (!finished->snapshot.ok()) return fail(finished->snapshot.error());
        install(std::move(*finished->snapshot));
      });
}

/// The snapshot replaces the whole log.
void MetadataLog::install(LoadedSnapshot snapshot) {
  const Offset end = snapshot.id.end_offset;
  const WallMs now = ports_.strand.wall_now();
  if (end < high_watermark_) {
    return fail({ErrorCode::kKafkaStorageError, "the leader's snapshot ends at " +
                                                    std::to_string(end.value) +
                                                    ", before this node's high watermark"});
  }
  if (const auto cut = log_->truncate_fully_and_start_at(end, now); !cut.ok()) {
    return fail(cut.error());
  }
  snapshot_ = snapshot.id;
  if (snapshot.voters.kraft_version > 0) {
    voters_.reset(snapshot.voters, end + -1);
  } else {
    voters_.truncate_to(Offset{0});
  }
  note_log_end();
  core_->on_synced(ports_.strand.now(), end);
  if (const auto noted = note_truncation(); !noted.ok()) return fail(noted.error());
  core_->on_leader_high_watermark(end);
  bytes_since_snapshot_ = 0;
  log_info(
      kLogger, "installed a snapshot",
      {{"file", storage::snapshot_file_name(snapshot.id)}, {"records", snapshot.records.size()}});
  handed_over_ = high_watermark_ = end;
  listener_->on_snapshot(snapshot);
  if (listener_ != nullptr) listener_->on_high_watermark(end);
  if (!running()) return;
  const auto ids = storage::list_snapshots(ports_.files, log_->directory());
  for (std::size_t i = 0; ids.ok() && i < ids->size() && (*ids)[i] < *snapshot_; ++i) {
    (void)storage::remove_snapshot(ports_.files, log_->directory(), (*ids)[i]);
  }
  run();
  follow();
}

}  // namespace broker::quorum
