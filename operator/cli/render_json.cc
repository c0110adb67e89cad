#include <nlohmann/json.hpp>

#include "operator/cli/render.h"

namespace op::cli {
namespace {

using Json = nlohmann::ordered_json;

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json partitions_of(const std::vector<broker::TopicPartition>& partitions) {
  Json out = Json::array();
  for (const auto& partition : partitions)
    out.push_back({{"topic", partition.topic}, {"partition", partition.partition}});
  return out;
}

Json partition_json(const PartitionView& partition) {
  Json out{{"partition", partition.id},
           {"leader", partition.is_offline() ? Json(nullptr) : Json(partition.leader)},
           {"replicas", partition.replicas},
           {"inSync", partition.isr},
           {"outOfSync", partition.out_of_sync()}};
  if (partition.size_bytes) out["sizeBytes"] = *partition.size_bytes;
  if (partition.log_start_offset) out["logStartOffset"] = *partition.log_start_offset;
  if (partition.end_offset) out["endOffset"] = *partition.end_offset;
  return out;
}

Json member_json(const MemberView& member) {
  Json out{{"memberId", member.id}};
  if (!member.instance_id.empty()) out["groupInstanceId"] = member.instance_id;
  out["clientId"] = member.client_id;
  out["host"] = member.host;
  out["partitions"] = partitions_of(member.partitions);
  return out;
}

}  // namespace

std::string topics_json(const TopicsView& view) {
  Json topics = Json::array();
  for (const TopicView& topic : view.topics) {
    Json out{{"name", topic.name}};
    if (!topic.id.empty()) out["id"] = topic.id;
    out["internal"] = topic.internal;
    out["replicationFactor"] = topic.replication_factor();
    if (const auto size = topic.size_bytes()) out["sizeBytes"] = *size;
    out["partitions"] = Json::array();
    for (const PartitionView& partition : topic.partitions)
      out["partitions"].push_back(partition_json(partition));
    topics.push_back(std::move(out));
  }
  return Json{{"topics", std::move(topics)}}.dump();
}

std::string groups_json(const std::vector<GroupView>& groups) {
  Json list = Json::array();
  for (const GroupView& group : groups) {
    Json out{{"group", group.id}};
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
    out["members"] = Json::array();
    for (const MemberView& member : group.members) out["members"].push_back(member_json(member));
    out["partitions"] = Json::array();
    for (const PartitionLag& partition : group.partitions) {
      Json entry{{"topic", partition.partition.topic},
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
  return Json{{"groups", std::move(list)}}.dump();
}

std::string cluster_json(const KafkaView& view) {
  Json out{{"clusterId", view.cluster_id}, {"bootstrap", view.bootstrap}};
  out["brokers"] = Json::array();
  for (const BrokerView& broker : view.brokers) {
    Json entry{{"id", broker.id}, {"address", broker.address}};
    if (!broker.rack.empty()) entry["rack"] = broker.rack;
    entry["fenced"] = broker.fenced;
    entry["leaders"] = broker.leaders;
    entry["replicas"] = broker.replicas;
    entry["outOfSync"] = broker.out_of_sync;
    out["brokers"].push_back(std::move(entry));
  }
  if (view.quorum) {
    Json voters = Json::array();
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
