#pragma once

#include <cstdint>
#include <optional>

#include "broker/common/result.h"
#include "broker/io/file.h"
#include "broker/record/batch.h"

namespace broker::storage {

/// Steps over the batches of a file, reading it in large chunks.
class BatchScanner {
 public:
  BatchScanner(const io::File& file, std::uint64_t position, std::uint64_t end)
      : file_(file), position_(position), end_(end) {}

  /// The next whole batch. nullopt at the end, and where no batch of magic 2 begins or it is cut
  /// off: position() is below the end then. Its checksum is not looked at. Errors:
  /// kUnsupportedForMessageFormat for a message of magic 0 or 1; kKafkaStorageError.
  Result<std::optional<record::Batch>> next();
  /// Where the next batch would begin.
  std::uint64_t position() const { return position_; }

 private:
  /// At least `bytes` from the position on, fewer only at the end.
  Result<Slice> window(std::size_t bytes);

  const io::File& file_;
  std::uint64_t position_;
  const std::uint64_t end_;
  Slice chunk_;
  std::uint64_t chunk_position_ = 0;
};

/// `bytes` uninitialised bytes to read into, and the Slice of them.
struct ReadBuffer {
  explicit ReadBuffer(std::size_t bytes)
      : bytes(std::make_shared_for_overwrite<std::uint8_t[]>(bytes)), size(bytes) {}
  std::span<std::uint8_t> span() { return {bytes.get(), size}; }
  Slice slice(std::size_t from, std::size_t count) const {
    return Slice(bytes, bytes.get() + from, count);
  }

  std::shared_ptr<std::uint8_t[]> bytes;
  std::size_t size;
};

}  // namespace broker::storage
