#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "broker/common/result.h"
#include "broker/common/slice.h"

namespace broker::server {

/// The receive buffer that the connections of one strand share. What was received is used in place;
/// a chunk lives as long as someone holds a part of it and is never written twice.
class ReceiveArena {
 public:
  /// Room for one read.
  std::span<std::uint8_t> room();
  /// The first `n` bytes of the last room() as a Slice. Small reads are copied, so that a request
  /// that waits long does not hold a whole chunk and the chunk stays in the cache.
  Slice take(std::size_t n);

 private:
  std::shared_ptr<std::uint8_t[]> chunk_;
  std::size_t used_ = 0;
};

/// Cuts the byte stream of one connection into frames. A frame that came whole is a part of the
/// receive buffer; any other gets a buffer of exactly its size, allocated once it was admitted, and
/// the rest is read straight into it.
class FrameReader {
 public:
  enum class State { kFrame, kNeedMore, kNotAdmitted };
  struct Step {
    State state = State::kNeedMore;
    Slice frame;           // kFrame: without the size
    std::size_t size = 0;  // kFrame, kNotAdmitted
  };
  /// Whether a frame of this size may be received now; once it said yes the bytes count as
  /// received.
  using Admit = std::function<bool(std::size_t size)>;

  explicit FrameReader(ReceiveArena& arena) : arena_(arena) {}

  /// Where the next bytes go; only after next() said kNeedMore.
  std::span<std::uint8_t> buffer();
  void received(std::size_t n);
  /// `admit` is asked once per frame, also for one that is already here. Errors: kInvalidRequest
  /// for a size that is negative or above `max_bytes`; the stream is useless then.
  Result<Step> next(std::int32_t max_bytes, const Admit& admit);
  /// Whether next() may find a frame without more bytes.
  bool has_input() const { return !input_.empty(); }

 private:
  Result<std::int32_t> read_size(std::int32_t max_bytes);

  ReceiveArena& arena_;
  Slice input_;  // received, not yet cut
  std::array<std::uint8_t, 4> prefix_{};
  std::size_t prefix_bytes_ = 0;
  std::shared_ptr<std::uint8_t[]> partial_;
  std::size_t partial_size_ = 0;
  std::size_t partial_filled_ = 0;
};

}  // namespace broker::server
