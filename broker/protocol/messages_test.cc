// Every message of the schemas in every version, through the cases that the generator writes.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "broker/common/crc32c.h"
#include "broker/common/rng.h"
#include "broker/protocol/testdata/message_case.h"

namespace broker::protocol {
namespace {

constexpr Variant kVariants[] = {Variant::kDefault, Variant::kFilled, Variant::kNulls};

std::string variant_name(Variant variant) {
  if (variant == Variant::kDefault) return "default";
  return variant == Variant::kFilled ? "filled" : "nulls";
}

std::string label(const MessageCase& message, int version, Variant variant) {
  return std::string(message.name()) + " v" + std::to_string(version) + " " + variant_name(variant);
}

/// As testdata/GoldenBytes.java shows bytes.
std::string shown(const Slice& bytes) {
  char text[40];
  if (bytes.size() > 200) {
    std::snprintf(text, sizeof text, "crc:%08x:%zu", crc32c(bytes.span()), bytes.size());
    return text;
  }
  std::string hex;
  for (const std::uint8_t byte : bytes.span()) {
    std::snprintf(text, sizeof text, "%02x", byte);
    hex += text;
  }
  return hex;
}

/// Calls `check(case, version, variant)` for all of them.
template <class Check>
void for_all(Check&& check) {
  for (const auto& message : all_message_cases()) {
    for (int version = message->versions().min; version <= message->versions().max; ++version) {
      for (const Variant variant : kVariants) {
        check(*message, static_cast<std::int16_t>(version), variant);
      }
    }
  }
}

struct Golden {
  std::map<std::string, std::string> bytes;         // by label()
  std::map<std::string, std::pair<int, int>> keys;  // highest version and key, by name
};

Golden read_golden() {
  Golden golden;
  std::ifstream file(TEST_SOURCE_DIR "/testdata/golden.tsv");
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string name, version, variant, value;
    fields >> name >> version >> variant >> value;
    if (variant == "key") {
      golden.keys[name] = {std::stoi(version), std::stoi(value)};
    } else {
      golden.bytes[name + " v" + version + " " + variant] = value;
    }
  }
  return golden;
}

TEST(Messages, AreTheBytesThatKafkaWrites) {
  Golden golden = read_golden();
  ASSERT_GT(golden.bytes.size(), 2000u);
  for_all([&](const MessageCase& message, std::int16_t version, Variant variant) {
    const std::string what = label(message, version, variant);
    const auto bytes = message.encode(variant, version);
    ASSERT_TRUE(bytes.ok()) << what << ": " << to_string(bytes.error());
    ASSERT_TRUE(golden.bytes.contains(what)) << what;
    EXPECT_EQ(shown(*bytes), golden.bytes[what]) << what;
    golden.bytes.erase(what);
  });
  for (const auto& [what, bytes] : golden.bytes) ADD_FAILURE() << "nobody writes " << what;
}

TEST(Messages, HaveKafkasKeysAndVersions) {
  const Golden golden = read_golden();
  for (const auto& message : all_message_cases()) {
    const auto found = golden.keys.find(std::string(message->name()));
    ASSERT_NE(found, golden.keys.end()) << message->name();
    EXPECT_EQ(found->second, std::pair(int{message->versions().max}, message->key()))
        << message->name();
  }
}

TEST(Messages, AreReadAsTheyWereWritten) {
  for_all([](const MessageCase& message, std::int16_t version, Variant variant) {
    const auto bytes = message.encode(variant, version);
    ASSERT_TRUE(bytes.ok());
    EXPECT_TRUE(message.reads_as(*bytes, variant, version)) << label(message, version, variant);
  });
}

TEST(Messages, AreRefusedWhenTheyEndTooEarly) {
  for_all([](const MessageCase& message, std::int16_t version, Variant variant) {
    const auto bytes = message.encode(variant, version);
    ASSERT_TRUE(bytes.ok());
    const std::size_t step = bytes->size() / 400 + 1;
    for (std::size_t size = 0; size < bytes->size(); size += step) {
      // A copy of the exact size, so that a sanitizer sees a read beyond it.
      const auto result =
          message.read_and_write(Slice::copy_of(bytes->span().first(size)), version);
      ASSERT_FALSE(result.ok()) << label(message, version, variant) << " cut at " << size;
      ASSERT_EQ(result.code(), ErrorCode::kInvalidRequest);
    }
  });
}

TEST(Messages, SurviveNoiseAndWriteAgainWhatTheyCouldRead) {
  Rng rng(20240117);
  const std::vector<std::vector<std::uint8_t>> noises = {
      {0xff}, {0x00}, {0x80}, {0x7f, 0xff, 0xff, 0xff}, {0xff, 0xff, 0xff, 0xff, 0x07}};
  for_all([&](const MessageCase& message, std::int16_t version, Variant variant) {
    const auto bytes = message.encode(variant, version);
    ASSERT_TRUE(bytes.ok());
    if (bytes->empty()) return;
    for (int round = 0; round < 60; ++round) {
      std::vector<std::uint8_t> noisy(bytes->data(), bytes->data() + bytes->size());
      const auto& noise = noises[rng.below(noises.size())];
      const std::size_t at = rng.below(noisy.size());
      for (std::size_t i = 0; i < noise.size() && at + i < noisy.size(); ++i) {
        noisy[at + i] = noise[i];
      }
      const auto once = message.read_and_write(Slice(std::move(noisy)), version);
      if (!once.ok()) continue;
      const auto twice = message.read_and_write(*once, version);
      ASSERT_TRUE(twice.ok()) << label(message, version, variant);
      ASSERT_EQ(*once, *twice) << label(message, version, variant);
    }
  });
}

TEST(Messages, OfAVersionThatDoesNotExistAreRefused) {
  for (const auto& message : all_message_cases()) {
    const auto above = static_cast<std::int16_t>(message->versions().max + 1);
    EXPECT_EQ(message->encode(Variant::kDefault, above).code(), ErrorCode::kUnsupportedVersion);
    EXPECT_EQ(message->read_and_write(Slice(), above).code(), ErrorCode::kUnsupportedVersion);
  }
}

}  // namespace
}  // namespace broker::protocol
