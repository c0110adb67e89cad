#include "broker/app/cluster_file.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "broker/common/log.h"
#include "broker/common/rng.h"
#include "broker/quorum/format.h"
#include "broker/storage/meta_properties.h"

namespace broker::app {
namespace {

WallMs wall_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// The name of the listener that voters are reached on.
std::string controller_listener(const config::BrokerConfig& config) {
  const auto& names = config.listeners.controller_listeners;
  return names.empty() ? "CONTROLLER" : names.front();
}

quorum::FormatOptions base_options(const config::BrokerConfig& config, std::string cluster_id) {
  quorum::FormatOptions options;
  options.cluster_id = std::move(cluster_id);
  options.node_id = config.node_id;
  options.log_dirs = config.log_dirs;
  options.metadata_log_dir = config.metadata_log_dir;
  return options;
}

/// cluster.json as far as it concerns an empty disk of this node.
struct ClusterFile {
  quorum::FormatOptions options;
  bool is_initial_controller = false;
  bool was_formatted = false;         // this node's disk, once before
  bool others_hold_metadata = false;  // another controller has the cluster's metadata
};

Result<ClusterFile> parse(const config::BrokerConfig& config, const std::string& text) {
  try {
    const auto json = nlohmann::json::parse(text);
    ClusterFile file;
    file.options = base_options(config, json.at("clusterId").get<std::string>());
    const bool all_formatted = json.value("formatted", false);
    for (const auto& c : json.at("initialControllers")) {
      quorum::Voter voter;
      voter.id = BrokerId{c.at("id").get<std::int32_t>()};
      ASSIGN_OR_RETURN(voter.directory_id, Uuid::parse(c.at("directoryId").get<std::string>()));
      voter.listener = controller_listener(config);
      voter.endpoint = {c.at("host").get<std::string>(), c.at("port").get<std::uint16_t>()};
      if (voter.id == config.node_id) {
        file.is_initial_controller = true;
        file.was_formatted = c.value("formatted", all_formatted);
        file.options.metadata_directory_id = voter.directory_id;
      } else {
        file.others_hold_metadata = true;
      }
      file.options.initial_voters.push_back(std::move(voter));
    }
    return file;
  } catch (const nlohmann::json::exception& e) {
    return Error{ErrorCode::kInvalidConfig, e.what()};
  }
}

/// Whoever is no voter of the first checkpoint learns the quorum from the quorum. A voter whose
/// disk was lost is no longer that voter: it may have voted, and would forget it.
void join_as_observer(quorum::FormatOptions& options) {
  options.initial_voters.clear();
  options.metadata_directory_id.reset();
}

}  // namespace

Result<void> format_from_cluster_file(io::FileSystem& fs, const config::BrokerConfig& config,
                                      const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, io::read_file(fs, path));
  auto file = parse(config, text);
  if (!file.ok()) return Error{file.error().code, path + ": " + file.error().detail};
  quorum::FormatOptions& options = file->options;
  ASSIGN_OR_RETURN(const auto existing, storage::read_meta_properties(fs, config.metadata_log_dir));
  if (!existing && file->was_formatted && !file->others_hold_metadata) {
    return Error{ErrorCode::kKafkaStorageError,
                 config.metadata_log_dir + " is empty, but cluster " + options.cluster_id +
                     " was formatted before: the volume was lost or replaced. Nothing is created "
                     "in its place; restore the volume, or delete the Cluster to begin anew"};
  }
  Rng rng(Rng::os_seed());
  if (!existing && file->was_formatted) {
    log_warn("app", "the disk of this controller is lost: it begins empty, as an observer",
             {{"clusterId", options.cluster_id}, {"directory", config.metadata_log_dir}});
  } else if (!existing) {
    log_info("app", "formatting empty log directories",
             {{"clusterId", options.cluster_id}, {"directory", config.metadata_log_dir}});
  }
  if (!file->is_initial_controller || file->was_formatted) join_as_observer(options);
  return quorum::format_storage(fs, options, rng, wall_now());
}

Result<void> format_standalone(io::FileSystem& fs, const config::BrokerConfig& config,
                               const std::string& cluster_id) {
  Rng rng(Rng::os_seed());
  auto options = base_options(config, cluster_id);
  quorum::Voter self;
  self.id = config.node_id;
  self.directory_id = Uuid::random(rng);
  self.listener = controller_listener(config);
  for (const auto& listener : config.listeners.listeners) {
    if (!listener.is_controller) continue;
    self.endpoint = {listener.advertised.host, listener.advertised.port};
    break;
  }
  options.metadata_directory_id = self.directory_id;
  options.initial_voters.push_back(std::move(self));
  return quorum::format_storage(fs, options, rng, wall_now());
}

}  // namespace broker::app
