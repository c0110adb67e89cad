#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "broker/protocol/api_key.h"

namespace broker::protocol {

/// What is known about an API before its body is read. What a node advertises is what its handlers
/// register, within `versions`.
struct ApiInfo {
  ApiKey key;
  std::string_view name;  // "Fetch"
  VersionRange versions;  // released: those to advertise and to use as a client
  /// Highest version with a schema; above versions.max it is not released yet.
  std::int16_t highest_known;
  /// First version with compact lengths and tagged fields; above highest_known if there is none.
  std::int16_t flexible_from;
  bool on_broker;       // served on listeners of brokers
  bool on_controller;   // served on listeners of controllers
  bool forwardable;     // a broker passes it to the active controller
  bool cluster_action;  // needs CLUSTER_ACTION on the cluster

  constexpr bool flexible(std::int16_t version) const { return version >= flexible_from; }
};

/// nullptr for a key that Kafka 4.3 does not know or no longer serves.
const ApiInfo* find_api(std::int16_t key);
const ApiInfo& api_info(ApiKey key);
/// All of them, by ascending key.
std::span<const ApiInfo> all_apis();
std::string_view to_string(ApiKey key);

}  // namespace broker::protocol
