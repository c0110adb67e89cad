#include "broker/metadata/snapshot.h"

#include <utility>

namespace broker::metadata {
namespace {

std::vector<std::int32_t> to_numbers(const std::vector<BrokerId>& ids) {
  std::vector<std::int32_t> out;
  out.reserve(ids.size());
  for (const BrokerId id : ids) out.push_back(id.value);
  return out;
}

void add_features(const FeaturesImage& features, MetadataRecords& out) {
  const auto add = [&](const std::string& name, std::int16_t level) {
    protocol::FeatureLevelRecord record;
    record.name = name;
    record.feature_level = level;
    out.emplace_back(std::move(record));
  };
  // First, because it decides how the others are read.
  if (const std::int16_t level = features.level(kMetadataVersionFeature); level != 0)
    add(std::string(kMetadataVersionFeature), level);
  for (const auto& [name, level] : features.levels)
    if (name != kMetadataVersionFeature) add(name, level);
}

void add_brokers(const ClusterImage& cluster, std::int16_t version, MetadataRecords& out) {
  for (const auto& [id, broker] : cluster.brokers) {
    protocol::RegisterBrokerRecord record;
    record.broker_id = id.value;
    record.is_migrating_zk_broker = broker.is_migrating_zk_broker;
    record.incarnation_id = broker.incarnation;
    record.broker_epoch = broker.epoch.value;
    for (const auto& e : broker.endpoints)
      record.end_points.push_back({e.name, e.host, e.port, e.security_protocol});
    for (const auto& f : broker.features) record.features.push_back({f.name, f.min, f.max});
    record.rack = broker.rack;
    record.fenced = broker.fenced;
    record.in_controlled_shutdown = broker.in_controlled_shutdown;
    record.log_dirs = broker.log_dirs;
    if (!broker.cordoned_log_dirs.empty()) record.cordoned_log_dirs = broker.cordoned_log_dirs;
    out.emplace_back(std::move(record));
  }
  if (version < kMetadataVersion3_7_IV0) return;
  for (const auto& [id, controller] : cluster.controllers) {
    protocol::RegisterControllerRecord record;
    record.controller_id = id.value;
    record.incarnation_id = controller.incarnation;
    record.zk_migration_ready = controller.zk_migration_ready;
    for (const auto& e : controller.endpoints)
      record.end_points.push_back({e.name, e.host, e.port, e.security_protocol});
    for (const auto& f : controller.features) record.features.push_back({f.name, f.min, f.max});
    out.emplace_back(std::move(record));
  }
}

protocol::PartitionRecord to_record(const TopicId& topic, std::int32_t index,
                                    const PartitionRegistration& p) {
  protocol::PartitionRecord record;
  record.partition_id = index;
  record.topic_id = topic;
  record.replicas = to_numbers(p.replicas);
  record.isr = to_numbers(p.isr);
  record.removing_replicas = to_numbers(p.removing_replicas);
  record.adding_replicas = to_numbers(p.adding_replicas);
  record.leader = p.leader.value;
  record.leader_recovery_state = static_cast<std::int8_t>(p.leader_recovery_state);
  record.leader_epoch = p.leader_epoch.value;
  record.partition_epoch = p.partition_epoch.value;
  record.directories = p.directories;
  if (!p.elr.empty()) record.eligible_leader_replicas = to_numbers(p.elr);
  if (!p.last_known_elr.empty()) record.last_known_elr = to_numbers(p.last_known_elr);
  return record;
}

void add_topics(const TopicsImage& topics, MetadataRecords& out) {
  for (const auto& [id, topic] : topics.by_id) {
    protocol::TopicRecord record;
    record.name = topic.name;
    record.topic_id = id;
    out.emplace_back(std::move(record));
    for (const auto& [index, partition] : topic.partitions)
      out.emplace_back(to_record(id, index, partition));
  }
}

void add_configs(const ConfigsImage& configs, MetadataRecords& out) {
  for (const auto& [resource, values] : configs.by_resource) {
    for (const auto& [name, value] : values) {
      protocol::ConfigRecord record;
      record.resource_type = static_cast<std::int8_t>(resource.type);
      record.resource_name = resource.name;
      record.name = name;
      record.value = value;
      out.emplace_back(std::move(record));
    }
  }
}

void add_quotas(const ClientQuotasImage& quotas, MetadataRecords& out) {
  for (const auto& [entity, values] : quotas.by_entity) {
    for (const auto& [key, value] : values) {
      protocol::ClientQuotaRecord record;
      for (const auto& [type, name] : entity) record.entity.push_back({type, name});
      record.key = key;
      record.value = value;
      out.emplace_back(std::move(record));
    }
  }
}

void add_security(const MetadataImage& image, MetadataRecords& out) {
  for (const auto& [id, binding] : image.acls.by_id) {
    protocol::AccessControlEntryRecord record;
    record.id = id;
    record.resource_type = static_cast<std::int8_t>(binding.resource.type);
    record.resource_name = binding.resource.name;
    record.pattern_type = static_cast<std::int8_t>(binding.resource.pattern);
    record.principal = binding.principal;
    record.host = binding.host;
    record.operation = static_cast<std::int8_t>(binding.operation);
    record.permission_type = static_cast<std::int8_t>(binding.permission);
    out.emplace_back(std::move(record));
  }
  if (image.features.metadata_version() >= kMetadataVersion3_5_IV2) {
    for (const auto& [key, credential] : image.scram.credentials) {
      protocol::UserScramCredentialRecord record;
      record.name = key.first;
      record.mechanism = static_cast<std::int8_t>(key.second);
      record.salt = Slice::copy_of(credential.salt);
      record.stored_key = Slice::copy_of(credential.stored_key);
      record.server_key = Slice::copy_of(credential.server_key);
      record.iterations = credential.iterations;
      out.emplace_back(std::move(record));
    }
  }
  for (const auto& [id, token] : image.delegation_tokens) {
    protocol::DelegationTokenRecord record;
    record.owner = token.owner;
    record.requester = token.requester;
    record.renewers = token.renewers;
    record.issue_timestamp = token.issued;
    record.max_timestamp = token.max;
    record.expiration_timestamp = token.expires;
    record.token_id = id;
    out.emplace_back(std::move(record));
  }
}

}  // namespace

MetadataRecords image_records(const MetadataImage& image) {
  MetadataRecords out;
  const std::int16_t version = image.features.metadata_version();
  add_features(image.features, out);
  add_brokers(image.cluster, version, out);
  add_topics(image.topics, out);
  add_configs(image.configs, out);
  add_quotas(image.client_quotas, out);
  if (image.next_producer_id > 0) {
    protocol::ProducerIdsRecord record;
    record.broker_id = -1;
    record.next_producer_id = image.next_producer_id;
    out.emplace_back(std::move(record));
  }
  add_security(image, out);
  if (image.zk_migration_state != 0) {
    protocol::ZkMigrationStateRecord record;
    record.zk_migration_state = image.zk_migration_state;
    out.emplace_back(std::move(record));
  }
  for (MetadataRecord& record : out) restrict_to_version(record, version);
  return out;
}

}  // namespace broker::metadata
