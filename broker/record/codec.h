#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "broker/common/result.h"
#include "broker/record/batch.h"

namespace broker::record {

/// What one batch may expand to unless a caller says otherwise. Kafka has no such bound; a 1 MiB
/// batch can hold gigabytes of zeros.
inline constexpr std::size_t kDefaultMaxDecompressedBytes = 128u << 20;

/// "none", "gzip", "snappy", "lz4", "zstd".
std::string_view to_string(Compression compression);
/// Errors: kInvalidConfig on any other word ("producer" is not a codec).
Result<Compression> parse_compression(std::string_view name);

/// Compresses as Kafka's clients expect it: gzip stream, snappy-java stream of 32 KiB blocks, LZ4
/// frame of independent 64 KiB blocks, zstd frame. `level` nullopt = Kafka's default (gzip -1, lz4
/// 9, zstd 3); snappy has none. kNone copies. Errors: kUnsupportedCompressionType.
Result<std::vector<std::uint8_t>> compress(Compression compression,
                                           std::span<const std::uint8_t> bytes,
                                           std::optional<int> level = std::nullopt);

/// Errors: kCorruptMessage on bytes the codec refuses, also where only Java's decoder would (LZ4
/// with linked blocks); kMessageTooLarge above `max_bytes`; kUnsupportedCompressionType.
Result<std::vector<std::uint8_t>> decompress(Compression compression,
                                             std::span<const std::uint8_t> bytes,
                                             std::size_t max_bytes = kDefaultMaxDecompressedBytes);

}  // namespace broker::record
