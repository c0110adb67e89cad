// Log: what makes it shorter, at either end.
#include <algorithm>

#include "broker/common/log.h"
#include "broker/storage/log.h"

namespace broker::storage {

Result<void> Log::truncate_to(Offset offset, WallMs now) {
  RETURN_IF_ERROR(guard());
  if (offset >= log_end_offset_) {
    // An epoch that this replica began as leader, and wrote nothing in, may be nobody else's.
    return epochs_.truncate_from_end(offset) ? poison_if_failed(write_epochs()) : Result<void>();
  }
  if (offset < segments_.begin()->first) return truncate_fully_and_start_at(offset, now);
  log_info("storage", "truncating",
           {{"partition", to_string(partition_)},
            {"from", log_end_offset_.value},
            {"to", offset.value}});
  return poison_if_failed(truncate_segments_to(offset, now));
}

Result<void> Log::truncate_segments_to(Offset offset, WallMs now) {
  closed_on_disk_ = false;
  RETURN_IF_ERROR(drop_segments_from(segments_.upper_bound(offset)));
  // Gone for good before the one in front of them gets shorter: else a power failure could bring
  // them back behind a hole.
  RETURN_IF_ERROR(fs_.sync_directory(directory_));
  RETURN_IF_ERROR(active().truncate_to(offset));
  ASSIGN_OR_RETURN([[maybe_unused]] const Offset end, active().make_active());
  log_end_offset_ = offset;
  log_start_offset_ = std::min(log_start_offset_, offset);
  note_truncation(offset);
  epochs_.truncate_from_end(offset);
  RETURN_IF_ERROR(write_epochs());
  return rebuild_producers(offset, now);
}

void Log::note_truncation(Offset offset) {
  recovery_point_ = std::min(recovery_point_, offset);
  flush_bound_ = std::min(flush_bound_, offset);
  note_cut(offset);
}

Result<void> Log::truncate_fully_and_start_at(Offset offset, WallMs now) {
  RETURN_IF_ERROR(guard());
  log_info("storage", "starting anew",
           {{"partition", to_string(partition_)}, {"offset", offset.value}});
  const auto start_anew = [&]() -> Result<void> {
    RETURN_IF_ERROR(drop_segments_from(segments_.begin()));
    RETURN_IF_ERROR(create_segment(offset, now));
    log_start_offset_ = log_end_offset_ = offset;
    // Even a higher offset: nothing of what was synced is still here.
    note_truncation(Offset{0});
    recovery_point_ = offset;
    epochs_.clear();
    RETURN_IF_ERROR(write_epochs());
    RETURN_IF_ERROR(fs_.sync_directory(directory_));
    return rebuild_producers(Offset{-1}, now);  // removes every snapshot
  };
  return poison_if_failed(start_anew());
}

Result<void> Log::set_log_start_offset(Offset offset) {
  RETURN_IF_ERROR(guard());
  if (offset > log_end_offset_) {
    return Error{ErrorCode::kOffsetOutOfRange, "the log of " + to_string(partition_) + " ends at " +
                                                   std::to_string(log_end_offset_.value) +
                                                   ", it cannot start at " +
                                                   std::to_string(offset.value)};
  }
  if (offset <= log_start_offset_) return {};
  log_start_offset_ = offset;
  if (epochs_.truncate_from_start(offset)) epochs_dirty_ = true;
  return {};
}

Result<Offset> Log::delete_records(Offset offset, Offset high_watermark) {
  if (offset.value == -1) offset = high_watermark;
  if (offset.value < 0 || offset > high_watermark) {
    return Error{ErrorCode::kOffsetOutOfRange, "records of " + to_string(partition_) +
                                                   " can be deleted up to " +
                                                   std::to_string(high_watermark.value)};
  }
  RETURN_IF_ERROR(set_log_start_offset(offset));
  return log_start_offset_;
}

Result<bool> Log::oldest_is_due(Offset high_watermark, WallMs now) {
  const auto oldest = segments_.begin();
  const auto behind = std::next(oldest);
  const Offset end = behind == segments_.end() ? log_end_offset_ : behind->first;
  if (oldest->second->empty() || end > high_watermark) return false;
  if (behind != segments_.end() && end <= log_start_offset_) return true;
  if (!options_.cleanup_delete) return false;
  if (options_.retention_bytes >= 0) {
    const auto keep = static_cast<std::uint64_t>(options_.retention_bytes);
    if (size_bytes() >= keep + oldest->second->size_bytes()) return true;
  }
  if (options_.retention_ms < 0) return false;
  ASSIGN_OR_RETURN(const TimePosition newest, oldest->second->max_timestamp());
  WallMs timestamp = newest.timestamp;
  if (timestamp < 0) {
    ASSIGN_OR_RETURN(timestamp, oldest->second->modified());
  }
  return now - timestamp > options_.retention_ms;
}

Result<void> Log::doom(const std::vector<std::string>& paths, WallMs now) {
  for (const std::string& path : paths) {
    files_.forget(path);
    const std::string doomed = path + std::string(kDeletedSuffix);
    const auto renamed = fs_.rename(path, doomed);
    if (renamed.ok()) {
      doomed_.push_back({doomed, now + options_.file_delete_delay_ms});
    } else if (renamed.code() != ErrorCode::kResourceNotFound) {
      return renamed;
    }
  }
  return {};
}

Result<void> Log::delete_oldest_segment(WallMs now, RetentionResult& result) {
  if (segments_.size() == 1) RETURN_IF_ERROR(roll_to(log_end_offset_, now));
  const auto oldest = segments_.begin();
  Segment& segment = *oldest->second;
  auto paths = segment.paths();
  paths.push_back(segment.path(kSnapshotSuffix));
  RETURN_IF_ERROR(doom(paths, now));
  result.segments_deleted += 1;
  result.bytes_deleted += segment.size_bytes();
  segments_.erase(oldest);
  directory_dirty_ = true;
  return set_log_start_offset(segments_.begin()->first);
}

Result<RetentionResult> Log::delete_old_segments(Offset high_watermark, WallMs now) {
  RetentionResult result;
  while (!cleaning_) {  // what is being replaced must not go meanwhile
    ASSIGN_OR_RETURN(const bool due, oldest_is_due(high_watermark, now));
    if (!due) break;
    RETURN_IF_ERROR(delete_oldest_segment(now, result));
  }
  RETURN_IF_ERROR(remove_due_files(now));
  result.log_start_offset = log_start_offset_;
  return result;
}

Result<RetentionResult> Log::apply_retention(Offset high_watermark, WallMs now) {
  RETURN_IF_ERROR(guard());
  producers_.expire(now, options_.producer_id_expiration_ms);
  auto result = delete_old_segments(high_watermark, now);
  if (!result.ok()) return poison_if_failed(result.error()).error();
  if (result->segments_deleted > 0) {
    log_info("storage", "deleted old segments",
             {{"partition", to_string(partition_)},
              {"segments", result->segments_deleted},
              {"bytes", result->bytes_deleted},
              {"log_start_offset", log_start_offset_.value}});
  }
  return result;
}

Result<void> Log::remove_due_files(WallMs now) {
  for (auto it = doomed_.begin(); it != doomed_.end();) {
    if (it->due > now) {
      ++it;
      continue;
    }
    const auto removed = fs_.remove(it->path);
    if (!removed.ok() && removed.code() != ErrorCode::kResourceNotFound) return removed;
    it = doomed_.erase(it);
  }
  return {};
}

}  // namespace broker::storage
