// `millrace-broker format`: what kafka-storage format does.
#include "broker/quorum/format.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>

#include "broker/app/commands.h"
#include "broker/app/load_config.h"
#include "broker/app/serve.h"
#include "broker/metadata/features.h"
#include "broker/storage/meta_properties.h"

namespace broker::app {
namespace {

Error wrong(const std::string& why) { return {ErrorCode::kInvalidConfig, why}; }

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

/// "<id>@<host>:<port>:<directory id>", as kafka-storage takes it.
Result<quorum::Voter> parse_voter(const std::string& text, const std::string& listener) {
  const Error shape =
      wrong("--initial-controllers: '" + text + "' is not <id>@<host>:<port>:<directory id>");
  const auto at = text.find('@');
  const auto last = text.rfind(':');
  if (at == std::string::npos || last == std::string::npos || last < at) return shape;
  quorum::Voter voter;
  const auto [end, error] = std::from_chars(text.data(), text.data() + at, voter.id.value);
  if (error != std::errc() || end != text.data() + at) return shape;
  const auto directory = Uuid::parse(text.substr(last + 1));
  if (!directory.ok()) return shape;
  voter.directory_id = *directory;
  auto endpoint = parse_endpoint(text.substr(at + 1, last - at - 1));
  if (!endpoint.ok() || endpoint->host.empty() || endpoint->port == 0) return shape;
  voter.endpoint = std::move(*endpoint);
  voter.listener = listener;
  return voter;
}

Result<std::vector<quorum::Voter>> parse_voters(const std::string& text,
                                                const std::string& listener) {
  std::vector<quorum::Voter> voters;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto comma = std::min(text.find(',', begin), text.size());
    ASSIGN_OR_RETURN(auto voter, parse_voter(text.substr(begin, comma - begin), listener));
    const bool twice = std::any_of(voters.begin(), voters.end(),
                                   [&](const auto& other) { return other.id == voter.id; });
    if (twice) {
      return wrong("--initial-controllers: node " + std::to_string(voter.id.value) +
                   " is there twice");
    }
    voters.push_back(std::move(voter));
    begin = comma + 1;
  }
  return voters;
}

quorum::Voter this_node(const config::BrokerConfig& config, Rng& rng) {
  quorum::Voter self;
  self.id = config.node_id;
  self.directory_id = Uuid::random(rng);
  self.listener = config.listeners.controller.listener;
  for (const auto& listener : config.listeners.listeners) {
    if (!listener.is_controller) continue;
    self.endpoint = {listener.advertised.host, listener.advertised.port};
    break;
  }
  return self;
}

/// The first voters that this node writes down; none where it learns them from others.
Result<std::vector<quorum::Voter>> first_voters(const config::BrokerConfig& config,
                                                const FormatOptions& options, Rng& rng) {
  const int flags = (options.standalone ? 1 : 0) + (options.initial_controllers.empty() ? 0 : 1) +
                    (options.no_initial_controllers ? 1 : 0);
  if (flags > 1) {
    return wrong(
        "only one of --standalone, --initial-controllers and --no-initial-controllers can be "
        "given");
  }
  if (!config.quorum_voters.empty()) {
    if (flags > 0) {
      return wrong(
          "controller.quorum.voters says who the voters are: --standalone, --initial-controllers "
          "and --no-initial-controllers are for controller.quorum.bootstrap.servers");
    }
    return std::vector<quorum::Voter>();
  }
  if (options.no_initial_controllers || (flags == 0 && !config.is_controller)) {
    return std::vector<quorum::Voter>();
  }
  if (!config.is_controller) {
    return wrong(
        "this node has not the controller role: --no-initial-controllers is the one for "
        "it");
  }
  if (!options.initial_controllers.empty()) {
    return parse_voters(options.initial_controllers, config.listeners.controller.listener);
  }
  if (!options.standalone && config.quorum_bootstrap_servers.size() > 1) {
    return wrong(
        "Because controller.quorum.voters is not set on this controller, you must specify one of "
        "the following: --standalone, --initial-controllers, or --no-initial-controllers.");
  }
  return std::vector{this_node(config, rng)};
}

/// --release-version and --feature, which only the first controllers' disks say something with.
Result<void> take_features(const FormatOptions& options, quorum::FormatOptions& format) {
  if (!options.release_version.empty()) {
    const auto version = metadata::parse_metadata_version(options.release_version);
    if (!version) {
      return wrong("--release-version: there is no metadata.version '" + options.release_version +
                   "'");
    }
    format.metadata_version = *version;
  }
  for (const std::string& text : options.features) {
    const auto equals = text.find('=');
    std::int16_t level = 0;
    const char* const end = text.data() + text.size();
    const auto parsed =
        std::from_chars(text.data() + std::min(equals + 1, text.size()), end, level);
    if (equals == std::string::npos || parsed.ec != std::errc() || parsed.ptr != end)
      return wrong("--feature: '" + text + "' is not <name>=<level>");
    const std::string name = text.substr(0, equals);
    if (name != metadata::kMetadataVersionFeature) {
      format.features[name] = level;
      continue;
    }
    if (!options.release_version.empty())
      return wrong("only one of --release-version and --feature metadata.version can be given");
    format.metadata_version = level;
  }
  if (!metadata::metadata_version_name(format.metadata_version)) {
    return wrong("--feature: there is no metadata.version " +
                 std::to_string(format.metadata_version));
  }
  return {};
}

Result<void> format_directories(io::FileSystem& fs, const config::BrokerConfig& config,
                                const FormatOptions& options, const std::string& cluster_id) {
  Rng rng(Rng::os_seed());
  quorum::FormatOptions format;
  format.cluster_id = cluster_id;
  format.node_id = config.node_id;
  format.log_dirs = config.log_dirs;
  format.metadata_log_dir = config.metadata_log_dir;
  RETURN_IF_ERROR(take_features(options, format));
  if (!fs.exists(config.metadata_log_dir + "/meta.properties")) {
    ASSIGN_OR_RETURN(format.initial_voters, first_voters(config, options, rng));
  }
  for (const auto& voter : format.initial_voters) {
    if (voter.id == config.node_id) format.metadata_directory_id = voter.directory_id;
  }
  if (!format.initial_voters.empty() && !format.metadata_directory_id) {
    return wrong("--initial-controllers: node " + std::to_string(config.node_id.value) +
                 ", this one, is not among them; --no-initial-controllers lets it join later");
  }
  const WallMs now = std::chrono::duration_cast<std::chrono::milliseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
  return quorum::format_storage(fs, format, rng, now);
}

}  // namespace

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
  const auto formatted = format_directories(disk.files(), *config, options, *cluster_id);
  if (!formatted.ok()) return fail(formatted.error().detail);
  for (const auto& directory : config->log_dirs) {
    std::printf("Formatted %s for cluster %s.\n", directory.c_str(), cluster_id->c_str());
  }
  return 0;
}

}  // namespace broker::app
