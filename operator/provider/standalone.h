#pragma once

#include <memory>
#include <string>
#include <thread>

#include "operator/provider/infrastructure.h"
#include "operator/provider/process_pods.h"
#include "operator/provider/standalone_store.h"

namespace op::api {
struct ListenerSpec;
}

namespace op::provider {

struct StandaloneOptions {
  std::string resources;
  std::string data;
  std::string broker_program = "millrace-broker";
};

/// Files instead of an API server, child processes instead of pods. start() also starts the one
/// thread that follows the directory and runs the processes; stop() ends them all.
class Standalone final : public Infrastructure {
 public:
  /// Errors of start: kKafkaStorageError (data directory), kResourceNotFound (no resources
  /// directory), kDuplicateResource (another operator has the data directory).
  explicit Standalone(StandaloneOptions options);
  ~Standalone() override;

  ResourceStore& store() { return store_; }
  broker::Result<void> start();
  void stop();

  broker::io::Endpoint node_endpoint(const NodeName& node, std::uint16_t port) const override;
  bool name_leads_to(const NodeName&, const std::string&) const override { return true; }
  void adapt(api::Cluster& cluster) const override;
  bool connects_by_other_name() const override { return true; }
  std::chrono::seconds certificate_delay() const override { return std::chrono::seconds(5); }

 private:
  void run(std::stop_token stop);
  void give_ports(const api::Cluster& cluster, api::ListenerSpec& listener) const;
  void wake();

  const StandaloneOptions options_;
  StandaloneStore store_;
  std::unique_ptr<ProcessPods> pods_;
  int wake_fd_ = -1;
  int lock_fd_ = -1;
  std::jthread thread_;
};

}  // namespace op::provider
