#include <algorithm>
#include <set>

#include "broker/common/version.h"
#include "broker/protocol/frame.h"
#include "broker/protocol/messages/api_versions_request.h"
#include "broker/protocol/messages/api_versions_response.h"
#include "broker/protocol/messages/describe_cluster_request.h"
#include "broker/protocol/messages/describe_cluster_response.h"
#include "broker/protocol/messages/describe_log_dirs_request.h"
#include "broker/protocol/messages/describe_log_dirs_response.h"
#include "broker/protocol/messages/describe_quorum_request.h"
#include "broker/protocol/messages/describe_quorum_response.h"
#include "broker/protocol/messages/list_offsets_request.h"
#include "broker/protocol/messages/list_offsets_response.h"
#include "broker/protocol/messages/metadata_request.h"
#include "operator/cli/gather.h"
#include "operator/cli/text.h"

namespace op::cli {
namespace {

using broker::Error;
using broker::ErrorCode;
using broker::Result;
using broker::TopicPartition;
namespace protocol = broker::protocol;
using protocol::MetadataResponse;

constexpr const char* kMetadataTopic = "__cluster_metadata";

TopicView to_view(const MetadataResponse::MetadataResponseTopic& topic) {
  TopicView view;
  view.name = topic.name.value_or("");
  if (!topic.topic_id.is_zero()) view.id = topic.topic_id.to_string();
  view.internal = topic.is_internal;
  for (const auto& partition : topic.partitions) {
    view.partitions.push_back({.id = partition.partition_index,
                               .leader = partition.leader_id,
                               .replicas = partition.replica_nodes,
                               .isr = partition.isr_nodes,
                               .size_bytes = {},
                               .log_start_offset = {},
                               .end_offset = {}});
  }
  std::sort(view.partitions.begin(), view.partitions.end(),
            [](const auto& a, const auto& b) { return a.id < b.id; });
  return view;
}

std::string why_unknown(std::int32_t broker, ErrorCode code) {
  const std::string who = "broker " + std::to_string(broker);
  if (code == ErrorCode::kClusterAuthorizationFailed)
    return "Sizes are unknown: they need the right Describe on the cluster.";
  if (code == ErrorCode::kUnsupportedVersion)
    return "Sizes are unknown: " + who + " does not offer DescribeLogDirs.";
  return "Sizes are unknown: " + who + " answered " + std::string(error_name(code)) + ".";
}

/// (broker, partition) -> bytes; `why` says what is missing in it.
using Sizes = std::map<std::pair<std::int32_t, TopicPartition>, std::int64_t>;
Sizes ask_sizes(Brokers& brokers, const std::vector<TopicView>& topics, std::string& why) {
  protocol::DescribeLogDirsRequest request;
  request.topics.emplace();
  for (const TopicView& topic : topics) {
    auto& wanted = request.topics->emplace_back();
    wanted.topic = topic.name;
    for (const PartitionView& partition : topic.partitions)
      wanted.partitions.push_back(partition.id);
  }
  std::map<std::int32_t, protocol::DescribeLogDirsRequest> requests;
  for (const std::int32_t id : brokers.ids()) requests.emplace(id, request);
  Sizes sizes;
  for (const auto& [id, answer] : brokers.ask_each(std::move(requests))) {
    const ErrorCode code =
        answer.ok() ? protocol::error_from_wire(answer->error_code) : answer.code();
    if (code != ErrorCode::kNone) {
      why = why_unknown(id, code);
      continue;
    }
    for (const auto& directory : answer->results) {
      for (const auto& topic : directory.topics)
        for (const auto& partition : topic.partitions)
          if (!partition.is_future_key)
            sizes[{id, {topic.name, partition.partition_index}}] = partition.partition_size;
    }
  }
  return sizes;
}

void fill_sizes(Brokers& brokers, TopicsView& view) {
  if (view.topics.empty()) return;
  const Sizes sizes = ask_sizes(brokers, view.topics, view.sizes_unknown_why);
  for (TopicView& topic : view.topics) {
    for (PartitionView& partition : topic.partitions) {
      const auto found = sizes.find({partition.leader, {topic.name, partition.id}});
      if (found != sizes.end()) partition.size_bytes = found->second;
    }
  }
}

void fill_offsets(Brokers& brokers, const MetadataResponse& metadata, TopicsView& view) {
  std::vector<TopicPartition> all;
  for (const TopicView& topic : view.topics)
    for (const PartitionView& partition : topic.partitions)
      all.push_back({topic.name, partition.id});
  const auto starts = list_offsets(brokers, metadata, all, kEarliestTimestamp);
  const auto ends = list_offsets(brokers, metadata, all, kLatestTimestamp);
  for (TopicView& topic : view.topics) {
    for (PartitionView& partition : topic.partitions) {
      const TopicPartition name{topic.name, partition.id};
      if (starts.at(name).ok()) partition.log_start_offset = *starts.at(name);
      if (ends.at(name).ok()) partition.end_offset = *ends.at(name);
    }
  }
}

void count_replicas(const MetadataResponse& metadata, KafkaView& view) {
  std::map<std::int32_t, BrokerView*> by_id;
  for (BrokerView& broker : view.brokers) by_id[broker.id] = &broker;
  for (const auto& topic : metadata.topics) {
    ++view.topics;
    const TopicView described = to_view(topic);
    for (const PartitionView& partition : described.partitions) {
      ++view.partitions;
      const TopicPartition name{described.name, partition.id};
      if (partition.is_offline()) view.offline.push_back(name);
      if (partition.is_under_replicated()) view.under_replicated.push_back(name);
      if (const auto leader = by_id.find(partition.leader); leader != by_id.end())
        ++leader->second->leaders;
      for (const std::int32_t id : partition.replicas)
        if (const auto broker = by_id.find(id); broker != by_id.end()) ++broker->second->replicas;
      for (const std::int32_t id : partition.out_of_sync())
        if (const auto broker = by_id.find(id); broker != by_id.end())
          ++broker->second->out_of_sync;
    }
  }
}

void fill_brokers(Brokers& brokers, KafkaView& view) {
  protocol::DescribeClusterRequest request;
  request.include_fenced_brokers = true;
  const auto described = brokers.ask(std::move(request));
  const MetadataResponse& metadata = brokers.metadata();
  std::map<std::int32_t, BrokerView> by_id;
  for (const auto& node : metadata.brokers) {
    by_id[node.node_id] = {.id = node.node_id,
                           .address = to_string(broker::io::Endpoint{
                               node.host, static_cast<std::uint16_t>(node.port)}),
                           .rack = node.rack.value_or("")};
  }
  if (described.ok() && described->error_code == 0) {
    for (const auto& node : described->brokers) {  // fenced ones are in no Metadata
      BrokerView& broker = by_id[node.broker_id];
      broker.id = node.broker_id;
      broker.fenced = node.is_fenced;
      if (!node.host.empty())
        broker.address =
            to_string(broker::io::Endpoint{node.host, static_cast<std::uint16_t>(node.port)});
      broker.rack = node.rack.value_or("");
    }
  }
  for (auto& [id, broker] : by_id) {
    broker.controller = id == metadata.controller_id;
    view.brokers.push_back(broker);
  }
}

void fill_quorum(Brokers& brokers, KafkaView& view) {
  protocol::DescribeQuorumRequest request;
  auto& topic = request.topics.emplace_back();
  topic.topic_name = kMetadataTopic;
  topic.partitions.emplace_back();
  const auto answer = brokers.ask(std::move(request));
  ErrorCode code = answer.ok() ? protocol::error_from_wire(answer->error_code) : answer.code();
  const bool one =
      answer.ok() && answer->topics.size() == 1 && answer->topics[0].partitions.size() == 1;
  if (code == ErrorCode::kNone && one)
    code = protocol::error_from_wire(answer->topics[0].partitions[0].error_code);
  if (code != ErrorCode::kNone || !one) {
    view.quorum_unknown_why = code == ErrorCode::kClusterAuthorizationFailed
                                  ? "needs the right Describe on the cluster"
                                  : std::string(error_name(code));
    return;
  }
  const auto& partition = answer->topics[0].partitions[0];
  QuorumView quorum;
  quorum.leader = partition.leader_id;
  quorum.epoch = partition.leader_epoch;
  std::int64_t end = 0;
  for (const auto& voter : partition.current_voters)
    if (voter.replica_id == partition.leader_id) end = voter.log_end_offset;
  for (const auto& voter : partition.current_voters) {
    // -1: it has not fetched from this leader yet.
    const std::int64_t have = std::max<std::int64_t>(voter.log_end_offset, 0);
    quorum.voters.push_back({voter.replica_id, std::max<std::int64_t>(end - have, 0)});
  }
  for (const auto& observer : partition.observers)
    if (observer.replica_id >= 0) quorum.observers.push_back(observer.replica_id);
  const auto by_id = [](const VoterView& a, const VoterView& b) { return a.id < b.id; };
  std::sort(quorum.voters.begin(), quorum.voters.end(), by_id);
  view.quorum = std::move(quorum);
}

}  // namespace

Error explain(const Error& error, const std::string& what) {
  const auto with = [&](const std::string& sentence) { return Error{error.code, sentence}; };
  switch (error.code) {
    case ErrorCode::kUnknownTopicOrPartition:
    case ErrorCode::kUnknownTopicId:
      return with(what + " does not exist, or this user may not know of it");
    case ErrorCode::kTopicAuthorizationFailed:
    case ErrorCode::kGroupAuthorizationFailed:
    case ErrorCode::kClusterAuthorizationFailed:
      return with("no access to " + what + " (" + std::string(error_name(error.code)) +
                  "): an ACL must allow it to this user");
    default:
      break;
  }
  std::string sentence = what + ": " + std::string(error_name(error.code));
  if (!error.detail.empty()) sentence += ": " + error.detail;
  return with(sentence);
}

bool may_pass(ErrorCode code) {
  return broker::is_retriable(code) || code == ErrorCode::kBrokerNotAvailable;
}

Error no_such_partition(const std::string& topic, std::int32_t partition, std::size_t count) {
  return {ErrorCode::kInvalidConfig, "topic " + topic + " has no partition " +
                                         std::to_string(partition) + ": it has " +
                                         counted(static_cast<std::int64_t>(count), "partition")};
}

Result<MetadataResponse> describe_topics(Brokers& brokers, const std::vector<std::string>& names) {
  protocol::MetadataRequest request;
  request.allow_auto_topic_creation = false;
  if (names.empty()) {
    request.topics.reset();  // all
  } else {
    for (const std::string& name : names) request.topics->emplace_back().name = name;
  }
  ASSIGN_OR_RETURN(MetadataResponse answer, brokers.ask(std::move(request)));
  if (answer.error_code != 0) return Error{protocol::error_from_wire(answer.error_code), {}};
  for (const auto& topic : answer.topics) {
    const ErrorCode code = protocol::error_from_wire(topic.error_code);
    // A topic with a partition without leader is described all the same.
    if (code != ErrorCode::kNone && topic.partitions.empty())
      return explain({code, {}}, "topic " + topic.name.value_or(""));
  }
  std::sort(answer.topics.begin(), answer.topics.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  brokers.learn(answer);
  return answer;
}

Result<TopicsView> gather_topics(Brokers& brokers, const std::vector<std::string>& names,
                                 bool offsets) {
  ASSIGN_OR_RETURN(const MetadataResponse metadata, describe_topics(brokers, names));
  TopicsView view;
  for (const auto& topic : metadata.topics) view.topics.push_back(to_view(topic));
  fill_sizes(brokers, view);
  if (offsets) fill_offsets(brokers, metadata, view);
  return view;
}

Result<KafkaView> gather_cluster(Brokers& brokers) {
  ASSIGN_OR_RETURN(const MetadataResponse metadata, describe_topics(brokers, {}));
  KafkaView view;
  view.cluster_id = metadata.cluster_id.value_or("");
  view.bootstrap = brokers.bootstrap();
  fill_brokers(brokers, view);
  count_replicas(metadata, view);
  fill_quorum(brokers, view);
  protocol::ApiVersionsRequest versions;
  versions.client_software_name = "millrace";
  versions.client_software_version = broker::kVersion;
  if (const auto answer = brokers.ask(std::move(versions)); answer.ok()) {
    for (const auto& feature : answer->finalized_features)
      view.features[feature.name] = feature.max_version_level;
  }
  return view;
}

OffsetsByPartition list_offsets(Brokers& brokers, const MetadataResponse& metadata,
                                const std::vector<TopicPartition>& partitions,
                                std::int64_t timestamp) {
  std::map<TopicPartition, std::int32_t> leaders;
  for (const auto& topic : metadata.topics)
    for (const auto& partition : topic.partitions)
      leaders[{topic.name.value_or(""), partition.partition_index}] = partition.leader_id;
  std::map<std::int32_t, std::map<std::string, std::vector<std::int32_t>>> by_leader;
  OffsetsByPartition out;
  for (const TopicPartition& partition : partitions) {
    const auto leader = leaders.find(partition);
    if (leader == leaders.end()) {
      out.emplace(partition, Error{ErrorCode::kUnknownTopicOrPartition, {}});
    } else if (leader->second < 0) {
      out.emplace(partition, Error{ErrorCode::kLeaderNotAvailable, {}});
    } else {
      by_leader[leader->second][partition.topic].push_back(partition.partition);
    }
  }
  std::map<std::int32_t, protocol::ListOffsetsRequest> requests;
  for (const auto& [leader, topics] : by_leader) {
    protocol::ListOffsetsRequest& request = requests[leader];
    request.replica_id = -1;
    request.timeout_ms = 10'000;
    for (const auto& [name, numbers] : topics) {
      auto& topic = request.topics.emplace_back();
      topic.name = name;
      for (const std::int32_t number : numbers) {
        auto& partition = topic.partitions.emplace_back();
        partition.partition_index = number;
        partition.timestamp = timestamp;
      }
    }
  }
  for (const auto& [leader, answer] : brokers.ask_each(std::move(requests))) {
    if (answer.ok()) {
      for (const auto& topic : answer->topics) {
        for (const auto& partition : topic.partitions) {
          const ErrorCode code = protocol::error_from_wire(partition.error_code);
          out.emplace(TopicPartition{topic.name, partition.partition_index},
                      code == ErrorCode::kNone ? Result<std::int64_t>(partition.offset)
                                               : Result<std::int64_t>(Error{code, {}}));
        }
      }
    }
    for (const auto& [name, numbers] : by_leader[leader])  // what was not answered
      for (const std::int32_t number : numbers)
        out.emplace(TopicPartition{name, number},
                    answer.ok() ? Error{ErrorCode::kUnknownServerError, {}} : answer.error());
  }
  return out;
}

}  // namespace op::cli
