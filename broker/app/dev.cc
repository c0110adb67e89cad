#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "broker/app/cluster_file.h"
#include "broker/app/commands.h"
#include "broker/app/load_config.h"
#include "broker/app/serve.h"
#include "broker/common/log.h"
#include "broker/storage/meta_properties.h"

namespace broker::app {
namespace {

/// A directory of its own that is gone when the process ends orderly, unless the user gave one.
class DataDirectory {
 public:
  static Result<DataDirectory> make(const std::string& given) {
    if (!given.empty()) {
      return DataDirectory(std::filesystem::absolute(given).string(), false);
    }
    std::string path = (std::filesystem::temp_directory_path() / "millrace-dev-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) {
      return Error{ErrorCode::kKafkaStorageError, "cannot create a temporary directory: " + path};
    }
    return DataDirectory(path, true);
  }
  DataDirectory(DataDirectory&& other) noexcept
      : path_(std::move(other.path_)), temporary_(std::exchange(other.temporary_, false)) {}
  ~DataDirectory() {
    std::error_code ignored;
    if (temporary_) std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  DataDirectory(std::string path, bool temporary) : path_(std::move(path)), temporary_(temporary) {}
  std::string path_;
  bool temporary_;
};

Result<config::BrokerConfig> dev_config(const DevOptions& options, const std::string& directory) {
  ASSIGN_OR_RETURN(const auto listen, parse_endpoint(options.listen));
  const std::string host = listen.host.empty() ? "127.0.0.1" : listen.host;
  std::string advertised = "PLAINTEXT://" + io::to_string({host, listen.port});
  if (!options.advertise.empty()) {
    ASSIGN_OR_RETURN(const auto advertise, parse_endpoint(options.advertise));
    advertised = "PLAINTEXT://" + io::to_string(advertise);
  }
  std::vector<config::Property> properties;
  const auto add = [&](const char* key, std::string value) {
    properties.push_back({key, std::move(value), 0});
  };
  add("process.roles", "broker,controller");
  add("node.id", "1");
  add("log.dirs", directory);
  add("listeners", "PLAINTEXT://" + io::to_string(listen) + ",CONTROLLER://127.0.0.1:0");
  add("advertised.listeners", advertised + ",CONTROLLER://127.0.0.1:0");
  add("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT");
  add("controller.listener.names", "CONTROLLER");
  add("controller.quorum.bootstrap.servers", "127.0.0.1:9093");
  add("offsets.topic.num.partitions", "8");
  add("offsets.topic.replication.factor", "1");
  add("group.initial.rebalance.delay.ms", "0");
  for (const std::string& text : options.overrides) {
    ASSIGN_OR_RETURN(auto property, parse_override(text));
    properties.push_back(std::move(property));
  }
  ASSIGN_OR_RETURN(auto parsed, config::make_broker_config(std::move(properties), "--override"));
  for (const auto& warning : parsed.warnings) log_warn("config", warning);
  return std::move(parsed.config);
}

void print_ready(const DevOptions& options, const node::Node& node,
                 const std::optional<io::Endpoint>& http, const std::string& directory) {
  std::string bootstrap;
  for (const auto& [name, endpoint] : node.bound_endpoints()) {
    if (name == "PLAINTEXT") bootstrap = io::to_string(endpoint);
  }
  if (!options.advertise.empty()) bootstrap = options.advertise;
  if (options.json_output) {
    nlohmann::ordered_json json{{"bootstrapServers", bootstrap},
                                {"clusterId", node.cluster_id()},
                                {"nodeId", node.config().node_id.value},
                                {"dataDirectory", directory},
                                {"pid", getpid()}};
    if (http) json["http"] = io::to_string(*http);
    std::printf("%s\n", json.dump().c_str());
  } else {
    std::printf(
        "\n  Millrace development broker\n\n"
        "  bootstrap.servers   %s\n"
        "  data                %s%s\n\n"
        "  try                 echo hello | kcat -b %s -t greetings -P\n"
        "                      kcat -b %s -t greetings -C -e\n\n"
        "  Ctrl-C stops it.\n\n",
        bootstrap.c_str(), directory.c_str(),
        options.data_directory.empty() ? " (removed at the end)" : "", bootstrap.c_str(),
        bootstrap.c_str());
  }
  std::fflush(stdout);
}

/// A harness that is killed cannot stop its broker, but the pipe between them ends with it.
void stop_when_stdin_closes() {
  std::thread([] {
    char ignored[256];
    ssize_t n = 0;
    do {
      n = ::read(STDIN_FILENO, ignored, sizeof ignored);
    } while (n > 0 || (n < 0 && errno == EINTR));
    ::kill(getpid(), SIGTERM);
  }).detach();
}

}  // namespace

int run_dev(const DevOptions& options) {
  if (options.until_stdin_closes) stop_when_stdin_closes();
  if (isatty(STDERR_FILENO) != 0) set_log_format(LogFormat::kText);
  set_log_level(LogLevel::kWarn);  // a person looks at the screen
  auto directory = DataDirectory::make(options.data_directory);
  if (!directory.ok()) return fail(directory.error().detail);
  auto config = dev_config(options, directory->path());
  if (!config.ok()) return fail(config.error().detail);

  Machine machine(0);
  const auto existing = storage::read_meta_properties(machine.files(), directory->path());
  if (!existing.ok()) return fail(existing.error().detail);
  if (!*existing) {
    Rng rng(Rng::os_seed());
    const auto formatted =
        format_standalone(machine.files(), *config, Uuid::random(rng).to_string());
    if (!formatted.ok()) return fail(formatted.error().detail);
  }
  return serve(machine, {std::move(*config), options.http_listen,
                         [&](const node::Node& node, const std::optional<io::Endpoint>& http) {
                           print_ready(options, node, http, directory->path());
                         }});
}

}  // namespace broker::app
