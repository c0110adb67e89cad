// What the node does while it runs: publishes images, creates internal topics, reloads
// certificates.
#include <algorithm>
#include <utility>

#include "broker/common/log.h"
#include "broker/common/topic_name.h"
#include "broker/metadata/broker_address.h"
#include "broker/node/node_impl.h"
#include "broker/node/options.h"

namespace broker::node {
namespace {

constexpr auto kCertificateCheckInterval = std::chrono::seconds(1);

}  // namespace

void Node::Impl::on_image(const metadata::MetadataUpdate& update) {
  publish(update);
  if (on_caught_up_ && update.image->provenance.offset.value >= membership_->epoch().value) {
    // On a later turn: the controller is in the middle of publishing.
    main().post([caught_up = std::exchange(on_caught_up_, nullptr)]() mutable { caught_up(); });
  }
  if (!replicating_) return;
  learn_addresses(update);
  // A broker that leaves waits until all others have read that it does.
  const bool leaves =
      std::any_of(update.changes.brokers.begin(), update.changes.brokers.end(), [&](BrokerId id) {
        const auto* broker = update.image->cluster.broker(id);
        return id != config_.node_id && broker != nullptr && broker->in_controlled_shutdown;
      });
  if (!update.changes.configs.empty()) update_cordoned(*update.image);
  replicas_->apply(update, [this, alive = alive_, leaves] {
    if (*alive && leaves) membership_->heartbeat_now();
  });
  groups_->apply(update);
  transactions_->apply(update);
}

void Node::Impl::on_leader_change(const quorum::LeaderAndEpoch& leader) {
  quorum_leader_.set(std::make_shared<const quorum::LeaderAndEpoch>(leader));
  router_->on_leader_change(leader);
}

void Node::Impl::publish(const metadata::MetadataUpdate& update) {
  if (client_quotas_ != nullptr && !update.changes.client_quotas.empty())
    client_quotas_->set_limits(update.image->client_quotas);
  const auto of_brokers = [](const metadata::ConfigResource& resource) {
    return resource.type == metadata::ConfigResourceType::kBroker;
  };
  if (server_ != nullptr &&
      (!update.changes.client_quotas.empty() ||
       std::any_of(update.changes.configs.begin(), update.changes.configs.end(), of_brokers)))
    server_->set_connection_limits(connection_limits(config_, *update.image));
  const auto before = state_.get();
  auto authorizer = before->authorizer;
  const bool wanted = !config_.authorizer_class_name.empty();
  if (wanted && (authorizer == nullptr || !update.changes.acls.empty())) {
    authorizer = make_authorizer(*update.image);
  }
  state_.set(std::make_shared<const handlers::ClusterState>(
      handlers::ClusterState{update.image, std::move(authorizer)}));
}

std::shared_ptr<const security::Authorizer> Node::Impl::make_authorizer(
    const metadata::MetadataImage& image) const {
  security::Authorizer::Options options;
  options.allow_everyone_if_no_acl_found = config_.allow_everyone_if_no_acl_found;
  for (const auto& user : config_.super_users) {
    if (auto principal = security::parse_principal(user); principal.ok()) {
      options.super_users.insert(std::move(*principal));
    }
  }
  std::vector<security::AclBinding> bindings;
  for (const auto& [id, binding] : image.acls.by_id) bindings.push_back(binding);
  return std::make_shared<const security::Authorizer>(std::move(options), bindings);
}

void Node::Impl::on_controller_fatal(const Error& error) {
  lost_disk_ = true;
  if (on_fatal_) on_fatal_(error);
}

/// Whoever registers says where it is; name servers may say for half a minute that it is where it
/// was, or nowhere. Before its leaderships are in an image, its registration is. Not from the
/// images of a start: they are of the past.
void Node::Impl::learn_addresses(const metadata::MetadataUpdate& update) {
  if (ports_.addresses == nullptr) return;
  const std::string& listener = config_.listeners.inter_broker_listener;
  for (const BrokerId id : update.changes.brokers) {
    const auto* broker = update.image->cluster.broker(id);
    if (broker == nullptr || id == config_.node_id) continue;
    const auto* named = broker->find_endpoint(listener);
    if (named != nullptr)
      ports_.addresses->set(named->host, metadata::address_of(*broker, listener));
  }
}

void Node::Impl::create_offsets_topic() {
  protocol::CreateTopicsRequest::CreatableTopic topic;
  topic.name = std::string(kGroupOffsetsTopic);
  topic.num_partitions = config_.offsets_topic_num_partitions;
  topic.replication_factor = config_.offsets_topic_replication_factor;
  topic.configs = {{"cleanup.policy", "compact"},
                   {"compression.type", "producer"},
                   {"segment.bytes", std::to_string(config_.offsets_topic_segment_bytes)}};
  create_internal_topic(std::move(topic));
}

void Node::Impl::create_transaction_topic() {
  protocol::CreateTopicsRequest::CreatableTopic topic;
  topic.name = kTransactionStateTopic;
  topic.num_partitions = config_.transaction_state_log_num_partitions;
  topic.replication_factor = config_.transaction_state_log_replication_factor;
  topic.configs = {{"cleanup.policy", "compact"},
                   {"compression.type", "uncompressed"},
                   {"min.insync.replicas", std::to_string(config_.transaction_state_log_min_isr)},
                   {"segment.bytes", std::to_string(config_.transaction_state_log_segment_bytes)},
                   {"unclean.leader.election.enable", "false"}};
  create_internal_topic(std::move(topic));
}

/// With as many replicas as there are brokers, and no more than asked for. Fenced ones count: while
/// a cluster starts, some are a little later than the first client.
void Node::Impl::create_internal_topic(protocol::CreateTopicsRequest::CreatableTopic topic) {
  main().post([this, alive = alive_, topic = std::move(topic)]() mutable {
    if (!*alive) return;
    const auto brokers = static_cast<std::int16_t>(
        std::min<std::size_t>(state_.get()->image->cluster.brokers.size(), INT16_MAX));
    topic.replication_factor =
        std::max<std::int16_t>(1, std::min(topic.replication_factor, brokers));
    const std::string name = topic.name;
    protocol::CreateTopicsRequest request;
    request.topics.push_back(std::move(topic));
    controller::call(*channels_.front(), std::move(request),
                     [name](Result<protocol::CreateTopicsResponse> result) {
                       if (!result.ok()) return;  // asked again by the next client
                       const auto error = static_cast<ErrorCode>(result->topics.front().error_code);
                       if (error != ErrorCode::kNone && error != ErrorCode::kTopicAlreadyExists) {
                         log_warn("node", "an internal topic was not created",
                                  {{"topic", name}, {"error", error_name(error)}});
                       }
                     });
  });
}

void Node::Impl::watch_certificates() {
  main().call_after(kCertificateCheckInterval, [this, alive = alive_] {
    if (!*alive) return;
    auto changed = std::make_shared<Result<bool>>(false);
    ports_.workers.run(
        main(),
        [this, changed] {
          // Peers first: what a handshake with a listener shows is then in use on all sides.
          const auto peers = peers_->reload_tls();
          *changed = server_->reload_tls();
          if (!peers.ok()) {
            *changed = peers.error();
          } else if (*peers && changed->ok()) {
            *changed = true;
          }
        },
        [this, alive, changed] {
          if (!*alive) return;
          if (!changed->ok()) {
            log_warn("node", "certificates were not reloaded, the old ones stay",
                     {{"error", to_string(changed->error())}});
          } else if (**changed) {
            log_info("node", "certificates reloaded");
          }
          watch_certificates();
        });
  });
}

}  // namespace broker::node
