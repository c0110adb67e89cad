#include "operator/plan/throttle.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

namespace op::plan {

using broker::BrokerId;
using broker::metadata::ConfigResource;
using broker::metadata::ConfigResourceType;
using broker::metadata::MetadataImage;
using broker::metadata::PartitionRegistration;

namespace {

constexpr const char* kRates[] = {"leader.replication.throttled.rate",
                                  "follower.replication.throttled.rate"};
constexpr const char* kLists[] = {"leader.replication.throttled.replicas",
                                  "follower.replication.throttled.replicas"};

using Entries = std::set<std::pair<std::int32_t, std::int32_t>>;  // partition, broker

/// One list for leaders, one for followers.
struct Listed {
  Entries of[2];

  void add(std::int32_t index, const std::vector<std::int32_t>& have,
           const std::vector<std::int32_t>& get) {
    for (const std::int32_t id : have) of[0].emplace(index, id);
    for (const std::int32_t id : get) of[1].emplace(index, id);
  }
};

std::string to_text(const Entries& entries) {
  std::string out;
  for (const auto& [partition, broker] : entries)
    out += (out.empty() ? "" : ",") + std::to_string(partition) + ":" + std::to_string(broker);
  return out;
}

Entries parse(const std::string& text) {
  Entries out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::size_t colon = text.find(':', at);
    std::int32_t partition = -1;
    std::int32_t broker = -1;
    if (colon < end) {
      std::from_chars(text.data() + at, text.data() + colon, partition);
      std::from_chars(text.data() + colon + 1, text.data() + end, broker);
    }
    if (partition >= 0 && broker >= 0) out.emplace(partition, broker);
    at = end + 1;
  }
  return out;
}

const std::string* value_of(const broker::config::ConfigMap& configs, const char* key) {
  const auto found = configs.find(key);
  return found == configs.end() ? nullptr : &found->second;
}

ConfigResource topic_resource(const std::string& name) {
  return {ConfigResourceType::kTopic, name};
}

/// Replicas that have the partition, and those that are to get it.
void add_moving(Listed& listed, std::int32_t index, const PartitionRegistration& partition) {
  const auto& adding = partition.adding_replicas;
  std::vector<std::int32_t> have;
  std::vector<std::int32_t> get;
  for (const BrokerId id : partition.replicas) {
    const bool is_new = std::find(adding.begin(), adding.end(), id) != adding.end();
    (is_new ? get : have).push_back(id.value);
  }
  listed.add(index, have, get);
}

std::map<std::string, Listed> moving(const MetadataImage& image) {
  std::map<std::string, Listed> out;
  for (const auto& [id, topic] : image.topics.by_id)
    for (const auto& [index, partition] : topic.partitions)
      if (!partition.adding_replicas.empty()) add_moving(out[topic.name], index, partition);
  return out;
}

/// Lists that lack something that they should have.
void complete_lists(const MetadataImage& image, const std::map<std::string, Listed>& needed,
                    std::vector<ThrottleChange>& out) {
  for (const auto& [name, listed] : needed) {
    ThrottleChange change{topic_resource(name), {}};
    const auto& configs = image.configs.of(change.resource);
    for (int side = 0; side < 2; ++side) {
      const std::string* text = value_of(configs, kLists[side]);
      if (text && *text == "*") continue;
      Entries all = text ? parse(*text) : Entries();
      const std::size_t before = all.size();
      all.insert(listed.of[side].begin(), listed.of[side].end());
      if (all.size() > before) change.changes.emplace_back(kLists[side], to_text(all));
    }
    if (!change.changes.empty()) out.push_back(std::move(change));
  }
}

void set_rates(const MetadataImage& image, const std::optional<std::string>& rate,
               std::vector<ThrottleChange>& out) {
  std::set<std::string> names;
  if (rate)
    for (const auto& [id, broker] : image.cluster.brokers) names.insert(std::to_string(id.value));
  for (const auto& [resource, configs] : image.configs.by_resource)
    if (resource.type == ConfigResourceType::kBroker && !rate) names.insert(resource.name);
  for (const std::string& name : names) {
    ThrottleChange change{{ConfigResourceType::kBroker, name}, {}};
    const auto& configs = image.configs.of(change.resource);
    for (const char* key : kRates) {
      const std::string* now = value_of(configs, key);
      if (rate ? !now || *now != *rate : now != nullptr) change.changes.emplace_back(key, rate);
    }
    if (!change.changes.empty()) out.push_back(std::move(change));
  }
}

void remove_lists(const MetadataImage& image, std::vector<ThrottleChange>& out) {
  for (const auto& [resource, configs] : image.configs.by_resource) {
    if (resource.type != ConfigResourceType::kTopic) continue;
    ThrottleChange change{resource, {}};
    for (const char* key : kLists) {
      const std::string* now = value_of(configs, key);
      if (now && *now != "*") change.changes.emplace_back(key, std::nullopt);
    }
    if (!change.changes.empty()) out.push_back(std::move(change));
  }
}

}  // namespace

bool throttle_is_recorded(const api::Cluster& cluster) {
  const auto& declared = cluster.spec.rebalance.throttle_bytes_per_second;
  return !declared || cluster.status.throttle_bytes_per_second == declared;
}

std::vector<ThrottleChange> throttle_for(const MetadataImage& image, std::int64_t bytes_per_second,
                                         const std::vector<Move>& moves) {
  std::vector<ThrottleChange> out;
  std::map<std::string, Listed> needed;
  for (const Move& move : moves) {
    const auto* topic = image.topics.find(move.topic);
    const auto* partition = topic ? topic->partitions.find(move.partition) : nullptr;
    if (!move.replicas || partition == nullptr) continue;
    const std::vector<std::int32_t> have = ids_of(partition->replicas);
    std::vector<std::int32_t> get;
    for (const std::int32_t id : *move.replicas)
      if (std::find(have.begin(), have.end(), id) == have.end()) get.push_back(id);
    if (!get.empty()) needed[move.topic].add(move.partition, have, get);
  }
  if (needed.empty()) return out;
  // What moves already counts too: the list is written as a whole.
  for (auto& [name, listed] : moving(image)) {
    const auto found = needed.find(name);
    if (found == needed.end()) continue;
    for (int side = 0; side < 2; ++side)
      found->second.of[side].insert(listed.of[side].begin(), listed.of[side].end());
  }
  set_rates(image, std::to_string(bytes_per_second), out);
  complete_lists(image, needed, out);
  return out;
}

std::vector<ThrottleChange> plan_throttle(const MetadataImage& image,
                                          std::optional<std::int64_t> declared, bool busy) {
  std::vector<ThrottleChange> out;
  const auto needed = moving(image);
  if (declared && !needed.empty()) {
    set_rates(image, std::to_string(*declared), out);
    complete_lists(image, needed, out);
  } else if (!declared || !busy) {
    remove_lists(image, out);
    set_rates(image, std::nullopt, out);
  }
  return out;
}

}  // namespace op::plan
