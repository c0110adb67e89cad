// MetadataLog: its own snapshots, and what may be deleted because of them.
#include "broker/common/log.h"
#include "broker/metadata/snapshot.h"
#include "broker/quorum/metadata_log_parts.h"

namespace broker::quorum {

void MetadataLog::maybe_snapshot() {
  const Instant now = ports_.strand.now();
  const bool due = bytes_since_snapshot_ >= options_.snapshot_after_bytes ||
                   (bytes_since_snapshot_ > 0 && now - last_snapshot_ >= options_.snapshot_after);
  if (!due || snapshotting_ || listener_ == nullptr) return;
  const metadata::ImagePtr image = listener_->committed_image();
  if (image == nullptr || image->provenance.offset.value < 0) return;
  const storage::SnapshotId id{image->provenance.offset + 1, image->provenance.epoch};
  if (id.end_offset > high_watermark_ || (snapshot_ && id <= *snapshot_)) return;
  snapshotting_ = true;
  bytes_since_snapshot_ = 0;
  last_snapshot_ = now;
  auto outcome = std::make_shared<Result<void>>();
  ports_.workers.run(
      ports_.strand,
      [outcome, image, id, voters = voters_.at(id.end_offset), directory = log_->directory(),
       &files = ports_.files, wall = ports_.strand.wall_now()] {
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
    return log_warn(kLogger, "snapshot failed", {{"error", to_string(outcome.error())}});
  }
  if (snapshot_ && id <= *snapshot_) return;  // one of the leader's came in between
  snapshot_ = id;
  log_info(kLogger, "snapshot written", {{"file", storage::snapshot_file_name(id)}});
  if (const auto cleaned = clean_up(); !cleaned.ok()) {
    log_warn(kLogger, "old metadata was not removed", {{"error", to_string(cleaned.error())}});
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
