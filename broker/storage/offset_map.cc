#include "broker/storage/offset_map.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "broker/common/check.h"

namespace broker::storage {
namespace {

constexpr std::size_t kFirstSlots = 4096;
constexpr double kComfortableLoad = 0.75;  // while it may still grow

std::uint64_t load_le(const std::uint8_t* p, std::size_t n) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < n; ++i) value |= static_cast<std::uint64_t>(p[i]) << (8 * i);
  return value;
}

struct SipState {
  std::uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void absorb(std::uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
  std::uint64_t finish() {
    for (int i = 0; i < 4; ++i) round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

}  // namespace

std::array<std::uint64_t, 2> sip_hash_128(const std::array<std::uint64_t, 2>& key,
                                          std::span<const std::uint8_t> bytes) {
  SipState state{.v0 = key[0] ^ 0x736f6d6570736575,
                 .v1 = key[1] ^ 0x646f72616e646f6d ^ 0xee,
                 .v2 = key[0] ^ 0x6c7967656e657261,
                 .v3 = key[1] ^ 0x7465646279746573};
  const std::size_t whole = bytes.size() / 8 * 8;
  for (std::size_t at = 0; at < whole; at += 8) state.absorb(load_le(bytes.data() + at, 8));
  state.absorb(load_le(bytes.data() + whole, bytes.size() - whole) |
               static_cast<std::uint64_t>(bytes.size()) << 56);
  state.v2 ^= 0xee;
  const std::uint64_t low = state.finish();
  state.v1 ^= 0xdd;
  return {low, state.finish()};
}

OffsetMap::OffsetMap(Options options)
    : options_(options),
      // Two of three parts: the old slots are still there while the new ones are filled.
      max_slots_(std::max<std::size_t>(options_.budget_bytes / sizeof(Slot) * 2 / 3, 16)),
      slot_count_(std::min(max_slots_, kFirstSlots)),
      slots_(allocate(slot_count_)) {}

OffsetMap::Slots OffsetMap::allocate(std::size_t count) {
  // calloc: large blocks come zeroed from the system and go back to it.
  auto* slots = static_cast<Slot*>(std::calloc(count, sizeof(Slot)));
  CHECK(slots != nullptr);
  return Slots(slots);
}

OffsetMap::Hash OffsetMap::hash(std::span<const std::uint8_t> key) const {
  const auto full = sip_hash_128(options_.hash_key, key);
  return {static_cast<std::uint32_t>(full[0]), static_cast<std::uint32_t>(full[0] >> 32),
          static_cast<std::uint32_t>(full[1])};
}

std::size_t OffsetMap::position(const Hash& hash) const {
  const std::uint64_t word = static_cast<std::uint64_t>(hash[1]) << 32 | hash[0];
  auto at = static_cast<std::size_t>(static_cast<unsigned __int128>(word) * slot_count_ >> 64);
  while (slots_[at].offset != 0 &&
         std::memcmp(slots_[at].hash, hash.data(), sizeof slots_[at].hash) != 0) {
    if (++at == slot_count_) at = 0;
  }
  return at;
}

bool OffsetMap::make_room() {
  const auto holds = [this](double load) {
    return static_cast<double>(count_ + 1) <= static_cast<double>(slot_count_) * load;
  };
  if (holds(kComfortableLoad)) return true;
  if (slot_count_ == max_slots_) return holds(options_.load_factor);
  const std::size_t old_count = slot_count_;
  slot_count_ = std::min(2 * slot_count_, max_slots_);
  const Slots old = std::exchange(slots_, allocate(slot_count_));
  for (std::size_t i = 0; i < old_count; ++i) {
    if (old[i].offset == 0) continue;
    slots_[position({old[i].hash[0], old[i].hash[1], old[i].hash[2]})] = old[i];
  }
  return true;
}

bool OffsetMap::put(std::span<const std::uint8_t> key, Offset offset) {
  const std::int64_t relative = offset - options_.base;
  CHECK(relative >= 0);
  if (relative >= UINT32_MAX) return false;
  const Hash hashed = hash(key);
  std::size_t at = position(hashed);
  if (slots_[at].offset == 0) {
    if (!make_room()) return false;
    at = position(hashed);
    std::memcpy(slots_[at].hash, hashed.data(), sizeof slots_[at].hash);
    ++count_;
  }
  slots_[at].offset = static_cast<std::uint32_t>(relative) + 1;
  return true;
}

std::optional<Offset> OffsetMap::find(std::span<const std::uint8_t> key) const {
  const Slot& slot = slots_[position(hash(key))];
  if (slot.offset == 0) return std::nullopt;
  return options_.base + (static_cast<std::int64_t>(slot.offset) - 1);
}

double OffsetMap::utilization() const {
  return static_cast<double>(count_) /
         (static_cast<double>(max_slots_) * std::clamp(options_.load_factor, 0.01, 1.0));
}

}  // namespace broker::storage
