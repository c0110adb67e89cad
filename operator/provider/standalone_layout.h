#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace op::provider {

/// How a pod's files differ when it is a process on this machine: paths are below the data
/// directory, nodes are on loopback, machinery ports may be taken. Pure.
struct ProcessLayout {
  std::vector<std::pair<std::string, std::string>> mounts;  // mountPath -> directory, longest first
  std::string headless_suffix;  // ".orders-brokers.kafka.svc": such names are this machine
  /// Where a node's machinery port (9090, 9091, 9404) really is.
  std::function<std::uint16_t(const std::string& pod, std::uint16_t port)> port_of;
  std::string pod;
};

/// A mounted path in the container, as it is here; other text stays.
std::string map_path(const ProcessLayout& layout, std::string text);

/// server.properties with the node's own file laid over it, rewritten for this machine: listeners
/// without a host are bound to loopback.
std::string process_properties(const ProcessLayout& layout, std::string_view server_properties,
                               std::string_view node_properties);
/// cluster.json with hosts and ports of this machine.
std::string process_bootstrap(const ProcessLayout& layout, const std::string& cluster_json);

}  // namespace op::provider
