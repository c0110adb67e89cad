#include "broker/server/frame_reader.h"

#include <algorithm>
#include <cstring>

namespace broker::server {
namespace {

constexpr std::size_t kChunkBytes = 64 * 1024;
constexpr std::size_t kMinRoom = 8 * 1024;
constexpr std::size_t kCopyUpTo = 4 * 1024;

/// What a size that makes no sense probably is: the usual mistakes deserve a clear line.
std::string explain(const std::array<std::uint8_t, 4>& prefix) {
  if (prefix[0] == 22 && prefix[1] == 3) return " (a TLS handshake on a listener without TLS?)";
  const std::string_view text(reinterpret_cast<const char*>(prefix.data()), prefix.size());
  if (text == "GET " || text == "POST" || text == "HEAD" || text == "PUT ")
    return " (an HTTP request?)";
  return {};
}

}  // namespace

std::span<std::uint8_t> ReceiveArena::room() {
  if (chunk_ == nullptr || kChunkBytes - used_ < kMinRoom) {
    chunk_ = std::make_shared_for_overwrite<std::uint8_t[]>(kChunkBytes);
    used_ = 0;
  }
  return {chunk_.get() + used_, kChunkBytes - used_};
}

Slice ReceiveArena::take(std::size_t n) {
  std::uint8_t* const start = chunk_.get() + used_;
  if (n <= kCopyUpTo) {
    auto copy = std::make_shared_for_overwrite<std::uint8_t[]>(n);
    std::memcpy(copy.get(), start, n);
    const std::uint8_t* const data = copy.get();
    return Slice(std::move(copy), data, n);
  }
  used_ += n;
  return Slice(chunk_, start, n);
}

std::span<std::uint8_t> FrameReader::buffer() {
  if (partial_ != nullptr)
    return {partial_.get() + partial_filled_, partial_size_ - partial_filled_};
  return arena_.room();
}

void FrameReader::received(std::size_t n) {
  if (partial_ != nullptr) {
    partial_filled_ += n;
    return;
  }
  CHECK(input_.empty());
  input_ = arena_.take(n);
}

Result<std::int32_t> FrameReader::read_size(std::int32_t max_bytes) {
  std::uint32_t value = 0;
  for (const std::uint8_t byte : prefix_) value = value << 8 | byte;
  const auto size = static_cast<std::int32_t>(value);
  if (size < 0)
    return Error{ErrorCode::kInvalidRequest, "negative frame size " + std::to_string(size)};
  if (size > max_bytes)
    return Error{ErrorCode::kInvalidRequest, "frame of " + std::to_string(size) +
                                                 " bytes, allowed are " +
                                                 std::to_string(max_bytes) + explain(prefix_)};
  return size;
}

Result<FrameReader::Step> FrameReader::next(std::int32_t max_bytes, const Admit& admit) {
  if (partial_ == nullptr) {
    const std::size_t missing = std::min(prefix_.size() - prefix_bytes_, input_.size());
    std::copy_n(input_.data(), missing, prefix_.data() + prefix_bytes_);
    prefix_bytes_ += missing;
    input_ = input_.sub(missing, input_.size() - missing);
    if (prefix_bytes_ < prefix_.size()) {
      input_ = {};
      return Step{};
    }
    ASSIGN_OR_RETURN(const std::int32_t signed_size, read_size(max_bytes));
    const auto size = static_cast<std::size_t>(signed_size);
    // The prefix is kept until the frame is admitted: asked again, the answer may be another.
    if (!admit(size)) return Step{State::kNotAdmitted, {}, size};
    prefix_bytes_ = 0;
    if (input_.size() >= size) {
      Step step{State::kFrame, input_.sub(0, size), size};
      input_ = input_.size() == size ? Slice() : input_.sub(size, input_.size() - size);
      return step;
    }
    partial_ = std::make_shared_for_overwrite<std::uint8_t[]>(size);
    partial_size_ = size;
    partial_filled_ = input_.size();
    std::copy_n(input_.data(), input_.size(), partial_.get());
    input_ = {};
  }
  if (partial_filled_ < partial_size_) return Step{};
  auto owner = std::exchange(partial_, nullptr);
  const std::uint8_t* const data = owner.get();
  return Step{State::kFrame, Slice(std::move(owner), data, partial_size_), partial_size_};
}

}  // namespace broker::server
