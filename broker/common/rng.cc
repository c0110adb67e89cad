#include "broker/common/rng.h"

#include <random>

namespace broker {

std::uint64_t Rng::os_seed() {
  std::random_device device;
  return static_cast<std::uint64_t>(device()) << 32 | device();
}

}  // namespace broker
