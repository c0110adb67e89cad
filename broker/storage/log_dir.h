#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/io/file.h"
#include "broker/storage/checkpoint_file.h"
#include "broker/storage/meta_properties.h"

namespace broker::storage {

/// "orders-3" to its parts. nullopt for a name that is no partition's ("lost+found", "x-1-delete").
std::optional<TopicPartition> parse_partition_directory(std::string_view name);
/// "<topic>-<p>.<32 hex digits>-delete" or "-stray", at most 255 bytes: the topic is cut.
std::string doomed_directory_name(const TopicPartition& partition, Uuid unique,
                                  std::string_view suffix);

/// One entry of log.dirs: locked while the object lives, with its meta.properties, checkpoints and
/// clean-shutdown marker. Nothing here creates a directory whose name Kafka would refuse to start
/// with.
class LogDir {
 public:
  /// Locks the directory, reads meta.properties and the checkpoints, and consumes the
  /// clean-shutdown marker: a crash from now on is unclean. Errors: kKafkaStorageError (locked,
  /// unreadable), kInvalidConfig when it is not formatted or meta.properties is wrong.
  static Result<std::unique_ptr<LogDir>> open(io::FileSystem& fs, std::string path);

  const std::string& path() const { return path_; }
  const MetaProperties& meta_properties() const { return meta_; }
  /// Draws and stores a directory id where an old directory has none.
  Result<void> ensure_directory_id(DirectoryId id);

  bool had_clean_shutdown() const { return clean_; }
  /// The broker epoch before that clean stop (KIP-966).
  std::optional<BrokerEpoch> previous_broker_epoch() const { return previous_epoch_; }
  /// As read at the start. A malformed recovery-point or log-start file counts as empty (everything
  /// is recovered), a malformed replication-offset file fails the open, as in Kafka.
  const OffsetCheckpoint& recovery_points() const { return recovery_points_; }
  const OffsetCheckpoint& log_starts() const { return log_starts_; }
  const OffsetCheckpoint& high_watermarks() const { return high_watermarks_; }
  /// First dirty offsets of compacted logs; a malformed file counts as empty.
  const OffsetCheckpoint& first_dirty_offsets() const { return first_dirty_offsets_; }

  Result<void> write_recovery_points(const OffsetCheckpoint& offsets);
  Result<void> write_log_starts(const OffsetCheckpoint& offsets);
  Result<void> write_high_watermarks(const OffsetCheckpoint& offsets);
  Result<void> write_first_dirty_offsets(const OffsetCheckpoint& offsets);
  /// The last thing a clean stop does.
  Result<void> write_clean_shutdown(std::optional<BrokerEpoch> epoch);

  struct Listing {
    std::vector<TopicPartition> partitions;
    std::vector<std::string> doomed;   // names ending in -delete
    std::vector<std::string> strays;   // names ending in -stray
    std::vector<std::string> foreign;  // other directories: -future, lost+found; left alone
  };
  Result<Listing> list();
  std::string partition_path(const TopicPartition& partition) const;

 private:
  LogDir(io::FileSystem& fs, std::string path) : fs_(fs), path_(std::move(path)) {}
  Result<void> consume_clean_marker();

  io::FileSystem& fs_;
  const std::string path_;
  std::unique_ptr<io::File> lock_;
  MetaProperties meta_;
  bool clean_ = false;
  std::optional<BrokerEpoch> previous_epoch_;
  OffsetCheckpoint recovery_points_, log_starts_, high_watermarks_, first_dirty_offsets_;
};

}  // namespace broker::storage
