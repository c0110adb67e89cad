#include "broker/protocol/api.h"

#include <algorithm>
#include <iterator>

#include "broker/common/check.h"

namespace broker::protocol {
namespace {

// ApiInfo kTable[], by ascending key.
#include "broker/protocol/api_table.inc"

}  // namespace

const ApiInfo* find_api(std::int16_t key) {
  const auto found = std::lower_bound(
      std::begin(kTable), std::end(kTable), key,
      [](const ApiInfo& info, std::int16_t k) { return static_cast<std::int16_t>(info.key) < k; });
  const bool same = found != std::end(kTable) && static_cast<std::int16_t>(found->key) == key;
  return same ? found : nullptr;
}

const ApiInfo& api_info(ApiKey key) {
  const ApiInfo* info = find_api(static_cast<std::int16_t>(key));
  CHECK(info != nullptr);
  return *info;
}

std::span<const ApiInfo> all_apis() { return kTable; }

std::string_view to_string(ApiKey key) { return api_info(key).name; }

}  // namespace broker::protocol
