#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace broker {

/// Bytes outside of memory that a Slice may stand for: an open file. Used from any thread.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// What the system can send from without a copy; -1 where there is no such thing.
  virtual int descriptor() const = 0;
  /// Fills `out` from `position` on; false when not all of it can be had.
  virtual bool read_exactly(std::uint64_t position, std::span<std::uint8_t> out) const = 0;
};

/// Immutable bytes with shared ownership: a request body, a record batch read from a log. Copying a
/// Slice copies no bytes.
///
/// The bytes are in memory, unless the Slice was made by stored(): then only size(), sub() and
/// copy_to() work, and whoever sends it takes the bytes from its source.
class Slice {
 public:
  Slice() = default;
  /// Keeps `owner` alive as long as the view is used.
  Slice(std::shared_ptr<const void> owner, const std::uint8_t* data, std::size_t size)
      : owner_(std::move(owner)), data_(data), size_(size) {}
  /// Takes the vector over.
  explicit Slice(std::vector<std::uint8_t> bytes) {
    auto owned = std::make_shared<const std::vector<std::uint8_t>>(std::move(bytes));
    data_ = owned->data();
    size_ = owned->size();
    owner_ = std::move(owned);
  }
  static Slice copy_of(std::span<const std::uint8_t> bytes) {
    return Slice(std::vector<std::uint8_t>(bytes.begin(), bytes.end()));
  }
  static Slice copy_of(std::string_view text) {
    const auto* p = reinterpret_cast<const std::uint8_t*>(text.data());
    return Slice(std::vector<std::uint8_t>(p, p + text.size()));
  }
  /// Borrows: the caller guarantees the lifetime.
  static Slice borrowed(std::span<const std::uint8_t> bytes) {
    return Slice(nullptr, bytes.data(), bytes.size());
  }

  /// `size` bytes of `source` at `position`, left where they are. They must not change as long as
  /// the Slice is used.
  static Slice stored(std::shared_ptr<const ByteSource> source, std::uint64_t position,
                      std::size_t size) {
    Slice slice;
    slice.source_ = source.get();
    slice.owner_ = std::move(source);
    slice.position_ = position;
    slice.size_ = size;
    return slice;
  }

  /// nullptr for bytes in memory.
  const ByteSource* source() const { return source_; }
  std::uint64_t source_position() const { return position_; }
  /// Copies out.size() bytes from `offset` on; false when a source does not have them any more.
  bool copy_to(std::span<std::uint8_t> out, std::size_t offset = 0) const {
    if (source_ != nullptr) return source_->read_exactly(position_ + offset, out);
    if (!out.empty()) std::memcpy(out.data(), data_ + offset, out.size());
    return true;
  }

  const std::uint8_t* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::span<const std::uint8_t> span() const { return {data_, size_}; }
  std::string_view view() const { return {reinterpret_cast<const char*>(data_), size_}; }
  Slice sub(std::size_t offset, std::size_t count) const {
    Slice part = *this;
    if (source_ != nullptr)
      part.position_ += offset;
    else
      part.data_ += offset;
    part.size_ = count;
    return part;
  }

  /// Equal bytes in memory, whoever owns them.
  bool operator==(const Slice& other) const {
    return size_ == other.size_ && (size_ == 0 || std::memcmp(data_, other.data_, size_) == 0);
  }

 private:
  std::shared_ptr<const void> owner_;
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
  const ByteSource* source_ = nullptr;  // what owner_ owns
  std::uint64_t position_ = 0;          // in the source
};

/// Bytes in pieces, as writev takes them.
using Slices = std::vector<Slice>;

}  // namespace broker
