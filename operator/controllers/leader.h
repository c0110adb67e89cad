#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

#include "operator/kube/client.h"
#include "operator/reconcile/lease_rule.h"

namespace op::controllers {

/// Who holds the Lease while an installation is taken away, and a while longer: its replicas may be
/// there still. `installation` tells it from one that follows; "" when that is not known.
std::string uninstaller_of(const std::string& installation);

/// Holds a Lease so that of several replicas exactly one acts. One thread; the callbacks run on it.
/// `on_lead` returns soon; `on_lose` must have stopped all action when it returns.
class Leader {
 public:
  struct Callbacks {
    std::function<void()> on_lead;
    std::function<void()> on_lose;
  };
  /// `installation`: as of uninstaller_of(); a Lease that another one was taken away with is free.
  Leader(kube::KubeClient& client, kube::ObjectKey lease, std::string identity,
         std::string installation, reconcile::LeaseOptions options, Callbacks callbacks);
  ~Leader();

  void start();
  /// Stops acting (on_lose), then gives the lease up so that another replica takes over at once.
  void stop();

  /// Asked before every write; false as soon as a renewal is overdue, even if the thread hangs.
  bool may_act() const;

 private:
  void run(std::stop_token stop);
  void turn();
  void write(const std::optional<kube::FoundLease>& found);
  void release();

  kube::KubeClient& client_;
  const kube::ObjectKey key_;
  const std::string installation_;
  const reconcile::LeaseOptions options_;
  const Callbacks callbacks_;
  mutable std::mutex mutex_;
  reconcile::LeaseRule rule_;
  bool leading_ = false;  // on_lead was called; only on the thread
  std::jthread thread_;
};

}  // namespace op::controllers
