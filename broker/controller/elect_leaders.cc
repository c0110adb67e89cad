#include <map>

#include "broker/controller/partition_change.h"
#include "broker/controller/partition_index.h"
#include "broker/controller/partitions.h"

namespace broker::controller {
namespace {

using metadata::kNoLeader;
using protocol::ElectLeadersRequest;
using protocol::ElectLeadersResponse;

constexpr std::int8_t kPreferredElection = 0;
constexpr std::int8_t kUncleanElection = 1;

struct Outcome {
  ErrorCode code = ErrorCode::kNone;
  std::string message;
};

Outcome elect(const DecideContext& context, RulesLookup& lookup, const metadata::TopicImage& topic,
              std::int32_t index, Election election, metadata::MetadataRecords& records) {
  const metadata::PartitionRegistration* partition = topic.partitions.find(index);
  if (partition == nullptr)
    return {ErrorCode::kUnknownTopicOrPartition,
            "No such partition as " + topic.name + "-" + std::to_string(index)};
  const bool needed = election == Election::kPreferred
                          ? partition->leader != partition->replicas.front()
                          : partition->leader == kNoLeader;
  if (!needed)
    return {ErrorCode::kElectionNotNeeded,
            "Leader election not needed for " + topic.name + "-" + std::to_string(index)};
  auto record =
      PartitionChange(context.image.cluster, lookup.of(topic), topic.id, index, *partition)
          .elect(election)
          .build();
  const bool elected =
      record && record->leader >= 0 &&
      (election == Election::kUnclean || record->leader == partition->replicas.front().value);
  if (!elected) {
    const bool preferred = election == Election::kPreferred;
    return {preferred ? ErrorCode::kPreferredLeaderNotAvailable
                      : ErrorCode::kEligibleLeadersNotAvailable,
            preferred ? "The preferred leader was not available."
                      : "Eligible topic partition leaders are not available."};
  }
  records.emplace_back(std::move(*record));
  return {};
}

using Results = std::map<std::string, std::vector<ElectLeadersResponse::PartitionResult>>;

void note(Results& results, const std::string& topic, std::int32_t index, Outcome outcome) {
  ElectLeadersResponse::PartitionResult result;
  result.partition_id = index;
  result.error_code = static_cast<std::int16_t>(outcome.code);
  result.error_message = std::nullopt;
  if (outcome.code != ErrorCode::kNone) result.error_message = std::move(outcome.message);
  results[topic].push_back(std::move(result));
}

}  // namespace

ControllerResult<ElectLeadersResponse> decide(const DecideContext& context,
                                              const ElectLeadersRequest& request) {
  ControllerResult<ElectLeadersResponse> out;
  out.atomic = false;
  if (request.election_type != kPreferredElection && request.election_type != kUncleanElection) {
    out.response.error_code = static_cast<std::int16_t>(ErrorCode::kInvalidRequest);
    return out;
  }
  const Election election =
      request.election_type == kPreferredElection ? Election::kPreferred : Election::kUnclean;
  Results results;
  RulesLookup lookup(context.image, context.options);
  if (request.topic_partitions) {
    for (const auto& wanted : *request.topic_partitions) {
      const metadata::TopicImage* topic = context.image.topics.find(wanted.topic);
      for (const std::int32_t index : wanted.partitions)
        note(results, wanted.topic, index,
             topic == nullptr
                 ? Outcome{ErrorCode::kUnknownTopicOrPartition, "No such topic as " + wanted.topic}
                 : elect(context, lookup, *topic, index, election, out.records));
    }
  } else {
    for (const auto& [id, topic] : context.image.topics.by_id) {
      for (const auto& [index, partition] : topic.partitions) {
        Outcome outcome = elect(context, lookup, topic, index, election, out.records);
        // Without a list only what was tried is answered.
        if (outcome.code != ErrorCode::kElectionNotNeeded)
          note(results, topic.name, index, std::move(outcome));
      }
    }
  }
  for (auto& [topic, partitions] : results)
    out.response.replica_election_results.push_back({topic, std::move(partitions)});
  return out;
}

metadata::MetadataRecords elect_preferred_leaders(const DecideContext& context,
                                                  std::size_t at_most) {
  metadata::MetadataRecords records;
  RulesLookup lookup(context.image, context.options);
  for (const auto& [topic_id, index] : context.partitions.imbalanced()) {
    if (records.size() >= at_most) break;
    const metadata::TopicImage* topic = context.image.topics.find(topic_id);
    if (topic == nullptr) continue;
    elect(context, lookup, *topic, index, Election::kPreferred, records);
  }
  return records;
}

metadata::MetadataRecords elect_unclean_leaders(const DecideContext& context, std::size_t at_most) {
  metadata::MetadataRecords records;
  RulesLookup lookup(context.image, context.options);
  for (const auto& [topic_id, index] : context.partitions.leaderless()) {
    if (records.size() >= at_most) break;
    const metadata::TopicImage* topic = context.image.topics.find(topic_id);
    if (topic == nullptr || !lookup.of(*topic).unclean_election) continue;
    elect(context, lookup, *topic, index, Election::kUnclean, records);
  }
  return records;
}

}  // namespace broker::controller
