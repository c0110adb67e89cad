#include "broker/sim/administrator.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "broker/protocol/messages/alter_partition_reassignments_request.h"
#include "broker/protocol/messages/alter_partition_reassignments_response.h"
#include "broker/protocol/messages/elect_leaders_request.h"
#include "broker/protocol/messages/elect_leaders_response.h"
#include "broker/protocol/messages/incremental_alter_configs_request.h"
#include "broker/protocol/messages/incremental_alter_configs_response.h"

namespace broker::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int8_t kTopicResource = 2, kBrokerResource = 4;
constexpr std::int8_t kSet = 0, kDelete = 1;

}  // namespace

Administrator::Administrator(ClientContext& context, const Plan& plan, std::uint64_t seed)
    : context_(context), plan_(plan), rng_(seed) {}

void Administrator::start() { plan_next(); }

void Administrator::plan_next() {
  const auto pause = milliseconds(1000 + rng_.below(40'000));
  context_.strand.call_after(pause, [this] {
    if (context_.stop) return;
    static constexpr std::array<Act, 6> kActs{
        &Administrator::move_replicas, &Administrator::move_replicas,
        &Administrator::give_up_move,  &Administrator::reconfigure,
        &Administrator::reconfigure,   &Administrator::elect_preferred};
    (this->*kActs[rng_.below(kActs.size())])();
    plan_next();
  });
}

template <class Request>
void Administrator::ask(Request request) {
  ++asked_;
  const io::Endpoint node = context_.router.any_node();
  context_.router.call<Request>(
      node, std::move(request),
      [this, node](Result<typename Request::Response> response) {
        if (response.ok())
          ++done_;
        else
          context_.router.forget(node);
      },
      seconds(5));
}

void Administrator::move_replicas() {
  std::vector<std::int32_t> nodes(static_cast<std::size_t>(plan_.nodes));
  std::iota(nodes.begin(), nodes.end(), 1);
  for (std::size_t i = nodes.size(); i > 1; --i) std::swap(nodes[i - 1], nodes[rng_.below(i)]);
  // Two are enough for min.insync.replicas, and the third has to catch up when it returns.
  if (nodes.size() >= 3) nodes.resize(rng_.below(3) == 0 ? 2 : 3);
  protocol::AlterPartitionReassignmentsRequest request;
  request.timeout_ms = 3000;
  protocol::AlterPartitionReassignmentsRequest::ReassignablePartition partition;
  partition.partition_index =
      static_cast<std::int32_t>(rng_.below(static_cast<std::uint64_t>(plan_.partitions)));
  partition.replicas = nodes;
  request.topics.push_back({context_.topic, {std::move(partition)}});
  ask(std::move(request));
}

void Administrator::give_up_move() {
  protocol::AlterPartitionReassignmentsRequest request;
  request.timeout_ms = 3000;
  request.topics.push_back({context_.topic, {}});
  for (std::int32_t p = 0; p < plan_.partitions; ++p) {
    protocol::AlterPartitionReassignmentsRequest::ReassignablePartition partition;
    partition.partition_index = p;
    partition.replicas = std::nullopt;
    request.topics.back().partitions.push_back(std::move(partition));
  }
  ask(std::move(request));
}

void Administrator::reconfigure() {
  struct Change {
    std::int8_t type, operation;
    const char *key, *value;
  };
  // Never below two in-sync replicas where there are three: two keep what is acknowledged.
  static constexpr std::array<Change, 8> kChanges{
      {{kTopicResource, kSet, "min.insync.replicas", "3"},
       {kTopicResource, kSet, "min.insync.replicas", "2"},
       {kTopicResource, kSet, "min.insync.replicas", "2"},
       {kTopicResource, kSet, "segment.ms", "20000"},
       {kTopicResource, kDelete, "segment.ms", nullptr},
       {kTopicResource, kSet, "flush.messages", "1"},
       {kTopicResource, kDelete, "flush.messages", nullptr},
       {kBrokerResource, kSet, "log.segment.bytes", "2097152"}}};
  const Change& change = kChanges[rng_.below(kChanges.size())];
  if (plan_.nodes < 3 && std::string_view(change.key) == "min.insync.replicas") return;
  protocol::IncrementalAlterConfigsRequest request;
  protocol::IncrementalAlterConfigsRequest::AlterConfigsResource resource;
  resource.resource_type = change.type;
  resource.resource_name = change.type == kTopicResource ? context_.topic : "";
  protocol::IncrementalAlterConfigsRequest::AlterableConfig config;
  config.name = change.key;
  config.config_operation = change.operation;
  config.value = change.value == nullptr ? std::nullopt : std::optional<std::string>(change.value);
  resource.configs.push_back(std::move(config));
  request.resources.push_back(std::move(resource));
  ask(std::move(request));
}

void Administrator::elect_preferred() {
  protocol::ElectLeadersRequest request;
  request.election_type = 0;
  request.topic_partitions = std::nullopt;
  request.timeout_ms = 3000;
  ask(std::move(request));
}

}  // namespace broker::sim
