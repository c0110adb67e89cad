#include "broker/server/frame_reader.h"

#include <gtest/gtest.h>

#include <cstring>

#include "broker/server/memory_budget.h"

namespace broker::server {
namespace {

std::string framed(const std::string& body) {
  const auto size = static_cast<std::uint32_t>(body.size());
  std::string text;
  for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(size >> shift);
  return text + body;
}

/// Feeds the bytes in pieces of at most `step` and collects the frames.
std::vector<std::string> read_all(FrameReader& reader, std::string_view bytes, std::size_t step) {
  std::vector<std::string> frames;
  while (!bytes.empty()) {
    const auto room = reader.buffer();
    const std::size_t n = std::min({step, room.size(), bytes.size()});
    std::memcpy(room.data(), bytes.data(), n);
    bytes.remove_prefix(n);
    reader.received(n);
    while (true) {
      auto next = reader.next(1 << 20, [](std::size_t) { return true; });
      EXPECT_TRUE(next.ok());
      if (next->state != FrameReader::State::kFrame) break;
      frames.emplace_back(next->frame.view());
    }
  }
  return frames;
}

TEST(FrameReader, FindsTheSameFramesHoweverTheBytesArrive) {
  const std::vector<std::string> bodies{
      "", "a", std::string(3, 'b'), std::string(5000, 'c'), std::string(200'000, 'd'), "e"};
  std::string stream;
  for (const auto& body : bodies) stream += framed(body);
  for (const std::size_t step : {1u, 2u, 3u, 7u, 1000u, 8192u, 65536u, 1u << 20}) {
    ReceiveArena arena;
    FrameReader reader(arena);
    EXPECT_EQ(read_all(reader, stream, step), bodies) << "pieces of " << step;
  }
}

TEST(FrameReader, ManyRequestsOfOneReadShareItsBuffer) {
  ReceiveArena arena;
  FrameReader reader(arena);
  std::string stream;
  for (int i = 0; i < 100; ++i) stream += framed(std::string(100, 'x'));
  const auto room = reader.buffer();
  std::memcpy(room.data(), stream.data(), stream.size());
  reader.received(stream.size());
  for (int i = 0; i < 100; ++i) {
    const auto step = reader.next(1000, [](std::size_t) { return true; });
    EXPECT_EQ(step->frame.data(), room.data() + i * 104 + 4);
  }
  EXPECT_NE(reader.buffer().data(), room.data()) << "bytes in use are not written again";
}

TEST(FrameReader, ALargeBodyIsReadStraightIntoItsOwnBuffer) {
  ReceiveArena arena;
  FrameReader reader(arena);
  const std::string body(1 << 19, 'x');
  const std::string stream = framed(body);
  auto room = reader.buffer();
  std::memcpy(room.data(), stream.data(), 100);
  reader.received(100);
  EXPECT_EQ(reader.next(1 << 20, [](std::size_t) { return true; })->state,
            FrameReader::State::kNeedMore);
  room = reader.buffer();
  ASSERT_EQ(room.size(), stream.size() - 100);
  std::memcpy(room.data(), stream.data() + 100, room.size());
  reader.received(room.size());
  const auto step = reader.next(1 << 20, [](std::size_t) { return true; });
  EXPECT_EQ(step->frame.view(), body);
  EXPECT_EQ(step->frame.data() + 96, room.data());
}

TEST(FrameReader, ASizeOutOfBoundsAllocatesNothingAndSaysWhy) {
  const auto error_of = [](std::string_view prefix) {
    ReceiveArena arena;
    FrameReader reader(arena);
    std::memcpy(reader.buffer().data(), prefix.data(), prefix.size());
    reader.received(prefix.size());
    bool asked = false;
    auto step = reader.next(1000, [&](std::size_t) { return asked = true; });
    EXPECT_FALSE(step.ok());
    EXPECT_FALSE(asked);
    return step.ok() ? std::string() : step.error().detail;
  };
  using namespace std::string_view_literals;
  EXPECT_NE(error_of("\xff\xff\xff\xff"sv).find("negative"), std::string::npos);
  EXPECT_NE(error_of("\0\0\x03\xe9"sv).find("1001 bytes, allowed are 1000"), std::string::npos);
  EXPECT_NE(error_of("\x16\x03\x01\x02"sv).find("TLS handshake"), std::string::npos);
  EXPECT_NE(error_of("GET "sv).find("HTTP"), std::string::npos);
}

TEST(FrameReader, AFrameThatIsNotAdmittedWaits) {
  ReceiveArena arena;
  FrameReader reader(arena);
  const std::string stream = framed("hello");
  std::memcpy(reader.buffer().data(), stream.data(), stream.size());
  reader.received(stream.size());
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(reader.next(1000, [](std::size_t size) { return size != 5; })->state,
              FrameReader::State::kNotAdmitted);
  EXPECT_EQ(reader.next(1000, [](std::size_t) { return true; })->frame.view(), "hello");
}

TEST(MemoryBudget, GrantsInTheOrderOfWaiting) {
  MemoryBudget budget(100);
  auto first = budget.try_reserve(40);
  auto second = budget.try_reserve(40);
  EXPECT_TRUE(first && second);
  EXPECT_FALSE(budget.try_reserve(30));
  std::string order;
  std::vector<MemoryBudget::Reservation> held;
  const auto hold = [&](char name) {
    return [&, name](MemoryBudget::Reservation memory) {
      order += name;
      held.push_back(std::move(memory));
    };
  };
  budget.wait(90, hold('a'));
  budget.wait(5, [&](MemoryBudget::Reservation) { order += 'b'; });  // gone meanwhile
  budget.wait(10, hold('c'));
  EXPECT_FALSE(budget.try_reserve(1)) << "nobody overtakes those who wait";
  first = {};
  EXPECT_EQ(order, "");
  second = {};
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(budget.used_bytes(), 100u);
  held.clear();
  EXPECT_EQ(budget.used_bytes(), 0u);
  const auto large = budget.try_reserve(1000);
  EXPECT_TRUE(large) << "too large for the budget, so alone";
  EXPECT_FALSE(budget.try_reserve(1));
}

}  // namespace
}  // namespace broker::server
