#include <algorithm>
#include <map>
#include <set>

#include "broker/config/topic_config.h"
#include "broker/controller/assignment.h"
#include "broker/controller/placement.h"
#include "broker/controller/topics.h"
#include "broker/metadata/effective_configs.h"

namespace broker::controller {
namespace {

using protocol::CreateTopicsRequest;
using protocol::CreateTopicsResponse;
using WantedTopic = CreateTopicsRequest::CreatableTopic;

constexpr std::size_t kMaxTopicNameLength = 249;
constexpr std::string_view kMetadataTopic = "__cluster_metadata";

Error error(ErrorCode code, std::string detail) { return {code, std::move(detail)}; }

/// Metric names cannot tell '.' from '_', so Kafka refuses names that differ only there.
std::string collision_key(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

/// Names that exist, by collision key; built only when some new name has such a character.
class Collisions {
 public:
  explicit Collisions(const metadata::TopicsImage& topics) : topics_(topics) {}

  Result<void> check_and_add(const std::string& name) {
    if (name.find_first_of("._") == name.npos) return {};
    if (!built_) {
      built_ = true;
      for (const auto& [existing, id] : topics_.ids) names_[collision_key(existing)] = existing;
    }
    const auto [it, is_new] = names_.emplace(collision_key(name), name);
    if (!is_new)
      return error(ErrorCode::kInvalidTopicException,
                   "Topic '" + name + "' collides with existing topic: " + it->second);
    return {};
  }

 private:
  const metadata::TopicsImage& topics_;
  bool built_ = false;
  std::map<std::string, std::string> names_;
};

/// The replicas of each partition, in the order of partition ids.
using Assignments = std::vector<std::vector<BrokerId>>;

Result<Assignments> manual_assignments(const DecideContext& context, const WantedTopic& topic) {
  if (topic.replication_factor != -1)
    return error(ErrorCode::kInvalidRequest,
                 "A manual partition assignment was specified, but replication factor was not set "
                 "to -1.");
  if (topic.num_partitions != -1)
    return error(ErrorCode::kInvalidRequest,
                 "A manual partition assignment was specified, but numPartitions was not set to "
                 "-1.");
  std::map<std::int32_t, std::vector<BrokerId>> by_index;
  std::optional<std::size_t> replication_factor;
  for (const auto& assignment : topic.assignments) {
    const std::int32_t index = assignment.partition_index;
    if (by_index.contains(index))
      return error(
          ErrorCode::kInvalidReplicaAssignment,
          "Found multiple manual partition assignments for partition " + std::to_string(index));
    ASSIGN_OR_RETURN(std::vector<BrokerId> replicas,
                     check_manual_assignment(context.image.cluster, assignment.broker_ids,
                                             replication_factor, index));
    replication_factor = replicas.size();
    by_index[index] = std::move(replicas);
  }
  Assignments out;
  for (auto& [index, replicas] : by_index) {
    if (index != static_cast<std::int32_t>(out.size()))
      return error(ErrorCode::kInvalidReplicaAssignment,
                   "partitions should be a consecutive 0-based integer sequence");
    out.push_back(std::move(replicas));
  }
  return out;
}

Result<Assignments> automatic_assignments(const DecideContext& context, const WantedTopic& topic) {
  if (topic.replication_factor < -1 || topic.replication_factor == 0)
    return error(ErrorCode::kInvalidReplicationFactor,
                 "Replication factor must be larger than 0, or -1 to use the default value.");
  if (topic.num_partitions < -1 || topic.num_partitions == 0)
    return error(ErrorCode::kInvalidPartitions,
                 "Number of partitions was set to an invalid non-positive value.");
  const std::int32_t partitions =
      topic.num_partitions == -1 ? context.options.default_num_partitions : topic.num_partitions;
  const std::int16_t replication_factor = topic.replication_factor == -1
                                              ? context.options.default_replication_factor
                                              : topic.replication_factor;
  ReplicaPlacer placer(context.image.cluster, context.rng);
  Assignments out;
  for (std::int32_t i = 0; i < partitions; ++i) {
    ASSIGN_OR_RETURN(std::vector<BrokerId> replicas, placer.place(replication_factor));
    out.push_back(std::move(replicas));
  }
  return out;
}

Result<config::ConfigMap> topic_configs(const WantedTopic& topic) {
  config::ConfigMap values;
  std::string nulls;
  for (const auto& config : topic.configs) {
    if (!config.value)
      nulls += (nulls.empty() ? "" : ",") + config.name;
    else
      values[config.name] = *config.value;
  }
  if (!nulls.empty())
    return error(ErrorCode::kInvalidConfig, "Null value not supported for topic configs: " + nulls);
  RETURN_IF_ERROR(config::validate_topic_config(values));
  return values;
}

void describe_configs(const DecideContext& context, const std::string& topic,
                      const config::ConfigMap& values,
                      CreateTopicsResponse::CreatableTopicResult& result) {
  metadata::ConfigsImage configs = context.image.configs;
  if (!values.empty())
    configs.by_resource.set({metadata::ConfigResourceType::kTopic, topic}, values);
  const metadata::EffectiveConfigs effective(configs, context.options.node_id,
                                             context.options.static_values);
  result.configs.emplace();
  for (const auto& config : effective.describe_topic(topic))
    result.configs->push_back({config.name, config.value, config.read_only,
                               static_cast<std::int8_t>(config.source), config.sensitive});
}

struct NewTopic {
  metadata::MetadataRecords records;
  CreateTopicsResponse::CreatableTopicResult result;
};

Result<NewTopic> create_topic(const DecideContext& context, const WantedTopic& topic) {
  ASSIGN_OR_RETURN(const config::ConfigMap configs, topic_configs(topic));
  ASSIGN_OR_RETURN(const Assignments assignments, topic.assignments.empty()
                                                      ? automatic_assignments(context, topic)
                                                      : manual_assignments(context, topic));
  NewTopic out;
  protocol::TopicRecord record;
  record.name = topic.name;
  record.topic_id = Uuid::random(context.rng);
  while (context.image.topics.find(record.topic_id) != nullptr)
    record.topic_id = Uuid::random(context.rng);
  out.result.name = topic.name;
  out.result.topic_id = record.topic_id;
  out.result.error_message = std::nullopt;
  out.result.num_partitions = static_cast<std::int32_t>(assignments.size());
  out.result.replication_factor = static_cast<std::int16_t>(assignments.front().size());
  describe_configs(context, topic.name, configs, out.result);
  const TopicId id = record.topic_id;
  out.records.emplace_back(std::move(record));
  for (const auto& [name, value] : configs) {
    protocol::ConfigRecord config;
    config.resource_type = static_cast<std::int8_t>(metadata::ConfigResourceType::kTopic);
    config.resource_name = topic.name;
    config.name = name;
    config.value = value;
    out.records.emplace_back(std::move(config));
  }
  for (std::size_t i = 0; i < assignments.size(); ++i) {
    ASSIGN_OR_RETURN(
        protocol::PartitionRecord partition,
        new_partition(context.image.cluster, id, static_cast<std::int32_t>(i), assignments[i]));
    out.records.emplace_back(std::move(partition));
  }
  RETURN_IF_ERROR(context.charge_partitions(assignments.size()));
  return out;
}

Result<void> check_name(const DecideContext& context, const std::string& name,
                        const std::set<std::string>& duplicates, Collisions& collisions) {
  if (duplicates.contains(name)) return error(ErrorCode::kInvalidRequest, "Duplicate topic name.");
  if (name == kMetadataTopic)
    return error(ErrorCode::kInvalidRequest,
                 "Creation of internal topic __cluster_metadata is "
                 "prohibited.");
  RETURN_IF_ERROR(validate_topic_name(name));
  if (context.image.topics.find(name) != nullptr)
    return error(ErrorCode::kTopicAlreadyExists, "Topic '" + name + "' already exists.");
  return collisions.check_and_add(name);
}

std::set<std::string> find_duplicates(const std::vector<WantedTopic>& topics) {
  std::set<std::string> seen;
  std::set<std::string> duplicates;
  for (const WantedTopic& topic : topics)
    if (!seen.insert(topic.name).second) duplicates.insert(topic.name);
  return duplicates;
}

std::int64_t count_partitions(const DecideContext& context, const CreateTopicsRequest& request) {
  std::int64_t total = 0;
  for (const WantedTopic& topic : request.topics) {
    if (!topic.assignments.empty())
      total += static_cast<std::int64_t>(topic.assignments.size());
    else
      total += topic.num_partitions == -1 ? context.options.default_num_partitions
                                          : std::max(topic.num_partitions, 0);
  }
  return total;
}

}  // namespace

Result<void> validate_topic_name(std::string_view name) {
  const auto invalid = [](const std::string& why) {
    return error(ErrorCode::kInvalidTopicException, "Topic name is invalid: " + why);
  };
  if (name.empty()) return invalid("the empty string is not allowed");
  if (name == "." || name == "..") return invalid("'" + std::string(name) + "' is not allowed");
  if (name.size() > kMaxTopicNameLength)
    return invalid("the length of '" + std::string(name) +
                   "' is longer than the max allowed length " +
                   std::to_string(kMaxTopicNameLength));
  for (const char c : name)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
          c == '_' || c == '-'))
      return invalid("'" + std::string(name) +
                     "' contains one or more characters other than ASCII alphanumerics, '.', '_' "
                     "and '-'");
  return {};
}

