#include "broker/storage/log_directories.h"

#include <algorithm>
#include <tuple>

#include "broker/common/log.h"

namespace broker::storage {
namespace {

/// Kafka's ids below this one mean something: unassigned, lost, migrating.
bool is_reserved(const DirectoryId& id) { return id.msb == 0 && id.lsb < 100; }

/// Makes an empty directory a part of the broker.
Result<void> format_if_new(io::FileSystem& fs, const std::string& path, const MetaProperties& like,
                           Rng& rng) {
  RETURN_IF_ERROR(fs.create_directories(path));
  ASSIGN_OR_RETURN(const auto existing, read_meta_properties(fs, path));
  if (existing) return {};
  log_info("storage", "a new log directory", {{"directory", path}});
  return write_meta_properties(fs, path, {like.cluster_id, like.node_id, Uuid::random(rng)});
}

}  // namespace

Result<std::unique_ptr<LogDirectories>> LogDirectories::open(io::FileSystem& fs,
                                                             LogDirectoriesOptions options) {
  std::unique_ptr<LogDirectories> all(new LogDirectories());
  const auto metadata =
      std::find(options.directories.begin(), options.directories.end(), options.metadata_directory);
  if (metadata == options.directories.end()) {
    return Error{ErrorCode::kInvalidConfig,
                 "metadata.log.dir: this version wants one of log.dirs, " +
                     options.metadata_directory + " is none"};
  }
  all->metadata_ = static_cast<std::size_t>(metadata - options.directories.begin());
  for (const std::string& path : options.directories) all->directories_.push_back({.path = path});
  RETURN_IF_ERROR(all->add(fs, options, all->metadata_));
  for (std::size_t i = 0; i < all->directories_.size(); ++i) {
    if (i == all->metadata_) continue;
    const auto added = all->add(fs, options, i);
    if (added.ok()) continue;
    if (added.code() == ErrorCode::kInvalidConfig) return added.error();
    log_error("storage", "a log directory cannot be used and is offline until the next start",
              {{"directory", options.directories[i]}, {"reason", added.error().detail}});
  }
  return all;
}

Result<void> LogDirectories::add(io::FileSystem& fs, const LogDirectoriesOptions& options,
                                 std::size_t index) {
  Directory& directory = directories_[index];
  Rng rng(options.seed + index);
  if (index != metadata_) {
    const MetaProperties& like = of_metadata().directory().meta_properties();
    RETURN_IF_ERROR(format_if_new(fs, directory.path, like, rng));
  }
  ASSIGN_OR_RETURN(auto manager, LogManager::open(fs, {.directory = directory.path,
                                                       .max_cached_files = options.max_cached_files,
                                                       .seed = options.seed + index,
                                                       .reserve_bytes = options.reserve_bytes}));
  LogDir& dir = manager->directory();
  if (!dir.meta_properties().directory_id) {
    RETURN_IF_ERROR(dir.ensure_directory_id(Uuid::random(rng)));
  }
  directory.id = *dir.meta_properties().directory_id;
  directory.manager = std::move(manager);
  const auto checked = check(directory);
  if (!checked.ok()) directory.manager = nullptr;
  return checked;
}

Result<void> LogDirectories::check(const Directory& directory) const {
  const auto wrong = [&](const std::string& what) {
    return Error{ErrorCode::kInvalidConfig, directory.path + "/meta.properties: " + what};
  };
  const Directory& first = directories_[metadata_];
  if (&directory == &first) return {};
  const MetaProperties& mine = directory.manager->directory().meta_properties();
  const MetaProperties& like = first.manager->directory().meta_properties();
  if (mine.cluster_id != like.cluster_id)
    return wrong("cluster.id is " + mine.cluster_id + ", that of " + first.path + " is " +
                 like.cluster_id);
  if (mine.node_id != like.node_id)
    return wrong("node.id is " + std::to_string(mine.node_id.value) + ", that of " + first.path +
                 " is " + std::to_string(like.node_id.value));
  for (const Directory& other : directories_)
    if (&other != &directory && other.manager && other.id == directory.id)
      return wrong(other.path + " has the same directory.id");
  return {};
}

std::vector<DirectoryId> LogDirectories::ids(DirectoryHealth::State state) const {
  std::vector<DirectoryId> ids;
  for (const Directory& d : directories_)
    if (d.manager && d.manager->health().state() == state) ids.push_back(d.id);
  return ids;
}

bool LogDirectories::any_offline() const {
  return std::any_of(directories_.begin(), directories_.end(),
                     [](const Directory& d) { return d.is_offline(); });
}

bool LogDirectories::any_full() const {
  return std::any_of(directories_.begin(), directories_.end(),
                     [](const Directory& d) { return d.is_full(); });
}

void LogDirectories::set_cordoned(std::span<const std::string> paths) {
  for (Directory& d : directories_) {
    d.cordoned = std::any_of(paths.begin(), paths.end(), [&](const std::string& path) {
      return path == "*" || path == d.path;
    });
  }
}

std::vector<DirectoryId> LogDirectories::cordoned() const {
  std::vector<DirectoryId> ids;
  for (const Directory& d : directories_)
    if (d.manager && d.cordoned) ids.push_back(d.id);
  return ids;
}

bool LogDirectories::had_clean_shutdown() const {
  return std::all_of(directories_.begin(), directories_.end(), [](const Directory& d) {
    return d.manager && d.manager->directory().had_clean_shutdown();
  });
}

std::optional<BrokerEpoch> LogDirectories::previous_broker_epoch() const {
  std::optional<BrokerEpoch> epoch;
  for (const Directory& d : directories_) {
    if (d.manager == nullptr) return std::nullopt;
    const auto own = d.manager->directory().previous_broker_epoch();
    if (!own || (epoch && *epoch != *own)) return std::nullopt;
    epoch = own;
  }
  return epoch;
}

Result<std::vector<LogManager::LoadFailure>> LogDirectories::load(
    const LogManager::OptionsFor& options_for, WallMs now) {
  std::vector<LogManager::LoadFailure> failures;
  const auto note = [&](const TopicPartition& partition, std::size_t index) -> Result<void> {
    const auto [known, is_new] = homes_.try_emplace(partition, index);
    if (is_new || known->second == index) return {};
    return Error{ErrorCode::kInvalidConfig, to_string(partition) + " lies in " +
                                                directories_[known->second].path + " and in " +
                                                directories_[index].path};
  };
  for (std::size_t i = 0; i < directories_.size(); ++i) {
    Directory& directory = directories_[i];
    if (directory.is_offline()) continue;
    auto loaded = directory.manager->load(options_for, now);
    if (!loaded.ok()) {
      directory.manager->health().fail(loaded.error());
      continue;
    }
    for (const auto& [partition, log] : directory.manager->logs())
      if (partition != kMetadataPartition) RETURN_IF_ERROR(note(partition, i));
    for (LogManager::LoadFailure& failure : *loaded) {
      RETURN_IF_ERROR(note(failure.partition, i));
      failures.push_back(std::move(failure));
    }
  }
  return failures;
}

LogDirectories::Directory* LogDirectories::home_of(const TopicPartition& partition) {
  const auto at = homes_.find(partition);
  return at == homes_.end() ? nullptr : &directories_[at->second];
}

std::optional<DirectoryId> LogDirectories::directory_of(const TopicPartition& partition) const {
  const auto at = homes_.find(partition);
  return at == homes_.end() ? std::nullopt : std::optional(directories_[at->second].id);
}

/// For a log that is nowhere yet, as far as this broker can see.
Result<std::size_t> LogDirectories::choose(const TopicPartition& partition,
                                           const DirectoryId& assigned) const {
  for (std::size_t i = 0; i < directories_.size(); ++i)
    if (directories_[i].manager && directories_[i].id == assigned) return i;
  std::vector<std::size_t> counts(directories_.size());
  for (const auto& [other, index] : homes_) ++counts[index];
  const auto rank = [&](std::size_t i) {
    const Directory& directory = directories_[i];
    return std::tuple(directory.is_full(), directory.cordoned, counts[i]);
  };
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < directories_.size(); ++i) {
    if (!directories_[i].is_offline() && (!best || rank(i) < rank(*best))) best = i;
  }
  // What is assigned to a directory that nobody sees may lie in one that is offline.
  if (!best || (!is_reserved(assigned) && any_offline())) {
    return Error{ErrorCode::kKafkaStorageError,
                 "cannot create the log of " + to_string(partition) +
                     ": a log directory is offline, and it may be there"};
  }
  return *best;
}

