#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/io/file.h"
#include "broker/io/sim/process.h"

namespace broker::io::sim {

/// How a disk behaves from now on.
struct DiskBehaviour {
  Duration read_latency = std::chrono::microseconds(2);
  Duration write_latency = std::chrono::microseconds(5);
  Duration min_sync_latency = std::chrono::microseconds(100);
  Duration max_sync_latency = std::chrono::milliseconds(3);
  std::uint64_t capacity_bytes = UINT64_MAX;  // ENOSPC above
  double write_failure = 0;                   // EIO, after a part was written
  double read_failure = 0;                    // EIO
  double sync_failure = 0;                    // EIO; what was not synced is lost, see Disk
};

enum class DiskOperation { kCreate, kWrite, kTruncate, kSync, kSyncDirectory, kRename, kRemove };

/// A machine's disk with its page cache, in memory. It outlives processes; a power failure takes
/// what was not synced:
/// - of a file, each 512-byte sector written since its last sync is there or not, and its length is
///   any that it had since; but where it was shortened meanwhile, it is as some moment before that
///   or as some moment behind;
/// - names created, renamed or removed since the last sync of their directory are there or not, in
///   order: up to some moment of all (a journal), or up to a moment of each directory. A rename is
///   whole or not at all.
/// A sync that failed leaves the new content in the page cache and calls it clean, as Linux does:
/// it is read until the power fails, and then gone.
class Disk {
 public:
  explicit Disk(Scheduler& scheduler, std::string name = "disk");
  ~Disk();

  /// The disk as one process sees it. All of its handles fail once the process is dead.
  std::unique_ptr<FileSystem> mount(std::shared_ptr<Life> life);

  DiskBehaviour& behaviour() { return behaviour_; }

  /// Nobody may have it mounted any more but the dead. Not from inside an operation.
  void lose_power();

  /// Called before each operation that changes something. Whoever ends the process in it (Life)
  /// sees the operation half done: a write or a name change may or may not survive, a sync has not
  /// happened.
  void on_operation(std::function<void(DiskOperation, const std::string& path)> callback) {
    on_operation_ = std::move(callback);
  }

  /// Turns a bit over, in the page cache and below. False when there is no such byte.
  bool flip_bit(const std::string& path, std::uint64_t position, int bit);
  /// All files below `directory`, sorted.
  std::vector<std::string> files_below(const std::string& directory);

  std::uint64_t used_bytes() const { return used_bytes_; }
  std::uint64_t syncs() const { return syncs_; }

 private:
  friend class SimFile;
  friend class SimFileSystem;
  struct Node;
  struct Dirt;
  struct BeforeCut;
  struct Change;
  using NodePtr = std::shared_ptr<Node>;

  NodePtr find(const std::string& path) const;
  NodePtr parent_of(const std::string& path, std::string& name) const;
  /// Names as they are now and what has to be done to the names on the medium.
  void link(const NodePtr& directory, const std::string& name, const NodePtr& node,
            std::uint64_t group);
  void unlink(const NodePtr& directory, const std::string& name, std::uint64_t group);
  void sync_names(const Node& directory);
  static void apply(const Change& change);
  void keep_some_names();
  void settle(Node& node);
  void settle_content(Node& file);
  void settle_dirt(Node& file, const std::vector<std::uint8_t>& content, const Dirt& dirt,
                   std::uint64_t dice);
  void collect(const Node& directory, const std::string& path, std::vector<std::string>& out);
  std::uint64_t bytes_below(const Node& node) const;

  void write(Node& file, std::uint64_t position, std::span<const std::uint8_t> bytes);
  void truncate(Node& file, std::uint64_t size);
  void sync_content(Node& file);
  void forget_dirt(Node& file);

  Scheduler& scheduler_;
  const std::string name_;
  DiskBehaviour behaviour_;
  NodePtr root_;
  std::vector<Change> changes_;  // of names, not yet on the medium
  std::uint64_t next_group_ = 1;
  std::map<std::string, std::weak_ptr<Life>> locks_;
  std::function<void(DiskOperation, const std::string&)> on_operation_;
  std::uint64_t used_bytes_ = 0;
  std::uint64_t syncs_ = 0;
};

}  // namespace broker::io::sim
