#include "operator/api/validate.h"

#include <algorithm>
#include <array>

#include "broker/config/topic_config.h"
#include "operator/api/acl.h"
#include "operator/api/external_cluster.h"
#include "operator/api/rebalance.h"
#include "operator/api/topic.h"
#include "operator/api/user.h"
#include "operator/api/validate_internal.h"

namespace op::api {

using detail::Findings;

std::string to_string(const FieldError& error) { return error.field + ": " + error.message; }

std::string to_string(const std::vector<FieldError>& errors) {
  std::string out;
  for (const FieldError& error : errors) out += (out.empty() ? "" : "; ") + to_string(error);
  return out;
}

bool is_reserved_principal(std::string_view principal) {
  static constexpr std::array<std::string_view, 4> kReserved{
      "User:CN=millrace-broker", "User:CN=millrace-operator", "User:ANONYMOUS", "User:*"};
  return std::find(kReserved.begin(), kReserved.end(), principal) != kReserved.end();
}

namespace detail {

bool consists_of(std::string_view text, std::string_view extra) {
  return std::all_of(text.begin(), text.end(), [extra](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           extra.find(c) != std::string_view::npos;
  });
}

void Findings::invalid(std::string field, std::string message) {
  errors_.push_back({reason::kInvalid, std::move(field), std::move(message)});
}

void Findings::not_yet(std::string field, std::string message) {
  errors_.push_back({reason::kNotSupportedYet, std::move(field), std::move(message)});
}

std::vector<FieldError> Findings::take() {
  std::stable_sort(errors_.begin(), errors_.end(), [](const auto& a, const auto& b) {
    return a.reason != b.reason && a.reason == reason::kInvalid;
  });
  return std::move(errors_);
}

void check_tenants(const std::vector<TenantSpec>& tenants, Findings& findings) {
  for (std::size_t i = 0; i < tenants.size(); ++i) {
    const std::string field = "spec.tenants[" + std::to_string(i) + "].prefixes";
    if (tenants[i].prefixes.empty()) findings.invalid(field, "needs at least one prefix");
    if (std::count(tenants[i].prefixes.begin(), tenants[i].prefixes.end(), "") > 0)
      findings.invalid(field, "a prefix must not be empty; write \"*\" to admit every name");
  }
}

}  // namespace detail

namespace {

constexpr std::size_t kMaxTopicName = 249;

void check_topic_name(const std::string& name, Findings& findings) {
  if (name.empty() || name.size() > kMaxTopicName || name == "." || name == ".." ||
      !detail::consists_of(name, "._-"))
    findings.invalid("spec.name", "\"" + name +
                                      "\" is no topic name: 1 to 249 of letters, digits, '.', '_' "
                                      "and '-'");
  if (name == "__consumer_offsets" || name == "__transaction_state" ||
      name == "__share_group_state" || name == "__cluster_metadata")
    findings.invalid("spec.name", "\"" + name + "\" belongs to the brokers");
}

/// As Kubernetes wants the names of Secrets.
bool is_object_name(const std::string& name) {
  static constexpr std::string_view kInside = "abcdefghijklmnopqrstuvwxyz0123456789-.";
  static constexpr std::string_view kEnds = "abcdefghijklmnopqrstuvwxyz0123456789";
  return !name.empty() && name.size() <= 253 &&
         name.find_first_not_of(kInside) == std::string::npos &&
         kEnds.find(name.front()) != std::string_view::npos &&
         kEnds.find(name.back()) != std::string_view::npos;
}

}  // namespace

std::vector<FieldError> validate(const Topic& topic) {
  Findings findings;
  check_topic_name(topic.spec.name, findings);
  if (topic.spec.partitions && *topic.spec.partitions < 1)
    findings.invalid("spec.partitions", "must be at least 1");
  if (topic.spec.replication_factor &&
      (*topic.spec.replication_factor < 1 || *topic.spec.replication_factor > 32767))
    findings.invalid("spec.replicationFactor", "must be from 1 to 32767");
  // An external cluster may know keys that this version does not: its brokers judge them.
  if (topic.spec.cluster_ref.kind == ClusterKind::kExternalCluster) return findings.take();
  for (const auto& [key, value] : topic.spec.config) {
    broker::config::ConfigMap one;
    one.emplace(key, value);
    const auto valid = broker::config::validate_topic_config(one);
    if (!valid.ok()) findings.invalid("spec.config[" + key + "]", valid.error().detail);
    // The operator would take it away again when it has moved a partition.
    if (key.ends_with(".replication.throttled.replicas") && value != "*")
      findings.invalid(
          "spec.config[" + key + "]",
          "may be \"*\"; single replicas are listed by the operator while it moves them");
  }
  return findings.take();
}

std::vector<FieldError> validate(const User& user) {
  Findings findings;
  const std::string& name = user.spec.username;
  if (name.empty() || name.size() > 255 || !detail::consists_of(name, "._@-"))
    findings.invalid("spec.username", "\"" + name +
                                          "\" is no user name: 1 to 255 of letters, digits, '.', "
                                          "'_', '@' and '-'");
  if (is_reserved_principal(user.principal()))
    findings.invalid("spec.username", "\"" + name + "\" is reserved");
  if (!is_object_name(user.spec.secret_name))
    findings.invalid("spec.secret.name", "\"" + user.spec.secret_name +
                                             "\" is no name of a Secret: a-z, 0-9, '-' and '.', "
                                             "beginning and ending with a letter or digit");
  const UserAuthentication& authentication = user.spec.authentication;
  if (authentication.type == UserAuth::kMtls && authentication.password_from)
    findings.invalid("spec.authentication.passwordFrom", "a user with Mtls has no password");
  if (authentication.type == UserAuth::kMtls &&
      user.spec.cluster_ref.kind == ClusterKind::kExternalCluster)
    findings.invalid("spec.authentication.type",
                     "Mtls needs a CA that the brokers trust: only a Cluster of ours has one");
  if (user.spec.quotas) {
    const UserQuotas& quotas = *user.spec.quotas;
    const auto check = [&](const char* field, const auto& value) {
      if (value && !(*value > 0))
        findings.invalid(std::string("spec.quotas.") + field,
                         "must be greater than 0; leave it out for no limit");
    };
    check("producerByteRate", quotas.producer_byte_rate);
    check("consumerByteRate", quotas.consumer_byte_rate);
    check("requestPercentage", quotas.request_percentage);
    check("controllerMutationRate", quotas.controller_mutation_rate);
  }
  return findings.take();
}

namespace {

void check_pattern(const NamePattern& pattern, const std::string& field, Findings& findings) {
  if (pattern.name.empty()) findings.invalid(field + ".name", "is required");
  if (pattern.name == "*" && pattern.pattern == broker::security::PatternType::kPrefixed)
    findings.invalid(field + ".name", "\"*\" is every name only with pattern Literal");
}

void check_role(const AclRole& role, const std::string& field, Findings& findings) {
  for (std::size_t i = 0; i < role.topics.size(); ++i)
    check_pattern(role.topics[i], field + ".topics[" + std::to_string(i) + "]", findings);
  if (role.group) check_pattern(*role.group, field + ".group", findings);
  if (role.transactional_id)
    check_pattern(*role.transactional_id, field + ".transactionalId", findings);
  if (role.topics.empty() && role.type != AclRoleType::kStreams)
    findings.invalid(field + ".topics", "needs at least one topic");
  if (role.group.has_value() != (role.type == AclRoleType::kConsumer))
    findings.invalid(field + ".group", role.group ? "belongs to the role Consumer only"
                                                  : "the role Consumer needs a group");
  if (role.transactional_id && role.type != AclRoleType::kProducer)
    findings.invalid(field + ".transactionalId", "belongs to the role Producer only");
  if (role.application_id.empty() == (role.type == AclRoleType::kStreams))
    findings.invalid(field + ".applicationId", role.application_id.empty()
                                                   ? "the role Streams needs an applicationId"
                                                   : "belongs to the role Streams only");
}

void check_rule(const AclRule& rule, const std::string& field, Findings& findings) {
  using namespace broker::security;
  check_pattern({rule.resource.name, rule.resource.pattern}, field + ".resource", findings);
  const auto supported = supported_operations(rule.resource.type);
  for (const AclOperation operation : rule.operations) {
    if (operation == AclOperation::kAll) continue;
    if (std::find(supported.begin(), supported.end(), operation) == supported.end())
      findings.invalid(field + ".operations", std::string(to_string(operation)) +
                                                  " does not apply to a resource of type " +
                                                  std::string(to_string(rule.resource.type)));
  }
}

}  // namespace

std::vector<FieldError> validate(const Acl& acl) {
  Findings findings;
  if (acl.spec.user_ref.has_value() == acl.spec.principal.has_value())
    findings.invalid("spec", "exactly one of userRef and principal is needed");
  if (acl.spec.principal) {
    const auto parsed = broker::security::parse_principal(*acl.spec.principal);
    if (!parsed.ok() || parsed->name.empty())
      findings.invalid("spec.principal", "wants a type and a name, like \"User:order-service\"");
  }
  if (acl.spec.roles.empty() && acl.spec.rules.empty())
    findings.invalid("spec", "needs at least one of roles and rules");
  for (std::size_t i = 0; i < acl.spec.roles.size(); ++i)
    check_role(acl.spec.roles[i], "spec.roles[" + std::to_string(i) + "]", findings);
  for (std::size_t i = 0; i < acl.spec.rules.size(); ++i)
    check_rule(acl.spec.rules[i], "spec.rules[" + std::to_string(i) + "]", findings);
  return findings.take();
}

std::vector<FieldError> validate(const Rebalance& rebalance) {
  Findings findings;
  const RebalanceSpec& spec = rebalance.spec;
  if (spec.cluster_ref.kind != ClusterKind::kCluster)
    findings.invalid("spec.clusterRef.kind", "a Rebalance needs a Cluster of ours");
  if (spec.cluster_ref.object.namespace_ != rebalance.metadata.namespace_)
    findings.invalid("spec.clusterRef.namespace",
                     "a Rebalance belongs into the namespace of its cluster");
  if (spec.moves_at_once < 1 || spec.moves_at_once > 1000)
    findings.invalid("spec.movesAtOnce", "must be between 1 and 1000");
  for (const RebalanceGoal goal : spec.goals) {
    if (std::count(spec.goals.begin(), spec.goals.end(), goal) > 1)
      findings.invalid("spec.goals", std::string(to_string(goal)) + " is named twice");
    if (goal == RebalanceGoal::kNetworkIn || goal == RebalanceGoal::kNetworkOut)
      findings.not_yet("spec.goals", std::string(to_string(goal)) +
                                         ": brokers do not tell the bytes per second of a "
                                         "partition over Kafka's protocol");
  }
  return findings.take();
}

std::vector<FieldError> validate(const ExternalCluster& cluster) {
  Findings findings;
  const ExternalAuthentication& authentication = cluster.spec.authentication;
  const bool wants_password = authentication.type == ExternalAuth::kPlain ||
                              authentication.type == ExternalAuth::kScramSha256 ||
                              authentication.type == ExternalAuth::kScramSha512;
  if (wants_password && (authentication.username.empty() || !authentication.password))
    findings.invalid("spec.authentication", "username and passwordFrom are needed");
  if (authentication.type == ExternalAuth::kMtls &&
      (authentication.certificate_secret.empty() || !cluster.spec.tls))
    findings.invalid("spec.authentication", "Mtls needs tls and certificateSecretRef");
  if (authentication.type == ExternalAuth::kPlain && !cluster.spec.tls)
    findings.invalid("spec.authentication.type", "Plain without tls sends the password in clear");
  detail::check_tenants(cluster.spec.tenants, findings);
  return findings.take();
}

}  // namespace op::api
