#include "operator/kafka/describe_watch.h"

#include <algorithm>
#include <set>

#include "broker/protocol/frame.h"
#include "broker/protocol/messages/describe_acls_request.h"
#include "broker/protocol/messages/describe_acls_response.h"
#include "broker/protocol/messages/describe_client_quotas_request.h"
#include "broker/protocol/messages/describe_client_quotas_response.h"
#include "broker/protocol/messages/describe_configs_request.h"
#include "broker/protocol/messages/describe_configs_response.h"
#include "broker/protocol/messages/describe_user_scram_credentials_request.h"
#include "broker/protocol/messages/describe_user_scram_credentials_response.h"
#include "broker/protocol/messages/metadata_request.h"

namespace op::kafka {
namespace {

using broker::BrokerId;
using broker::Error;
using broker::ErrorCode;
using broker::Result;
using broker::Uuid;
namespace metadata = broker::metadata;
namespace protocol = broker::protocol;
namespace security = broker::security;

constexpr std::int8_t kTopicResource = 2;
constexpr std::int8_t kBrokerResource = 4;
// Sources of DescribeConfigs: set on the resource itself, not inherited.
constexpr std::int8_t kDynamicTopicConfig = 1;
constexpr std::int8_t kDynamicDefaultBrokerConfig = 3;
constexpr std::int8_t kAny = 1;

/// Clusters of before topic ids: one that follows from the name, so that it stays.
Uuid id_of(const protocol::MetadataResponse::MetadataResponseTopic& topic) {
  if (topic.topic_id != Uuid{}) return topic.topic_id;
  return Uuid{1, std::hash<std::string>{}(topic.name.value_or(""))};
}

metadata::PartitionRegistration partition_of(
    const protocol::MetadataResponse::MetadataResponsePartition& partition) {
  metadata::PartitionRegistration out;
  for (const std::int32_t id : partition.replica_nodes) out.replicas.push_back(BrokerId{id});
  for (const std::int32_t id : partition.isr_nodes) out.isr.push_back(BrokerId{id});
  out.leader = BrokerId{partition.leader_id};
  out.leader_epoch = broker::LeaderEpoch{partition.leader_epoch};
  return out;
}

Uuid binding_id(const security::AclBinding& binding) {
  const std::string text = to_string(binding);
  return Uuid{std::hash<std::string>{}(text), std::hash<std::string>{}(text + "#")};
}

template <class Key, class Value, class Tell>
void differences(const broker::PersistentMap<Key, Value>& before,
                 const broker::PersistentMap<Key, Value>& after, Tell tell) {
  for (const auto& [key, value] : after) {
    const auto* old = before.find(key);
    if (old == nullptr || !(*old == value)) tell(key);
  }
  for (const auto& [key, value] : before)
    if (after.find(key) == nullptr) tell(key);
}

}  // namespace

Changes compare_images(const metadata::MetadataImage& before,
                       const metadata::MetadataImage& after) {
  std::set<std::string> topics;
  std::set<std::string> users;
  std::set<std::string> principals;
  Changes changes;
  differences(before.topics.by_id, after.topics.by_id, [&](const auto& id) {
    for (const auto* image : {&before, &after})
      if (const auto* topic = image->topics.find(id)) topics.insert(topic->name);
  });
  differences(before.configs.by_resource, after.configs.by_resource,
              [&](const metadata::ConfigResource& resource) {
                if (resource.type == metadata::ConfigResourceType::kTopic)
                  topics.insert(resource.name);
                else
                  changes.brokers = true;
              });
  differences(before.scram.credentials, after.scram.credentials,
              [&](const auto& key) { users.insert(key.first); });
  differences(before.client_quotas.by_entity, after.client_quotas.by_entity,
              [&](const metadata::QuotaEntity& entity) {
                for (const auto& [type, name] : entity)
                  if (type == "user" && name) users.insert(*name);
              });
  differences(before.acls.by_id, after.acls.by_id, [&](const Uuid& id) {
    for (const auto* image : {&before, &after})
      if (const auto* binding = image->acls.by_id.find(id)) principals.insert(binding->principal);
  });
  differences(before.cluster.brokers, after.cluster.brokers,
              [&](const auto&) { changes.brokers = true; });
  changes.topics = {topics.begin(), topics.end()};
  changes.users = {users.begin(), users.end()};
  changes.principals = {principals.begin(), principals.end()};
  return changes;
}

DescribeWatch::DescribeWatch(broker::io::Strand& strand, broker::io::Transport& transport,
                             broker::client::ReconnectOptions brokers, DescribeOptions options,
                             DescribeEvents events)
    : strand_(strand),
      options_(options),
      events_(std::move(events)),
      client_(strand, transport, std::move(brokers)) {}

DescribeWatch::~DescribeWatch() { strand_.cancel(timer_); }

void DescribeWatch::look_soon() {
  if (round_) {
    again_ = true;
    return;
  }
  strand_.cancel(std::exchange(timer_, broker::io::kNoTimer));
  begin_round();
}

void DescribeWatch::wrote(const ScramChange& change) {
  const std::pair key(change.username, change.mechanism);
  written_.erase(key);
  if (change.remove) return;
  auto credential = security::scram_credential_from_salted(change.mechanism, change.salted_password,
                                                           change.salt, change.iterations);
  if (credential.ok()) written_.emplace(key, std::move(*credential));
}

template <class Request, class F>
void DescribeWatch::ask(Request request, const char* what, F on_answer) {
  using Response = typename Request::Response;
  client_.call(std::move(request),
               [this, what, on_answer = std::move(on_answer)](Result<Response> response) mutable {
                 if (!response.ok()) return fail(what, response.error());
                 on_answer(*response);
               });
}

void DescribeWatch::begin_round() {
  round_ = true;
  again_ = false;
  next_ = metadata::MetadataImage{};
  protocol::MetadataRequest request;
  request.topics.reset();  // all
  request.allow_auto_topic_creation = false;
  ask(std::move(request), "Metadata",
      [this](const MetadataResponse& response) { on_metadata(response); });
}

void DescribeWatch::on_metadata(const MetadataResponse& response) {
  if (response.error_code != 0)
    return fail("Metadata", Error{protocol::error_from_wire(response.error_code), ""});
  if (const std::string id = response.cluster_id.value_or(""); id != cluster_id_) {
    cluster_id_ = id;
    written_.clear();
    events_.on_cluster_id(id);
  }
  for (const auto& node : response.brokers) {
    metadata::BrokerRegistration broker;
    broker.id = BrokerId{node.node_id};
    broker.rack = node.rack;
    broker.fenced = false;
    next_.cluster.brokers.set(broker.id, std::move(broker));
  }
  configs_left_.clear();
  for (const auto& described : response.topics) {
    if (!described.name || (described.error_code != 0 && described.partitions.empty())) continue;
    metadata::TopicImage topic{*described.name, id_of(described), {}};
    for (const auto& partition : described.partitions)
      topic.partitions.set(partition.partition_index, partition_of(partition));
    next_.topics.ids.set(topic.name, topic.id);
    configs_left_.push_back(topic.name);
    next_.topics.by_id.set(topic.id, std::move(topic));
  }
  describe_configs();
}

void DescribeWatch::describe_configs() {
  if (configs_left_.empty()) return describe_acls();
  protocol::DescribeConfigsRequest request;
  const std::size_t n = std::min(options_.topics_per_request, configs_left_.size());
  for (std::size_t i = 0; i < n; ++i) {
    request.resources.push_back({kTopicResource, std::move(configs_left_.back()), std::nullopt});
    configs_left_.pop_back();
  }
  ask(std::move(request), "DescribeConfigs", [this](const auto& response) {
    for (const auto& result : response.results) {
      const auto code = protocol::error_from_wire(result.error_code);
      if (code == ErrorCode::kUnknownTopicOrPartition) continue;  // gone in the meantime
      if (code != ErrorCode::kNone)
        return fail("DescribeConfigs", Error{code, result.error_message.value_or("")});
      broker::config::ConfigMap own;
      for (const auto& entry : result.configs)
        if (entry.config_source == kDynamicTopicConfig && entry.value)
          own[entry.name] = *entry.value;
      if (!own.empty())
        next_.configs.by_resource.set({metadata::ConfigResourceType::kTopic, result.resource_name},
                                      std::move(own));
    }
    describe_configs();
  });
}

void DescribeWatch::describe_acls() {
  protocol::DescribeAclsRequest request;
  request.resource_type_filter = kAny;
  request.resource_name_filter.reset();
  request.pattern_type_filter = kAny;
  request.principal_filter.reset();
  request.host_filter.reset();
  request.operation = kAny;
  request.permission_type = kAny;
  ask(std::move(request), "DescribeAcls", [this](const auto& response) {
    const auto code = protocol::error_from_wire(response.error_code);
    // Without an authorizer there are none.
    if (code != ErrorCode::kNone && code != ErrorCode::kSecurityDisabled)
      return fail("DescribeAcls", Error{code, response.error_message.value_or("")});
    for (const auto& resource : response.resources) {
      for (const auto& acl : resource.acls) {
        security::AclBinding binding;
        binding.resource = {static_cast<security::ResourceType>(resource.resource_type),
                            resource.resource_name,
                            static_cast<security::PatternType>(resource.pattern_type)};
        binding.principal = acl.principal;
        binding.host = acl.host;
        binding.operation = static_cast<security::AclOperation>(acl.operation);
        binding.permission = static_cast<security::AclPermission>(acl.permission_type);
        next_.acls.by_id.set(binding_id(binding), binding);
      }
    }
    describe_users();
  });
}

void DescribeWatch::describe_users() {
  protocol::DescribeUserScramCredentialsRequest request;
  request.users.reset();  // all
  ask(std::move(request), "DescribeUserScramCredentials", [this](const auto& response) {
    const auto code = protocol::error_from_wire(response.error_code);
    if (code != ErrorCode::kNone)
      return fail("DescribeUserScramCredentials", Error{code, response.error_message.value_or("")});
    for (const auto& result : response.results) {
      for (const auto& info : result.credential_infos) {
        const std::pair key(result.user, static_cast<security::ScramMechanism>(info.mechanism));
        security::ScramCredential credential;
        credential.iterations = info.iterations;
        const auto known = written_.find(key);
        if (known != written_.end() && known->second.iterations == info.iterations)
          credential = known->second;
        next_.scram.credentials.set(key, std::move(credential));
      }
    }
    describe_quotas();
  });
}

void DescribeWatch::describe_quotas() {
  protocol::DescribeClientQuotasRequest request;  // all
  ask(std::move(request), "DescribeClientQuotas", [this](const auto& response) {
    const auto code = protocol::error_from_wire(response.error_code);
    if (code != ErrorCode::kNone)
      return fail("DescribeClientQuotas", Error{code, response.error_message.value_or("")});
    for (const auto& entry : response.entries.value_or(
             std::vector<protocol::DescribeClientQuotasResponse::EntryData>{})) {
      metadata::QuotaEntity entity;
      for (const auto& part : entry.entity) entity.emplace_back(part.entity_type, part.entity_name);
      std::sort(entity.begin(), entity.end());
      std::map<std::string, double> values;
      for (const auto& value : entry.values) values[value.key] = value.value;
      next_.client_quotas.by_entity.set(std::move(entity), std::move(values));
    }
    end_round();
  });
}

void DescribeWatch::end_round() {
  failures_ = 0;
  const metadata::ImagePtr before = std::exchange(
      image_, std::make_shared<const metadata::MetadataImage>(std::exchange(next_, {})));
  if (before == nullptr) {
    events_.on_image(image_, {.everything = true});
  } else if (const Changes changes = compare_images(*before, *image_); changes != Changes{}) {
    events_.on_image(image_, changes);
  }
  events_.on_state(true, "");
  rest(again_ ? broker::Duration::zero() : options_.interval);
}

void DescribeWatch::fail(const std::string& what, const Error& error) {
  std::string problem = what + " was answered " + std::string(broker::error_name(error.code)) +
                        (error.detail.empty() ? "" : ": " + error.detail);
  events_.on_state(false, std::move(problem));
  if (error.code == ErrorCode::kRequestTimedOut || error.code == ErrorCode::kCorruptMessage)
    client_.move_on();
  rest(std::min<broker::Duration>(options_.max_backoff,
                                  options_.min_backoff * (1 << std::min(failures_++, 10))));
}

void DescribeWatch::rest(broker::Duration pause) {
  round_ = false;
  timer_ = strand_.call_after(pause, [this] {
    timer_ = broker::io::kNoTimer;
    begin_round();
  });
}

}  // namespace op::kafka
