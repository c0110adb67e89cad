// From clients being served to a directory that is marked clean.
#include <utility>

#include "broker/node/node_impl.h"

namespace broker::node {
namespace {

constexpr auto kLeavePatience = std::chrono::seconds(5);
constexpr auto kDrainPatience = std::chrono::milliseconds(300);

}  // namespace

void Node::Impl::stop(Done done) {
  main().check_current();
  CHECK(!stopping_);
  stopping_ = true;
  on_stopped_ = std::move(done);
  // A start under way comes here when its present step is over.
  if (!on_started_) return leave_cluster();
  if (membership_ != nullptr) membership_->give_up();
  if (on_caught_up_) std::exchange(on_caught_up_, nullptr)();
}

/// The leaders move to other brokers while clients are still served here, and told where to go. A
/// node without its metadata would tell them nonsense.
void Node::Impl::leave_cluster() {
  if (lost_disk_ || membership_ == nullptr || !config_.controlled_shutdown_enable) return resign();
  membership_->leave(kLeavePatience, [this] { resign(); });
}

/// The quorum chooses another leader at once instead of missing this one.
void Node::Impl::resign() {
  if (metadata_log_ == nullptr) return stop_server();
  metadata_log_->resign([this] { stop_server(); });
}

void Node::Impl::stop_server() {
  ready_ = false;
  *alive_ = false;
  if (server_ == nullptr) return stop_parts();
  server_->stop(lost_disk_ ? std::chrono::milliseconds(0) : kDrainPatience,
                [this] { stop_parts(); });
}

void Node::Impl::stop_parts() {
  if (membership_ != nullptr) membership_->stop();
  if (router_ != nullptr) router_->stop();
  if (controller_ != nullptr) controller_->stop();
  if (quorum_peers_ != nullptr) quorum_peers_->close();
  replicating_ = false;
  if (transactions_ != nullptr) transactions_->stop();
  if (verifier_ != nullptr) verifier_->stop();
  if (broker_lines_ != nullptr) broker_lines_->close();
  for (const auto& tokens : bearer_tokens_) tokens->stop();
  if (logs_ == nullptr) return end_stop({});
  // Logs that a crash left behind and this start did not get to are not clean yet.
  if (config_.is_broker && !logs_loaded_ && !logs_->had_clean_shutdown()) {
    return end_stop({});
  }
  const auto epoch = membership_ != nullptr && membership_->epoch().value >= 0
                         ? std::optional(membership_->epoch())
                         : logs_->previous_broker_epoch();
  if (replicas_ == nullptr) return end_stop(logs_->shut_down(epoch, main().wall_now()));
  replicas_->shut_down(epoch, [this](Result<void> result) { end_stop(std::move(result)); });
}

void Node::Impl::end_stop(Result<void> result) {
  // Later: whoever is told may destroy the node, and this comes from inside one of its parts.
  main().post([done = std::move(on_stopped_), result = std::move(result)]() mutable {
    done(std::move(result));
  });
}

}  // namespace broker::node
