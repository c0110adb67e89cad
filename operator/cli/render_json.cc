#include <nlohmann/json.hpp>

#include "operator/cli/render.h"

namespace op::cli {
namespace {

using json = nlohmann::ordered_json;

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json partitions_of(const std::vector<broker::TopicPartition>& partitions) {
  json out = json::array();
  for (const auto& partition : partitions)
    out.push_back({{"topic", partition.topic}, {"partition", partition.partition}});
  return out;
}

json partition_json(const PartitionView& partition) {
  json out{{"partition", partition.id},
           {"leader", partition.is_offline() ? json(nullptr) : json(partition.leader)},
           {"replicas", partition.replicas},
           {"inSync", partition.isr},
           {"outOfSync", partition.out_of_sync()}};
  if (partition.size_bytes) out["sizeBytes"] = *partition.size_bytes;
  if (partition.log_start_offset) out["logStartOffset"] = *partition.log_start_offset;
  if (partition.end_offset) out["endOffset"] = *partition.end_offset;
  return out;
}

json member_json(const MemberView& member) {
  json out{{"memberId", member.id}};
  if (!member.instance_id.empty()) out["groupInstanceId"] = member.instance_id;
  out["clientId"] = member.client_id;
  out["host"] = member.host;
  out["partitions"] = partitions_of(member.partitions);
  return out;
}

}  // namespace

std::string topics_json(const TopicsView& view) {
  json topics = json::array();
  for (const TopicView& topic : view.topics) {
    json out{{"name", topic.name}};
    if (!topic.id.empty()) out["id"] = topic.id;
    out["internal"] = topic.internal;
    out["replicationFactor"] = topic.replication_factor();
    if (const auto size = topic.size_bytes()) out["sizeBytes"] = *size;
    out["partitions"] = json::array();
    for (const PartitionView& partition : topic.partitions)
      out["partitions"].push_back(partition_json(partition));
    topics.push_back(std::move(out));
  }
  return json{{"topics", std::move(topics)}}.dump();
}

std::string groups_json(const std::vector<GroupView>& groups) {
  json list = json::array();
  for (const GroupView& group : groups) {
    json out{{"group", group.id}};
    if (!group.problem.empty()) {
      out["problem"] = group.problem;
      list.push_back(std::move(out));
      continue;
    }
    out["state"] = group.state;
    out["protocol"] = group.type;
    out["assignor"] = group.assignor;
    out["coordinator"] = group.coordinator;
    out["lag"] = or_null(group.total_lag());
    out["members"] = json::array();
    for (const MemberView& member : group.members) out["members"].push_back(member_json(member));
    out["partitions"] = json::array();
    for (const PartitionLag& partition : group.partitions) {
      json entry{{"topic", partition.partition.topic},
                 {"partition", partition.partition.partition},
                 {"committed", or_null(partition.committed)},
                 {"endOffset", or_null(partition.end_offset)},
                 {"lag", or_null(partition.lag())}};
      if (partition.member) entry["memberId"] = group.members[*partition.member].id;
      if (!partition.problem.empty()) entry["problem"] = partition.problem;
      out["partitions"].push_back(std::move(entry));
    }
    list.push_back(std::move(out));
  }
  return json{{"groups", std::move(list)}}.dump();
}

std::string cluster_json(const KafkaView& view) {
  json out{{"clusterId", view.cluster_id}, {"bootstrap", view.bootstrap}};
  out["brokers"] = json::array();
  for (const BrokerView& broker : view.brokers) {
    json entry{{"id", broker.id}, {"address", broker.address}};
    if (!broker.rack.empty()) entry["rack"] = broker.rack;
    entry["fenced"] = broker.fenced;
    entry["leaders"] = broker.leaders;
    entry["replicas"] = broker.replicas;
    entry["outOfSync"] = broker.out_of_sync;
    out["brokers"].push_back(std::move(entry));
  }
  if (view.quorum) {
    json voters = json::array();
    for (const VoterView& voter : view.quorum->voters)
      voters.push_back({{"id", voter.id}, {"lagRecords", voter.lag_records}});
    out["quorum"] = {{"leader", view.quorum->leader},
                     {"epoch", view.quorum->epoch},
                     {"voters", std::move(voters)},
                     {"observers", view.quorum->observers}};
  } else {
    out["quorum"] = nullptr;
  }
  out["features"] = view.features;
  out["topics"] = view.topics;
  out["partitions"] = view.partitions;
  out["underReplicated"] = partitions_of(view.under_replicated);
  out["withoutLeader"] = partitions_of(view.offline);
  return out.dump();
}

}  // namespace op::cli
