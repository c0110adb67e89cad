#include <utility>

#include "broker/node/node_impl.h"

namespace broker::node {
namespace {

void add_cluster(NodeMetrics& metrics, const metadata::MetadataImage& image) {
  metrics.metadata_offset = image.provenance.offset.value;
  for (const auto& [id, broker] : image.cluster.brokers) {
    ++(broker.fenced ? metrics.fenced_brokers : metrics.active_brokers);
  }
  for (const auto& [id, topic] : image.topics.by_id) {
    ++metrics.topics;
    for (const auto& [index, partition] : topic.partitions) {
      if (partition.leader == metadata::kNoLeader) ++metrics.offline_partitions;
    }
  }
}

}  // namespace

void Node::Impl::collect(UniqueFunction<void(NodeMetrics)> done) {
  main().check_current();
  auto metrics = std::make_shared<NodeMetrics>();
  metrics->node_id = config_.node_id;
  metrics->cluster_id = cluster_id_;
  if (!ready_) {
    return main().post([metrics, done = std::move(done)]() mutable { done(std::move(*metrics)); });
  }
  metrics->active_controller = controller_->is_active();
  metrics->quorum_epoch = metadata_log_->epoch().value;
  metrics->quorum_high_watermark = metadata_log_->high_watermark().value;
  metrics->quorum_log_end_offset = metadata_log_->log_end_offset().value;
  metrics->quorum_leader = quorum_leader_.get()->leader.value_or(BrokerId{-1}).value;
  metrics->loops = ports_.strands.size();
  metrics->quorum_vote = metadata_log_->voted().value_or(BrokerId{-1}).value;
  metrics->controller = controller_->metrics();
  metrics->is_controller = config_.is_controller;
  metrics->is_voter = metadata_log_->is_voter();
  add_cluster(*metrics, *state_.get()->image);
  for (const auto& directory : logs_->directories()) {
    metrics->log_dirs.push_back({directory.path, directory.is_offline(), directory.is_full()});
  }
  if (client_quotas_ != nullptr) metrics->quotas = client_quotas_->usage(main().now());
  if (replicas_ == nullptr) {
    return main().post([metrics, done = std::move(done)]() mutable { done(std::move(*metrics)); });
  }
  replicas_->collect(
      [this, metrics, done = std::move(done)](replication::MetricsSnapshot snapshot) mutable {
        metrics->replication = std::move(snapshot);
        groups_->collect(
            [metrics, done = std::move(done)](coordinator::group::GroupMetrics groups) mutable {
              metrics->groups = std::move(groups);
              done(std::move(*metrics));
            });
      });
}

}  // namespace broker::node
