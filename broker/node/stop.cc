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
}

void Node::Impl::leave_cluster() {
  if (membership_ == nullptr) return stop_server();
  membership_->leave(kLeavePatience, [this] { stop_server(); });
}

void Node::Impl::stop_server() {
  ready_ = false;
  *alive_ = false;
  if (server_ == nullptr) return stop_parts();
  server_->stop(kDrainPatience, [this] { stop_parts(); });
}

void Node::Impl::stop_parts() {
  if (membership_ != nullptr) membership_->stop();
  if (controller_ == nullptr) return end_stop({});
  controller_->stop();
  replicating_ = false;
  if (replicas_ == nullptr) return end_stop({});
  const auto epoch = membership_ != nullptr && membership_->epoch().value >= 0
                         ? std::optional(membership_->epoch())
                         : std::nullopt;
  replicas_->shut_down(epoch, [this](Result<void> result) { end_stop(std::move(result)); });
}

void Node::Impl::end_stop(Result<void> result) {
  // Later: whoever is told may destroy the node, and this comes from inside one of its parts.
  main().post([done = std::move(on_stopped_), result = std::move(result)]() mutable {
    done(std::move(result));
  });
}

}  // namespace broker::node
