#include <set>

#include "broker/controller/assignment.h"
#include "broker/controller/placement.h"
#include "broker/controller/topics.h"

namespace broker::controller {
namespace {

using protocol::CreatePartitionsRequest;
using protocol::CreatePartitionsResponse;
using WantedPartitions = CreatePartitionsRequest::CreatePartitionsTopic;

Result<void> check_count(const metadata::TopicImage& topic, const WantedPartitions& wanted) {
  const auto have = static_cast<std::int64_t>(topic.partitions.size());
  if (wanted.count == have)
    return Error{ErrorCode::kInvalidPartitions,
                 "Topic already has " + std::to_string(have) + " partition(s)."};
  if (wanted.count < have)
    return Error{ErrorCode::kInvalidPartitions, "The topic " + topic.name + " currently has " +
                                                    std::to_string(have) + " partition(s); " +
                                                    std::to_string(wanted.count) +
                                                    " would not be an increase."};
  if (wanted.count - have > kMaxPartitionsPerRequest)
    return Error{ErrorCode::kPolicyViolation,
                 "Excessively large number of partitions per request."};
  if (wanted.assignments &&
      static_cast<std::int64_t>(wanted.assignments->size()) != wanted.count - have)
    return Error{ErrorCode::kInvalidReplicaAssignment,
                 "Attempted to add " + std::to_string(wanted.count - have) +
                     " additional partition(s), but only " +
                     std::to_string(wanted.assignments->size()) + " assignment(s) were specified."};
  return {};
}

Result<metadata::MetadataRecords> add_partitions(const DecideContext& context,
                                                 const WantedPartitions& wanted) {
  const metadata::TopicImage* topic = context.image.topics.find(wanted.name);
  if (topic == nullptr)
    return Error{ErrorCode::kUnknownTopicOrPartition,
                 "This server does not host this topic-partition."};
  RETURN_IF_ERROR(check_count(*topic, wanted));
  const std::size_t replication_factor = topic->partitions.begin()->second.replicas.size();
  metadata::MetadataRecords records;
  ReplicaPlacer placer(context.image.cluster, context.rng);
  for (auto index = static_cast<std::int32_t>(topic->partitions.size()); index < wanted.count;
       ++index) {
    const std::size_t position = records.size();
    ASSIGN_OR_RETURN(const std::vector<BrokerId> replicas,
                     wanted.assignments
                         ? check_manual_assignment(context.image.cluster,
                                                   (*wanted.assignments)[position].broker_ids,
                                                   replication_factor, index)
                         : placer.place(static_cast<std::int16_t>(replication_factor)));
    ASSIGN_OR_RETURN(protocol::PartitionRecord record,
                     new_partition(context.image.cluster, topic->id, index, replicas));
    records.emplace_back(std::move(record));
  }
  RETURN_IF_ERROR(context.charge_partitions(records.size()));
  return records;
}

}  // namespace

ControllerResult<CreatePartitionsResponse> decide(const DecideContext& context,
                                                  const CreatePartitionsRequest& request) {
  std::set<std::string> seen;
  std::set<std::string> duplicates;
  for (const WantedPartitions& topic : request.topics)
    if (!seen.insert(topic.name).second) duplicates.insert(topic.name);
  seen.clear();

  ControllerResult<CreatePartitionsResponse> out;
  for (const WantedPartitions& topic : request.topics) {
    if (!seen.insert(topic.name).second) continue;
    auto records = duplicates.contains(topic.name)
                       ? Result<metadata::MetadataRecords>(
                             Error{ErrorCode::kInvalidRequest, "Duplicate topic name."})
                       : add_partitions(context, topic);
    CreatePartitionsResponse::CreatePartitionsTopicResult result;
    result.name = topic.name;
    if (!records.ok()) {
      result.error_code = static_cast<std::int16_t>(records.code());
      result.error_message = records.error().detail;
    } else if (!request.validate_only) {
      std::move(records->begin(), records->end(), std::back_inserter(out.records));
    }
    out.response.results.push_back(std::move(result));
  }
  return out;
}

}  // namespace broker::controller
