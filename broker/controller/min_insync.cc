#include "broker/controller/min_insync.h"

#include "broker/controller/partition_change.h"
#include "broker/controller/partition_index.h"
#include "broker/metadata/features.h"

namespace broker::controller {
namespace {

using metadata::ConfigResourceType;

constexpr char kMinInsync[] = "min.insync.replicas";

bool elr_is_on(const metadata::MetadataImage& image) {
  return image.features.level(metadata::kElrVersionFeature) >= 1;
}

const protocol::ConfigRecord* as_min_insync(const metadata::MetadataRecord& record) {
  const auto* config = std::get_if<protocol::ConfigRecord>(&record);
  return config != nullptr && config->name == kMinInsync ? config : nullptr;
}

bool is_broker(const protocol::ConfigRecord& config) {
  return config.resource_type == static_cast<std::int8_t>(ConfigResourceType::kBroker);
}

/// Where nobody is in sync nothing is committed, whatever the minimum: who was eligible still is,
/// and without them nobody could lead again. In `topic`, or all of them if that is empty.
void keep_last_hopes(const DecideContext& context, const std::string& topic,
                     metadata::MetadataRecords& out) {
  for (const auto& [id, index] : context.partitions.leaderless()) {
    const metadata::TopicImage* image = context.image.topics.find(id);
    if (image == nullptr || (!topic.empty() && image->name != topic)) continue;
    const auto* partition = image->partitions.find(index);
    if (partition == nullptr || !partition->isr.empty()) continue;
    if (partition->elr.empty() && partition->last_known_elr.empty()) continue;
    protocol::PartitionChangeRecord keep;
    keep.topic_id = id;
    keep.partition_id = index;
    keep.leader = kNoLeaderChange;
    keep.eligible_leader_replicas = to_numbers(partition->elr);
    keep.last_known_elr = to_numbers(partition->last_known_elr);
    out.emplace_back(std::move(keep));
  }
}

}  // namespace

Result<void> check_min_insync_change(const metadata::MetadataImage& image,
                                     const metadata::MetadataRecords& config_records) {
  if (!elr_is_on(image)) return {};
  for (const auto& record : config_records) {
    const protocol::ConfigRecord* config = as_min_insync(record);
    if (config == nullptr || !is_broker(*config)) continue;
    if (!config->resource_name.empty())
      return Error{ErrorCode::kInvalidConfig,
                   "Broker-level min.insync.replicas cannot be altered while ELR is enabled."};
    if (!config->value)
      return Error{ErrorCode::kInvalidConfig,
                   "Cluster-level min.insync.replicas cannot be removed while ELR is enabled."};
  }
  return {};
}

metadata::MetadataRecords after_min_insync_change(const DecideContext& context,
                                                  const metadata::MetadataRecords& config_records) {
  metadata::MetadataRecords out;
  if (!elr_is_on(context.image)) return out;
  for (const auto& record : config_records) {
    const protocol::ConfigRecord* config = as_min_insync(record);
    if (config == nullptr) continue;
    protocol::ClearElrRecord clear;
    if (!is_broker(*config)) clear.topic_name = config->resource_name;
    out.emplace_back(clear);
    keep_last_hopes(context, clear.topic_name, out);
  }
  return out;
}

metadata::MetadataRecords prepare_elr(const metadata::MetadataImage& image,
                                      const ControllerOptions& options) {
  metadata::MetadataRecords out;
  protocol::ConfigRecord record;
  record.resource_type = static_cast<std::int8_t>(ConfigResourceType::kBroker);
  record.name = kMinInsync;
  bool pinned = false;
  for (const auto& [resource, values] : image.configs.by_resource) {
    if (resource.type != ConfigResourceType::kBroker || !values.contains(kMinInsync)) continue;
    if (resource.name.empty()) {
      pinned = true;
      continue;
    }
    record.resource_name = resource.name;
    record.value = std::nullopt;
    out.emplace_back(record);
  }
  if (pinned) return out;
  const auto configured = options.static_values.find(kMinInsync);
  record.resource_name.clear();
  record.value = configured == options.static_values.end() ? "1" : configured->second;
  out.emplace_back(std::move(record));
  return out;
}

}  // namespace broker::controller
