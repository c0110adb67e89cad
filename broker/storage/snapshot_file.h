#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/io/file.h"
#include "broker/record/batch.h"

namespace broker::storage {

/// A snapshot of the metadata log (KIP-630): the state up to `end_offset` (exclusive), the last
/// record of which has `epoch`.
struct SnapshotId {
  Offset end_offset;
  LeaderEpoch epoch;

  auto operator<=>(const SnapshotId&) const = default;
};

/// "00000000000000000042-0000000003.checkpoint"
std::string snapshot_file_name(SnapshotId id);
std::optional<SnapshotId> parse_snapshot_file_name(std::string_view name);
/// In ascending order.
Result<std::vector<SnapshotId>> list_snapshots(io::FileSystem& fs, const std::string& directory);
/// Removes what a crash left: ".checkpoint.part" and ".checkpoint.deleted" files.
Result<void> remove_unfinished_snapshots(io::FileSystem& fs, const std::string& directory);
Result<void> remove_snapshot(io::FileSystem& fs, const std::string& directory, SnapshotId id);

/// Writes a snapshot under a temporary name; only freeze() makes it exist. Destroyed before that,
/// it leaves nothing.
class SnapshotFileWriter {
 public:
  /// Replaces an unfinished file of the same snapshot.
  static Result<SnapshotFileWriter> create(io::FileSystem& fs, const std::string& directory,
                                           SnapshotId id);
  SnapshotFileWriter(SnapshotFileWriter&&) = default;
  SnapshotFileWriter& operator=(SnapshotFileWriter&&) = delete;
  ~SnapshotFileWriter();

  SnapshotId id() const { return id_; }
  /// Bytes so far: where a follower's next FetchSnapshot goes on.
  std::uint64_t size_bytes() const { return size_; }
  /// Batches, or any piece of the file as FetchSnapshot brings it.
  Result<void> append(const Slice& bytes);
  /// Syncs, and renames to the final name.
  Result<void> freeze();

 private:
  SnapshotFileWriter(io::FileSystem& fs, std::string directory, SnapshotId id);
  std::string temporary_path() const;

  io::FileSystem* fs_;
  std::string directory_;
  SnapshotId id_;
  std::unique_ptr<io::File> file_;  // null once frozen
  std::uint64_t size_ = 0;
};

class SnapshotFileReader {
 public:
  /// Errors: kSnapshotNotFound.
  static Result<SnapshotFileReader> open(io::FileSystem& fs, const std::string& directory,
                                         SnapshotId id);
  /// Any file of batches, such as bootstrap.checkpoint. Errors: kSnapshotNotFound.
  static Result<SnapshotFileReader> open_path(io::FileSystem& fs, const std::string& path);

  std::uint64_t size_bytes() const { return size_; }
  /// At most `max_bytes` from `position`, cut anywhere. Errors: kPositionOutOfRange.
  Result<Slice> read(std::uint64_t position, std::size_t max_bytes) const;
  /// The next whole, checked batch; nullopt at the end. Errors: kCorruptMessage.
  Result<std::optional<record::Batch>> next_batch();

 private:
  SnapshotFileReader(std::unique_ptr<io::File> file, std::uint64_t size)
      : file_(std::move(file)), size_(size) {}

  std::unique_ptr<io::File> file_;
  std::uint64_t size_;
  std::uint64_t position_ = 0;
};

}  // namespace broker::storage
