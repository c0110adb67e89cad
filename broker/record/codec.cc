#include "broker/record/codec.h"

#include <libdeflate.h>
#include <lz4frame.h>
#include <snappy.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <array>
#include <memory>

namespace broker::record {
namespace {

using Buffer = std::vector<std::uint8_t>;
using Input = std::span<const std::uint8_t>;

constexpr std::array<std::string_view, 5> kNames{"none", "gzip", "snappy", "lz4", "zstd"};
constexpr std::array<std::uint8_t, 16> kSnappyStreamHeader{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                                           0,    0,   0,   1,   0,   0,   0,   1};
constexpr std::size_t kSnappyMagicBytes = 8;
constexpr std::size_t kSnappyBlockBytes = 32 << 10;

Error corrupt(const char* what) { return {ErrorCode::kCorruptMessage, what}; }
Error too_large(std::size_t max_bytes) {
  return {ErrorCode::kMessageTooLarge,
          "a batch expands to more than " + std::to_string(max_bytes) + " bytes"};
}
Error cannot_compress(const char* what) { return {ErrorCode::kUnsupportedCompressionType, what}; }

/// A first guess for codecs that do not tell the size; grow() corrects it.
std::size_t first_size(Input bytes, std::size_t max_bytes) {
  return std::min(max_bytes, std::max<std::size_t>(bytes.size() * 6, 16 << 10));
}
/// False when the bound is reached already.
bool grow(Buffer& out, std::size_t max_bytes) {
  if (out.size() >= max_bytes) return false;
  out.resize(std::min(max_bytes, out.size() * 4));
  return true;
}

struct DeflateFree {
  void operator()(libdeflate_compressor* c) const { libdeflate_free_compressor(c); }
  void operator()(libdeflate_decompressor* d) const { libdeflate_free_decompressor(d); }
};

Result<Buffer> gzip_compress(Input bytes, std::optional<int> level) {
  constexpr int kDefaultLevel = 6;  // what Kafka's -1 means to zlib
  const int l = level && *level > 0 ? *level : kDefaultLevel;
  const std::unique_ptr<libdeflate_compressor, DeflateFree> c(libdeflate_alloc_compressor(l));
  if (!c) return cannot_compress("gzip level out of range");
  Buffer out(libdeflate_gzip_compress_bound(c.get(), bytes.size()));
  out.resize(libdeflate_gzip_compress(c.get(), bytes.data(), bytes.size(), out.data(), out.size()));
  if (out.empty()) return cannot_compress("gzip failed");
  return out;
}

/// One member after the other: a gzip stream may have several.
Result<Buffer> gzip_decompress(Input bytes, std::size_t max_bytes) {
  thread_local const std::unique_ptr<libdeflate_decompressor, DeflateFree> d(
      libdeflate_alloc_decompressor());
  constexpr std::size_t kMinMember = 18;
  if (bytes.size() < kMinMember) return corrupt("gzip stream cut off");
  // The last four bytes hold the size modulo 2^32: exact for the one member of nearly all batches.
  // A lie is limited by deflate's best ratio, 1032.
  const std::uint8_t* end = bytes.data() + bytes.size();
  const std::size_t told = end[-4] | end[-3] << 8 | end[-2] << 16 | std::size_t{end[-1]} << 24;
  Buffer out(std::min({std::max<std::size_t>(told, 1), max_bytes, bytes.size() * 1032}));
  std::size_t produced = 0;
  while (!bytes.empty()) {
    std::size_t in = 0;
    std::size_t n = 0;
    const auto result = libdeflate_gzip_decompress_ex(
        d.get(), bytes.data(), bytes.size(), out.data() + produced, out.size() - produced, &in, &n);
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE) {
      if (!grow(out, max_bytes)) return too_large(max_bytes);
      continue;
    }
    if (result != LIBDEFLATE_SUCCESS) return corrupt("malformed gzip stream");
    produced += n;
    bytes = bytes.subspan(in);
  }
  out.resize(produced);
  return out;
}

Result<Buffer> snappy_compress(Input bytes) {
  Buffer out(kSnappyStreamHeader.begin(), kSnappyStreamHeader.end());
  for (std::size_t at = 0; at < bytes.size(); at += kSnappyBlockBytes) {
    const Input block = bytes.subspan(at, std::min(kSnappyBlockBytes, bytes.size() - at));
    const std::size_t start = out.size();
    out.resize(start + 4 + snappy::MaxCompressedLength(block.size()));
    std::size_t n = 0;
    snappy::RawCompress(reinterpret_cast<const char*>(block.data()), block.size(),
                        reinterpret_cast<char*>(out.data() + start + 4), &n);
    store_be<std::int32_t>(out.data() + start, static_cast<std::int32_t>(n));
    out.resize(start + 4 + n);
  }
  return out;
}

Result<void> snappy_block(Input block, Buffer& out, std::size_t max_bytes) {
  const auto* p = reinterpret_cast<const char*>(block.data());
  std::size_t n = 0;
  if (!snappy::GetUncompressedLength(p, block.size(), &n)) return corrupt("malformed snappy block");
  if (n > max_bytes - out.size()) return too_large(max_bytes);
  // A length that no block of this size can have must not make us allocate it.
  if (n / 64 > block.size()) return corrupt("malformed snappy block");
  const std::size_t start = out.size();
  out.resize(start + n);
  if (!snappy::RawUncompress(p, block.size(), reinterpret_cast<char*>(out.data() + start))) {
    return corrupt("malformed snappy block");
  }
  return {};
}

Result<Buffer> snappy_decompress(Input bytes, std::size_t max_bytes) {
  Buffer out;
  const bool stream = bytes.size() >= kSnappyStreamHeader.size() &&
                      std::equal(kSnappyStreamHeader.begin(),
                                 kSnappyStreamHeader.begin() + kSnappyMagicBytes, bytes.begin());
  if (!stream) {  // some clients send one bare block
    RETURN_IF_ERROR(snappy_block(bytes, out, max_bytes));
    return out;
  }
  bytes = bytes.subspan(kSnappyStreamHeader.size());
  while (!bytes.empty()) {
    if (bytes.size() < 4) return corrupt("snappy stream cut off");
    const auto length = load_be<std::uint32_t>(bytes.data());
    bytes = bytes.subspan(4);
    if (length > bytes.size()) return corrupt("snappy stream cut off");
    RETURN_IF_ERROR(snappy_block(bytes.first(length), out, max_bytes));
    bytes = bytes.subspan(length);
  }
  return out;
}

Result<Buffer> lz4_compress(Input bytes, std::optional<int> level) {
  constexpr int kKafkaDefaultLevel = 9;  // stands for the fast compressor there, not for LZ4-HC 9
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockSizeID = LZ4F_max64KB;
  preferences.frameInfo.blockMode = LZ4F_blockIndependent;
  preferences.compressionLevel = level.value_or(kKafkaDefaultLevel);
  if (preferences.compressionLevel == kKafkaDefaultLevel) preferences.compressionLevel = 0;
  Buffer out(LZ4F_compressFrameBound(bytes.size(), &preferences));
  const std::size_t n =
      LZ4F_compressFrame(out.data(), out.size(), bytes.data(), bytes.size(), &preferences);
  if (LZ4F_isError(n)) return cannot_compress(LZ4F_getErrorName(n));
  out.resize(n);
  return out;
}

struct Lz4Free {
  void operator()(LZ4F_dctx* d) const { LZ4F_freeDecompressionContext(d); }
};

Result<Buffer> lz4_decompress(Input bytes, std::size_t max_bytes) {
  thread_local const std::unique_ptr<LZ4F_dctx, Lz4Free> d = [] {
    LZ4F_dctx* context = nullptr;
    CHECK(!LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)));
    return std::unique_ptr<LZ4F_dctx, Lz4Free>(context);
  }();
  LZ4F_resetDecompressionContext(d.get());

  LZ4F_frameInfo_t info{};
  std::size_t used = bytes.size();
  if (LZ4F_isError(LZ4F_getFrameInfo(d.get(), &info, bytes.data(), &used))) {
    return corrupt("malformed LZ4 frame");
  }
  // Kafka's Java clients read neither, so a batch that has them would stop its consumers.
  if (info.blockMode != LZ4F_blockIndependent || info.dictID != 0) {
    return corrupt("LZ4 frame with linked blocks or a dictionary");
  }
  bytes = bytes.subspan(used);
  Buffer out(info.contentSize != 0 ? std::min<std::size_t>(info.contentSize, max_bytes)
                                   : first_size(bytes, max_bytes));
  std::size_t produced = 0;
  std::size_t hint = 1;  // 0: the frame is complete
  while (hint != 0) {
    std::size_t in = bytes.size();
    std::size_t n = out.size() - produced;
    hint = LZ4F_decompress(d.get(), out.data() + produced, &n, bytes.data(), &in, nullptr);
    if (LZ4F_isError(hint)) return corrupt("malformed LZ4 frame");
    produced += n;
    bytes = bytes.subspan(in);
    if (hint == 0) break;
    if (produced == out.size()) {
      if (!grow(out, max_bytes)) return too_large(max_bytes);
    } else if (bytes.empty() && n == 0) {
      return corrupt("LZ4 frame cut off");
    }
  }
  if (!bytes.empty()) return corrupt("bytes behind the LZ4 frame");
  out.resize(produced);
  return out;
}

