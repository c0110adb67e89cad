#include "operator/controllers/cluster_registry.h"

#include <algorithm>

namespace op::controllers {

ClusterHandle::ClusterHandle(kafka::ConnectionSpec spec,
                             std::unique_ptr<kafka::ClusterConnection> connection,
                             reconcile::Scheduler& scheduler, BatchOptions options,
                             std::function<bool()> may_write)
    : spec_(std::move(spec)),
      connection_(std::move(connection)),
      batcher_(connection_->admin(), scheduler, options, std::move(may_write)) {}

bool ClusterHandle::serves(const kafka::ConnectionSpec& spec) {
  if (spec_ == spec) return true;
  kafka::ConnectionSpec renewed = spec_;
  renewed.ca_pem = spec.ca_pem;
  renewed.certificate_pem = spec.certificate_pem;
  renewed.private_key_pem = spec.private_key_pem;
  if (renewed != spec || !connection_->renew_certificates(spec)) return false;
  spec_ = spec;
  return true;
}

ClusterHandle::Quorum ClusterHandle::quorum(const std::string& pods,
                                            std::optional<broker::Duration> max_age) {
  const broker::Instant now = std::chrono::steady_clock::now();
  if (pods != pods_) {
    pods_ = pods;
    pods_changed_ = now;
  }
  broker::Instant changed = pods_changed_;
  {
    const std::lock_guard lock(voters_->mutex);
    changed = std::max(changed, voters_->changed);
  }
  Quorum out{view().quorum(), false};
  out.is_current = out.last && out.last->asked_at >= changed;
  const bool old = out.last && max_age && now - out.last->asked_at > *max_age;
  if ((!out.is_current || old) && (asked_ < changed || now - asked_ >= kAskAgain)) {
    asked_ = now;
    connection_->refresh_quorum();
  }
  return out;
}

bool ClusterHandle::change_voter(kafka::VoterChange change, std::function<void()> on_done) {
  const broker::Instant now = std::chrono::steady_clock::now();
  {
    const std::lock_guard lock(voters_->mutex);
    if (voters_->under_way || now < voters_->not_before) return false;
    voters_->under_way = true;
  }
  const std::string what = std::string(change.remove ? "removing" : "adding") + " voter " +
                           std::to_string(change.node_id);
  batcher_.change_voter(std::move(change), [state = voters_, what, on_done = std::move(on_done)](
                                               const kafka::ItemResult& result) {
    {
      const std::lock_guard lock(state->mutex);
      state->under_way = false;
      state->problem.clear();
      state->changed = std::chrono::steady_clock::now();
      // An answer that was lost had been carried out.
      const bool done = result.code == broker::ErrorCode::kNone ||
                        result.code == broker::ErrorCode::kVoterNotFound ||
                        result.code == broker::ErrorCode::kDuplicateVoter;
      if (!done) {
        state->problem = what + " was answered " + std::string(broker::error_name(result.code)) +
                         (result.message.empty() ? "" : ": " + result.message);
        state->not_before = std::chrono::steady_clock::now() + kAfterRefusal;
      }
    }
    on_done();
  });
  return true;
}

std::string ClusterHandle::voter_problem() const {
  const std::lock_guard lock(voters_->mutex);
  return voters_->problem;
}

ClusterHandle::Sizes ClusterHandle::log_sizes(broker::Duration max_age,
                                              std::function<void()> on_done) {
  Sizes out;
  {
    const std::lock_guard lock(sizes_->mutex);
    const broker::Instant now = std::chrono::steady_clock::now();
    out = {sizes_->last, sizes_->last && now - sizes_->answered <= max_age, sizes_->problem};
    const bool too_soon = !sizes_->problem.empty() && now - sizes_->answered < kAfterRefusal;
    if (out.is_fresh || too_soon || sizes_->asking) return out;
    sizes_->asking = true;
  }
  connection_->describe_log_dirs([state = sizes_, on_done = std::move(on_done)](
                                     const broker::Result<kafka::LogSizes>& answer) {
    {
      const std::lock_guard lock(state->mutex);
      state->asking = false;
      state->answered = std::chrono::steady_clock::now();
      state->problem = answer.ok() ? "" : answer.error().detail;
      if (answer.ok()) state->last = std::make_shared<const kafka::LogSizes>(*answer);
    }
    on_done();
  });
  return out;
}

ClusterRegistry::ClusterRegistry(kafka::Connector& connector, reconcile::Scheduler& scheduler,
                                 BatchOptions options, std::function<bool()> may_write,
                                 OnChange on_change)
    : connector_(connector),
      scheduler_(scheduler),
      options_(options),
      may_write_(std::move(may_write)),
      on_change_(std::move(on_change)) {}

broker::Result<ClusterHandlePtr> ClusterRegistry::open(const api::ClusterRef& cluster,
                                                       const kafka::ConnectionSpec& spec) {
  if (ClusterHandlePtr known = find(cluster); known && known->serves(spec)) return known;
  ASSIGN_OR_RETURN(auto connection,
                   connector_.connect(spec, [this, cluster](const kafka::Changes& changes) {
                     on_change_(cluster, changes);
                   }));
  auto handle = std::make_shared<ClusterHandle>(spec, std::move(connection), scheduler_, options_,
                                                may_write_);
  ClusterHandlePtr replaced;  // disconnects outside the lock: its callbacks may be in find()
  {
    const std::lock_guard lock(mutex_);
    ClusterHandlePtr& slot = clusters_[cluster];
    replaced = std::exchange(slot, handle);
  }
  // What it told before it could be found here.
  if (handle->view().image()) on_change_(cluster, {.everything = true});
  return handle;
}

void ClusterRegistry::close(const api::ClusterRef& cluster) {
  ClusterHandlePtr closed;  // disconnects outside the lock
  const std::unique_lock lock(mutex_);
  const auto found = clusters_.find(cluster);
  if (found == clusters_.end()) return;
  closed = std::move(found->second);
  clusters_.erase(found);
}

void ClusterRegistry::close_all() {
  std::map<api::ClusterRef, ClusterHandlePtr> closed;
  const std::lock_guard lock(mutex_);
  closed.swap(clusters_);
}

ClusterHandlePtr ClusterRegistry::find(const api::ClusterRef& cluster) const {
  const std::lock_guard lock(mutex_);
  const auto found = clusters_.find(cluster);
  return found == clusters_.end() ? nullptr : found->second;
}

std::map<api::ClusterRef, ClusterHandlePtr> ClusterRegistry::all() const {
  const std::lock_guard lock(mutex_);
  return clusters_;
}

}  // namespace op::controllers