Result<std::shared_ptr<Log>> LogDirectories::create(const TopicPartition& partition,
                                                    TopicId topic_id, const LogOptions& options,
                                                    const DirectoryId& assigned, WallMs now) {
  Directory* home = home_of(partition);
  if (home == nullptr) {
    ASSIGN_OR_RETURN(const std::size_t chosen, choose(partition, assigned));
    home = &directories_[chosen];
  }
  auto log = home->manager->create(partition, topic_id, options, now);
  if (log.ok()) homes_[partition] = static_cast<std::size_t>(home - directories_.data());
  return log;
}

Offset LogDirectories::checkpointed_high_watermark(const Log& log) const {
  const auto at = homes_.find(log.partition());
  CHECK(at != homes_.end());
  return directories_[at->second].manager->checkpointed_high_watermark(log);
}

Result<void> LogDirectories::remove(const TopicPartition& partition, std::int64_t delay_ms,
                                    WallMs now) {
  Directory* home = home_of(partition);
  if (home == nullptr) {
    return Error{ErrorCode::kUnknownTopicOrPartition, "there is no log of " + to_string(partition)};
  }
  const auto removed = home->manager->remove(partition, delay_ms, now);
  if (removed.ok()) homes_.erase(partition);
  return removed;
}

Result<std::vector<TopicPartition>> LogDirectories::move_strays_away(
    const LogManager::Belongs& belongs) {
  std::vector<TopicPartition> all;
  for (Directory& directory : directories_) {
    if (directory.is_offline()) continue;
    ASSIGN_OR_RETURN(const auto strays, directory.manager->move_strays_away(belongs));
    for (const TopicPartition& partition : strays) homes_.erase(partition);
    all.insert(all.end(), strays.begin(), strays.end());
  }
  return all;
}

