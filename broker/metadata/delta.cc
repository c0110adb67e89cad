#include "broker/metadata/delta.h"

#include <algorithm>
#include <utility>

namespace broker::metadata {
namespace {

std::vector<BrokerId> to_ids(const std::vector<std::int32_t>& numbers) {
  std::vector<BrokerId> ids;
  ids.reserve(numbers.size());
  for (const std::int32_t number : numbers) ids.push_back(BrokerId{number});
  return ids;
}

template <class Endpoints>
std::vector<RegisteredEndpoint> to_endpoints(const Endpoints& from) {
  std::vector<RegisteredEndpoint> out;
  for (const auto& e : from) out.push_back({e.name, e.host, e.port, e.security_protocol});
  return out;
}

template <class Features>
std::vector<RegisteredFeature> to_features(const Features& from) {
  std::vector<RegisteredFeature> out;
  for (const auto& f : from)
    out.push_back({f.name, f.min_supported_version, f.max_supported_version});
  return out;
}

/// Old partition records have no directories: "migrating" says that the broker knows, we do not.
std::vector<DirectoryId> directories_or_default(const std::vector<Uuid>& given, std::size_t count) {
  return given.empty() ? std::vector<DirectoryId>(count, kDirectoryMigrating) : given;
}

}  // namespace

/// One record onto one state. A method fails before it changes anything.
struct MetadataDelta::Replayer {
  MetadataImage& image;
  MetadataChanges& changes;
  ReplayAs as;

  Result<void> operator()(const protocol::RegisterBrokerRecord& r) {
    BrokerRegistration broker;
    broker.id = BrokerId{r.broker_id};
    broker.epoch = BrokerEpoch{r.broker_epoch};
    broker.incarnation = r.incarnation_id;
    broker.endpoints = to_endpoints(r.end_points);
    broker.features = to_features(r.features);
    broker.rack = r.rack;
    broker.fenced = r.fenced;
    broker.in_controlled_shutdown = r.in_controlled_shutdown;
    broker.is_migrating_zk_broker = r.is_migrating_zk_broker;
    broker.log_dirs = r.log_dirs;
    if (r.cordoned_log_dirs) broker.cordoned_log_dirs = *r.cordoned_log_dirs;
    changes.brokers.insert(broker.id);
    const BrokerId id = broker.id;
    image.cluster.brokers.set(id, std::move(broker));
    return {};
  }

  /// The registration a record speaks of, which must be the one we have.
  Result<BrokerRegistration> registration(std::int32_t id, std::int64_t epoch, const char* record) {
    const BrokerRegistration* found = image.cluster.broker(BrokerId{id});
    if (found == nullptr)
      return Error{
          ErrorCode::kBrokerIdNotRegistered,
          std::string(record) + " for broker " + std::to_string(id) + ", which is not registered"};
    if (found->epoch.value != epoch)
      return Error{ErrorCode::kStaleBrokerEpoch, std::string(record) + " for broker " +
                                                     std::to_string(id) + " with epoch " +
                                                     std::to_string(epoch) + ", but it has " +
                                                     std::to_string(found->epoch.value)};
    return *found;
  }

  void put(BrokerRegistration broker) {
    const BrokerId id = broker.id;
    changes.brokers.insert(id);
    image.cluster.brokers.set(id, std::move(broker));
  }

  Result<void> operator()(const protocol::UnregisterBrokerRecord& r) {
    ASSIGN_OR_RETURN(const BrokerRegistration broker,
                     registration(r.broker_id, r.broker_epoch, r.kName));
    image.cluster.brokers.erase(broker.id);
    changes.brokers.insert(broker.id);
    return {};
  }
  Result<void> operator()(const protocol::FenceBrokerRecord& r) {
    ASSIGN_OR_RETURN(BrokerRegistration broker, registration(r.id, r.epoch, r.kName));
    broker.fenced = true;
    put(std::move(broker));
    return {};
  }
  Result<void> operator()(const protocol::UnfenceBrokerRecord& r) {
    ASSIGN_OR_RETURN(BrokerRegistration broker, registration(r.id, r.epoch, r.kName));
    broker.fenced = false;
    put(std::move(broker));
    return {};
  }
  Result<void> operator()(const protocol::BrokerRegistrationChangeRecord& r) {
    ASSIGN_OR_RETURN(BrokerRegistration broker, registration(r.broker_id, r.broker_epoch, r.kName));
    if (r.fenced < -1 || r.fenced > 1 || r.in_controlled_shutdown < 0 ||
        r.in_controlled_shutdown > 1)
      return Error{ErrorCode::kInvalidRecord, std::string(r.kName) + " with an unknown change"};
    if (r.fenced != 0) broker.fenced = r.fenced == 1;
    if (r.in_controlled_shutdown == 1) broker.in_controlled_shutdown = true;
    if (!r.log_dirs.empty()) broker.log_dirs = r.log_dirs;
    if (r.cordoned_log_dirs) broker.cordoned_log_dirs = *r.cordoned_log_dirs;
    put(std::move(broker));
    return {};
  }
  Result<void> operator()(const protocol::RegisterControllerRecord& r) {
    const BrokerId id{r.controller_id};
    image.cluster.controllers.set(
        id, ControllerRegistration{id, r.incarnation_id, r.zk_migration_ready,
                                   to_endpoints(r.end_points), to_features(r.features)});
    changes.controllers.insert(id);
    return {};
  }

