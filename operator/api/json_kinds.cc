#include "operator/api/acl.h"
#include "operator/api/external_cluster.h"
#include "operator/api/json_reader.h"
#include "operator/api/rebalance.h"
#include "operator/api/topic.h"
#include "operator/api/user.h"

namespace op::api {

using broker::Result;
using detail::name_of;
using detail::Names;
using detail::parse_object;
using detail::put;
using detail::Reader;
using nlohmann::json;

namespace {

using broker::security::AclOperation;
using broker::security::AclPermission;
using broker::security::PatternType;
using broker::security::ResourceType;

constexpr Names<DeletePolicy, 2> kDeletePolicies{
    {{"Retain", DeletePolicy::kRetain}, {"Delete", DeletePolicy::kDelete}}};
constexpr Names<MissingPolicy, 2> kMissingPolicies{
    {{"Report", MissingPolicy::kReport}, {"Recreate", MissingPolicy::kRecreate}}};
constexpr Names<UserAuth, 3> kUserAuths{{{"ScramSha512", UserAuth::kScramSha512},
                                         {"ScramSha256", UserAuth::kScramSha256},
                                         {"Mtls", UserAuth::kMtls}}};
constexpr Names<ExternalAuth, 5> kExternalAuths{{{"None", ExternalAuth::kNone},
                                                 {"ScramSha512", ExternalAuth::kScramSha512},
                                                 {"ScramSha256", ExternalAuth::kScramSha256},
                                                 {"Plain", ExternalAuth::kPlain},
                                                 {"Mtls", ExternalAuth::kMtls}}};
constexpr Names<AclRoleType, 3> kRoleTypes{{{"Producer", AclRoleType::kProducer},
                                            {"Consumer", AclRoleType::kConsumer},
                                            {"Streams", AclRoleType::kStreams}}};
constexpr Names<PatternType, 2> kPatterns{
    {{"Literal", PatternType::kLiteral}, {"Prefixed", PatternType::kPrefixed}}};
constexpr Names<ResourceType, 6> kResourceTypes{
    {{"Topic", ResourceType::kTopic},
     {"Group", ResourceType::kGroup},
     {"Cluster", ResourceType::kCluster},
     {"TransactionalId", ResourceType::kTransactionalId},
     {"DelegationToken", ResourceType::kDelegationToken},
     {"User", ResourceType::kUser}}};
constexpr Names<AclOperation, 14> kOperations{{{"All", AclOperation::kAll},
                                               {"Read", AclOperation::kRead},
                                               {"Write", AclOperation::kWrite},
                                               {"Create", AclOperation::kCreate},
                                               {"Delete", AclOperation::kDelete},
                                               {"Alter", AclOperation::kAlter},
                                               {"Describe", AclOperation::kDescribe},
                                               {"ClusterAction", AclOperation::kClusterAction},
                                               {"DescribeConfigs", AclOperation::kDescribeConfigs},
                                               {"AlterConfigs", AclOperation::kAlterConfigs},
                                               {"IdempotentWrite", AclOperation::kIdempotentWrite},
                                               {"CreateTokens", AclOperation::kCreateTokens},
                                               {"DescribeTokens", AclOperation::kDescribeTokens},
                                               {"TwoPhaseCommit", AclOperation::kTwoPhaseCommit}}};
constexpr Names<AclPermission, 2> kEffects{
    {{"Allow", AclPermission::kAllow}, {"Deny", AclPermission::kDeny}}};
constexpr Names<RebalanceGoal, 6> kGoals{{{"RackSpread", RebalanceGoal::kRackSpread},
                                          {"ReplicaCount", RebalanceGoal::kReplicaCount},
                                          {"LeaderCount", RebalanceGoal::kLeaderCount},
                                          {"DiskUsage", RebalanceGoal::kDiskUsage},
                                          {"NetworkIn", RebalanceGoal::kNetworkIn},
                                          {"NetworkOut", RebalanceGoal::kNetworkOut}}};
constexpr Names<RebalanceState, 6> kRebalanceStates{{{"Planning", RebalanceState::kPlanning},
                                                     {"Proposed", RebalanceState::kProposed},
                                                     {"Running", RebalanceState::kRunning},
                                                     {"Stopping", RebalanceState::kStopping},
                                                     {"Cancelled", RebalanceState::kCancelled},
                                                     {"Done", RebalanceState::kDone}}};
constexpr Names<RebalanceMode, 2> kModes{
    {{"Manual", RebalanceMode::kManual}, {"Auto", RebalanceMode::kAuto}}};

std::optional<MoveProgress> read_progress(Reader progress) {
  if (!progress.present()) return std::nullopt;
  MoveProgress out;
  out.moved_partitions = progress.integer("movedPartitions").value_or(0);
  out.total_partitions = progress.integer("totalPartitions").value_or(0);
  out.moved_bytes = progress.integer("movedBytes").value_or(0);
  out.total_bytes = progress.integer("totalBytes").value_or(0);
  out.skipped = progress.integer("skipped").value_or(0);
  out.started_at = progress.text_or("startedAt");
  out.observed_at = progress.text_or("observedAt");
  out.leading_since = progress.text_or("leadingSince");
  out.eta = progress.text_or("eta");
  out.waiting_for = progress.text_or("waitingFor");
  return out;
}

json write_progress(const MoveProgress& progress) {
  json out{{"movedPartitions", progress.moved_partitions},
           {"totalPartitions", progress.total_partitions},
           {"movedBytes", progress.moved_bytes},
           {"totalBytes", progress.total_bytes}};
  if (progress.skipped > 0) out["skipped"] = progress.skipped;
  put(out, "startedAt", progress.started_at);
  put(out, "observedAt", progress.observed_at);
  put(out, "leadingSince", progress.leading_since);
  put(out, "eta", progress.eta);
  put(out, "waitingFor", progress.waiting_for);
  return out;
}

void read_topic(Topic& out, Reader& spec, Reader& status) {
  out.spec.cluster_ref = read_cluster_ref(spec, out.metadata.namespace_);
  out.spec.name = spec.text_or("name", out.metadata.name);
  out.spec.partitions = spec.int32("partitions");
  out.spec.replication_factor = spec.int32("replicationFactor");
  out.spec.config = spec.scalar_map("config");
  out.spec.on_delete =
      spec.choice<DeletePolicy>("onDelete", kDeletePolicies, DeletePolicy::kRetain);
  out.spec.on_missing =
      spec.choice<MissingPolicy>("onMissing", kMissingPolicies, MissingPolicy::kReport);
  out.status.observed_generation = status.integer("observedGeneration").value_or(0);
  out.status.conditions = read_conditions(status);
  out.status.cluster_id = status.text_or("clusterId");
  out.status.topic_id = status.text_or("topicId");
  out.status.topic_name = status.text_or("topicName");
  out.status.partitions = status.int32("partitions").value_or(0);
  out.status.replication_factor = status.int32("replicationFactor").value_or(0);
  out.status.owned_keys = status.texts("ownedKeys");
  out.status.progress = read_progress(status.object("progress"));
}

void read_user(User& out, Reader& spec, Reader& status) {
  out.spec.cluster_ref = read_cluster_ref(spec, out.metadata.namespace_);
  out.spec.username = spec.text_or("username", out.metadata.name);
  {
    Reader authentication = spec.object("authentication");
    out.spec.authentication.type =
        authentication.choice<UserAuth>("type", kUserAuths, UserAuth::kScramSha512);
    Reader from = authentication.object("passwordFrom");
    if (from.present()) {
      Reader key = from.object("secretKeyRef");
      if (!key.present()) from.fail("secretKeyRef", "is required");
      if (key.present()) out.spec.authentication.password_from = detail::read_key_ref(key);
    }
  }
  Reader secret = spec.object("secret");
  out.spec.secret_name = secret.text_or("name", out.metadata.name);
  Reader quotas = spec.object("quotas");
  if (quotas.present()) {
    out.spec.quotas =
        UserQuotas{quotas.bytes("producerByteRate"), quotas.bytes("consumerByteRate"),
                   quotas.number("requestPercentage"), quotas.number("controllerMutationRate")};
  }
  out.status.observed_generation = status.integer("observedGeneration").value_or(0);
  out.status.conditions = read_conditions(status);
  out.status.cluster_id = status.text_or("clusterId");
  out.status.username = status.text_or("username");
  out.status.secret_name = status.text_or("secretName");
  out.status.mechanism = status.text_or("mechanism");
  out.status.owned_quotas = status.texts("ownedQuotas");
  out.status.certificate_expires = status.text("certificateExpires");
}

NamePattern read_pattern(Reader& pattern) {
  return NamePattern{pattern.required_text("name"),
                     pattern.choice<PatternType>("pattern", kPatterns, PatternType::kLiteral)};
}

std::optional<NamePattern> read_optional_pattern(Reader& parent, std::string_view field) {
  Reader pattern = parent.object(field);
  if (!pattern.present()) return std::nullopt;
  return read_pattern(pattern);
}

AclRole read_role(Reader& role) {
  AclRole out;
  out.type = role.choice<AclRoleType>("type", kRoleTypes, std::nullopt);
  out.topics = role.list("topics", read_pattern);
  out.group = read_optional_pattern(role, "group");
  out.transactional_id = read_optional_pattern(role, "transactionalId");
  out.application_id = role.text_or("applicationId");
  return out;
}

AclRule read_rule(Reader& rule) {
  AclRule out;
  Reader resource = rule.object("resource");
  if (!resource.present()) rule.fail("resource", "is required");
  if (resource.present()) {
    out.resource.type = resource.choice<ResourceType>("type", kResourceTypes, std::nullopt);
    out.resource.name = out.resource.type == ResourceType::kCluster
                            ? resource.text_or("name", broker::security::kClusterName)
                            : resource.required_text("name");
    out.resource.pattern =
        resource.choice<PatternType>("pattern", kPatterns, PatternType::kLiteral);
  }
  out.operations = rule.choices<AclOperation>("operations", kOperations);
  if (out.operations.empty()) rule.fail("operations", "is required");
  out.host = rule.text_or("host", "*");
  out.effect = rule.choice<AclPermission>("effect", kEffects, AclPermission::kAllow);
  return out;
}

broker::security::AclBinding read_binding(Reader& binding) {
  broker::security::AclBinding out;
  out.resource.type = binding.choice<ResourceType>("type", kResourceTypes, std::nullopt);
  out.resource.name = binding.required_text("name");
  out.resource.pattern = binding.choice<PatternType>("pattern", kPatterns, PatternType::kLiteral);
  out.principal = binding.required_text("principal");
  out.host = binding.text_or("host", "*");
  out.operation = binding.choice<AclOperation>("operation", kOperations, std::nullopt);
  out.permission = binding.choice<AclPermission>("effect", kEffects, AclPermission::kAllow);
  return out;
}

json write_binding(const broker::security::AclBinding& binding) {
  return {{"type", name_of(binding.resource.type, kResourceTypes)},
          {"name", binding.resource.name},
          {"pattern", name_of(binding.resource.pattern, kPatterns)},
          {"principal", binding.principal},
          {"host", binding.host},
          {"operation", name_of(binding.operation, kOperations)},
          {"effect", name_of(binding.permission, kEffects)}};
}

void read_acl(Acl& out, Reader& spec, Reader& status) {
  out.spec.cluster_ref = read_cluster_ref(spec, out.metadata.namespace_);
  Reader user = spec.object("userRef");
  if (user.present()) out.spec.user_ref = user.required_text("name");
  out.spec.principal = spec.text("principal");
  out.spec.roles = spec.list("roles", read_role);
  out.spec.rules = spec.list("rules", read_rule);
  out.status.observed_generation = status.integer("observedGeneration").value_or(0);
  out.status.conditions = read_conditions(status);
  out.status.cluster_id = status.text_or("clusterId");
  out.status.principal = status.text_or("principal");
  out.status.bindings = status.list("bindings", read_binding);
}

std::optional<RebalanceProposal> read_proposal(Reader proposal) {
  if (!proposal.present()) return std::nullopt;
  RebalanceProposal out;
  out.id = proposal.text_or("id");
  out.generation = proposal.integer("generation").value_or(0);
  out.refresh = proposal.text_or("refresh");
  out.made_at = proposal.text_or("madeAt");
  out.partitions = proposal.integer("partitions").value_or(0);
  out.replicas = proposal.integer("replicas").value_or(0);
  out.leaders = proposal.integer("leaders").value_or(0);
  out.bytes = proposal.integer("bytes").value_or(0);
  out.size = proposal.text_or("size");
  out.brokers = proposal.texts("brokers");
  return out;
}

void read_rebalance(Rebalance& out, Reader& spec, Reader& status) {
  out.spec.cluster_ref = read_cluster_ref(spec, out.metadata.namespace_);
  out.spec.goals = spec.choices<RebalanceGoal>("goals", kGoals);
  if (out.spec.goals.empty())
    out.spec.goals = {RebalanceGoal::kRackSpread, RebalanceGoal::kReplicaCount,
                      RebalanceGoal::kLeaderCount};
  out.spec.mode = spec.choice<RebalanceMode>("mode", kModes, RebalanceMode::kManual);
  out.spec.moves_at_once = spec.int32("movesAtOnce").value_or(20);
  out.status.observed_generation = status.integer("observedGeneration").value_or(0);
  out.status.conditions = read_conditions(status);
  out.status.cluster_id = status.text_or("clusterId");
  out.status.state =
      status.choice<RebalanceState>("state", kRebalanceStates, RebalanceState::kPlanning);
  out.status.proposal = read_proposal(status.object("proposal"));
  out.status.progress = read_progress(status.object("progress"));
  out.status.summary = status.text_or("summary");
}

std::optional<KeyRef> read_secret_key(Reader& parent, std::string_view field) {
  Reader holder = parent.object(field);
  if (!holder.present()) return std::nullopt;
  Reader key = holder.object("secretKeyRef");
  if (!key.present()) {
    holder.fail("secretKeyRef", "is required");
    return std::nullopt;
  }
  return detail::read_key_ref(key);
}

void read_external(ExternalCluster& out, Reader& spec, Reader& status) {
  out.spec.bootstrap_servers = spec.required_text("bootstrapServers");
  {
    Reader tls = spec.object("tls");
    if (tls.present()) out.spec.tls = ExternalTls{read_secret_key(tls, "caFrom")};
  }
  {
    Reader authentication = spec.object("authentication");
    out.spec.authentication.type =
        authentication.choice<ExternalAuth>("type", kExternalAuths, ExternalAuth::kNone);
    out.spec.authentication.username = authentication.text_or("username");
    out.spec.authentication.password = read_secret_key(authentication, "passwordFrom");
    Reader secret = authentication.object("certificateSecretRef");
    if (secret.present()) out.spec.authentication.certificate_secret = secret.required_text("name");
  }
  out.spec.tenants = spec.list("tenants", [](Reader& tenant) {
    TenantSpec read;
    Reader selector = tenant.object("namespaceSelector");
    read.namespace_selector = detail::read_selector(selector);
    read.prefixes = tenant.texts("prefixes");
    return read;
  });
  out.status.observed_generation = status.integer("observedGeneration").value_or(0);
  out.status.conditions = read_conditions(status);
  out.status.cluster_id = status.text_or("clusterId");
  out.status.brokers = status.int32("brokers").value_or(0);
}

template <class Status>
json begin_status(const Status& status) {
  return {{"observedGeneration", status.observed_generation},
          {"conditions", detail::write_conditions(status.conditions)}};
}

}  // namespace

Result<Topic> parse_topic(const json& object, Unknown unknown) {
  return parse_object<Topic>(object, unknown, read_topic);
}
Result<User> parse_user(const json& object, Unknown unknown) {
  return parse_object<User>(object, unknown, read_user);
}
Result<Acl> parse_acl(const json& object, Unknown unknown) {
  return parse_object<Acl>(object, unknown, read_acl);
}
Result<Rebalance> parse_rebalance(const json& object, Unknown unknown) {
  return parse_object<Rebalance>(object, unknown, read_rebalance);
}
Result<ExternalCluster> parse_external_cluster(const json& object, Unknown unknown) {
  return parse_object<ExternalCluster>(object, unknown, read_external);
}
template <>
Result<Topic> parse<Topic>(const json& object, Unknown unknown) {
  return parse_topic(object, unknown);
}
template <>
Result<User> parse<User>(const json& object, Unknown unknown) {
  return parse_user(object, unknown);
}
template <>
Result<Acl> parse<Acl>(const json& object, Unknown unknown) {
  return parse_acl(object, unknown);
}
template <>
Result<Rebalance> parse<Rebalance>(const json& object, Unknown unknown) {
  return parse_rebalance(object, unknown);
}
template <>
Result<ExternalCluster> parse<ExternalCluster>(const json& object, Unknown unknown) {
  return parse_external_cluster(object, unknown);
}

std::string_view to_string(RebalanceGoal goal) { return name_of(goal, kGoals); }
std::string_view to_string(RebalanceState state) { return name_of(state, kRebalanceStates); }

json encode_status(const TopicStatus& status) {
  json out = begin_status(status);
  put(out, "clusterId", status.cluster_id);
  put(out, "topicId", status.topic_id);
  put(out, "topicName", status.topic_name);
  if (status.partitions > 0) out["partitions"] = status.partitions;
  if (status.replication_factor > 0) out["replicationFactor"] = status.replication_factor;
  if (!status.owned_keys.empty()) out["ownedKeys"] = status.owned_keys;
  if (status.progress) out["progress"] = write_progress(*status.progress);
  return out;
}

json encode_status(const UserStatus& status) {
  json out = begin_status(status);
  put(out, "clusterId", status.cluster_id);
  put(out, "username", status.username);
  put(out, "secretName", status.secret_name);
  put(out, "mechanism", status.mechanism);
  if (!status.owned_quotas.empty()) out["ownedQuotas"] = status.owned_quotas;
  if (status.certificate_expires) out["certificateExpires"] = *status.certificate_expires;
  return out;
}

json encode_status(const AclStatus& status) {
  json out = begin_status(status);
  put(out, "clusterId", status.cluster_id);
  put(out, "principal", status.principal);
  if (!status.bindings.empty()) {
    json& bindings = out["bindings"] = json::array();
    for (const auto& binding : status.bindings) bindings.push_back(write_binding(binding));
  }
  return out;
}

json encode_status(const RebalanceStatus& status) {
  json out = begin_status(status);
  put(out, "clusterId", status.cluster_id);
  out["state"] = name_of(status.state, kRebalanceStates);
  put(out, "summary", status.summary);
  if (const auto& proposal = status.proposal) {
    json& to = out["proposal"] = {{"id", proposal->id},
                                  {"generation", proposal->generation},
                                  {"madeAt", proposal->made_at},
                                  {"partitions", proposal->partitions},
                                  {"replicas", proposal->replicas},
                                  {"leaders", proposal->leaders},
                                  {"bytes", proposal->bytes},
                                  {"size", proposal->size}};
    put(to, "refresh", proposal->refresh);
    if (!proposal->brokers.empty()) to["brokers"] = proposal->brokers;
  }
  if (status.progress) out["progress"] = write_progress(*status.progress);
  return out;
}

json encode_status(const ExternalClusterStatus& status) {
  json out = begin_status(status);
  put(out, "clusterId", status.cluster_id);
  if (status.brokers > 0) out["brokers"] = status.brokers;
  return out;
}

}  // namespace op::api
