#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace broker {

/// Immutable bytes with shared ownership: a request body, a record batch read from a log. Copying a
/// Slice copies no bytes.
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

  const std::uint8_t* data() const { return data_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::span<const std::uint8_t> span() const { return {data_, size_}; }
  std::string_view view() const { return {reinterpret_cast<const char*>(data_), size_}; }
  Slice sub(std::size_t offset, std::size_t count) const {
    return Slice(owner_, data_ + offset, count);
  }

  /// Equal bytes, whoever owns them.
  bool operator==(const Slice& other) const {
    return size_ == other.size_ && (size_ == 0 || std::memcmp(data_, other.data_, size_) == 0);
  }

 private:
  std::shared_ptr<const void> owner_;
  const std::uint8_t* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Bytes in pieces, as writev takes them.
using Slices = std::vector<Slice>;

}  // namespace broker
