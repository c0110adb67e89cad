#include "broker/controller/directories.h"

#include <algorithm>
#include <set>

#include "broker/controller/partition_change.h"
#include "broker/controller/partition_index.h"
#include "broker/metadata/features.h"

namespace broker::controller {
namespace {

using metadata::BrokerRegistration;
using protocol::AssignReplicasToDirsRequest;
using protocol::AssignReplicasToDirsResponse;

bool contains(const std::vector<DirectoryId>& ids, const DirectoryId& id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

/// The broker is out of the partition: its directory is gone.
void add_loss(const DecideContext& context, RulesLookup& lookup, const PartitionIndex::Key& key,
              BrokerId broker, metadata::MetadataRecords& records,
              const std::optional<DirectoryId>& now_in = std::nullopt) {
  const metadata::TopicImage* topic = context.image.topics.find(key.first);
  const auto* partition = topic == nullptr ? nullptr : topic->partitions.find(key.second);
  if (partition == nullptr) return;
  const TopicRules& rules = lookup.of(*topic);
  PartitionChange change(context.image.cluster, rules, key.first, key.second, *partition);
  change.expect({.leaving = broker, .returning = {}, .unclean = {}})
      .elect(rules.unclean_election ? Election::kUnclean : Election::kOnline);
  if (now_in) change.set_directory(broker, *now_in);
  if (auto record = change.build()) records.emplace_back(std::move(*record));
}

/// One partition of the request. A directory that is not online takes the replica out of the ISR.
ErrorCode assign(const DecideContext& context, RulesLookup& lookup,
                 const BrokerRegistration& broker, const DirectoryId& directory,
                 const TopicId& topic_id, std::int32_t index, metadata::MetadataRecords& records) {
  const metadata::TopicImage* topic = context.image.topics.find(topic_id);
  if (topic == nullptr) return ErrorCode::kUnknownTopicId;
  const metadata::PartitionRegistration* partition = topic->partitions.find(index);
  if (partition == nullptr) return ErrorCode::kUnknownTopicOrPartition;
  if (!partition->has_replica(broker.id)) return ErrorCode::kNotLeaderOrFollower;
  if (!broker.has_online_dir(directory)) {
    add_loss(context, lookup, {topic_id, index}, broker.id, records, directory);
    return ErrorCode::kNone;
  }
  auto record =
      PartitionChange(context.image.cluster, lookup.of(*topic), topic_id, index, *partition)
          .set_directory(broker.id, directory)
          .build();
  if (record) records.emplace_back(std::move(*record));
  return ErrorCode::kNone;
}

}  // namespace

DirectoryNews directory_news(const metadata::MetadataImage& image, const BrokerRegistration& broker,
                             const protocol::BrokerHeartbeatRequest& request) {
  DirectoryNews news;
  const std::int16_t version = image.features.metadata_version();
  if (version >= metadata::kMetadataVersion3_7_IV2) {
    std::vector<DirectoryId> offline;
    for (const DirectoryId& id : request.offline_log_dirs)
      if (contains(broker.log_dirs, id)) offline.push_back(id);
    // A broker without any directory stops by itself; a record cannot say "none".
    if (!offline.empty() && offline.size() < broker.log_dirs.size())
      news.offline = std::move(offline);
  }
  if (version >= metadata::kMetadataVersion4_3_IV0 && request.cordoned_log_dirs) {
    std::vector<DirectoryId> cordoned = *request.cordoned_log_dirs;
    std::sort(cordoned.begin(), cordoned.end());
    if (cordoned != broker.cordoned_log_dirs) news.cordoned = std::move(cordoned);
  }
  return news;
}

void add_directory_changes(const DecideContext& context, const BrokerRegistration& broker,
                           const DirectoryNews& news, bool with_partitions,
                           metadata::MetadataRecords& records) {
  if (!news.offline && !news.cordoned) return;
  protocol::BrokerRegistrationChangeRecord change;
  change.broker_id = broker.id.value;
  change.broker_epoch = broker.epoch.value;
  change.cordoned_log_dirs = news.cordoned;
  if (news.offline) {
    for (const DirectoryId& id : broker.log_dirs)
      if (!contains(*news.offline, id)) change.log_dirs.push_back(id);
    RulesLookup lookup(context.image, context.options);
    if (with_partitions) {
      for (const auto& key : context.partitions.partitions_of(broker.id)) {
        const auto* partition = context.image.topics.partition(key.first, key.second);
        if (partition != nullptr && contains(*news.offline, partition->directory_of(broker.id)))
          add_loss(context, lookup, key, broker.id, records);
      }
    }
  }
  records.emplace_back(std::move(change));
}

void add_returned_directories(const DecideContext& context, const BrokerRegistration& before,
                              const std::vector<DirectoryId>& log_dirs,
                              metadata::MetadataRecords& records) {
  const auto is_back = [&](const DirectoryId& id) {
    return contains(log_dirs, id) && !contains(before.log_dirs, id);
  };
  if (std::none_of(log_dirs.begin(), log_dirs.end(), is_back)) return;
  BrokerRegistration now = before;
  now.log_dirs = log_dirs;
  std::sort(now.log_dirs.begin(), now.log_dirs.end());
  metadata::ClusterImage cluster = context.image.cluster;
  cluster.brokers.set(before.id, std::move(now));
  RulesLookup lookup(context.image, context.options);
  for (const auto& key : context.partitions.partitions_of(before.id)) {
    const metadata::TopicImage* topic = context.image.topics.find(key.first);
    const auto* partition = topic == nullptr ? nullptr : topic->partitions.find(key.second);
    if (partition == nullptr || partition->leader != metadata::kNoLeader ||
        !is_back(partition->directory_of(before.id)))
      continue;
    const TopicRules& rules = lookup.of(*topic);
    PartitionChange change(cluster, rules, key.first, key.second, *partition);
    change.elect(rules.unclean_election ? Election::kUnclean : Election::kOnline);
    if (auto record = change.build()) records.emplace_back(std::move(*record));
  }
}

ControllerResult<AssignReplicasToDirsResponse> decide(const DecideContext& context,
                                                      const AssignReplicasToDirsRequest& request) {
  ControllerResult<AssignReplicasToDirsResponse> out;
  const auto refuse = [&](ErrorCode code) {
    out.response.error_code = static_cast<std::int16_t>(code);
    return out;
  };
  if (context.image.features.metadata_version() < metadata::kMetadataVersion3_7_IV2)
    return refuse(ErrorCode::kUnsupportedVersion);
  const BrokerRegistration* broker = context.image.cluster.broker(BrokerId{request.broker_id});
  if (broker == nullptr) return refuse(ErrorCode::kBrokerIdNotRegistered);
  if (broker->epoch.value != request.broker_epoch) return refuse(ErrorCode::kStaleBrokerEpoch);
  RulesLookup lookup(context.image, context.options);
  std::set<PartitionIndex::Key> seen;  // the first directory named for a partition counts
  for (const auto& directory : request.directories) {
    AssignReplicasToDirsResponse::DirectoryData in_directory;
    in_directory.id = directory.id;
    for (const auto& topic : directory.topics) {
      AssignReplicasToDirsResponse::TopicData of_topic;
      of_topic.topic_id = topic.topic_id;
      for (const auto& partition : topic.partitions) {
        const bool first = seen.emplace(topic.topic_id, partition.partition_index).second;
        const ErrorCode code = first
                                   ? assign(context, lookup, *broker, directory.id, topic.topic_id,
                                            partition.partition_index, out.records)
                                   : ErrorCode::kInvalidRequest;
        of_topic.partitions.push_back({partition.partition_index, static_cast<std::int16_t>(code)});
      }
      in_directory.topics.push_back(std::move(of_topic));
    }
    out.response.directories.push_back(std::move(in_directory));
  }
  return out;
}

}  // namespace broker::controller
