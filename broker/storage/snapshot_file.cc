#include "broker/storage/snapshot_file.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "broker/storage/batch_scanner.h"
#include "broker/storage/text.h"

namespace broker::storage {
namespace {

constexpr std::string_view kSuffix = ".checkpoint";
constexpr std::string_view kPartSuffix = ".checkpoint.part";
constexpr std::string_view kDeletedCheckpointSuffix = ".checkpoint.deleted";
constexpr std::size_t kOffsetDigits = 20;
constexpr std::size_t kEpochDigits = 10;

}  // namespace

std::string snapshot_file_name(SnapshotId id) {
  char name[kOffsetDigits + 1 + kEpochDigits + 1];
  std::snprintf(name, sizeof name, "%020lld-%010d", static_cast<long long>(id.end_offset.value),
                id.epoch.value);
  return std::string(name).append(kSuffix);
}

std::optional<SnapshotId> parse_snapshot_file_name(std::string_view name) {
  SnapshotId id;
  if (name.size() != kOffsetDigits + 1 + kEpochDigits + kSuffix.size() ||
      !name.ends_with(kSuffix) || name[kOffsetDigits] != '-' ||
      !parse_number(name.substr(0, kOffsetDigits), id.end_offset.value) ||
      !parse_number(name.substr(kOffsetDigits + 1, kEpochDigits), id.epoch.value)) {
    return std::nullopt;
  }
  return id;
}

Result<std::vector<SnapshotId>> list_snapshots(io::FileSystem& fs, const std::string& directory) {
  ASSIGN_OR_RETURN(const auto names, fs.list(directory));
  std::vector<SnapshotId> ids;
  for (const std::string& name : names) {
    if (const auto id = parse_snapshot_file_name(name)) ids.push_back(*id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

Result<void> remove_unfinished_snapshots(io::FileSystem& fs, const std::string& directory) {
  ASSIGN_OR_RETURN(const auto names, fs.list(directory));
  for (const std::string& name : names) {
    if (!name.ends_with(kPartSuffix) && !name.ends_with(kDeletedCheckpointSuffix)) continue;
    RETURN_IF_ERROR(fs.remove(directory + "/" + name));
  }
  return {};
}

Result<void> remove_snapshot(io::FileSystem& fs, const std::string& directory, SnapshotId id) {
  return fs.remove(directory + "/" + snapshot_file_name(id));
}

SnapshotFileWriter::SnapshotFileWriter(io::FileSystem& fs, std::string directory, SnapshotId id)
    : fs_(&fs), directory_(std::move(directory)), id_(id) {}

SnapshotFileWriter::~SnapshotFileWriter() {
  if (file_) (void)fs_->remove(temporary_path());  // given up; the next start would remove it too
}

std::string SnapshotFileWriter::temporary_path() const {
  return directory_ + "/" + snapshot_file_name(id_) + ".part";
}

Result<SnapshotFileWriter> SnapshotFileWriter::create(io::FileSystem& fs,
                                                      const std::string& directory, SnapshotId id) {
  SnapshotFileWriter writer(fs, directory, id);
  ASSIGN_OR_RETURN(writer.file_, fs.open(writer.temporary_path(), io::OpenMode::kCreate));
  RETURN_IF_ERROR(writer.file_->truncate(0));
  return writer;
}

Result<void> SnapshotFileWriter::append(const Slice& bytes) {
  CHECK(file_ != nullptr);
  RETURN_IF_ERROR(file_->write_at(size_, bytes.span()));
  size_ += bytes.size();
  return {};
}

Result<void> SnapshotFileWriter::freeze() {
  CHECK(file_ != nullptr);
  RETURN_IF_ERROR(file_->sync());
  RETURN_IF_ERROR(fs_->rename(temporary_path(), directory_ + "/" + snapshot_file_name(id_)));
  file_.reset();
  return fs_->sync_directory(directory_);
}

Result<SnapshotFileReader> SnapshotFileReader::open(io::FileSystem& fs,
                                                    const std::string& directory, SnapshotId id) {
  return open_path(fs, directory + "/" + snapshot_file_name(id));
}

Result<SnapshotFileReader> SnapshotFileReader::open_path(io::FileSystem& fs,
                                                         const std::string& path) {
  auto file = fs.open(path, io::OpenMode::kRead);
  if (file.code() == ErrorCode::kResourceNotFound) {
    return Error{ErrorCode::kSnapshotNotFound, file.error().detail};
  }
  if (!file.ok()) return file.error();
  ASSIGN_OR_RETURN(const std::uint64_t size, (*file)->size());
  return SnapshotFileReader(std::move(*file), size);
}

Result<Slice> SnapshotFileReader::read(std::uint64_t position, std::size_t max_bytes) const {
  if (position >= size_) {
    return Error{ErrorCode::kPositionOutOfRange, "the snapshot has " + std::to_string(size_) +
                                                     " bytes, " + std::to_string(position) +
                                                     " was asked for"};
  }
  ReadBuffer buffer(std::min<std::uint64_t>(max_bytes, size_ - position));
  ASSIGN_OR_RETURN(const std::size_t n, file_->read_at(position, buffer.span()));
  return buffer.slice(0, n);
}

Result<std::optional<record::Batch>> SnapshotFileReader::next_batch() {
  if (position_ == size_) return std::optional<record::Batch>{};
  const Error cut{ErrorCode::kCorruptMessage, "a snapshot ends inside a batch"};
  std::array<std::uint8_t, record::kBatchHeaderSize> head;
  ASSIGN_OR_RETURN(const std::size_t n, file_->read_at(position_, head));
  if (n < head.size()) return cut;
  const record::BatchHeader header(head);
  if (header.batch_length() < 0 || header.size_bytes() > size_ - position_) return cut;
  ASSIGN_OR_RETURN(Slice bytes, read(position_, header.size_bytes()));
  RETURN_IF_ERROR(record::check_batch(bytes.span()));
  position_ += bytes.size();
  return std::optional<record::Batch>(record::Batch{std::move(bytes)});
}

}  // namespace broker::storage
