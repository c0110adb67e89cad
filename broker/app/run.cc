#include "broker/app/cluster_file.h"
#include "broker/app/commands.h"
#include "broker/app/load_config.h"
#include "broker/app/serve.h"
#include "broker/storage/meta_properties.h"

namespace broker::app {
namespace {

/// One loop per core unless num.network.threads was written down.
std::size_t loops_for(const config::BrokerConfig& config) {
  return config.values.contains("num.network.threads")
             ? static_cast<std::size_t>(config.num_network_threads)
             : 0;
}

/// The given one; else that of the directories formatted before, of which a new one becomes a part;
/// else a random one.
Result<std::string> cluster_id_for(io::FileSystem& fs, const config::BrokerConfig& config,
                                   const std::string& given) {
  if (!given.empty()) return given;
  for (const std::string& directory : config.log_dirs) {
    ASSIGN_OR_RETURN(const auto existing, storage::read_meta_properties(fs, directory));
    if (existing) return existing->cluster_id;
  }
  Rng rng(Rng::os_seed());
  return Uuid::random(rng).to_string();
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

int run_format(const FormatOptions& options) {
  Machine disk(1);
  const auto config =
      load_config(disk.files(), options.properties_file, "", false, options.overrides);
  if (!config.ok()) return fail(config.error().detail);
  const auto cluster_id = cluster_id_for(disk.files(), *config, options.cluster_id);
  if (!cluster_id.ok()) return fail(cluster_id.error().detail);
  if (!options.ignore_formatted) {
    for (const auto& directory : config->log_dirs) {
      if (disk.files().exists(directory + "/meta.properties")) {
        return fail(directory + " is already formatted; --ignore-formatted leaves it as it is");
      }
    }
  }
  const auto formatted = format_standalone(disk.files(), *config, *cluster_id);
  if (!formatted.ok()) return fail(formatted.error().detail);
  for (const auto& directory : config->log_dirs) {
    std::printf("Formatted %s for cluster %s.\n", directory.c_str(), cluster_id->c_str());
  }
  return 0;
}

}  // namespace broker::app
