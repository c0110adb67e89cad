// Log: reading, rolling, flushing and closing. Opening is in log_loader.cc, appending in
// log_append.cc, truncation and retention in log_retention.cc.
#include "broker/storage/log.h"

#include <algorithm>

#include "broker/common/defect.h"
#include "broker/common/log.h"

namespace broker::storage {
namespace {

constexpr const char* kEpochsName = "/leader-epoch-checkpoint";

}  // namespace

Log::Log(FileCache& files, std::string directory, TopicPartition partition, LogOptions options)
    : files_(files),
      fs_(files.file_system()),
      directory_(std::move(directory)),
      partition_(std::move(partition)),
      options_(std::move(options)) {}

Log::~Log() = default;

Result<void> Log::guard() const {
  std::optional<Error> why = failure_;
  if (!why && failed()) why = health_->failure();
  if (!why) return {};
  return Error{ErrorCode::kKafkaStorageError,
               to_string(partition_) + " is offline since: " + why->detail};
}

Result<void> Log::poison_if_failed(const Result<void>& outcome) {
  if (outcome.ok()) return {};
  if (!failure_) {
    failure_ = Error{ErrorCode::kKafkaStorageError, outcome.error().detail};
    log_error("storage", "a log went offline",
              {{"partition", to_string(partition_)}, {"reason", failure_->detail}});
    (void)report_if_failed(outcome);
  }
  return *failure_;
}

Result<void> Log::conclude_write(const Result<void>& outcome) {
  if (outcome.ok() || health_ == nullptr || !io::is_no_space(outcome.error())) {
    return poison_if_failed(outcome);
  }
  health_->note_full();
  return outcome;
}

template <class T>
Result<T> Log::report_if_failed(Result<T> outcome) {
  if (outcome.code() == ErrorCode::kKafkaStorageError && health_ != nullptr) {
    health_->fail(outcome.error());
  }
  return outcome;
}

Result<void> Log::check_space() const {
  if (health_ == nullptr || may_use_reserve_ || !health_->is_full()) return {};
  return Error{ErrorCode::kKafkaStorageError, health_->directory() + " is full"};
}

Log::Segments::iterator Log::segment_for(Offset offset) {
  const auto behind = segments_.upper_bound(offset);
  return behind == segments_.begin() ? behind : std::prev(behind);
}

Result<ReadResult> Log::read(Offset from, Offset max_exclusive, std::size_t max_bytes,
                             bool at_least_one, ReadAs as) {
  RETURN_IF_ERROR(guard());
  if (from < log_start_offset_ || from > log_end_offset_) {
    return Error{ErrorCode::kOffsetOutOfRange, "offset " + std::to_string(from.value) + " of " +
                                                   to_string(partition_) + ", which has " +
                                                   std::to_string(log_start_offset_.value) +
                                                   " to " + std::to_string(log_end_offset_.value)};
  }
  const ReadResult empty{.records = {}, .first_offset = from, .next_offset = from};
  if (from >= max_exclusive || from == log_end_offset_) return empty;
  const ReadLimits limits{
      .max_exclusive = max_exclusive,
      .max_bytes = max_bytes,
      .at_least_one = at_least_one,
      .read_ahead_bytes = static_cast<std::size_t>(options_.index_interval_bytes),
      .as = as,
      .refer_bytes = options_.refer_bytes};
  // Compaction can leave nothing at or behind `from` in its segment: then it is in a later one.
  for (auto it = segment_for(from); it != segments_.end(); ++it) {
    ASSIGN_OR_RETURN(auto result, report_if_failed(it->second->read(from, limits, health_)));
    if (result) return std::move(*result);
  }
  return empty;
}

Result<std::optional<TimestampOffset>> Log::offset_for_timestamp(WallMs timestamp) {
  RETURN_IF_ERROR(guard());
  for (auto it = segment_for(log_start_offset_); it != segments_.end(); ++it) {
    ASSIGN_OR_RETURN(const TimePosition max, it->second->max_timestamp());
    if (max.timestamp < timestamp) continue;
    ASSIGN_OR_RETURN(const auto found, it->second->find_timestamp(timestamp, log_start_offset_,
                                                                  options_.max_decompressed_bytes));
    if (found) return found;
  }
  return std::optional<TimestampOffset>{};
}

Result<std::optional<TimestampOffset>> Log::max_timestamp() {
  RETURN_IF_ERROR(guard());
  WallMs max = record::kNoTimestamp;
  for (auto it = segment_for(log_start_offset_); it != segments_.end(); ++it) {
    ASSIGN_OR_RETURN(const TimePosition segment_max, it->second->max_timestamp());
    max = std::max(max, segment_max.timestamp);
  }
  if (max == record::kNoTimestamp) return std::optional<TimestampOffset>{};
  return offset_for_timestamp(max);
}

Result<std::vector<AbortedTxn>> Log::aborted_transactions(Offset from, Offset to) {
  RETURN_IF_ERROR(guard());
  std::vector<AbortedTxn> found;
  if (has_defect(Defect::kAbortsNotIndexed)) return found;
  for (auto it = segment_for(from); it != segments_.end(); ++it) {
    ASSIGN_OR_RETURN(const auto txns, it->second->aborted_transactions());
    for (const AbortedTxn& txn : txns) {
      if (txn.last_offset >= from && txn.first_offset < to) found.push_back(txn);
      // Nothing that was open before `to` is decided behind this marker.
      if (txn.last_stable_offset >= to) return found;
    }
  }
  return found;
}

LogPositions Log::positions(Offset high_watermark) const {
  return {.partition = partition_,
          .recovery_point = recovery_point_,
          .log_start_offset = log_start_offset_,
          .high_watermark = high_watermark,
          .log_start_was_raised = log_start_offset_ > segments_.begin()->first,
          .first_dirty_offset =
              options_.cleanup_compact ? std::optional(first_dirty_offset_) : std::nullopt};
}

std::uint64_t Log::size_bytes() const {
  std::uint64_t size = 0;
  for (const auto& [base, segment] : segments_) size += segment->size_bytes();
  return size;
}

std::optional<EpochEnd> Log::end_offset_for_epoch(LeaderEpoch epoch) const {
  return epochs_.end_offset_for(epoch, log_end_offset_);
}

void Log::assign_epoch_start(LeaderEpoch epoch) {
  if (epoch.value >= 0 && epochs_.assign(epoch, log_end_offset_)) epochs_dirty_ = true;
}

Result<void> Log::create_segment(Offset base_offset, WallMs now) {
  ASSIGN_OR_RETURN(segments_[base_offset], Segment::create(files_, directory_, base_offset, now));
  directory_dirty_ = true;
  closed_on_disk_ = false;
  return {};
}

Result<void> Log::roll(WallMs now) {
  RETURN_IF_ERROR(guard());
  return active().empty() ? Result<void>{} : poison_if_failed(roll_to(log_end_offset_, now));
}

Result<void> Log::roll_to(Offset base_offset, WallMs now) {
  return with_reserve(health_, [&] { return try_roll_to(base_offset, now); });
}

/// May be called again after a failure: what is done already costs nothing.
Result<void> Log::try_roll_to(Offset base_offset, WallMs now) {
  if (segments_.empty()) return create_segment(base_offset, now);
  if (active().empty()) {  // a gap too wide for relative offsets: the empty one starts later
    if (active().base_offset() == base_offset) return {};
    RETURN_IF_ERROR(drop_segments_from(std::prev(segments_.end())));
    return create_segment(base_offset, now);
  }
  RETURN_IF_ERROR(active().make_inactive());
  RETURN_IF_ERROR(write_producer_snapshot(base_offset, false));
  return create_segment(base_offset, now);
}

bool Log::flush_due(WallMs now) const {
  const std::int64_t unflushed = log_end_offset_ - recovery_point_;
  if (unflushed <= 0) return false;
  return unflushed >= options_.flush_messages || now - last_flush_ >= options_.flush_ms;
}

Result<FlushJob> Log::prepare_flush() {
  RETURN_IF_ERROR(guard());
  FlushJob job;
  job.up_to = log_end_offset_;
  job.fs = &fs_;
  job.health = health_;
  for (auto it = segment_for(last_flushed(recovery_point_)); it != segments_.end(); ++it) {
    const bool is_active = std::next(it) == segments_.end();
    RETURN_IF_ERROR(poison_if_failed(it->second->collect_files(job.files, !is_active)));
  }
  if (std::exchange(directory_dirty_, false)) job.directory = directory_;
  if (std::exchange(epochs_dirty_, false)) {
    job.epochs = epochs_.to_text();
    job.epochs_path = directory_ + kEpochsName;
  }
  flush_bound_ = Offset{INT64_MAX};
  return job;
}

Result<void> Log::complete_flush(const FlushJob& job, const Result<void>& outcome, WallMs now) {
  RETURN_IF_ERROR(guard());
  RETURN_IF_ERROR(poison_if_failed(outcome));
  // What was truncated meanwhile and written anew is not what was synced.
  recovery_point_ = std::max(recovery_point_, std::min(job.up_to, flush_bound_));
  last_flush_ = now;
  return {};
}

Result<void> Log::flush(WallMs now) {
  ASSIGN_OR_RETURN(const FlushJob job, prepare_flush());
  return complete_flush(job, job.run(), now);
}

/// Its segment is the first that is not known to be whole on disk: where it was rolled just behind
/// the recovery point, its indexes were written after the flush.
Offset Log::last_flushed(Offset recovery_point) const {
  if (has_defect(Defect::kRolledIndexTrusted)) {
    return std::max(recovery_point, segments_.begin()->first);
  }
  return std::max(recovery_point + -1, segments_.begin()->first);
}

Result<void> Log::write_epochs() {
  epochs_dirty_ = false;
  return with_reserve(health_, [&] {
    return io::write_file_atomically(fs_, directory_ + kEpochsName, epochs_.to_text());
  });
}

Result<void> Log::write_producer_snapshot(Offset offset, bool sync) {
  const std::string path = directory_ + "/" + segment_file_name(offset, kSnapshotSuffix);
  const std::vector<std::uint8_t> bytes = producers_.to_snapshot();
  return with_reserve(health_, [&]() -> Result<void> {
    ASSIGN_OR_RETURN(const auto file, fs_.open(path, io::OpenMode::kCreate));
    RETURN_IF_ERROR(file->truncate(0));
    RETURN_IF_ERROR(file->write_at(0, bytes));
    // Not synced on a roll: its checksum tells after a crash whether it can be used.
    return sync ? file->sync() : Result<void>{};
  });
}

Result<void> Log::set_topic_id(TopicId id) {
  RETURN_IF_ERROR(guard());
  if (topic_id_ == id) return {};
  if (topic_id_) {
    return Error{ErrorCode::kInconsistentTopicId, directory_ + " belongs to the topic with id " +
                                                      topic_id_->to_string() + ", not " +
                                                      id.to_string()};
  }
  RETURN_IF_ERROR(poison_if_failed(with_reserve(health_, [&] {
    return io::write_file_atomically(fs_, directory_ + "/partition.metadata",
                                     "version: 0\ntopic_id: " + id.to_string());
  })));
  topic_id_ = id;
  return {};
}

Result<void> Log::close(WallMs now) {
  RETURN_IF_ERROR(guard());
  if (!closed_on_disk_ || epochs_dirty_ || directory_dirty_) {
    RETURN_IF_ERROR(finish_on_disk(now));
  }
  retire();
  return {};
}

void Log::retire() {
  abandon_cleaning();
  for (auto& [base, segment] : segments_) {
    for (const std::string& path : segment->paths()) files_.forget(path);
  }
  if (!failure_) failure_ = Error{ErrorCode::kKafkaStorageError, "it was closed"};
}

Result<void> Log::finish_on_disk(WallMs now) {
  RETURN_IF_ERROR(poison_if_failed(active().finish_indexes()));
  RETURN_IF_ERROR(poison_if_failed(write_producer_snapshot(log_end_offset_, true)));
  epochs_dirty_ = directory_dirty_ = true;
  ASSIGN_OR_RETURN(FlushJob job, prepare_flush());
  RETURN_IF_ERROR(poison_if_failed(active().collect_files(job.files, true)));
  return complete_flush(job, job.run(), now);
}

}  // namespace broker::storage
