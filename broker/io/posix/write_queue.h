#pragma once

#include <sys/uio.h>

#include <array>
#include <deque>
#include <span>

#include "broker/common/slice.h"

namespace broker::io::posix {

/// Bytes on their way out, by reference, in order.
class WriteQueue {
 public:
  void push(Slices&& pieces) {
    for (Slice& piece : pieces) {
      if (piece.empty()) continue;
      size_ += piece.size();
      pieces_.push_back(std::move(piece));
    }
  }
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  void clear() {
    pieces_.clear();
    size_ = front_offset_ = 0;
  }

  /// What is left of the first piece.
  Slice front() const {
    const Slice& piece = pieces_.front();
    return piece.sub(front_offset_, piece.size() - front_offset_);
  }
  bool has_one_piece() const { return pieces_.size() == 1; }
  /// Whether there is a piece `i` and it is not in memory.
  bool is_stored(std::size_t i) const {
    return i < pieces_.size() && pieces_[i].source() != nullptr;
  }

  /// Fills `out` with the next pieces that are in memory, at most `max_bytes`. Returns how many.
  std::size_t gather(std::span<iovec> out, std::size_t max_bytes) const {
    std::size_t count = 0;
    std::size_t offset = front_offset_;
    for (const Slice& piece : pieces_) {
      if (count == out.size() || max_bytes == 0 || piece.source() != nullptr) break;
      const std::size_t n = std::min(piece.size() - offset, max_bytes);
      out[count++] = {const_cast<std::uint8_t*>(piece.data()) + offset, n};
      max_bytes -= n;
      offset = 0;
    }
    return count;
  }

  /// Copies the next bytes, at most size(), wherever they lie. False when a source does not have
  /// its bytes any more.
  bool copy(std::span<std::uint8_t> out) const {
    std::size_t done = 0;
    std::size_t offset = front_offset_;
    for (const Slice& piece : pieces_) {
      if (done == out.size()) break;
      const std::size_t n = std::min(piece.size() - offset, out.size() - done);
      if (!piece.copy_to(out.subspan(done, n), offset)) return false;
      done += n;
      offset = 0;
    }
    return true;
  }

  void consume(std::size_t n) {
    size_ -= n;
    while (n > 0) {
      const std::size_t left = pieces_.front().size() - front_offset_;
      if (n < left) {
        front_offset_ += n;
        return;
      }
      n -= left;
      front_offset_ = 0;
      pieces_.pop_front();
    }
  }

 private:
  std::deque<Slice> pieces_;
  std::size_t front_offset_ = 0;
  std::size_t size_ = 0;
};

}  // namespace broker::io::posix
