#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "broker/storage/log_manager.h"

namespace broker::storage {

struct LogDirectoriesOptions {
  std::vector<std::string> directories;  // absolute paths, log.dirs
  std::string metadata_directory;        // one of them
  std::size_t max_cached_files = 1000;   // in each
  std::uint64_t seed = 0;                // of directory ids, and names of doomed directories
  std::size_t reserve_bytes = 0;         // see DirectoryHealth
};

/// All log directories of a broker (KIP-112, KIP-858). One that fails, now or at the start, is
/// offline alone, with the partitions in it. Lives on the node's strand, as each LogManager.
class LogDirectories {
 public:
  struct Directory {
    std::string path;
    DirectoryId id;                       // zero when it could not be read at the start
    std::unique_ptr<LogManager> manager;  // null then
    bool cordoned = false;                // takes no new logs while another one can (KIP-1066)
    bool is_offline() const { return manager == nullptr || manager->health().is_offline(); }
    bool is_full() const { return manager != nullptr && manager->health().is_full(); }
  };

  /// Opens all of them. A directory without meta.properties beside formatted ones becomes a part of
  /// the broker, with a new id. Errors: the metadata directory's, as LogManager::open;
  /// kInvalidConfig when another one belongs to another node or cluster.
  static Result<std::unique_ptr<LogDirectories>> open(io::FileSystem& fs,
                                                      LogDirectoriesOptions options);

  const std::vector<Directory>& directories() const { return directories_; }
  /// That of metadata.log.dir.
  LogManager& of_metadata() { return *directories_[metadata_].manager; }
  bool metadata_is_offline() const { return directories_[metadata_].is_offline(); }
  /// Ids of those that are in `state`; without those that could not be opened.
  std::vector<DirectoryId> ids(DirectoryHealth::State state) const;
  bool any_offline() const;
  bool any_full() const;
  /// Those of cordoned.log.dirs; "*" means all.
  void set_cordoned(std::span<const std::string> paths);
  std::vector<DirectoryId> cordoned() const;
  /// All of them were stopped cleanly.
  bool had_clean_shutdown() const;
  /// The epoch before that stop; nullopt unless all say the same.
  std::optional<BrokerEpoch> previous_broker_epoch() const;

  /// As LogManager::load in each. A directory that cannot be listed is offline then. Errors:
  /// kInvalidConfig when a partition lies in two.
  Result<std::vector<LogManager::LoadFailure>> load(const LogManager::OptionsFor& options_for,
                                                    WallMs now);
  /// The log of `partition`, where it is; else opened or created in the directory `assigned`; else,
  /// where that is none of this broker's, in the one with the fewest partitions, full and cordoned
  /// ones last. Errors: as
  /// LogManager::create; kKafkaStorageError when its directory is, or may be, an offline one.
  Result<std::shared_ptr<Log>> create(const TopicPartition& partition, TopicId topic_id,
                                      const LogOptions& options, const DirectoryId& assigned,
                                      WallMs now);
  /// Where the log of `partition` is.
  std::optional<DirectoryId> directory_of(const TopicPartition& partition) const;
  Offset checkpointed_high_watermark(const Log& log) const;

  // As in LogManager, in every directory that works.
  Result<void> remove(const TopicPartition& partition, std::int64_t delay_ms, WallMs now);
  Result<std::vector<TopicPartition>> move_strays_away(const LogManager::Belongs& belongs);
  Result<void> remove_doomed(WallMs now);
  /// Positions in offline directories are left out; of a single partition they are an error.
  Result<void> checkpoint(std::span<const LogPositions> positions);
  /// An error only of a directory that was online.
  Result<void> shut_down(std::optional<BrokerEpoch> epoch, WallMs now);

 private:
  LogDirectories() = default;
  Result<void> add(io::FileSystem& fs, const LogDirectoriesOptions& options, std::size_t index);
  Result<void> check(const Directory& directory) const;
  Directory* home_of(const TopicPartition& partition);
  Result<std::size_t> choose(const TopicPartition& partition, const DirectoryId& assigned) const;

  std::vector<Directory> directories_;
  std::size_t metadata_ = 0;
  std::map<TopicPartition, std::size_t> homes_;  // also of logs that could not be opened
};

}  // namespace broker::storage