  Result<void> operator()(const protocol::TopicRecord& r) {
    if (const TopicId* id = image.topics.ids.find(r.name))
      return Error{ErrorCode::kInconsistentTopicId, "TopicRecord for " + r.name + " with id " +
                                                        r.topic_id.to_string() + ", but it has " +
                                                        id->to_string()};
    if (image.topics.find(r.topic_id) != nullptr)
      return Error{ErrorCode::kInconsistentTopicId,
                   "TopicRecord with an id that exists: " + r.topic_id.to_string()};
    image.topics.by_id.set(r.topic_id, TopicImage{r.name, r.topic_id, {}});
    image.topics.ids.set(r.name, r.topic_id);
    changes.topics_created[r.topic_id] = r.name;
    return {};
  }
  Result<void> operator()(const protocol::RemoveTopicRecord& r) {
    ASSIGN_OR_RETURN(const TopicImage topic, topic_of(r.topic_id, r.kName));
    image.topics.by_id.erase(topic.id);
    image.topics.ids.erase(topic.name);
    changes.partitions.erase(topic.id);
    // Created and deleted between two images: nobody has seen it.
    if (changes.topics_created.erase(topic.id) == 0) changes.topics_deleted[topic.id] = topic.name;
    const ConfigResource resource{ConfigResourceType::kTopic, topic.name};
    if (image.configs.by_resource.erase(resource)) changes.configs.insert(resource);
    return {};
  }

  Result<TopicImage> topic_of(const TopicId& id, const char* record) {
    const TopicImage* topic = image.topics.find(id);
    if (topic == nullptr)
      return Error{ErrorCode::kUnknownTopicId,
                   std::string(record) + " for a topic that does not exist: " + id.to_string()};
    return *topic;
  }
  void put(TopicImage topic, std::int32_t index, PartitionRegistration partition) {
    changes.partitions[topic.id].insert(index);
    topic.partitions.set(index, std::move(partition));
    const TopicId id = topic.id;
    image.topics.by_id.set(id, std::move(topic));
  }

  Result<void> operator()(const protocol::PartitionRecord& r) {
    ASSIGN_OR_RETURN(TopicImage topic, topic_of(r.topic_id, r.kName));
    PartitionRegistration p;
    p.replicas = to_ids(r.replicas);
    p.directories = directories_or_default(r.directories, p.replicas.size());
    if (p.directories.size() != p.replicas.size())
      return Error{ErrorCode::kInvalidRecord, "PartitionRecord of " + topic.name + "-" +
                                                  std::to_string(r.partition_id) +
                                                  " has not one directory per replica"};
    p.isr = to_ids(r.isr);
    p.removing_replicas = to_ids(r.removing_replicas);
    p.adding_replicas = to_ids(r.adding_replicas);
    if (r.eligible_leader_replicas) p.elr = to_ids(*r.eligible_leader_replicas);
    if (r.last_known_elr) p.last_known_elr = to_ids(*r.last_known_elr);
    p.leader = BrokerId{r.leader};
    p.leader_recovery_state = static_cast<LeaderRecoveryState>(r.leader_recovery_state);
    p.leader_epoch = LeaderEpoch{r.leader_epoch};
    p.partition_epoch = PartitionEpoch{r.partition_epoch};
    put(std::move(topic), r.partition_id, std::move(p));
    return {};
  }

