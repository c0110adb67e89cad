#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/common/rng.h"
#include "broker/storage/directory_health.h"
#include "broker/storage/file_cache.h"
#include "broker/storage/log.h"
#include "broker/storage/log_dir.h"

namespace broker::storage {

inline const TopicPartition kMetadataPartition{"__cluster_metadata", 0};

struct LogManagerOptions {
  std::string directory;                // absolute path of the log.dirs entry
  std::size_t max_cached_files = 1000;  // handles of inactive segments and indexes
  std::uint64_t seed = 0;               // for the names of doomed directories
  std::size_t reserve_bytes = 0;        // see DirectoryHealth
};

/// All logs of one log directory: finds, creates, deletes them, and writes the directory's
/// checkpoints. Lives on one strand (the node's). The logs that it hands out live on their
/// partitions' strands: the manager touches one only in open(), load(), create(), remove() and
/// shut_down(), and its owner sees to it that no strand uses it at that time. FileCache and
/// FileSystem are shared by all.
class LogManager {
 public:
  /// Opens the directory (see LogDir::open) but no log yet.
  static Result<std::unique_ptr<LogManager>> open(io::FileSystem& fs, LogManagerOptions options);

  LogDir& directory() { return *dir_; }
  FileCache& files() { return *files_; }
  /// Of the directory. Once it is offline nothing here touches the disk any more.
  DirectoryHealth& health() { return *health_; }

  using OptionsFor = std::function<LogOptions(const TopicPartition&)>;
  struct LoadFailure {
    TopicPartition partition;
    Error error;
  };
  /// Opens the logs of all partition directories but the metadata partition's, recovering them
  /// after an unclean stop, and removes what an earlier deletion left. A log that cannot be opened
  /// is offline: it is in the result, the others are there.
  Result<std::vector<LoadFailure>> load(const OptionsFor& options_for, WallMs now);

  /// The log of `partition`, opened or created, with `topic_id` in its partition.metadata. Also for
  /// the metadata partition. Errors: kInconsistentTopicId when the directory belongs to an earlier
  /// topic of that name; as Log::open.
  Result<std::shared_ptr<Log>> create(const TopicPartition& partition, TopicId topic_id,
                                      const LogOptions& options, WallMs now);
  /// nullptr when there is none.
  std::shared_ptr<Log> find(const TopicPartition& partition) const;
  const std::map<TopicPartition, std::shared_ptr<Log>>& logs() const { return logs_; }
  /// Where the log's high watermark was at the last checkpoint, within its bounds now.
  Offset checkpointed_high_watermark(const Log& log) const;

  /// Renames the directory to "-delete"; its files go with remove_doomed() once `delay_ms` is over.
  Result<void> remove(const TopicPartition& partition, std::int64_t delay_ms, WallMs now);
  /// Logs that `belongs` disowns (topic deleted or replica moved while this broker was away; or no
  /// partition.metadata) are renamed to "-stray" and kept for a person to look at. To be called
  /// once metadata has caught up. Returns the partitions.
  using Belongs = std::function<bool(const TopicPartition&, TopicId)>;
  Result<std::vector<TopicPartition>> move_strays_away(const Belongs& belongs);
  /// Removes doomed directories whose delay is over.
  Result<void> remove_doomed(WallMs now);

  /// Writes the recovery-point, high-watermark and log-start checkpoints, and the cleaner's where
  /// it changed. `positions`: of all logs,
  /// gathered from their strands. A partition that is not in it keeps the values last written.
  Result<void> checkpoint(std::span<const LogPositions> positions);

  /// Closes all logs, writes the checkpoints (with the high watermarks last reported), then the
  /// clean-shutdown marker, which is left out if any log had failed. An offline directory
  /// is left as it is: kKafkaStorageError.
  Result<void> shut_down(std::optional<BrokerEpoch> epoch, WallMs now);

 private:
  LogManager(io::FileSystem& fs, LogManagerOptions options);
  OpenContext open_context(const TopicPartition& partition, WallMs now);
  Result<void> guard() const;
  /// Hands `outcome` on; a failure takes the directory offline.
  Result<void> report_if_failed(Result<void> outcome);
  Result<void> write_checkpoints();
  /// Takes the log out and renames its directory; returns the new path.
  Result<std::string> rename_away(const TopicPartition& partition, std::string_view suffix);
  void note(const LogPositions& positions);
  void note_first_dirty(const TopicPartition& partition, std::optional<Offset> offset);
  void note_recovered(const Log& log);
  Result<void> lower_recovery_points();

  struct Doomed {
    std::string path;
    WallMs due = 0;
  };

  io::FileSystem& fs_;
  const LogManagerOptions options_;
  const std::shared_ptr<DirectoryHealth> health_;
  std::unique_ptr<LogDir> dir_;
  std::unique_ptr<FileCache> files_;
  Rng rng_;
  std::map<TopicPartition, std::shared_ptr<Log>> logs_;
  OffsetCheckpoint recovery_points_, log_starts_, high_watermarks_;
  OffsetCheckpoint first_dirty_offsets_;
  bool first_dirty_offsets_changed_ = false;
  bool recovery_points_too_high_ = false;  // those in the file
  std::vector<Doomed> doomed_;
  bool a_log_failed_ = false;
};

}  // namespace broker::storage
