#include "broker/storage/log_dir.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "broker/common/log.h"
#include "broker/storage/text.h"

namespace broker::storage {
namespace {

constexpr const char* kLockName = "/.lock";
constexpr const char* kCleanShutdownName = "/.kafka_cleanshutdown";
constexpr const char* kRecoveryPointName = "/recovery-point-offset-checkpoint";
constexpr const char* kLogStartName = "/log-start-offset-checkpoint";
constexpr const char* kHighWatermarkName = "/replication-offset-checkpoint";
constexpr const char* kCleanerName = "/cleaner-offset-checkpoint";
constexpr std::size_t kMaxNameBytes = 255;

/// A malformed checkpoint of these costs a longer start, not data.
Result<OffsetCheckpoint> read_or_reset(io::FileSystem& fs, const std::string& path) {
  auto read = read_offset_checkpoint(fs, path);
  if (read.ok()) return read;
  log_warn("storage", "ignoring a checkpoint", {{"file", path}, {"reason", read.error().detail}});
  return OffsetCheckpoint{};
}

}  // namespace

std::optional<TopicPartition> parse_partition_directory(std::string_view name) {
  const std::size_t dash = name.rfind('-');
  TopicPartition partition;
  if (dash == std::string_view::npos || dash == 0 ||
      !parse_number(name.substr(dash + 1), partition.partition) || partition.partition < 0) {
    return std::nullopt;
  }
  partition.topic = name.substr(0, dash);
  return partition;
}

std::string doomed_directory_name(const TopicPartition& partition, Uuid unique,
                                  std::string_view suffix) {
  char hex[33];
  std::snprintf(hex, sizeof hex, "%016llx%016llx", static_cast<unsigned long long>(unique.msb),
                static_cast<unsigned long long>(unique.lsb));
  const std::string tail =
      "-" + std::to_string(partition.partition) + "." + hex + std::string(suffix);
  return partition.topic.substr(0, kMaxNameBytes - tail.size()) + tail;
}

Result<std::unique_ptr<LogDir>> LogDir::open(io::FileSystem& fs, std::string path) {
  std::unique_ptr<LogDir> dir(new LogDir(fs, std::move(path)));
  ASSIGN_OR_RETURN(const auto meta, read_meta_properties(fs, dir->path_));
  if (!meta) {
    return Error{ErrorCode::kInvalidConfig,
                 dir->path_ + " is not formatted: it has no meta.properties"};
  }
  dir->meta_ = *meta;
  ASSIGN_OR_RETURN(dir->lock_, fs.lock(dir->path_ + kLockName));
  ASSIGN_OR_RETURN(dir->recovery_points_, read_or_reset(fs, dir->path_ + kRecoveryPointName));
  ASSIGN_OR_RETURN(dir->log_starts_, read_or_reset(fs, dir->path_ + kLogStartName));
  ASSIGN_OR_RETURN(dir->high_watermarks_,
                   read_offset_checkpoint(fs, dir->path_ + kHighWatermarkName));
  ASSIGN_OR_RETURN(dir->first_dirty_offsets_, read_or_reset(fs, dir->path_ + kCleanerName));
  RETURN_IF_ERROR(dir->consume_clean_marker());
  return dir;
}

Result<void> LogDir::consume_clean_marker() {
  const std::string marker = path_ + kCleanShutdownName;
  const auto text = io::read_file(fs_, marker);
  if (text.code() == ErrorCode::kResourceNotFound) return {};
  if (!text.ok()) return text.error();
  clean_ = true;
  const auto json = nlohmann::json::parse(*text, nullptr, false);  // Kafka 2 left it empty
  if (json.is_object() && json.contains("brokerEpoch") && json["brokerEpoch"].is_number_integer()) {
    const auto epoch = json["brokerEpoch"].get<std::int64_t>();
    if (epoch >= 0) previous_epoch_ = BrokerEpoch{epoch};
  }
  RETURN_IF_ERROR(fs_.remove(marker));
  // Were it still there after a power cut, damaged logs would be taken for whole ones.
  return fs_.sync_directory(path_);
}

Result<void> LogDir::ensure_directory_id(DirectoryId id) {
  if (meta_.directory_id) return {};
  meta_.directory_id = id;
  return write_meta_properties(fs_, path_, meta_);
}

Result<void> LogDir::write_recovery_points(const OffsetCheckpoint& offsets) {
  return write_offset_checkpoint(fs_, path_ + kRecoveryPointName, offsets);
}
Result<void> LogDir::write_log_starts(const OffsetCheckpoint& offsets) {
  return write_offset_checkpoint(fs_, path_ + kLogStartName, offsets);
}
Result<void> LogDir::write_high_watermarks(const OffsetCheckpoint& offsets) {
  return write_offset_checkpoint(fs_, path_ + kHighWatermarkName, offsets);
}

Result<void> LogDir::write_first_dirty_offsets(const OffsetCheckpoint& offsets) {
  return write_offset_checkpoint(fs_, path_ + kCleanerName, offsets);
}

Result<void> LogDir::write_clean_shutdown(std::optional<BrokerEpoch> epoch) {
  const nlohmann::json json{{"version", 0}, {"brokerEpoch", epoch ? epoch->value : -1}};
  return io::write_file_atomically(fs_, path_ + kCleanShutdownName, json.dump());
}

Result<LogDir::Listing> LogDir::list() {
  ASSIGN_OR_RETURN(const auto names, fs_.list(path_));
  Listing listing;
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(const io::FileInfo info, fs_.stat(path_ + "/" + name));
    if (!info.is_directory) continue;
    if (name.ends_with("-delete")) {
      listing.doomed.push_back(name);
    } else if (name.ends_with("-stray")) {
      listing.strays.push_back(name);
    } else if (auto partition = parse_partition_directory(name)) {
      listing.partitions.push_back(std::move(*partition));
    } else {
      listing.foreign.push_back(name);
    }
  }
  return listing;
}

std::string LogDir::partition_path(const TopicPartition& partition) const {
  return path_ + "/" + to_string(partition);
}

}  // namespace broker::storage
