#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "operator/model/cluster_objects.h"
#include "operator/model/names.h"

/// The renderers behind cluster_objects.h; only for the .cc of this folder.
namespace op::model::detail {

inline constexpr const char* kConfigDir = "/etc/millrace/config";
inline constexpr const char* kCertsDir = "/etc/millrace/certs";
inline constexpr const char* kDataDir = "/var/lib/kafka/data-0";

/// apiVersion, kind, metadata with labels and the owner reference.
nlohmann::json owned(const api::Cluster& cluster, const char* api_version, const char* kind,
                     const std::string& name, const std::map<std::string, std::string>& labels);
nlohmann::json parse_raw(const api::RawJson& text);

std::vector<nlohmann::json> services(const api::Cluster& cluster);
nlohmann::json config_map_object(const api::Cluster& cluster, const api::PoolSpec& pool);
nlohmann::json disruption_budget(const api::Cluster& cluster);
nlohmann::json network_policy(const ClusterInputs& inputs);
nlohmann::json stateful_set(const api::Cluster& cluster, const api::PoolSpec& pool);

}  // namespace op::model::detail
