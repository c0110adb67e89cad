#include "broker/app/cluster_file.h"
#include "broker/app/commands.h"
#include "broker/app/load_config.h"
#include "broker/app/serve.h"

namespace broker::app {
namespace {

/// One loop per core unless num.network.threads was written down.
std::size_t loops_for(const config::BrokerConfig& config) {
  return config.values.contains("num.network.threads")
             ? static_cast<std::size_t>(config.num_network_threads)
             : 0;
}

}  // namespace

int run_broker(const RunOptions& options) {
  std::optional<config::BrokerConfig> config;
  {
    // Configuration and formatting need no loops yet.
    Machine disk(1);
    auto loaded = load_config(disk.files(), options.properties_file, options.overlay_directory,
                              options.node_id_from_hostname, options.overrides);
    if (!loaded.ok()) return fail(loaded.error().detail);
    config = std::move(*loaded);
    if (!options.bootstrap_file.empty()) {
      const auto formatted =
          format_from_cluster_file(disk.files(), *config, options.bootstrap_file);
      if (!formatted.ok()) return fail(formatted.error().detail);
    }
  }
  Machine machine(loops_for(*config));
  return serve(machine, {std::move(*config), options.http_listen, nullptr});
}

}  // namespace broker::app
