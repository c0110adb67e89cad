#include "operator/provider/standalone.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "broker/common/log.h"
#include "operator/api/cluster.h"
#include "operator/model/names.h"
#include "operator/provider/resource_files.h"
#include "operator/provider/small_files.h"

namespace op::provider {
namespace {

using broker::Error;
using broker::ErrorCode;
using namespace std::chrono_literals;

/// inotify does not see every file system; the directory is read again this often anyway.
constexpr auto kReadAgain = 2s;
constexpr auto kSettle = 30ms;  // an editor writes a file in several steps

}  // namespace

Standalone::Standalone(StandaloneOptions options)
    : options_(std::move(options)),
      store_(options_.resources, options_.data),
      wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  CHECK(wake_fd_ >= 0);
  store_.set_wake([this] { wake(); });
}

Standalone::~Standalone() {
  stop();
  close(wake_fd_);
}

broker::Result<void> Standalone::start() {
  RETURN_IF_ERROR(make_private_directory(options_.data));
  const std::string lock_path = options_.data + "/lock";
  lock_fd_ = open(lock_path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (lock_fd_ < 0 || flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    return Error{ErrorCode::kDuplicateResource,
                 lock_path + ": another operator uses this data directory"};
  }
  if (access(options_.resources.c_str(), R_OK | X_OK) != 0) {
    return Error{ErrorCode::kResourceNotFound, options_.resources + ": " + std::strerror(errno)};
  }
  pods_ = std::make_unique<ProcessPods>(
      store_, ProcessPods::Options{options_.data, options_.broker_program});
  RETURN_IF_ERROR(store_.start());
  thread_ = std::jthread([this](std::stop_token token) { run(token); });
  return {};
}

void Standalone::stop() {
  if (thread_.joinable()) {
    thread_.request_stop();
    wake();
    thread_.join();
  }
  if (lock_fd_ >= 0) close(std::exchange(lock_fd_, -1));
}

void Standalone::wake() {
  const std::uint64_t one = 1;
  // A full counter is awake already.
  if (write(wake_fd_, &one, sizeof one) < 0) return;
}

void Standalone::run(std::stop_token stop) {
  std::optional<DirectoryWatch> watch;
  if (auto opened = DirectoryWatch::open(options_.resources); opened.ok()) {
    watch.emplace(std::move(*opened));
  } else {
    broker::log_warn("standalone", "resources are polled", {{"reason", opened.error().detail}});
  }
  broker::Instant read_at = std::chrono::steady_clock::now() + kReadAgain;
  while (!stop.stop_requested()) {
    const broker::Instant now = std::chrono::steady_clock::now();
    if (now >= read_at) {
      store_.sync_resources();
      read_at = now + kReadAgain;
    }
    const broker::Instant next = std::min(pods_->turn(now), read_at);
    store_.write_status_files();
    const auto wait =
        std::chrono::ceil<std::chrono::milliseconds>(next - std::chrono::steady_clock::now());
    std::vector<pollfd> fds{{wake_fd_, POLLIN, 0}, {watch ? watch->fd() : -1, POLLIN, 0}};
    for (const int fd : pods_->watched()) fds.push_back({fd, POLLIN, 0});
    poll(fds.data(), fds.size(), static_cast<int>(std::max<std::int64_t>(wait.count(), 0)));
    std::uint64_t drained = 0;
    if (read(wake_fd_, &drained, sizeof drained) < 0) drained = 0;
    if (watch && watch->drain()) {
      read_at = std::min(read_at, std::chrono::steady_clock::now() + kSettle);
    }
  }
  pods_->stop_all();
  store_.write_status_files();
}

broker::io::Endpoint Standalone::node_endpoint(const NodeName& node, std::uint16_t port) const {
  return {"127.0.0.1", pods_->port_of(node.cluster.ns, node.pod, port)};
}

void Standalone::adapt(api::Cluster& cluster) const {
  cluster.spec.rack_topology_key.reset();  // one machine is one rack
  for (api::ListenerSpec& listener : cluster.spec.listeners) {
    listener.expose.type = api::ExposeType::kNodePort;
    listener.expose.advertised_host = "127.0.0.1";
    listener.expose.advertised_port = std::to_string(listener.port);
    listener.expose.bootstrap_port = listener.port;
    listener.expose.broker_base_port.reset();
    give_ports(cluster, listener);
  }
}

/// The first broker listens where the user said, the others a hundred further each.
void Standalone::give_ports(const api::Cluster& cluster, api::ListenerSpec& listener) const {
  std::int32_t wanted = listener.port;
  for (const api::PoolSpec& pool : cluster.spec.pools) {
    if (!pool.has_role(api::Role::kBroker)) continue;
    for (const std::int32_t id : model::node_ids(pool)) {
      if (wanted == listener.port) {
        listener.expose.node_ports[id] = listener.port;
      } else {
        listener.expose.node_ports[id] = pods_->claim_listener(
            cluster.metadata.namespace_, model::pod_name(cluster, pool, id),
            static_cast<std::uint16_t>(listener.port), static_cast<std::uint16_t>(wanted));
      }
      wanted += 100;
    }
  }
}

}  // namespace op::provider
