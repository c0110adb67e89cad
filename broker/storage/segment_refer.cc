// Segment: reads that leave the records in their file, for who sends them on as they are.
#include <algorithm>

#include "broker/storage/batch_headers.h"
#include "broker/storage/directory_health.h"
#include "broker/storage/segment.h"

namespace broker::storage {

Result<std::optional<ReadResult>> Segment::refer(Offset from, const ReadLimits& limits,
                                                 DirectoryHealth* health) {
  const std::optional<ReadResult> not_worth_it;
  ASSIGN_OR_RETURN(auto log, file());
  ASSIGN_OR_RETURN(const OffsetPosition before, offset_index_.lookup(from));
  if (size_ - before.position < limits.refer_bytes) return not_worth_it;  // at the tail: the usual
  BatchHeaders head(*log, before.position, size_);
  ASSIGN_OR_RETURN(auto header, head.peek());
  while (header && header->last_offset() < from) {
    head.skip();
    ASSIGN_OR_RETURN(header, head.peek());
  }
  if (!header) return not_worth_it;
  const std::uint64_t start = head.position();
  const Offset first_offset = header->base_offset();

  // The index knows a batch close to the end of what is wanted; from there on by headers.
  const std::uint64_t end = std::min<std::uint64_t>(size_, start + limits.max_bytes);
  ASSIGN_OR_RETURN(
      const OffsetPosition near_end,
      offset_index_.last_before(limits.max_exclusive, static_cast<std::uint32_t>(end)));
  BatchHeaders tail(*log, std::max<std::uint64_t>(start, near_end.position), size_);
  std::optional<Offset> next_offset;
  while (true) {
    ASSIGN_OR_RETURN(header, tail.peek());
    if (!header) break;
    // Of the batches in front of the first one here only that it follows them is known.
    if (!next_offset) next_offset = header->base_offset();
    if (header->last_offset() >= limits.max_exclusive ||
        tail.position() + header->size_bytes() > end)
      break;
    next_offset = header->next_offset();
    tail.skip();
  }
  const std::size_t bytes = tail.position() - start;
  if (bytes == 0 || bytes < limits.refer_bytes || !next_offset) return not_worth_it;
  auto lent = files_.lend(std::move(log), health != nullptr ? health->weak_from_this()
                                                            : std::weak_ptr<DirectoryHealth>());
  if (!lent) return not_worth_it;
  lent_end_ = std::max(lent_end_, *next_offset);
  return std::optional(
      ReadResult{Slice::stored(std::move(lent), start, bytes), first_offset, *next_offset});
}

/// A copy of the first bytes takes the file's place. The file itself stays as it is for those who
/// send from it: were it shortened and written on, its last page would change in packets that are
/// already on their way.
Result<void> Segment::replace_by_prefix(const io::File& log, std::uint64_t bytes) {
  constexpr std::uint64_t kChunkBytes = 1 << 20;
  io::FileSystem& fs = files_.file_system();
  const std::string name = path(kLogSuffix);
  const std::string temporary = name + ".tmp";  // goes at the next start after a crash
  ASSIGN_OR_RETURN(std::shared_ptr<io::File> copy, fs.open(temporary, io::OpenMode::kCreate));
  RETURN_IF_ERROR(copy->truncate(0));
  std::vector<std::uint8_t> chunk(std::min(bytes, kChunkBytes));
  for (std::uint64_t at = 0; at < bytes; at += chunk.size()) {
    chunk.resize(std::min<std::uint64_t>(chunk.size(), bytes - at));
    ASSIGN_OR_RETURN(const std::size_t n, log.read_at(at, chunk));
    if (n < chunk.size()) return Error{ErrorCode::kKafkaStorageError, name + " became shorter"};
    RETURN_IF_ERROR(copy->write_at(at, chunk));
  }
  RETURN_IF_ERROR(copy->sync());
  files_.forget(name);
  RETURN_IF_ERROR(fs.rename(temporary, name));
  RETURN_IF_ERROR(fs.sync_directory(directory_));
  if (active_file_) active_file_ = std::move(copy);
  lent_end_ = Offset{0};
  return {};
}

}  // namespace broker::storage
