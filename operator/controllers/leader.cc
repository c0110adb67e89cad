#include "operator/controllers/leader.h"

#include <condition_variable>

#include "broker/common/log.h"

namespace op::controllers {

using std::chrono::steady_clock;

namespace {

constexpr std::string_view kUninstaller = "strip-finalizers";

bool is_of_the_past(const std::string& holder, const std::string& installation) {
  return !installation.empty() && holder.starts_with(std::string(kUninstaller) + "/") &&
         holder != uninstaller_of(installation);
}

}  // namespace

std::string uninstaller_of(const std::string& installation) {
  return std::string(kUninstaller) + (installation.empty() ? "" : "/") + installation;
}

Leader::Leader(kube::KubeClient& client, kube::ObjectKey lease, std::string identity,
               std::string installation, reconcile::LeaseOptions options, Callbacks callbacks)
    : client_(client),
      key_(std::move(lease)),
      installation_(std::move(installation)),
      options_(options),
      callbacks_(std::move(callbacks)),
      rule_(options, std::move(identity)) {}

Leader::~Leader() { stop(); }

void Leader::start() {
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

void Leader::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

bool Leader::may_act() const {
  const std::lock_guard lock(mutex_);
  return rule_.may_act(steady_clock::now());
}

void Leader::run(std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  while (!stop.stop_requested()) {
    turn();
    const bool may = may_act();
    if (may && !leading_) {
      leading_ = true;
      broker::log_info("leader", "this replica leads", {{"identity", rule_.identity()}});
      callbacks_.on_lead();
    } else if (!may && leading_) {
      leading_ = false;
      broker::log_warn("leader", "leadership lost", {{"identity", rule_.identity()}});
      callbacks_.on_lose();
    }
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, options_.retry_period, [] { return false; });
  }
  if (!leading_) return;
  leading_ = false;
  callbacks_.on_lose();
  release();
}

void Leader::turn() {
  const auto found = client_.get_lease(key_);
  if (!found.ok()) {
    // Not knowing is no reason to stop: may_act() ends by itself when renewals stay out.
    broker::log_warn("leader", "cannot read the lease", {{"error", to_string(found.error())}});
    return;
  }
  std::optional<reconcile::LeaseRecord> record;
  if (*found) record = (*found)->record;
  if (record && is_of_the_past(record->holder, installation_)) record->holder.clear();
  reconcile::LeaseAction action;
  {
    const std::lock_guard lock(mutex_);
    action = rule_.observe(record, steady_clock::now());
  }
  if (action != reconcile::LeaseAction::kWait) write(*found);
}

void Leader::write(const std::optional<kube::FoundLease>& found) {
  const bool renew = found && found->record.holder == rule_.identity();
  kube::LeaseSpec lease;
  lease.key = key_;
  lease.holder = rule_.identity();
  lease.duration_s = std::chrono::duration_cast<std::chrono::seconds>(options_.duration).count();
  lease.renew_time = kube::rfc3339_now(true);
  lease.acquire_time = renew ? found->acquire_time : lease.renew_time;
  lease.transitions = found ? found->record.transitions + (renew ? 0 : 1) : 0;
  const auto started = steady_clock::now();
  const auto version = client_.put_lease(lease, found ? found->record.version : "");
  const std::lock_guard lock(mutex_);
  if (version.ok()) {
    rule_.wrote(started, *version);
  } else if (version.code() == broker::ErrorCode::kInvalidUpdateVersion ||
             version.code() == broker::ErrorCode::kDuplicateResource) {
    // Somebody else wrote it, or our own request arrived twice: the next look tells.
    broker::log_info("leader", "the lease was written by another request");
  } else {
    broker::log_warn("leader", "cannot write the lease", {{"error", to_string(version.error())}});
  }
}

void Leader::release() {
  const auto found = client_.get_lease(key_);
  if (!found.ok() || !*found || (*found)->record.holder != rule_.identity()) return;
  kube::LeaseSpec lease;
  lease.key = key_;
  lease.duration_s = 1;
  lease.renew_time = kube::rfc3339_now(true);
  lease.transitions = (*found)->record.transitions;
  const auto written = client_.put_lease(lease, (*found)->record.version);
  {
    const std::lock_guard lock(mutex_);
    rule_.lost();
  }
  if (!written.ok()) {
    broker::log_warn("leader", "cannot release the lease", {{"error", to_string(written.error())}});
  }
}

}  // namespace op::controllers
