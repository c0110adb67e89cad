#pragma once

#include <functional>
#include <memory>

#include "operator/kafka/cluster_view.h"
#include "operator/reconcile/delayed_tasks.h"

namespace op::controllers {

struct BatchOptions {
  std::chrono::milliseconds linger{3};  // waits this long for company
  std::size_t max_items = 1000;         // per request
};

/// Gathers single operations of many reconciles into few admin requests: while a request is under
/// way the next batch fills. Order is kept within one kind of operation, not between kinds.
/// Thread-safe; `Done` runs once, on the client's strand, and must not block.
class AdminBatcher {
 public:
  using Done = std::function<void(const kafka::ItemResult&)>;

  /// `may_write` is asked before each request: operations are answered kNotController without it.
  AdminBatcher(kafka::AdminClient& client, reconcile::Scheduler& scheduler, BatchOptions options,
               std::function<bool()> may_write);
  ~AdminBatcher();

  void create_topic(kafka::NewTopic topic, Done done);
  void delete_topic(std::string name, Done done);
  void create_partitions(kafka::PartitionGrowth growth, Done done);
  void alter_configs(kafka::ConfigAlteration alteration, Done done);
  void create_acl(broker::security::AclBinding binding, Done done);
  void delete_acl(broker::security::AclBinding binding, Done done);
  void alter_scram(kafka::ScramChange change, Done done);
  void alter_quotas(kafka::QuotaChange change, Done done);
  void reassign(kafka::Reassignment reassignment, Done done);
  void elect_preferred_leader(kafka::PreferredElection election, Done done);
  void unregister_broker(std::int32_t broker, Done done);
  /// One request each.
  void change_voter(kafka::VoterChange change, Done done);

 private:
  struct Lanes;
  std::shared_ptr<Lanes> lanes_;
};

}  // namespace op::controllers
