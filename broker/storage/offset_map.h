#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <span>

#include "broker/common/ids.h"

namespace broker::storage {

/// SipHash-2-4 with 128 bits of output: with a secret key nobody can make two keys collide.
std::array<std::uint64_t, 2> sip_hash_128(const std::array<std::uint64_t, 2>& key,
                                          std::span<const std::uint8_t> bytes);

/// The latest offset of each record key in the dirty part of a log: 96 bits of the key's hash and
/// the offset relative to `base`, 16 bytes an entry. Begins small and doubles; what it takes,
/// growing included, stays within the budget. Until then no memory but what its keys need.
class OffsetMap {
 public:
  struct Options {
    std::size_t budget_bytes = 128u << 20;
    double load_factor = 0.9;  // of the largest size
    std::array<std::uint64_t, 2> hash_key{};
    Offset base;  // offsets below are never put
  };
  explicit OffsetMap(Options options);

  /// Offsets come in rising order. False when there is no room for another key, or the offset is
  /// too far from the base: the caller stops here.
  bool put(std::span<const std::uint8_t> key, Offset offset);
  /// nullopt when the key was never put.
  std::optional<Offset> find(std::span<const std::uint8_t> key) const;

  std::size_t size() const { return count_; }
  std::size_t size_bytes() const { return slot_count_ * sizeof(Slot); }
  /// How much of the largest size is used, 0 to 1.
  double utilization() const;

 private:
  struct Slot {
    std::uint32_t hash[3];
    std::uint32_t offset;  // relative to the base, plus 1; 0: empty
  };
  struct Free {
    void operator()(Slot* slots) const { std::free(slots); }
  };
  using Slots = std::unique_ptr<Slot[], Free>;
  using Hash = std::array<std::uint32_t, 3>;

  static Slots allocate(std::size_t count);
  Hash hash(std::span<const std::uint8_t> key) const;
  /// Where `hash` is, or where it would go.
  std::size_t position(const Hash& hash) const;
  bool make_room();

  const Options options_;
  const std::size_t max_slots_;
  std::size_t slot_count_;
  std::size_t count_ = 0;
  Slots slots_;
};

}  // namespace broker::storage
