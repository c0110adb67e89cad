#include "broker/coordinator/runtime/types.h"

#include <gtest/gtest.h>

namespace broker::coordinator {
namespace {

TEST(PartitionFor, HashesAsJavaDoes) {
  EXPECT_EQ(java_hash_code(""), 0);
  EXPECT_EQ(java_hash_code("my-group"), -1906497762);
  EXPECT_EQ(java_hash_code("hello"), 99162322);
  // Over UTF-16 code units, not bytes: "é" is one unit, an emoji is two surrogates.
  EXPECT_EQ(java_hash_code("\xc3\xa9"), 0xe9);
  EXPECT_EQ(java_hash_code("\xf0\x9f\x98\x80"), 0xd83d * 31 + 0xde00);
}

TEST(PartitionFor, TakesTheAbsoluteValueAndMapsTheSmallestIntegerToZero) {
  ASSERT_EQ(java_hash_code("polygenelubricants"), INT32_MIN);
  EXPECT_EQ(partition_for("polygenelubricants", 50), 0);
  EXPECT_EQ(partition_for("hello", 50), 99162322 % 50);
  // A negative hash: |-12| mod 50, not its low bits.
  EXPECT_EQ(partition_for("my-group", 50), 1906497762 % 50);
}

}  // namespace
}  // namespace broker::coordinator
