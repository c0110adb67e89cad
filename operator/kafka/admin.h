#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "broker/client/reconnecting_client.h"
#include "operator/kafka/admin_requests.h"

namespace op::kafka {

struct AdminOptions {
  broker::Duration deadline = std::chrono::seconds(30);  // of a call, retries included
  std::chrono::milliseconds controller_timeout{15'000};  // what the broker grants the controller
  std::size_t max_items = 1000;                          // per request; more are split
  broker::Duration min_backoff = std::chrono::milliseconds(50);
  broker::Duration max_backoff = std::chrono::seconds(1);
};

/// Runs administration calls against whichever broker answers. What is certain not to have been
/// carried out (not sent, NOT_CONTROLLER, quota) is tried again until the deadline. Lives on one
/// strand; calls that are under way when it is destroyed are dropped.
class Admin {
 public:
  using Done = AdminClient::Done;

  Admin(broker::io::Strand& strand, broker::io::Transport& transport,
        broker::client::ReconnectOptions brokers, AdminOptions options);
  ~Admin() { *alive_ = false; }
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  /// `Operation` is one of admin_requests.h.
  template <class Operation>
  void run(std::vector<typename Operation::Item> items, Done done);

 private:
  template <class Operation>
  class Call;

  broker::io::Strand& strand_;
  const AdminOptions options_;
  broker::client::ReconnectingClient client_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // guards timers
};

}  // namespace op::kafka
