#include "broker/record/codec.h"

#include <gtest/gtest.h>
#include <lz4frame.h>

#include <string>

#include "broker/common/rng.h"

namespace broker::record {
namespace {

using Buffer = std::vector<std::uint8_t>;
constexpr std::array kPacking{Compression::kGzip, Compression::kSnappy, Compression::kLz4,
                              Compression::kZstd};

/// Compressible, but not trivially so.
Buffer sample(std::size_t size, std::uint64_t seed = 1) {
  Rng rng(seed);
  Buffer bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = i % 16 < 8 ? static_cast<std::uint8_t>('a' + i % 16)
                          : static_cast<std::uint8_t>(rng.below(256));
  }
  return bytes;
}

TEST(Codec, RoundTripsAtAllSizesAndLevels) {
  for (const Compression codec : kPacking) {
    SCOPED_TRACE(to_string(codec));
    for (const std::size_t size : {0, 1, 100, 32 << 10, (32 << 10) + 1, 3 << 20}) {
      const Buffer plain = sample(size);
      const Buffer packed = compress(codec, plain).value();
      EXPECT_EQ(decompress(codec, packed).value(), plain) << size;
    }
    for (const int level : {1, 9}) {
      const Buffer packed = compress(codec, sample(5000), level).value();
      EXPECT_EQ(decompress(codec, packed).value(), sample(5000));
    }
  }
}

TEST(Codec, ABombIsRefusedAtTheBound) {
  const Buffer zeros(20 << 20);
  for (const Compression codec : kPacking) {
    SCOPED_TRACE(to_string(codec));
    const Buffer packed = compress(codec, zeros).value();
    EXPECT_LT(packed.size(), zeros.size() / 10);
    EXPECT_EQ(decompress(codec, packed, 1 << 20).code(), ErrorCode::kMessageTooLarge);
    EXPECT_EQ(decompress(codec, packed, zeros.size()).value(), zeros);
  }
}

TEST(Codec, CutStreamsAreCorruptAndChangedOnesNeverCrash) {
  const Buffer plain = sample(3000);
  for (const Compression codec : kPacking) {
    SCOPED_TRACE(to_string(codec));
    const Buffer packed = compress(codec, plain).value();
    for (std::size_t n = 0; n < packed.size(); n += 7) {
      const auto cut = decompress(codec, std::span(packed).first(n));
      EXPECT_TRUE(!cut.ok() || *cut != plain) << n;
    }
    Rng rng(7);
    for (int i = 0; i < 3000; ++i) {
      Buffer changed = packed;
      changed[rng.below(changed.size())] ^= static_cast<std::uint8_t>(1 + rng.below(255));
      const auto result = decompress(codec, changed, 1 << 20);
      if (!result.ok()) {
        EXPECT_TRUE(result.code() == ErrorCode::kCorruptMessage ||
                    result.code() == ErrorCode::kMessageTooLarge);
      }
    }
  }
}

TEST(Codec, ABareSnappyBlockIsAccepted) {
  // what librdkafka once sent: length 5, literal of 5 bytes
  const Buffer block{5, 4 << 2, 'h', 'e', 'l', 'l', 'o'};
  EXPECT_EQ(decompress(Compression::kSnappy, block).value(), (Buffer{'h', 'e', 'l', 'l', 'o'}));
}

TEST(Codec, ASnappyLengthThatCannotBeIsNotAllocated) {
  const Buffer lie{0xff, 0xff, 0xff, 0x1f, 0, 'x'};
  EXPECT_EQ(decompress(Compression::kSnappy, lie).code(), ErrorCode::kCorruptMessage);
}

TEST(Codec, LinkedLz4BlocksAreRefusedBecauseJavaCannotReadThem) {
  LZ4F_preferences_t preferences{};
  preferences.frameInfo.blockMode = LZ4F_blockLinked;
  const Buffer plain = sample(200000);
  Buffer packed(LZ4F_compressFrameBound(plain.size(), &preferences));
  packed.resize(
      LZ4F_compressFrame(packed.data(), packed.size(), plain.data(), plain.size(), &preferences));
  EXPECT_EQ(decompress(Compression::kLz4, packed).code(), ErrorCode::kCorruptMessage);
}

TEST(Codec, OurLz4FramesHaveTheFlagsThatJavaWants) {
  const Buffer packed = compress(Compression::kLz4, sample(1000)).value();
  EXPECT_EQ(packed[4], 0x60);  // version 1, independent blocks, no checksums, no content size
  EXPECT_EQ(packed[5], 0x40);  // 64 KiB blocks
}

TEST(Codec, ConcatenatedZstdFramesAndGzipMembersAreOneStream) {
  for (const Compression codec : {Compression::kZstd, Compression::kGzip}) {
    Buffer packed = compress(codec, sample(1000)).value();
    const Buffer second = compress(codec, sample(100000, 2)).value();
    packed.insert(packed.end(), second.begin(), second.end());
    Buffer both = sample(1000);
    const Buffer tail = sample(100000, 2);
    both.insert(both.end(), tail.begin(), tail.end());
    EXPECT_EQ(decompress(codec, packed).value(), both) << to_string(codec);
  }
}

TEST(Codec, NamesAreKafkas) {
  EXPECT_EQ(parse_compression("zstd").value(), Compression::kZstd);
  EXPECT_EQ(parse_compression("producer").code(), ErrorCode::kInvalidConfig);
}

}  // namespace
}  // namespace broker::record