  Result<void> operator()(const protocol::PartitionChangeRecord& r) {
    ASSIGN_OR_RETURN(TopicImage topic, topic_of(r.topic_id, r.kName));
    const PartitionRegistration* before = topic.partitions.find(r.partition_id);
    if (before == nullptr)
      return Error{ErrorCode::kUnknownTopicOrPartition,
                   "PartitionChangeRecord for a partition that does not exist: " + topic.name +
                       "-" + std::to_string(r.partition_id)};
    constexpr std::int32_t kNoLeaderChange = -2;
    PartitionRegistration p = *before;
    if (r.replicas) p.replicas = to_ids(*r.replicas);
    if (r.directories) p.directories = directories_or_default(*r.directories, p.replicas.size());
    // Without directories beside them, replicas that moved have none that is known.
    if (r.replicas && !r.directories) {
      p.directories.clear();
      for (const BrokerId id : p.replicas) p.directories.push_back(before->directory_of(id));
    }
    if (p.directories.size() != p.replicas.size())
      return Error{ErrorCode::kInvalidRecord, "PartitionChangeRecord of " + topic.name + "-" +
                                                  std::to_string(r.partition_id) +
                                                  " has not one directory per replica"};
    if (r.isr) p.isr = to_ids(*r.isr);
    if (r.removing_replicas) p.removing_replicas = to_ids(*r.removing_replicas);
    if (r.adding_replicas) p.adding_replicas = to_ids(*r.adding_replicas);
    if (r.eligible_leader_replicas) p.elr = to_ids(*r.eligible_leader_replicas);
    if (r.last_known_elr) p.last_known_elr = to_ids(*r.last_known_elr);
    if (r.leader_recovery_state != -1)
      p.leader_recovery_state = static_cast<LeaderRecoveryState>(r.leader_recovery_state);
    if (r.leader != kNoLeaderChange) {
      p.leader = BrokerId{r.leader};
      ++p.leader_epoch.value;  // also when the same leader is named again
    }
    ++p.partition_epoch.value;
    put(std::move(topic), r.partition_id, std::move(p));
    return {};
  }
  Result<void> operator()(const protocol::ClearElrRecord& r) {
    if (!r.topic_name.empty() && image.topics.find(r.topic_name) == nullptr)
      return Error{ErrorCode::kUnknownTopicOrPartition,
                   "ClearElrRecord for a topic that does not exist: " + r.topic_name};
    const TopicsImage before = image.topics;
    for (const auto& [id, topic] : before.by_id) {
      if (!r.topic_name.empty() && topic.name != r.topic_name) continue;
      for (const auto& [index, partition] : topic.partitions) {
        if (partition.elr.empty() && partition.last_known_elr.empty()) continue;
        PartitionRegistration p = partition;
        p.elr.clear();
        p.last_known_elr.clear();
        ++p.partition_epoch.value;
        put(*image.topics.find(id), index, std::move(p));
      }
    }
    return {};
  }

  Result<void> operator()(const protocol::ConfigRecord& r) {
    ConfigResource resource{static_cast<ConfigResourceType>(r.resource_type), r.resource_name};
    config::ConfigMap values = image.configs.of(resource);
    if (r.value)
      values[r.name] = *r.value;
    else
      values.erase(r.name);
    changes.configs.insert(resource);
    if (values.empty())
      image.configs.by_resource.erase(resource);
    else
      image.configs.by_resource.set(std::move(resource), std::move(values));
    return {};
  }
  Result<void> operator()(const protocol::FeatureLevelRecord& r) {
    const SupportedFeature* supported = find_supported_feature(r.name);
    if (as == ReplayAs::kMember && r.feature_level != 0 && supported != nullptr &&
        (r.feature_level < supported->min || r.feature_level > supported->max))
      return Error{ErrorCode::kUnsupportedVersion,
                   "feature " + r.name + " is finalised at " + std::to_string(r.feature_level) +
                       ", this software runs " + std::to_string(supported->min) + " to " +
                       std::to_string(supported->max)};
    if (r.feature_level == 0)
      image.features.levels.erase(r.name);
    else
      image.features.levels.set(r.name, r.feature_level);
    changes.features = true;
    return {};
  }

  Result<void> operator()(const protocol::ClientQuotaRecord& r) {
    QuotaEntity entity;
    for (const auto& part : r.entity) entity.emplace_back(part.entity_type, part.entity_name);
    std::sort(entity.begin(), entity.end());
    const auto* before = image.client_quotas.by_entity.find(entity);
    std::map<std::string, double> values;
    if (before != nullptr) values = *before;
    if (r.remove)
      values.erase(r.key);
    else
      values[r.key] = r.value;
    changes.client_quotas.insert(entity);
    if (values.empty())
      image.client_quotas.by_entity.erase(entity);
    else
      image.client_quotas.by_entity.set(std::move(entity), std::move(values));
    return {};
  }
  Result<void> operator()(const protocol::ProducerIdsRecord& r) {
    if (r.next_producer_id < image.next_producer_id)
      return Error{ErrorCode::kInvalidRecord, "ProducerIdsRecord goes back from " +
                                                  std::to_string(image.next_producer_id) + " to " +
                                                  std::to_string(r.next_producer_id)};
    image.next_producer_id = r.next_producer_id;
    changes.producer_ids = true;
    return {};
  }