Result<void> LogDirectories::remove_doomed(WallMs now) {
  for (Directory& directory : directories_)
    if (!directory.is_offline()) RETURN_IF_ERROR(directory.manager->remove_doomed(now));
  return {};
}

Result<void> LogDirectories::checkpoint(std::span<const LogPositions> positions) {
  std::vector<std::vector<LogPositions>> parts(directories_.size());
  for (const LogPositions& position : positions) {
    const auto home = homes_.find(position.partition);
    if (home != homes_.end()) parts[home->second].push_back(position);
  }
  Result<void> first_error;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].empty()) continue;
    if (directories_[i].is_offline() && positions.size() > 1) continue;
    const auto written = directories_[i].manager->checkpoint(parts[i]);
    if (!written.ok() && first_error.ok()) first_error = written;
  }
  return first_error;
}

Result<void> LogDirectories::shut_down(std::optional<BrokerEpoch> epoch, WallMs now) {
  Result<void> first_error;
  const bool alone = directories_.size() == 1;
  for (Directory& directory : directories_) {
    if (directory.manager == nullptr || (directory.is_offline() && !alone)) continue;
    const auto closed = directory.manager->shut_down(epoch, now);
    if (!closed.ok() && first_error.ok()) first_error = closed;
  }
  return first_error;
}

}  // namespace broker::storage
