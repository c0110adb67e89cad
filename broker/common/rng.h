#pragma once

#include <cstdint>

namespace broker {

/// A seeded generator (splitmix64), the same sequence on every machine, so that a simulation
/// replays from its seed. Not for secrets: those come from OpenSSL's RAND_bytes.
class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, bound); 0 when bound is 0.
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : next() % bound; }

  /// A seed from the operating system, for processes that need no replay.
  static std::uint64_t os_seed();

 private:
  std::uint64_t state_;
};

}  // namespace broker
