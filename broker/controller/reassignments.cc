#include "broker/controller/reassignments.h"

#include <algorithm>
#include <set>

#include "broker/controller/assignment.h"
#include "broker/controller/partition_change.h"
#include "broker/controller/partition_index.h"

namespace broker::controller {
namespace {

using metadata::PartitionRegistration;
using protocol::AlterPartitionReassignmentsRequest;
using protocol::AlterPartitionReassignmentsResponse;
using protocol::ListPartitionReassignmentsRequest;
using protocol::ListPartitionReassignmentsResponse;
using Change = Result<std::optional<protocol::PartitionChangeRecord>>;

/// What is in `ids` and not in `others`, sorted.
std::vector<BrokerId> difference(std::vector<BrokerId> ids, const std::vector<BrokerId>& others) {
  std::erase_if(ids, [&](BrokerId id) { return contains(others, id); });
  std::sort(ids.begin(), ids.end());
  return ids;
}

/// KIP-860: as many replicas as the partition has, or will have when what is under way is done.
Result<void> check_same_count(const PartitionRegistration& partition, std::size_t wanted) {
  const std::size_t now = difference(partition.replicas, partition.removing_replicas).size();
  if (now == wanted) return {};
  return Error{ErrorCode::kInvalidReplicationFactor, "The replication factor is changed from " +
                                                         std::to_string(now) + " to " +
                                                         std::to_string(wanted)};
}

Change start(const DecideContext& context, const TopicRules& rules,
             const metadata::TopicImage& topic, std::int32_t index,
             const PartitionRegistration& partition, const std::vector<std::int32_t>& wanted,
             bool may_change_count) {
  ASSIGN_OR_RETURN(const std::vector<BrokerId> target,
                   check_reassignment_target(context.image.cluster, wanted));
  if (!may_change_count) RETURN_IF_ERROR(check_same_count(partition, target.size()));
  const std::vector<BrokerId> removing = difference(partition.replicas, target);
  const std::vector<BrokerId> adding = difference(target, partition.replicas);
  std::vector<BrokerId> replicas = target;
  replicas.insert(replicas.end(), removing.begin(), removing.end());
  PartitionChange change(context.image.cluster, rules, topic.id, index, partition);
  change.set_replicas(std::move(replicas));
  // A difference that is empty leaves what an earlier reassignment was adding or removing, except
  // for replicas that the new target settles.
  change.set_removing(removing.empty() ? difference(partition.removing_replicas, target)
                                       : removing);
  std::vector<BrokerId> still_adding;
  for (const BrokerId id : partition.adding_replicas)
    if (contains(target, id)) still_adding.push_back(id);
  change.set_adding(adding.empty() ? still_adding : adding);
  return change.build();
}

/// Back to the replicas from before. When only new ones are in sync, that loses records.
Change cancel(const DecideContext& context, const TopicRules& rules,
              const metadata::TopicImage& topic, std::int32_t index,
              const PartitionRegistration& partition) {
  if (!is_reassigning(partition))
    return Error{ErrorCode::kNoReassignmentInProgress, "No partition reassignment is in progress."};
  std::vector<BrokerId> replicas = partition.replicas;
  std::vector<BrokerId> isr = partition.isr;
  const auto added = [&](BrokerId id) { return contains(partition.adding_replicas, id); };
  std::erase_if(replicas, added);
  std::erase_if(isr, added);
  if (replicas.empty())
    return Error{ErrorCode::kInvalidReplicaAssignment,
                 "Invalid replica assignment: addingReplicas contains all replicas."};
  if (isr.empty()) {
    if (!rules.unclean_election)
      return Error{ErrorCode::kInvalidReplicaAssignment,
                   "Unable to revert partition assignment for " + topic.name + ":" +
                       std::to_string(index) +
                       " because it would require an unclean leader election."};
    isr.push_back(replicas.front());
  }
  return PartitionChange(context.image.cluster, rules, topic.id, index, partition)
      .elect(rules.unclean_election ? Election::kUnclean : Election::kOnline)
      .set_isr(std::move(isr))
      .set_replicas(std::move(replicas))
      .set_adding({})
      .set_removing({})
      .build();
}

Change alter(const DecideContext& context, RulesLookup& lookup, const std::string& name,
             const AlterPartitionReassignmentsRequest::ReassignablePartition& wanted,
             bool may_change_count) {
  const metadata::TopicImage* topic = context.image.topics.find(name);
  if (topic == nullptr)
    return Error{ErrorCode::kUnknownTopicOrPartition, "Unable to find a topic named " + name + "."};
  const PartitionRegistration* partition = topic->partitions.find(wanted.partition_index);
  if (partition == nullptr)
    return Error{
        ErrorCode::kUnknownTopicOrPartition,
        "Unable to find partition " + name + ":" + std::to_string(wanted.partition_index) + "."};
  const TopicRules& rules = lookup.of(*topic);
  if (!wanted.replicas) return cancel(context, rules, *topic, wanted.partition_index, *partition);
  return start(context, rules, *topic, wanted.partition_index, *partition, *wanted.replicas,
               may_change_count);
}

void list(const metadata::TopicImage& topic, const std::vector<std::int32_t>& indexes,
          ListPartitionReassignmentsResponse& response) {
  ListPartitionReassignmentsResponse::OngoingTopicReassignment result;
  result.name = topic.name;
  for (const std::int32_t index : indexes) {
    const PartitionRegistration* partition = topic.partitions.find(index);
    if (partition == nullptr || !is_reassigning(*partition)) continue;
    result.partitions.push_back({index, to_numbers(partition->replicas),
                                 to_numbers(partition->adding_replicas),
                                 to_numbers(partition->removing_replicas)});
  }
  if (!result.partitions.empty()) response.topics.push_back(std::move(result));
}

}  // namespace

ControllerResult<AlterPartitionReassignmentsResponse> decide(
    const DecideContext& context, const AlterPartitionReassignmentsRequest& request) {
  ControllerResult<AlterPartitionReassignmentsResponse> out;
  out.response.error_message = std::nullopt;
  out.response.allow_replication_factor_change = request.allow_replication_factor_change;
  RulesLookup lookup(context.image, context.options);
  std::set<std::pair<std::string, std::int32_t>> seen;
  for (const auto& topic : request.topics) {
    AlterPartitionReassignmentsResponse::ReassignableTopicResponse results;
    results.name = topic.name;
    for (const auto& partition : topic.partitions) {
      AlterPartitionReassignmentsResponse::ReassignablePartitionResponse result;
      result.partition_index = partition.partition_index;
      result.error_message = std::nullopt;
      const bool first = seen.emplace(topic.name, partition.partition_index).second;
      Change change = first ? alter(context, lookup, topic.name, partition,
                                    request.allow_replication_factor_change)
                            : Change(Error{ErrorCode::kInvalidRequest,
                                           "Each partition must appear at most once."});
      if (!change.ok()) {
        result.error_code = static_cast<std::int16_t>(change.code());
        result.error_message = change.error().detail;
      } else if (*change) {
        out.records.emplace_back(std::move(**change));
      }
      results.partitions.push_back(std::move(result));
    }
    out.response.responses.push_back(std::move(results));
  }
  return out;
}

ControllerResult<ListPartitionReassignmentsResponse> decide(
    const DecideContext& context, const ListPartitionReassignmentsRequest& request) {
  ControllerResult<ListPartitionReassignmentsResponse> out;
  out.response.error_message = std::nullopt;
  if (request.topics) {
    for (const auto& wanted : *request.topics)
      if (const metadata::TopicImage* topic = context.image.topics.find(wanted.name))
        list(*topic, wanted.partition_indexes, out.response);
    return out;
  }
  std::map<TopicId, std::vector<std::int32_t>> by_topic;
  for (const auto& [topic, index] : context.partitions.reassigning())
    by_topic[topic].push_back(index);
  for (const auto& [id, indexes] : by_topic)
    if (const metadata::TopicImage* topic = context.image.topics.find(id))
      list(*topic, indexes, out.response);
  return out;
}

}  // namespace broker::controller
