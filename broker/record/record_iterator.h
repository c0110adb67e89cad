#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "broker/record/batch.h"
#include "broker/record/codec.h"

namespace broker::record {

using Bytes = std::span<const std::uint8_t>;

struct HeaderView {
  std::string_view key;
  std::optional<Bytes> value;
};

/// One record; keys and values point into the batch (or its decompressed form, which the iterator
/// owns).
struct RecordView {
  Offset offset;
  WallMs timestamp = 0;
  std::int32_t offset_delta = 0;
  std::size_t size_bytes = 0;  // with its length prefix
  std::optional<Bytes> key;
  std::optional<Bytes> value;
  std::int32_t header_count = 0;
  Bytes raw_headers;  // header_count of them, already known to be well formed

  std::vector<HeaderView> headers() const;
};

/// Reads the record at the front of `bytes` and advances past it. Allocates nothing. Errors:
/// kInvalidRecord.
Result<RecordView> read_record(Bytes& bytes, Offset base_offset, WallMs base_timestamp);

/// The records of one batch, decompressed when needed.
class RecordIterator {
 public:
  /// `batch` is one whole batch, as BatchReader yields it. Errors: as decompress().
  static Result<RecordIterator> open(const Batch& batch,
                                     std::size_t max_bytes = kDefaultMaxDecompressedBytes);

  /// nullopt after record_count records. Errors: kInvalidRecord, also when bytes are left over.
  Result<std::optional<RecordView>> next();

  /// A Slice of bytes inside this batch (a key, a value) that lives on after the iterator.
  Slice share(Bytes part) const {
    return records_.sub(static_cast<std::size_t>(part.data() - records_.data()), part.size());
  }

 private:
  RecordIterator(const BatchHeader& header, Slice records);

  Slice records_;
  Bytes rest_;
  Offset base_offset_;
  WallMs base_timestamp_;
  std::optional<WallMs> log_append_time_;
  std::int32_t left_;
};

}  // namespace broker::record