ControllerResult<CreateTopicsResponse> decide(const DecideContext& context,
                                              const CreateTopicsRequest& request) {
  ControllerResult<CreateTopicsResponse> out;
  const auto refuse = [&](const WantedTopic& topic, const Error& why) {
    CreateTopicsResponse::CreatableTopicResult result;
    result.name = topic.name;
    result.error_code = static_cast<std::int16_t>(why.code);
    result.error_message = why.detail;
    out.response.topics.push_back(std::move(result));
  };
  const bool too_many = count_partitions(context, request) > kMaxPartitionsPerRequest;
  const std::set<std::string> duplicates = find_duplicates(request.topics);
  std::set<std::string> answered;
  Collisions collisions(context.image.topics);
  for (const WantedTopic& topic : request.topics) {
    if (!answered.insert(topic.name).second) continue;
    if (too_many) {
      refuse(topic, error(ErrorCode::kPolicyViolation,
                          "Excessively large number of partitions per request."));
      continue;
    }
    if (const auto ok = check_name(context, topic.name, duplicates, collisions); !ok.ok()) {
      refuse(topic, ok.error());
      continue;
    }
    auto created = create_topic(context, topic);
    if (!created.ok()) {
      refuse(topic, created.error());
      continue;
    }
    out.response.topics.push_back(std::move(created->result));
    if (request.validate_only) continue;
    std::move(created->records.begin(), created->records.end(), std::back_inserter(out.records));
  }
  return out;
}

}  // namespace broker::controller
