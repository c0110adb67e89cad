#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/persistent_map.h"

namespace broker::metadata {

struct RegisteredEndpoint {
  std::string name;
  std::string host;
  std::uint16_t port = 0;
  std::int16_t security_protocol = 0;

  bool operator==(const RegisteredEndpoint&) const = default;
};

struct RegisteredFeature {
  std::string name;
  std::int16_t min = 0;
  std::int16_t max = 0;

  bool operator==(const RegisteredFeature&) const = default;
};

struct BrokerRegistration {
  BrokerId id;
  BrokerEpoch epoch;
  Uuid incarnation;
  std::vector<RegisteredEndpoint> endpoints;
  std::vector<RegisteredFeature> features;
  std::optional<std::string> rack;
  bool fenced = true;
  bool in_controlled_shutdown = false;
  bool is_migrating_zk_broker = false;
  std::vector<DirectoryId> log_dirs;
  std::vector<DirectoryId> cordoned_log_dirs;

  const RegisteredEndpoint* find_endpoint(std::string_view listener) const;
  /// Whether a replica in `directory` can be used: known, or one of the reserved ids.
  bool has_online_dir(const DirectoryId& directory) const;
  bool operator==(const BrokerRegistration&) const = default;
};

struct ControllerRegistration {
  BrokerId id;
  Uuid incarnation;
  bool zk_migration_ready = false;
  std::vector<RegisteredEndpoint> endpoints;
  std::vector<RegisteredFeature> features;

  bool operator==(const ControllerRegistration&) const = default;
};

struct ClusterImage {
  PersistentMap<BrokerId, BrokerRegistration> brokers;
  PersistentMap<BrokerId, ControllerRegistration> controllers;

  const BrokerRegistration* broker(BrokerId id) const { return brokers.find(id); }
  /// Registered and not fenced.
  bool is_alive(BrokerId id) const;
  /// May become a leader or join an ISR: alive and not in controlled shutdown.
  bool is_active(BrokerId id) const;
  bool operator==(const ClusterImage&) const = default;
};

}  // namespace broker::metadata
