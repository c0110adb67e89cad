#include "broker/storage/log_manager.h"

#include <algorithm>

#include "broker/common/defect.h"
#include "broker/common/log.h"

namespace broker::storage {

LogManager::LogManager(io::FileSystem& fs, LogManagerOptions options)
    : fs_(fs),
      options_(std::move(options)),
      health_(std::make_shared<DirectoryHealth>(fs, options_.directory, options_.reserve_bytes)),
      files_(std::make_unique<FileCache>(fs, options_.max_cached_files)),
      rng_(options_.seed) {}

Result<std::unique_ptr<LogManager>> LogManager::open(io::FileSystem& fs,
                                                     LogManagerOptions options) {
  std::unique_ptr<LogManager> manager(new LogManager(fs, std::move(options)));
  ASSIGN_OR_RETURN(manager->dir_, LogDir::open(fs, manager->options_.directory));
  manager->recovery_points_ = manager->dir_->recovery_points();
  manager->log_starts_ = manager->dir_->log_starts();
  manager->high_watermarks_ = manager->dir_->high_watermarks();
  manager->first_dirty_offsets_ = manager->dir_->first_dirty_offsets();
  manager->health_->set_reserve_aside();
  return manager;
}

Result<void> LogManager::guard() const {
  if (!health_->is_offline()) return {};
  return Error{ErrorCode::kKafkaStorageError, options_.directory + " is offline"};
}

Result<void> LogManager::report_if_failed(Result<void> outcome) {
  if (outcome.code() == ErrorCode::kKafkaStorageError) health_->fail(outcome.error());
  return outcome;
}

OpenContext LogManager::open_context(const TopicPartition& partition, WallMs now) {
  OpenContext context{.clean_shutdown = dir_->had_clean_shutdown(),
                      .now = now,
                      .health = health_.get(),
                      .may_use_reserve = partition == kMetadataPartition};
  if (const auto it = recovery_points_.find(partition); it != recovery_points_.end()) {
    context.recovery_point = it->second;
  }
  if (const auto it = log_starts_.find(partition); it != log_starts_.end()) {
    context.log_start_offset = it->second;
  }
  if (const auto it = first_dirty_offsets_.find(partition); it != first_dirty_offsets_.end()) {
    context.first_dirty_offset = it->second;
  }
  return context;
}

Result<std::vector<LogManager::LoadFailure>> LogManager::load(const OptionsFor& options_for,
                                                              WallMs now) {
  ASSIGN_OR_RETURN(const LogDir::Listing listing, dir_->list());
  for (const std::string& name : listing.foreign) {
    log_warn("storage", "ignoring a directory that is no partition's", {{"directory", name}});
  }
  for (const std::string& name : listing.strays) {
    log_warn("storage", "a stray partition is kept", {{"directory", name}});
  }
  for (const std::string& name : listing.doomed) {
    doomed_.push_back({dir_->path() + "/" + name, now});
  }
  RETURN_IF_ERROR(remove_doomed(now));

  if (!dir_->had_clean_shutdown() && !listing.partitions.empty()) {
    log_info("storage", "recovering logs: the last stop was not clean",
             {{"directory", dir_->path()}, {"logs", listing.partitions.size()}});
  }
  std::vector<LoadFailure> failures;
  for (const TopicPartition& partition : listing.partitions) {
    if (partition == kMetadataPartition || logs_.contains(partition)) continue;
    auto log = Log::open(*files_, dir_->partition_path(partition), partition,
                         options_for(partition), open_context(partition, now));
    if (log.ok()) {
      note_recovered(**log);
      logs_[partition] = std::move(*log);
      continue;
    }
    a_log_failed_ = true;
    log_error("storage", "a log cannot be opened",
              {{"partition", to_string(partition)}, {"reason", to_string(log.error())}});
    failures.push_back({partition, log.error()});
  }
  RETURN_IF_ERROR(lower_recovery_points());
  return failures;
}

void LogManager::note_recovered(const Log& log) {
  if (has_defect(Defect::kRecoveryPointTooHigh)) return;
  const auto claimed = recovery_points_.find(log.partition());
  if (claimed == recovery_points_.end() || claimed->second <= log.recovery_point()) return;
  claimed->second = log.recovery_point();
  recovery_points_too_high_ = true;
}

/// Before anything is appended where the checkpoint still says that it is on disk: after the next
/// crash it would be believed.
Result<void> LogManager::lower_recovery_points() {
  if (!recovery_points_too_high_) return {};
  RETURN_IF_ERROR(report_if_failed(with_reserve(
      health_.get(), [this] { return dir_->write_recovery_points(recovery_points_); })));
  recovery_points_too_high_ = false;
  return {};
}

Result<std::shared_ptr<Log>> LogManager::create(const TopicPartition& partition, TopicId topic_id,
                                                const LogOptions& options, WallMs now) {
  RETURN_IF_ERROR(guard());
  auto& log = logs_[partition];
  if (!log) {
    const std::string path = dir_->partition_path(partition);
    const bool is_new = !fs_.exists(path);
    OpenContext context = open_context(partition, now);
    if (is_new) {  // whatever a checkpoint says is about an earlier partition of that name
      context.clean_shutdown = true;
      context.recovery_point = context.log_start_offset = Offset{0};
      context.first_dirty_offset.reset();
      if (recovery_points_.erase(partition) > 0) recovery_points_too_high_ = true;
      log_starts_.erase(partition);
      high_watermarks_.erase(partition);
      note_first_dirty(partition, std::nullopt);
    }
    auto opened = with_reserve(
        health_.get(), [&] { return Log::open(*files_, path, partition, options, context); });
    if (!opened.ok()) {
      logs_.erase(partition);
      return opened.error();
    }
    log = std::move(*opened);
    note_recovered(*log);
    RETURN_IF_ERROR(lower_recovery_points());
    if (is_new) RETURN_IF_ERROR(report_if_failed(fs_.sync_directory(dir_->path())));
  }
  RETURN_IF_ERROR(log->set_topic_id(topic_id));
  return log;
}

std::shared_ptr<Log> LogManager::find(const TopicPartition& partition) const {
  const auto it = logs_.find(partition);
  return it == logs_.end() ? nullptr : it->second;
}

Offset LogManager::checkpointed_high_watermark(const Log& log) const {
  const auto it = high_watermarks_.find(log.partition());
  const Offset offset = it == high_watermarks_.end() ? Offset{0} : it->second;
  return std::clamp(offset, log.log_start_offset(), log.log_end_offset());
}

Result<std::string> LogManager::rename_away(const TopicPartition& partition,
                                            std::string_view suffix) {
  const auto it = logs_.find(partition);
  if (it == logs_.end()) {
    return Error{ErrorCode::kUnknownTopicOrPartition, "there is no log of " + to_string(partition)};
  }
  RETURN_IF_ERROR(guard());
  it->second->retire();
  const std::string path =
      dir_->path() + "/" + doomed_directory_name(partition, Uuid{rng_.next(), rng_.next()}, suffix);
  RETURN_IF_ERROR(report_if_failed(fs_.rename(it->second->directory(), path)));
  RETURN_IF_ERROR(report_if_failed(fs_.sync_directory(dir_->path())));
  logs_.erase(it);
  // A later partition of that name must not be believed to be on disk.
  if (recovery_points_.erase(partition) > 0) recovery_points_too_high_ = true;
  log_starts_.erase(partition);
  high_watermarks_.erase(partition);
  note_first_dirty(partition, std::nullopt);
  return path;
}

Result<void> LogManager::remove(const TopicPartition& partition, std::int64_t delay_ms,
                                WallMs now) {
  ASSIGN_OR_RETURN(std::string path, rename_away(partition, "-delete"));
  doomed_.push_back({std::move(path), now + delay_ms});
  return {};
}

Result<std::vector<TopicPartition>> LogManager::move_strays_away(const Belongs& belongs) {
  std::vector<TopicPartition> strays;
  for (const auto& [partition, log] : logs_) {
    if (partition == kMetadataPartition) continue;
    if (!log->topic_id() || !belongs(partition, *log->topic_id())) strays.push_back(partition);
  }
  for (const TopicPartition& partition : strays) {
    ASSIGN_OR_RETURN(const std::string path, rename_away(partition, "-stray"));
    log_warn("storage", "a log that belongs to no partition of this broker was set aside",
             {{"partition", to_string(partition)}, {"directory", path}});
  }
  return strays;
}

Result<void> LogManager::remove_doomed(WallMs now) {
  RETURN_IF_ERROR(guard());
  for (auto it = doomed_.begin(); it != doomed_.end();) {
    if (it->due > now) {
      ++it;
      continue;
    }
    RETURN_IF_ERROR(report_if_failed(fs_.remove_recursively(it->path)));
    it = doomed_.erase(it);
  }
  return {};
}

void LogManager::note_first_dirty(const TopicPartition& partition, std::optional<Offset> offset) {
  if (!offset) {
    if (first_dirty_offsets_.erase(partition) > 0) first_dirty_offsets_changed_ = true;
    return;
  }
  const auto [it, is_new] = first_dirty_offsets_.try_emplace(partition, *offset);
  if (is_new || it->second != *offset) first_dirty_offsets_changed_ = true;
  it->second = *offset;
}

void LogManager::note(const LogPositions& positions) {
  note_first_dirty(positions.partition, positions.first_dirty_offset);
  recovery_points_[positions.partition] = positions.recovery_point;
  high_watermarks_[positions.partition] = positions.high_watermark;
  if (positions.log_start_was_raised) {
    log_starts_[positions.partition] = positions.log_start_offset;
  } else {
    log_starts_.erase(positions.partition);
  }
}

Result<void> LogManager::checkpoint(std::span<const LogPositions> positions) {
  RETURN_IF_ERROR(guard());
  for (const LogPositions& p : positions) {
    if (logs_.contains(p.partition)) note(p);  // else it was deleted meanwhile
  }
  return report_if_failed(with_reserve(health_.get(), [this] { return write_checkpoints(); }));
}

Result<void> LogManager::write_checkpoints() {
  RETURN_IF_ERROR(dir_->write_recovery_points(recovery_points_));
  recovery_points_too_high_ = false;
  RETURN_IF_ERROR(dir_->write_log_starts(log_starts_));
  if (first_dirty_offsets_changed_) {
    RETURN_IF_ERROR(dir_->write_first_dirty_offsets(first_dirty_offsets_));
    first_dirty_offsets_changed_ = false;
  }
  return dir_->write_high_watermarks(high_watermarks_);
}

Result<void> LogManager::shut_down(std::optional<BrokerEpoch> epoch, WallMs now) {
  std::vector<LogPositions> positions;
  for (const auto& [partition, log] : logs_) {
    if (health_->is_offline()) break;
    const auto closed = log->close(now);
    if (!closed.ok()) {
      a_log_failed_ = true;
      log_error("storage", "a log was not closed cleanly",
                {{"partition", to_string(partition)}, {"reason", closed.error().detail}});
      continue;
    }
    positions.push_back(log->positions(checkpointed_high_watermark(*log)));
  }
  const auto written = checkpoint(positions);
  logs_.clear();
  RETURN_IF_ERROR(written);
  if (a_log_failed_) return {};
  return with_reserve(health_.get(), [&] { return dir_->write_clean_shutdown(epoch); });
}

}  // namespace broker::storage
