// Makes the parts that handlers call, and ties them together.
#include <utility>

#include "broker/handlers/apis.h"
#include "broker/node/node_impl.h"
#include "broker/node/options.h"

namespace broker::node {
namespace {

std::set<std::string> controller_listener_names(const config::BrokerConfig& config) {
  std::set<std::string> names;
  for (const auto& listener : config.listeners.listeners) {
    if (listener.is_controller) names.insert(listener.name);
  }
  return names;
}

}  // namespace

void Node::Impl::make_services() {
  for (io::Strand* strand : ports_.strands) {
    channels_.push_back(std::make_unique<controller::LocalChannel>(*strand, *controller_));
    fetch_sessions_.push_back(std::make_unique<replication::FetchSessionCache>(
        replication::FetchSessionCache::Options{
            static_cast<std::size_t>(config_.max_incremental_fetch_session_cache_slots) /
                ports_.strands.size(),
            std::chrono::milliseconds(120'000)},
        ports_.seed + 2 + fetch_sessions_.size()));
  }
  credentials_ = std::make_unique<Credentials>(config_, state_);
  services_ = std::make_unique<handlers::Services>(handlers::Services{
      config_, cluster_id_, state_, nullptr, {}, nullptr, nullptr, nullptr, nullptr, nullptr, {}});
  registry_ = std::make_unique<handlers::Registry>(*services_, controller_listener_names(config_));
  handlers::register_apis(*registry_);
  gate_ = std::make_unique<StartingGate>(*registry_);
  replicas_ = std::make_unique<replication::ReplicaManager>(
      replica_options(config_), replication::Strands(main(), ports_.strands), *logs_,
      replication::ReplicaManagerPorts{ports_.workers});
  groups_ = std::make_unique<coordinator::group::GroupCoordinator>(
      group_options(config_),
      coordinator::CoordinatorOptions{coordinator::group::kOffsetsTopic,
                                      std::chrono::milliseconds(config_.offsets_commit_timeout_ms)},
      *replicas_, [this] { create_offsets_topic(); }, ports_.seed + 100);
  producer_ids_ = std::make_unique<handlers::ProducerIds>(main(), *channels_.front(), [this] {
    return std::pair(config_.node_id, membership_->epoch());
  });

  services_->registry = registry_.get();
  services_->controller = [this](io::Strand& strand) -> controller::ControllerChannel& {
    return *channels_[strand_index(strand)];
  };
  services_->metadata_log = metadata_log_.get();
  services_->controller_strand = &main();
  services_->replicas = replicas_.get();
  services_->groups = groups_.get();
  services_->producer_ids = producer_ids_.get();
  services_->fetch_sessions = [this](io::Strand& strand) -> replication::FetchSessionCache& {
    return *fetch_sessions_[strand_index(strand)];
  };
}

std::size_t Node::Impl::strand_index(const io::Strand& strand) const {
  for (std::size_t i = 0; i < ports_.strands.size(); ++i) {
    if (ports_.strands[i] == &strand) return i;
  }
  check_failed("a strand of this node", __FILE__, __LINE__, "");
}

}  // namespace broker::node