  Result<void> operator()(const protocol::AccessControlEntryRecord& r) {
    security::AclBinding binding;
    binding.resource.type = static_cast<security::ResourceType>(r.resource_type);
    binding.resource.name = r.resource_name;
    binding.resource.pattern = static_cast<security::PatternType>(r.pattern_type);
    binding.principal = r.principal;
    binding.host = r.host;
    binding.operation = static_cast<security::AclOperation>(r.operation);
    binding.permission = static_cast<security::AclPermission>(r.permission_type);
    image.acls.by_id.set(r.id, std::move(binding));
    changes.acls.insert(r.id);
    return {};
  }
  Result<void> operator()(const protocol::RemoveAccessControlEntryRecord& r) {
    if (!image.acls.by_id.erase(r.id))
      return Error{ErrorCode::kInvalidRecord,
                   "RemoveAccessControlEntryRecord for an ACL that does "
                   "not exist: " +
                       r.id.to_string()};
    changes.acls.insert(r.id);
    return {};
  }

  Result<void> operator()(const protocol::UserScramCredentialRecord& r) {
    const auto bytes = [](const Slice& from) {
      return security::Bytes(from.data(), from.data() + from.size());
    };
    std::pair key(r.name, static_cast<security::ScramMechanism>(r.mechanism));
    changes.scram.insert(key);
    image.scram.credentials.set(std::move(key),
                                security::ScramCredential{bytes(r.salt), bytes(r.stored_key),
                                                          bytes(r.server_key), r.iterations});
    return {};
  }
  Result<void> operator()(const protocol::RemoveUserScramCredentialRecord& r) {
    std::pair key(r.name, static_cast<security::ScramMechanism>(r.mechanism));
    if (!image.scram.credentials.erase(key))
      return Error{
          ErrorCode::kInvalidRecord,
          "RemoveUserScramCredentialRecord for a credential that does not exist: " + r.name};
    changes.scram.insert(std::move(key));
    return {};
  }

  Result<void> operator()(const protocol::DelegationTokenRecord& r) {
    image.delegation_tokens.set(
        r.token_id, DelegationTokenImage{r.owner, r.requester, r.renewers, r.issue_timestamp,
                                         r.max_timestamp, r.expiration_timestamp});
    changes.delegation_tokens = true;
    return {};
  }
  Result<void> operator()(const protocol::RemoveDelegationTokenRecord& r) {
    image.delegation_tokens.erase(r.token_id);
    changes.delegation_tokens = true;
    return {};
  }
  Result<void> operator()(const protocol::ZkMigrationStateRecord& r) {
    image.zk_migration_state = r.zk_migration_state;
    return {};
  }
  Result<void> operator()(const protocol::NoOpRecord&) { return {}; }

  // replay() handles these before it comes here.
  Result<void> operator()(const protocol::BeginTransactionRecord&) { return {}; }
  Result<void> operator()(const protocol::EndTransactionRecord&) { return {}; }
  Result<void> operator()(const protocol::AbortTransactionRecord&) { return {}; }
};

MetadataDelta::MetadataDelta(ImagePtr image, ReplayAs as) : as_(as) { current_.image = *image; }

Result<void> MetadataDelta::replay(const MetadataRecord& record) {
  const bool begins = std::holds_alternative<protocol::BeginTransactionRecord>(record);
  const bool ends = std::holds_alternative<protocol::EndTransactionRecord>(record);
  const bool aborts = std::holds_alternative<protocol::AbortTransactionRecord>(record);
  if (begins == in_transaction() && (begins || ends || aborts))
    return Error{ErrorCode::kInvalidRecord, std::string(record_name(record)) +
                                                (begins ? " inside" : " outside") +
                                                " a metadata transaction"};
  if (begins) {
    before_transaction_ = current_;
    return {};
  }
  if (ends) {
    before_transaction_.reset();
    return {};
  }
  if (aborts) {
    current_ = std::move(*before_transaction_);
    before_transaction_.reset();
    return {};
  }
  return std::visit(Replayer{current_.image, current_.changes, as_}, record);
}

MetadataUpdate MetadataDelta::apply(const MetadataProvenance& provenance) {
  State& visible = before_transaction_ ? *before_transaction_ : current_;
  visible.image.provenance = provenance;
  current_.image.provenance = provenance;
  MetadataUpdate update{std::make_shared<const MetadataImage>(visible.image),
                        std::move(visible.changes)};
  visible.changes = {};
  if (before_transaction_) {
    // What came before the transaction has been reported now; only its own changes are left, and
    // those are what the transaction's image and the published one differ in.
    current_.changes = diff(*update.image, current_.image);
  }
  return update;
}

}  // namespace broker::metadata
