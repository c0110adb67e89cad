#include "operator/kafka/admin_requests.h"

#include <map>
#include <utility>

#include "broker/protocol/frame.h"

namespace op::kafka {
namespace {

namespace protocol = broker::protocol;
using broker::ErrorCode;

enum ConfigOperation : std::int8_t { kSet = 0, kDelete = 1 };

ItemResult result_of(std::int16_t code, const std::optional<std::string>& message) {
  if (code == 0) return {};
  const ErrorCode error = protocol::error_from_wire(code);
  const bool silent = !message || message->empty();
  return {error, silent ? std::string(broker::error_name(error)) : *message, {}};
}

ItemResult no_answer() {
  return {ErrorCode::kUnknownServerError, "the broker's answer does not mention it", {}};
}

template <class Key>
class ByKey {
 public:
  /// Of several answers for a key, an error counts.
  void add(Key key, ItemResult result) {
    const auto [at, added] = results_.emplace(std::move(key), result);
    if (!added && at->second.code == ErrorCode::kNone) at->second = std::move(result);
  }
  ItemResult of(const Key& key) const {
    const auto found = results_.find(key);
    return found == results_.end() ? no_answer() : found->second;
  }

 private:
  std::map<Key, ItemResult> results_;
};

/// The items of each topic; those of one topic are one entry of the request.
template <class Item>
std::map<std::string, std::vector<const Item*>> by_topic(const std::vector<Item>& items) {
  std::map<std::string, std::vector<const Item*>> out;
  for (const Item& item : items) out[item.topic].push_back(&item);
  return out;
}

}  // namespace

CreateTopics::Request CreateTopics::request(const std::vector<Item>& items,
                                            std::int32_t timeout_ms) {
  Request request;
  request.timeout_ms = timeout_ms;
  for (const NewTopic& item : items) {
    auto& topic = request.topics.emplace_back();
    topic.name = item.name;
    topic.num_partitions = item.partitions;
    topic.replication_factor = item.replication_factor;
    for (const auto& [key, value] : item.configs) topic.configs.push_back({key, value});
  }
  return request;
}

ItemResults CreateTopics::results(const std::vector<Item>& items,
                                  const Request::Response& response) {
  ByKey<std::string> by_name;
  for (const auto& topic : response.topics) {
    ItemResult result = result_of(topic.error_code, topic.error_message);
    if (topic.error_code == 0) result.topic_id = topic.topic_id;
    by_name.add(topic.name, std::move(result));
  }
  ItemResults results;
  for (const NewTopic& item : items) results.push_back(by_name.of(item.name));
  return results;
}

DeleteTopics::Request DeleteTopics::request(const std::vector<Item>& items,
                                            std::int32_t timeout_ms) {
  Request request;
  request.timeout_ms = timeout_ms;
  for (const std::string& name : items) request.topics.push_back({name, {}});
  return request;
}

ItemResults DeleteTopics::results(const std::vector<Item>& items,
                                  const Request::Response& response) {
  ByKey<std::string> by_name;
  for (const auto& topic : response.responses) {
    by_name.add(topic.name.value_or(""), result_of(topic.error_code, topic.error_message));
  }
  ItemResults results;
  for (const std::string& name : items) results.push_back(by_name.of(name));
  return results;
}

CreatePartitions::Request CreatePartitions::request(const std::vector<Item>& items,
                                                    std::int32_t timeout_ms) {
  Request request;
  request.timeout_ms = timeout_ms;
  for (const PartitionGrowth& item : items) {
    auto& topic = request.topics.emplace_back();
    topic.name = item.topic;
    topic.count = item.total_count;
    topic.assignments = std::nullopt;  // the controller places them
  }
  return request;
}

ItemResults CreatePartitions::results(const std::vector<Item>& items,
                                      const Request::Response& response) {
  ByKey<std::string> by_name;
  for (const auto& topic : response.results) {
    by_name.add(topic.name, result_of(topic.error_code, topic.error_message));
  }
  ItemResults results;
  for (const PartitionGrowth& item : items) results.push_back(by_name.of(item.topic));
  return results;
}

IncrementalAlterConfigs::Request IncrementalAlterConfigs::request(const std::vector<Item>& items,
                                                                  std::int32_t) {
  Request request;
  for (const ConfigAlteration& item : items) {
    auto& resource = request.resources.emplace_back();
    resource.resource_type = static_cast<std::int8_t>(item.type);
    resource.resource_name = item.name;
    for (const ConfigChange& change : item.changes) {
      resource.configs.push_back({change.key, change.value ? kSet : kDelete, change.value});
    }
  }
  return request;
}

ItemResults IncrementalAlterConfigs::results(const std::vector<Item>& items,
                                             const Request::Response& response) {
  ByKey<std::pair<std::int8_t, std::string>> by_resource;
  for (const auto& resource : response.responses) {
    by_resource.add({resource.resource_type, resource.resource_name},
                    result_of(resource.error_code, resource.error_message));
  }
  ItemResults results;
  for (const ConfigAlteration& item : items) {
    results.push_back(by_resource.of({static_cast<std::int8_t>(item.type), item.name}));
  }
  return results;
}

CreateAcls::Request CreateAcls::request(const std::vector<Item>& items, std::int32_t) {
  Request request;
  for (const auto& item : items) {
    auto& creation = request.creations.emplace_back();
    creation.resource_type = static_cast<std::int8_t>(item.resource.type);
    creation.resource_name = item.resource.name;
    creation.resource_pattern_type = static_cast<std::int8_t>(item.resource.pattern);
    creation.principal = item.principal;
    creation.host = item.host;
    creation.operation = static_cast<std::int8_t>(item.operation);
    creation.permission_type = static_cast<std::int8_t>(item.permission);
  }
  return request;
}

ItemResults CreateAcls::results(const std::vector<Item>& items, const Request::Response& response) {
  ItemResults results;
  for (const auto& result : response.results) {
    results.push_back(result_of(result.error_code, result.error_message));
  }
  results.resize(items.size(), no_answer());
  return results;
}

DeleteAcls::Request DeleteAcls::request(const std::vector<Item>& items, std::int32_t) {
  Request request;
  for (const auto& item : items) {
    auto& filter = request.filters.emplace_back();
    filter.resource_type_filter = static_cast<std::int8_t>(item.resource.type);
    filter.resource_name_filter = item.resource.name;
    filter.pattern_type_filter = static_cast<std::int8_t>(item.resource.pattern);
    filter.principal_filter = item.principal;
    filter.host_filter = item.host;
    filter.operation = static_cast<std::int8_t>(item.operation);
    filter.permission_type = static_cast<std::int8_t>(item.permission);
  }
  return request;
}

ItemResults DeleteAcls::results(const std::vector<Item>& items, const Request::Response& response) {
  ItemResults results;
  for (const auto& filter : response.filter_results) {
    ItemResult result = result_of(filter.error_code, filter.error_message);
    for (const auto& match : filter.matching_acls) {
      if (result.code == ErrorCode::kNone)
        result = result_of(match.error_code, match.error_message);
    }
    results.push_back(std::move(result));
  }
  results.resize(items.size(), no_answer());
  return results;
}

AlterScramCredentials::Request AlterScramCredentials::request(const std::vector<Item>& items,
                                                              std::int32_t) {
  Request request;
  for (const ScramChange& item : items) {
    const auto mechanism = static_cast<std::int8_t>(item.mechanism);
    if (item.remove) {
      request.deletions.push_back({item.username, mechanism});
    } else {
      request.upsertions.push_back({item.username, mechanism, item.iterations,
                                    broker::Slice(item.salt), broker::Slice(item.salted_password)});
    }
  }
  return request;
}

ItemResults AlterScramCredentials::results(const std::vector<Item>& items,
                                           const Request::Response& response) {
  ByKey<std::string> by_user;
  for (const auto& result : response.results) {
    by_user.add(result.user, result_of(result.error_code, result.error_message));
  }
  ItemResults results;
  for (const ScramChange& item : items) results.push_back(by_user.of(item.username));
  return results;
}

AlterClientQuotas::Request AlterClientQuotas::request(const std::vector<Item>& items,
                                                      std::int32_t) {
  Request request;
  for (const QuotaChange& item : items) {
    auto& entry = request.entries.emplace_back();
    entry.entity.push_back({"user", item.username});
    for (const auto& [key, value] : item.values)
      entry.ops.push_back({key, value.value_or(0), !value.has_value()});
  }
  return request;
}

ItemResults AlterClientQuotas::results(const std::vector<Item>& items,
                                       const Request::Response& response) {
  ByKey<std::string> by_user;
  for (const auto& entry : response.entries) {
    if (entry.entity.empty()) continue;
    by_user.add(entry.entity.front().entity_name.value_or(""),
                result_of(entry.error_code, entry.error_message));
  }
  ItemResults results;
  for (const QuotaChange& item : items) results.push_back(by_user.of(item.username));
  return results;
}

ReassignPartitions::Request ReassignPartitions::request(const std::vector<Item>& items,
                                                        std::int32_t timeout_ms) {
  Request request;
  request.timeout_ms = timeout_ms;
  for (const auto& [topic, of_topic] : by_topic(items)) {
    auto& wanted = request.topics.emplace_back();
    wanted.name = topic;
    for (const Item* item : of_topic) {
      auto& partition = wanted.partitions.emplace_back();
      partition.partition_index = item->partition;
      partition.replicas = item->replicas;
    }
  }
  return request;
}

ItemResults ReassignPartitions::results(const std::vector<Item>& items,
                                        const Request::Response& response) {
  const ItemResult whole = result_of(response.error_code, response.error_message);
  ByKey<std::pair<std::string, std::int32_t>> by_partition;
  for (const auto& topic : response.responses) {
    for (const auto& partition : topic.partitions) {
      by_partition.add({topic.name, partition.partition_index},
                       result_of(partition.error_code, partition.error_message));
    }
  }
  ItemResults results;
  for (const Item& item : items) {
    ItemResult result =
        whole.code == ErrorCode::kNone ? by_partition.of({item.topic, item.partition}) : whole;
    if (!item.replicas && result.code == ErrorCode::kNoReassignmentInProgress) result = {};
    results.push_back(std::move(result));
  }
  return results;
}

ElectPreferredLeaders::Request ElectPreferredLeaders::request(const std::vector<Item>& items,
                                                              std::int32_t timeout_ms) {
  Request request;
  request.timeout_ms = timeout_ms;
  request.election_type = 0;
  request.topic_partitions.emplace();
  for (const auto& [topic, of_topic] : by_topic(items)) {
    auto& wanted = request.topic_partitions->emplace_back();
    wanted.topic = topic;
    for (const Item* item : of_topic) wanted.partitions.push_back(item->partition);
  }
  return request;
}

ItemResults ElectPreferredLeaders::results(const std::vector<Item>& items,
                                           const Request::Response& response) {
  const ItemResult whole = result_of(response.error_code, std::nullopt);
  ByKey<std::pair<std::string, std::int32_t>> by_partition;
  for (const auto& topic : response.replica_election_results) {
    for (const auto& partition : topic.partition_result) {
      by_partition.add({topic.topic, partition.partition_id},
                       result_of(partition.error_code, partition.error_message));
    }
  }
  ItemResults results;
  for (const Item& item : items) {
    ItemResult result =
        whole.code == ErrorCode::kNone ? by_partition.of({item.topic, item.partition}) : whole;
    if (result.code == ErrorCode::kElectionNotNeeded) result = {};
    results.push_back(std::move(result));
  }
  return results;
}

UnregisterBroker::Request UnregisterBroker::request(const std::vector<Item>& items, std::int32_t) {
  Request request;
  request.broker_id = items.front();
  return request;
}

ItemResults UnregisterBroker::results(const std::vector<Item>& items,
                                      const Request::Response& response) {
  ItemResult result = result_of(response.error_code, response.error_message);
  if (result.code == ErrorCode::kBrokerIdNotRegistered) result = {};
  return ItemResults(items.size(), result);
}

}  // namespace op::kafka
