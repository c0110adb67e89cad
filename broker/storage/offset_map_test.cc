#include "broker/storage/offset_map.h"

#include <gtest/gtest.h>

#include <string>

#include "broker/record/batch_builder.h"

namespace broker::storage {
namespace {

using record::as_bytes;

TEST(SipHash128, IsTheOneOfItsAuthors) {
  // The first vectors of the reference implementation, key 00 01 .. 0f.
  const std::array<std::uint64_t, 2> key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  EXPECT_EQ(sip_hash_128(key, {}),
            (std::array<std::uint64_t, 2>{0xe6a825ba047f81a3, 0x930255c71472f66d}));
  const std::array<std::uint8_t, 1> one{0};
  EXPECT_EQ(sip_hash_128(key, one),
            (std::array<std::uint64_t, 2>{0x44af996bd8c187da, 0x45fc229b11597634}));
}

TEST(OffsetMap, KnowsTheLastOffsetOfEachKey) {
  OffsetMap map({.base = Offset{1000}});
  EXPECT_TRUE(map.put(as_bytes("a"), Offset{1000}));
  EXPECT_TRUE(map.put(as_bytes(""), Offset{1001}));
  EXPECT_TRUE(map.put(as_bytes("a"), Offset{1002}));
  EXPECT_EQ(map.find(as_bytes("a")), Offset{1002});
  EXPECT_EQ(map.find(as_bytes("")), Offset{1001});
  EXPECT_EQ(map.find(as_bytes("b")), std::nullopt);
  EXPECT_EQ(map.size(), 2u);
}

TEST(OffsetMap, GrowsWithItsKeysAndForgetsNone) {
  OffsetMap map({});
  const std::size_t small = map.size_bytes();
  for (int i = 0; i < 100'000; ++i) {
    ASSERT_TRUE(map.put(as_bytes("key-" + std::to_string(i)), Offset{i}));
  }
  EXPECT_GT(map.size_bytes(), small);
  EXPECT_LT(map.size_bytes(), 5u << 20);
  for (int i = 0; i < 100'000; ++i) {
    ASSERT_EQ(map.find(as_bytes("key-" + std::to_string(i))), Offset{i});
  }
}

TEST(OffsetMap, StaysWithinItsBudgetAndSaysWhenItIsFull) {
  constexpr std::size_t kBudget = 300'000;
  OffsetMap map({.budget_bytes = kBudget});
  int i = 0;
  while (map.put(as_bytes("key-" + std::to_string(i)), Offset{i})) ++i;
  // Half of it again was there while it grew for the last time.
  EXPECT_LE(map.size_bytes() * 3 / 2, kBudget);
  EXPECT_GT(i, 10'000);
  EXPECT_NEAR(map.utilization(), 1.0, 0.01);
  EXPECT_TRUE(map.put(as_bytes("key-0"), Offset{i})) << "a key that is known needs no room";
  EXPECT_EQ(map.find(as_bytes("key-0")), Offset{i});
}

TEST(OffsetMap, ReachesFourBillionOffsets) {
  OffsetMap map({.base = Offset{10}});
  EXPECT_TRUE(map.put(as_bytes("a"), Offset{10 + 4'294'967'294}));
  EXPECT_EQ(map.find(as_bytes("a")), Offset{10 + 4'294'967'294});
  EXPECT_FALSE(map.put(as_bytes("b"), Offset{10 + 4'294'967'295}));
}

}  // namespace
}  // namespace broker::storage
