#include "broker/node/node.h"

#include <utility>

#include "broker/node/node_impl.h"
#include "broker/node/options.h"

namespace broker::node {

Node::Impl::Impl(Ports ports, config::BrokerConfig config)
    : ports_(std::move(ports)),
      config_(with_advertised_hosts(std::move(config))),
      state_(std::make_shared<const handlers::ClusterState>(
          handlers::ClusterState{metadata::MetadataImage::empty(), nullptr})),
      quorum_leader_(std::make_shared<const quorum::LeaderAndEpoch>()) {
  CHECK(!ports_.strands.empty());
}

Node::Impl::~Impl() { *alive_ = false; }

Node::Node(Ports ports, config::BrokerConfig config)
    : impl_(std::make_unique<Impl>(std::move(ports), std::move(config))) {}
Node::~Node() = default;

void Node::start(UniqueFunction<void(Result<void>)> done) { impl_->start(std::move(done)); }
void Node::stop(UniqueFunction<void(Result<void>)> done) { impl_->stop(std::move(done)); }
bool Node::ready() const { return impl_->ready_; }
void Node::on_fatal(std::function<void(const Error&)> callback) {
  impl_->on_fatal_ = std::move(callback);
}
std::map<std::string, io::Endpoint> Node::bound_endpoints() const {
  return impl_->server_->bound_endpoints();
}
const std::string& Node::cluster_id() const { return impl_->cluster_id_; }
void Node::collect(UniqueFunction<void(NodeMetrics)> done) { impl_->collect(std::move(done)); }
const server::ListenerMetrics& Node::listener_metrics(const std::string& listener) const {
  return impl_->server_->metrics(listener);
}
const config::BrokerConfig& Node::config() const { return impl_->config_; }
metadata::ImagePtr Node::image() const { return impl_->image(); }

}  // namespace broker::node
