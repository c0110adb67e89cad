// Log: opening a directory, and recovery after an unclean stop.
#include <algorithm>

#include "broker/common/defect.h"
#include "broker/common/log.h"
#include "broker/storage/log.h"
#include "broker/storage/text.h"

namespace broker::storage {
namespace {

constexpr std::string_view kSnapshotDeletedSuffix = ".checkpoint.deleted";  // the quorum's

BatchParts parts_of(const record::Batch& batch) {
  return {batch.header(), batch.bytes.span().subspan(record::kBatchHeaderSize)};
}

}  // namespace

Result<std::unique_ptr<Log>> Log::open(FileCache& files, std::string directory,
                                       TopicPartition partition, LogOptions options,
                                       OpenContext context) {
  std::unique_ptr<Log> log(
      new Log(files, std::move(directory), std::move(partition), std::move(options)));
  log->health_ = context.health;
  log->may_use_reserve_ = context.may_use_reserve;
  RETURN_IF_ERROR(log->load(context));
  return log;
}

Result<void> Log::load(const OpenContext& context) {
  RETURN_IF_ERROR(fs_.create_directories(directory_));
  ASSIGN_OR_RETURN(const auto names, list_and_tidy());
  RETURN_IF_ERROR(load_topic_id());
  RETURN_IF_ERROR(load_segments(names, context.now));
  if (segments_.empty()) RETURN_IF_ERROR(create_segment(context.log_start_offset, context.now));
  log_start_offset_ = std::max(segments_.begin()->first, context.log_start_offset);
  first_dirty_offset_ = context.first_dirty_offset.value_or(log_start_offset_);
  RETURN_IF_ERROR(load_epochs());

  bool clean = context.clean_shutdown;
  if (clean) {
    const auto end = active().make_active();
    if (end.ok()) {
      log_end_offset_ = *end;
    } else if (end.code() == ErrorCode::kCorruptMessage) {
      log_warn("storage", "a log marked clean is not",
               {{"partition", to_string(partition_)}, {"reason", end.error().detail}});
      clean = false;
    } else {
      return end.error();
    }
  }
  if (!clean) {
    RETURN_IF_ERROR(
        recover(last_flushed(context.recovery_point), context.recovery_point, context.now));
    // What was on disk for certain is gone: the checkpoint is not about this log.
    if (log_end_offset_ < context.recovery_point) {
      // Only what Kafka's cleaner wrote has gaps between segments.
      RETURN_IF_ERROR(recover(segments_.begin()->first,
                              Offset{options_.cleanup_compact ? INT64_MAX : 0}, context.now));
    }
    ASSIGN_OR_RETURN(log_end_offset_, active().make_active());
  }
  recovery_point_ = clean ? log_end_offset_ : std::min(context.recovery_point, log_end_offset_);
  last_flush_ = context.now;

  if (log_end_offset_ < log_start_offset_) {
    return truncate_fully_and_start_at(log_start_offset_, context.now);
  }
  if (epochs_.truncate_from_end(log_end_offset_)) epochs_dirty_ = true;
  if (epochs_.truncate_from_start(log_start_offset_)) epochs_dirty_ = true;
  if (clean) {
    RETURN_IF_ERROR(rebuild_producers(log_end_offset_, context.now));
    closed_on_disk_ = !names.empty();
  } else {
    RETURN_IF_ERROR(write_producer_snapshot(log_end_offset_, false));
  }
  if (has_defect(Defect::kProducersForgotten)) producers_.clear();
  return remove_stray_producer_snapshots();
}

Result<std::vector<std::string>> Log::list_and_tidy() {
  RETURN_IF_ERROR(finish_swaps());
  ASSIGN_OR_RETURN(auto names, fs_.list(directory_));
  std::erase_if(names, [&](const std::string& name) {
    const bool leftover =
        (name.ends_with(kDeletedSuffix) && !name.ends_with(kSnapshotDeletedSuffix)) ||
        name.ends_with(kCleanedSuffix) || name.ends_with(".tmp");
    if (leftover) (void)fs_.remove(directory_ + "/" + name);  // tried again at the next start
    return leftover;
  });
  return names;
}

Result<void> Log::load_segments(const std::vector<std::string>& names, WallMs now) {
  for (const std::string& name : names) {
    const auto base = parse_segment_file_name(name, kLogSuffix);
    if (!base) continue;
    ASSIGN_OR_RETURN(segments_[*base], Segment::open(files_, directory_, *base, now));
  }
  for (const std::string& name : names) {
    for (const auto suffix : {kIndexSuffix, kTimeIndexSuffix, kTxnIndexSuffix}) {
      const auto base = parse_segment_file_name(name, suffix);
      if (base && !segments_.contains(*base)) {
        log_warn("storage", "removing an index without a segment",
                 {{"file", directory_ + "/" + name}});
        RETURN_IF_ERROR(fs_.remove(directory_ + "/" + name));
      }
    }
  }
  return {};
}

Result<void> Log::load_topic_id() {
  const auto text = io::read_file(fs_, directory_ + "/partition.metadata");
  if (text.code() == ErrorCode::kResourceNotFound) return {};
  if (!text.ok()) return text.error();
  for (const std::string_view line : split(*text, '\n')) {
    constexpr std::string_view kKey = "topic_id: ";
    if (!line.starts_with(kKey)) continue;
    ASSIGN_OR_RETURN(const TopicId id, Uuid::parse(line.substr(kKey.size())));
    if (!id.is_zero()) topic_id_ = id;
    return {};
  }
  return Error{ErrorCode::kKafkaStorageError, directory_ + "/partition.metadata has no topic_id"};
}

Result<void> Log::load_epochs() {
  const auto text = io::read_file(fs_, directory_ + "/leader-epoch-checkpoint");
  if (!text.ok() && text.code() != ErrorCode::kResourceNotFound) return text.error();
  if (text.ok()) {
    auto parsed = LeaderEpochCache::parse(*text);
    if (parsed.ok()) {
      epochs_ = std::move(*parsed);
      return {};
    }
    log_warn("storage", "rebuilding the leader epochs from the log",
             {{"partition", to_string(partition_)}, {"reason", parsed.error().detail}});
  }
  for (auto& [base, segment] : segments_) {
    RETURN_IF_ERROR(segment->for_each_batch(base, [&](const record::Batch& batch) -> Result<void> {
      const record::BatchHeader header = batch.header();
      if (header.leader_epoch().value >= 0 &&
          epochs_.assign(header.leader_epoch(), header.base_offset())) {
        epochs_dirty_ = true;
      }
      return {};
    }));
  }
  return {};
}

Result<void> Log::recover(Offset from, Offset gaps_up_to, WallMs now) {
  const auto first = segment_for(from);
  log_end_offset_ = first->first;
  epochs_.truncate_from_end(first->first);
  RETURN_IF_ERROR(rebuild_producers(first->first, now));
  std::uint64_t dropped = 0;
  for (auto it = first; it != segments_.end() && dropped == 0; ++it) {
    Segment& segment = *it->second;
    if (it->first < log_end_offset_) {
      return Error{ErrorCode::kKafkaStorageError,
                   segment.path(kLogSuffix) + " begins inside the segment before it"};
    }
    if (it != first && it->first > log_end_offset_ && it->first > gaps_up_to &&
        !has_defect(Defect::kHolesAccepted)) {
      // The power failed when the end of the segment before had not been written and this one had.
      log_warn("storage", "a segment begins behind the end of the one before it",
               {{"segment", segment.path(kLogSuffix)}, {"expected", log_end_offset_.value}});
      RETURN_IF_ERROR(drop_segments_from(it));
      break;
    }
    log_end_offset_ = it->first;
    if (it != first) RETURN_IF_ERROR(write_producer_snapshot(it->first, false));
    ASSIGN_OR_RETURN(dropped,
                     segment.recover(options_, [&](const record::Batch& batch) -> Result<void> {
                       const record::BatchHeader header = batch.header();
                       if (header.leader_epoch().value >= 0) {
                         epochs_.assign(header.leader_epoch(), header.base_offset());
                       }
                       log_end_offset_ = header.next_offset();
                       return note_producer(parts_of(batch), &segment);
                     }));
    if (dropped > 0) RETURN_IF_ERROR(drop_segments_from(std::next(it)));
  }
  // Else the next power failure could bring them back beside what is appended now.
  if (std::exchange(directory_dirty_, false)) RETURN_IF_ERROR(fs_.sync_directory(directory_));
  epochs_dirty_ = true;
  return {};
}

/// The last one first: whenever the process ends meanwhile, no hole is left.
Result<void> Log::drop_segments_from(Segments::iterator first) {
  const auto count = std::distance(first, segments_.end());
  for (auto i = count; i > 0; --i) {
    auto last = std::prev(segments_.end());
    if (has_defect(Defect::kSegmentsDroppedFirstToLast)) last = std::prev(segments_.end(), i);
    log_warn("storage", "removing a segment behind the end of the log",
             {{"segment", last->second->path(kLogSuffix)}, {"bytes", last->second->size_bytes()}});
    for (const std::string& path : last->second->paths()) {
      files_.forget(path);
      const auto removed = fs_.remove(path);
      if (!removed.ok() && removed.code() != ErrorCode::kResourceNotFound) return removed;
    }
    segments_.erase(last);
    directory_dirty_ = true;
  }
  return {};
}

Result<std::vector<Offset>> Log::producer_snapshots() {
  ASSIGN_OR_RETURN(const auto names, fs_.list(directory_));
  std::vector<Offset> offsets;
  for (const std::string& name : names) {
    if (const auto at = parse_segment_file_name(name, kSnapshotSuffix)) offsets.push_back(*at);
  }
  return offsets;
}

Result<void> Log::rebuild_producers(Offset offset, WallMs now) {
  producers_.clear();
  ASSIGN_OR_RETURN(auto snapshots, producer_snapshots());
  Offset from = log_start_offset_;
  for (; !snapshots.empty(); snapshots.pop_back()) {
    const Offset at = snapshots.back();
    const std::string path = directory_ + "/" + segment_file_name(at, kSnapshotSuffix);
    if (at <= offset && at >= log_start_offset_) {
      ASSIGN_OR_RETURN(const std::string bytes, io::read_file(fs_, path));
      auto loaded = ProducerStateManager::from_snapshot(
          record::Bytes(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()), now,
          options_.producer_id_expiration_ms);
      if (loaded.ok()) {
        producers_ = std::move(*loaded);
        from = at;
        break;
      }
      log_warn("storage", "ignoring a producer snapshot",
               {{"file", path}, {"reason", loaded.error().detail}});
    }
    RETURN_IF_ERROR(fs_.remove(path));
  }
  if (from >= offset) return {};
  for (auto it = segment_for(from); it != segments_.end() && it->first < offset; ++it) {
    RETURN_IF_ERROR(
        it->second->for_each_batch(from, [&](const record::Batch& batch) -> Result<void> {
          if (batch.header().base_offset() >= offset) return {};
          return note_producer(parts_of(batch), nullptr);
        }));
  }
  producers_.expire(now, options_.producer_id_expiration_ms);
  return {};
}

Result<void> Log::remove_stray_producer_snapshots() {
  ASSIGN_OR_RETURN(auto snapshots, producer_snapshots());
  if (!snapshots.empty()) snapshots.pop_back();  // the newest may be at the log end
  for (const Offset at : snapshots) {
    if (segments_.contains(at)) continue;
    RETURN_IF_ERROR(fs_.remove(directory_ + "/" + segment_file_name(at, kSnapshotSuffix)));
  }
  return {};
}

}  // namespace broker::storage
