#include "broker/quorum/metadata_log.h"

#include "broker/common/log.h"
#include "broker/metadata/snapshot.h"
#include "broker/quorum/control_records.h"
#include "broker/quorum/data_batch.h"
#include "broker/quorum/election_state.h"
#include "broker/quorum/parked_fetch.h"

namespace broker::quorum {
namespace {

constexpr std::size_t kReplayChunk = 4 << 20;
constexpr storage::SnapshotId kFormatCheckpoint{Offset{0}, LeaderEpoch{0}};

}  // namespace

MetadataLog::MetadataLog(Ports ports, std::shared_ptr<storage::Log> log, MetadataLogOptions options)
    : ports_(std::move(ports)), log_(std::move(log)), options_(std::move(options)) {}

MetadataLog::~MetadataLog() { *alive_ = false; }

Result<void> MetadataLog::start(QuorumListener& listener) {
  ports_.strand.check_current();
  listener_ = &listener;
  last_snapshot_ = ports_.strand.now();
  RETURN_IF_ERROR(load_snapshot());
  // Control batches of the log may name newer voters than the snapshot.
  const Offset from = snapshot_ ? snapshot_->end_offset : log_->log_start_offset();
  const Offset loaded_end = log_->log_end_offset();
  for (Offset at = from; at < loaded_end;) {
    ASSIGN_OR_RETURN(const auto read, log_->read(at, loaded_end, kReplayChunk, true));
    record::BatchReader batches(read.records);
    for (;;) {
      ASSIGN_OR_RETURN(const auto batch, batches.next());
      if (!batch) break;
      if (batch->header().is_control()) RETURN_IF_ERROR(apply_control_batch(*batch, voters_));
    }
    at = read.next_offset;
  }
  if (voters_.voters.size() != 1 ||
      voters_.find(options_.node_id, options_.directory_id) == nullptr) {
    return Error{ErrorCode::kInconsistentVoterSet,
                 "the quorum has " + std::to_string(voters_.voters.size()) +
                     " voters and this disk (node " + std::to_string(options_.node_id.value) +
                     ", directory " + options_.directory_id.to_string() +
                     ") must be the only one: quorums of several voters are not supported yet"};
  }
  RETURN_IF_ERROR(take_office());
  RETURN_IF_ERROR(hand_over(from, loaded_end));
  leader_ = true;
  listener_->on_leader_change(leader());
  listener_->on_high_watermark(high_watermark_);
  listener_->on_leader(epoch_);
  return {};
}

LeaderAndEpoch MetadataLog::leader() const {
  const Voter* self = voters_.find(options_.node_id, options_.directory_id);
  if (!leader_ || self == nullptr) return {std::nullopt, epoch_, std::nullopt};
  return {self->id, epoch_, self->endpoint};
}

bool MetadataLog::is_voter() const {
  return voters_.find(options_.node_id, options_.directory_id) != nullptr;
}

void MetadataLog::resign(Task done) { ports_.strand.post(std::move(done)); }

void MetadataLog::stop() {
  ports_.strand.check_current();
  leader_ = false;
  listener_ = nullptr;
  wake_fetches();
}

Result<void> MetadataLog::load_snapshot() {
  const std::string& directory = log_->directory();
  RETURN_IF_ERROR(storage::remove_unfinished_snapshots(ports_.files, directory));
  ASSIGN_OR_RETURN(const auto ids, storage::list_snapshots(ports_.files, directory));
  if (ids.empty()) {
    return Error{ErrorCode::kSnapshotNotFound,
                 directory + " has no checkpoint: format the directory first"};
  }
  ASSIGN_OR_RETURN(LoadedSnapshot snapshot, read_snapshot(ports_.files, directory, ids.back()));
  voters_ = snapshot.voters;
  if (snapshot.id == kFormatCheckpoint) return {};
  snapshot_ = snapshot.id;
  if (log_->log_end_offset() < snapshot.id.end_offset) {
    RETURN_IF_ERROR(
        log_->truncate_fully_and_start_at(snapshot.id.end_offset, ports_.strand.wall_now()));
  }
  listener_->on_snapshot(snapshot);
  return {};
}

/// With one voter the election is won by standing: the new epoch is made durable, then announced in
/// the log.
Result<void> MetadataLog::take_office() {
  const std::string& directory = log_->directory();
  ASSIGN_OR_RETURN(const auto stored, read_election_state(ports_.files, directory));
  std::int32_t last_epoch = stored ? stored->epoch.value : 0;
  if (const auto epoch = log_->latest_epoch()) last_epoch = std::max(last_epoch, epoch->value);
  if (snapshot_) last_epoch = std::max(last_epoch, snapshot_->epoch.value);
  epoch_ = LeaderEpoch{last_epoch + 1};
  RETURN_IF_ERROR(write_election_state(ports_.files, directory,
                                       {options_.node_id, epoch_, std::nullopt, kZeroUuid}));

  const WallMs now = ports_.strand.wall_now();
  log_->assign_epoch_start(epoch_);
  const bool first_office = log_->log_end_offset() == Offset{0};
  const auto append = [&](const Slice& batch) -> Result<void> {
    auto info = log_->append_as_leader(batch, epoch_, storage::AppendOrigin::kRaftLeader, now);
    return info.ok() ? Result<void>() : Result<void>(info.error());
  };
  const BatchPosition at{log_->log_end_offset(), epoch_, now};
  RETURN_IF_ERROR(append(leader_change_batch(at, options_.node_id, voters_)));
  if (first_office && voters_.kraft_version > 0) {
    // The voter set of the format checkpoint enters the log, so that snapshots and followers get
    // it.
    RETURN_IF_ERROR(append(kraft_version_batch(at, voters_.kraft_version)));
    RETURN_IF_ERROR(append(voters_batch(at, voters_)));
  }
  RETURN_IF_ERROR(log_->flush(now));
  high_watermark_ = log_->log_end_offset();
  log_info("quorum", "leads the metadata quorum",
           {{"epoch", epoch_.value}, {"highWatermark", high_watermark_.value}});
  return {};
}

Result<void> MetadataLog::hand_over(Offset from, Offset to) {
  for (Offset at = from; at < to;) {
    ASSIGN_OR_RETURN(const auto read, log_->read(at, to, kReplayChunk, true));
    record::BatchReader batches(read.records);
    for (;;) {
      ASSIGN_OR_RETURN(const auto batch, batches.next());
      if (!batch) break;
      const auto header = batch->header();
      CommittedRecords committed{header.base_offset(),
                                 header.last_offset(),
                                 header.leader_epoch(),
                                 header.max_timestamp(),
                                 {}};
      if (!header.is_control()) RETURN_IF_ERROR(decode_data_batch(*batch, committed.records));
      bytes_since_snapshot_ += static_cast<std::int64_t>(header.size_bytes());
      listener_->on_committed(committed);
    }
    at = read.next_offset;
  }
  return {};
}

Result<Offset> MetadataLog::append(const metadata::MetadataRecords& records,
                                   std::int16_t metadata_version) {
  ports_.strand.check_current();
  if (!leader_) return ErrorCode::kNotLeaderOrFollower;
  CHECK(!records.empty());
  const WallMs now = ports_.strand.wall_now();
  ASSIGN_OR_RETURN(const Slice batch, encode_data_batch({log_->log_end_offset(), epoch_, now},
                                                        records, metadata_version));
  auto info = log_->append_as_leader(batch, epoch_, storage::AppendOrigin::kRaftLeader, now);
  if (!info.ok()) {
    fail(info.error());
    return info.error();
  }
  bytes_since_snapshot_ += static_cast<std::int64_t>(info->bytes);
  if (!flushing_) {
    // On a later turn: what is decided in this one shares a single sync.
    flushing_ = true;
    ports_.strand.post([this, alive = alive_] {
      if (*alive) start_flush();
    });
  }
  return info->last_offset;
}

void MetadataLog::start_flush() {
  auto job = log_->prepare_flush();
  if (!job.ok()) return fail(job.error());
  struct Flush {
    storage::FlushJob job;
    Result<void> outcome;
  };
  auto flush = std::make_shared<Flush>(Flush{std::move(*job), {}});
  ports_.workers.run(
      ports_.strand, [flush] { flush->outcome = flush->job.run(); },
      [this, alive = alive_, flush] {
        if (*alive) on_flushed(flush->job, flush->outcome);
      });
}

void MetadataLog::on_flushed(const storage::FlushJob& job, const Result<void>& outcome) {
  const auto completed = log_->complete_flush(job, outcome, ports_.strand.wall_now());
  if (!completed.ok()) return fail(completed.error());
  high_watermark_ = job.up_to;
  if (high_watermark_ < log_->log_end_offset()) {
    start_flush();
  } else {
    flushing_ = false;
  }
  if (listener_ != nullptr) listener_->on_high_watermark(high_watermark_);
  wake_fetches();
  maybe_snapshot();
}

void MetadataLog::fail(const Error& error) {
  if (!leader_) return;
  leader_ = false;
  log_error("quorum", "the metadata log cannot be written: this node stops",
            {{"error", to_string(error)}});
  if (listener_ != nullptr) listener_->on_fatal(error);
}

void MetadataLog::maybe_snapshot() {
  const Instant now = ports_.strand.now();
  const bool due = bytes_since_snapshot_ >= options_.snapshot_after_bytes ||
                   (bytes_since_snapshot_ > 0 && now - last_snapshot_ >= options_.snapshot_after);
  if (!due || snapshotting_ || listener_ == nullptr) return;
  const metadata::ImagePtr image = listener_->committed_image();
  if (image == nullptr || image->provenance.offset.value < 0) return;
  const storage::SnapshotId id{image->provenance.offset + 1, image->provenance.epoch};
  if (snapshot_ && id <= *snapshot_) return;
  snapshotting_ = true;
  bytes_since_snapshot_ = 0;
  last_snapshot_ = now;
  auto outcome = std::make_shared<Result<void>>();
  ports_.workers.run(
      ports_.strand,
      [outcome, image, id, voters = voters_, directory = log_->directory(), &files = ports_.files,
       wall = ports_.strand.wall_now()] {
        *outcome = write_snapshot(files, directory, id, image->provenance.timestamp, voters,
                                  metadata::image_records(*image),
                                  image->features.metadata_version(), wall);
      },
      [this, alive = alive_, id, outcome] {
        if (*alive) on_snapshot_written(id, *outcome);
      });
}

void MetadataLog::on_snapshot_written(storage::SnapshotId id, const Result<void>& outcome) {
  snapshotting_ = false;
  if (!outcome.ok()) {
    // The log still has everything: the next snapshot may succeed.
    return log_warn("quorum", "snapshot failed", {{"error", to_string(outcome.error())}});
  }
  snapshot_ = id;
  log_info("quorum", "snapshot written", {{"file", storage::snapshot_file_name(id)}});
  if (const auto cleaned = clean_up(); !cleaned.ok()) {
    log_warn("quorum", "old metadata was not removed", {{"error", to_string(cleaned.error())}});
  }
}

/// Drops the log below the latest snapshot, and older snapshots, once the log is larger than
/// metadata.max.retention.bytes.
Result<void> MetadataLog::clean_up() {
  if (static_cast<std::int64_t>(log_->size_bytes()) <= options_.retention_bytes) return {};
  RETURN_IF_ERROR(log_->set_log_start_offset(snapshot_->end_offset));
  auto retained = log_->apply_retention(high_watermark_, ports_.strand.wall_now());
  if (!retained.ok()) return retained.error();
  ASSIGN_OR_RETURN(const auto ids, storage::list_snapshots(ports_.files, log_->directory()));
  for (const auto& id : ids) {
    if (id < *snapshot_) {
      RETURN_IF_ERROR(storage::remove_snapshot(ports_.files, log_->directory(), id));
    }
  }
  return {};
}

}  // namespace broker::quorum
