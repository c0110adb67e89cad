#include <gtest/gtest.h>

#include "broker/common/base64.h"
#include "broker/common/crc32c.h"
#include "broker/common/endian.h"
#include "broker/common/ids.h"
#include "broker/common/rfc3339.h"
#include "broker/common/rng.h"
#include "broker/common/slice.h"
#include "broker/common/varint.h"

namespace broker {
namespace {

TEST(Crc32c, MatchesThePublishedCheckValue) {
  const Slice digits = Slice::copy_of("123456789");
  EXPECT_EQ(crc32c(digits.span()), 0xe3069283U);
  EXPECT_EQ(crc32c_extend(crc32c(digits.span().first(4)), digits.span().subspan(4)), 0xe3069283U);
}

TEST(Uuid, TextIsUrlSafeBase64AndReadsBack) {
  EXPECT_EQ(kMetadataTopicId.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
  Rng rng(7);
  for (int i = 0; i < 100; ++i) {
    const Uuid id = Uuid::random(rng);
    EXPECT_EQ(id.to_string().size(), 22U);
    EXPECT_NE(id.to_string().front(), '-');
    EXPECT_EQ(*Uuid::parse(id.to_string()), id);
  }
  EXPECT_FALSE(Uuid::parse("short").ok());
}

TEST(Varint, RoundTripsTheExtremes) {
  for (const std::int64_t v : {INT64_MIN, INT64_MIN + 1, -1L, 0L, 1L, 63L, 64L, INT64_MAX}) {
    std::vector<std::uint8_t> bytes;
    append_varlong(bytes, v);
    EXPECT_EQ(bytes.size(), varlong_size(v));
    std::span<const std::uint8_t> rest(bytes);
    std::int64_t back = 0;
    ASSERT_TRUE(read_varlong(rest, back));
    EXPECT_EQ(back, v);
    EXPECT_TRUE(rest.empty());
  }
}

TEST(Varint, RefusesTruncatedAndOverlongNumbers) {
  std::uint32_t value = 0;
  const std::vector<std::uint8_t> truncated{0x80};
  std::span<const std::uint8_t> bytes(truncated);
  EXPECT_FALSE(read_uvarint(bytes, value));
  const std::vector<std::uint8_t> overlong{0xff, 0xff, 0xff, 0xff, 0x1f};
  bytes = overlong;
  EXPECT_FALSE(read_uvarint(bytes, value));
}

TEST(Endian, StoresBigEndian) {
  std::uint8_t bytes[8];
  store_be<std::int32_t>(bytes, 0x01020304);
  EXPECT_EQ(bytes[0], 1);
  EXPECT_EQ(load_be<std::int32_t>(bytes), 0x01020304);
  store_be<std::int64_t>(bytes, -2);
  EXPECT_EQ(load_be<std::int64_t>(bytes), -2);
  store_be<std::int8_t>(bytes, -3);
  EXPECT_EQ(load_be<std::int8_t>(bytes), -3);
}

TEST(Base64, ReadsWhatItWrites) {
  for (const std::string text : {"", "f", "fo", "foo", "foob", "\xff\xfe\xfd"}) {
    const auto back = base64_decode(base64_encode(text));
    ASSERT_TRUE(back.ok());
    EXPECT_EQ(std::string(back->begin(), back->end()), text);
  }
  EXPECT_EQ(base64_encode(std::string_view("fo")), "Zm8=");
  EXPECT_FALSE(base64_decode("a*b").ok());
}

TEST(Rfc3339, CutsOffWhatIsNotAskedFor) {
  const std::chrono::microseconds at(1795250733120999);
  EXPECT_EQ(to_rfc3339(at), "2026-11-21T08:45:33Z");
  EXPECT_EQ(to_rfc3339(at, Fraction::kMillis), "2026-11-21T08:45:33.120Z");
  EXPECT_EQ(to_rfc3339(at, Fraction::kMicros), "2026-11-21T08:45:33.120999Z");
  EXPECT_EQ(to_rfc3339(std::chrono::milliseconds(-1), Fraction::kMillis),
            "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace broker