Result<Buffer> zstd_compress(Input bytes, std::optional<int> level) {
  Buffer out(ZSTD_compressBound(bytes.size()));
  const std::size_t n = ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(),
                                      level.value_or(ZSTD_CLEVEL_DEFAULT));
  if (ZSTD_isError(n)) return cannot_compress(ZSTD_getErrorName(n));
  out.resize(n);
  return out;
}

struct ZstdFree {
  void operator()(ZSTD_DCtx* d) const { ZSTD_freeDCtx(d); }
};

/// Straight into one buffer instead of streaming: a stream would allocate the window that the frame
/// asks for, up to 128 MiB, whatever the batch holds.
Result<Buffer> zstd_decompress(Input bytes, std::size_t max_bytes) {
  thread_local const std::unique_ptr<ZSTD_DCtx, ZstdFree> d(ZSTD_createDCtx());
  const auto told = ZSTD_getFrameContentSize(bytes.data(), bytes.size());
  if (told == ZSTD_CONTENTSIZE_ERROR) return corrupt("malformed zstd frame");
  const bool known = told != ZSTD_CONTENTSIZE_UNKNOWN;
  if (known && told > max_bytes) return too_large(max_bytes);
  Buffer out(known && told > 0 && told / bytes.size() < 1024 ? told : first_size(bytes, max_bytes));
  while (true) {
    const std::size_t n =
        ZSTD_decompressDCtx(d.get(), out.data(), out.size(), bytes.data(), bytes.size());
    if (!ZSTD_isError(n)) {
      out.resize(n);
      return out;
    }
    if (ZSTD_getErrorCode(n) != ZSTD_error_dstSize_tooSmall) {
      return corrupt("malformed zstd frame");
    }
    if (!grow(out, max_bytes)) return too_large(max_bytes);
  }
}

}  // namespace

