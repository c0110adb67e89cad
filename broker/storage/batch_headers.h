#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "broker/common/result.h"
#include "broker/io/file.h"
#include "broker/record/batch.h"

namespace broker::storage {

/// Steps over the batches of a file by their headers alone, reading a small window at a time: for
/// who wants to know where batches lie and not what is in them.
class BatchHeaders {
 public:
  BatchHeaders(const io::File& file, std::uint64_t position, std::uint64_t end)
      : file_(file), position_(position), end_(end) {}

  /// The header at position(), valid until the next call. nullopt where no whole batch of magic 2
  /// lies below the end. Errors: kKafkaStorageError.
  Result<std::optional<record::BatchHeader>> peek();
  /// To the next batch; after a peek() that found one.
  void skip() { position_ += batch_bytes_; }
  std::uint64_t position() const { return position_; }

 private:
  static constexpr std::size_t kWindowBytes =
      1024;  // many small batches, or one large one's header

  const io::File& file_;
  std::uint64_t position_;
  const std::uint64_t end_;
  std::size_t batch_bytes_ = 0;
  std::array<std::uint8_t, kWindowBytes> window_;
  std::uint64_t window_position_ = 0;
  std::size_t window_bytes_ = 0;
};

}  // namespace broker::storage