std::string_view to_string(Compression compression) {
  return kNames[static_cast<std::size_t>(compression)];
}

Result<Compression> parse_compression(std::string_view name) {
  const auto it = std::find(kNames.begin(), kNames.end(), name);
  if (it != kNames.end()) return static_cast<Compression>(it - kNames.begin());
  return Error{ErrorCode::kInvalidConfig, "unknown compression type " + std::string(name)};
}

Result<Buffer> compress(Compression compression, Input bytes, std::optional<int> level) {
  switch (compression) {
    case Compression::kNone:
      return Buffer(bytes.begin(), bytes.end());
    case Compression::kGzip:
      return gzip_compress(bytes, level);
    case Compression::kSnappy:
      return snappy_compress(bytes);
    case Compression::kLz4:
      return lz4_compress(bytes, level);
    case Compression::kZstd:
      return zstd_compress(bytes, level);
  }
  return cannot_compress("unknown codec");
}

Result<Buffer> decompress(Compression compression, Input bytes, std::size_t max_bytes) {
  switch (compression) {
    case Compression::kNone:
      if (bytes.size() > max_bytes) return too_large(max_bytes);
      return Buffer(bytes.begin(), bytes.end());
    case Compression::kGzip:
      return gzip_decompress(bytes, max_bytes);
    case Compression::kSnappy:
      return snappy_decompress(bytes, max_bytes);
    case Compression::kLz4:
      return lz4_decompress(bytes, max_bytes);
    case Compression::kZstd:
      return zstd_decompress(bytes, max_bytes);
  }
  return Error{ErrorCode::kUnsupportedCompressionType,
               "codec " + std::to_string(static_cast<int>(compression)) + " is unknown"};
}

}  // namespace broker::record
