#include "operator/plan/admission.h"

#include <algorithm>

#include "broker/metadata/image.h"
#include "operator/api/validate.h"

namespace op::plan {

using broker::security::AclBinding;
using broker::security::PatternType;
using broker::security::ResourceType;

namespace {

Verdict refused(const std::string& message) { return {api::reason::kNotAdmitted, message}; }

bool is_own_namespace(const TenancyInput& in) {
  return in.object_namespace == in.cluster_namespace;
}

/// All prefixes of the tenant entries that select the namespace.
std::vector<std::string> prefixes_for(const TenancyInput& in) {
  std::vector<std::string> out;
  for (const api::TenantSpec& tenant : in.tenants) {
    if (tenant.namespace_selector.matches(in.namespace_labels))
      out.insert(out.end(), tenant.prefixes.begin(), tenant.prefixes.end());
  }
  return out;
}

bool is_within(const std::vector<std::string>& prefixes, const std::string& name) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&name](const std::string& prefix) {
    return prefix == "*" || name.starts_with(prefix);
  });
}

std::optional<Verdict> admit_name(const TenancyInput& in, const std::string& what,
                                  const std::string& name) {
  if (is_own_namespace(in)) return std::nullopt;
  const auto prefixes = prefixes_for(in);
  if (prefixes.empty())
    return refused("the cluster admits nothing from namespace " + in.object_namespace +
                   " (spec.tenants)");
  if (is_within(prefixes, name)) return std::nullopt;
  std::string list;
  for (const std::string& prefix : prefixes) list += (list.empty() ? "" : ", ") + prefix;
  return refused(what + " " + name + " is outside of what namespace " + in.object_namespace +
                 " may declare (" + list + ")");
}

}  // namespace

std::optional<Verdict> admit_topic(const TenancyInput& in, const std::string& topic) {
  return admit_name(in, "topic", topic);
}

std::optional<Verdict> admit_user(const TenancyInput& in, const std::string& username, bool taken) {
  const std::string principal = "User:" + username;
  if (api::is_reserved_principal(principal)) return refused(principal + " is reserved");
  if (is_own_namespace(in)) return std::nullopt;
  if (in.super_users.contains(principal))
    return refused(principal + " is a super user: only namespace " + in.cluster_namespace +
                   " may declare it");
  if (auto verdict = admit_name(in, "user", username)) return verdict;
  if (taken) return refused(principal + " exists already and was not declared here");
  return std::nullopt;
}

std::optional<Verdict> admit_bindings(const TenancyInput& in,
                                      const std::vector<AclBinding>& bindings) {
  for (const AclBinding& binding : bindings) {
    if (api::is_reserved_principal(binding.principal) && binding.principal != "User:*" &&
        binding.principal != "User:ANONYMOUS")
      return refused(binding.principal + " is reserved");
    if (is_own_namespace(in)) continue;
    if (in.super_users.contains(binding.principal))
      return refused(binding.principal + " is a super user");
    if (binding.principal == "User:*")
      return refused("only namespace " + in.cluster_namespace + " may grant to User:*");
    const std::string what(to_string(binding.resource.type));
    if (binding.resource.type != ResourceType::kTopic &&
        binding.resource.type != ResourceType::kGroup &&
        binding.resource.type != ResourceType::kTransactionalId)
      return refused("only namespace " + in.cluster_namespace + " may grant on " + what);
    if (auto verdict = admit_name(in, what, binding.resource.name)) return verdict;
  }
  return std::nullopt;
}

bool principal_is_taken(const broker::metadata::MetadataImage& image, const std::string& username,
                        const std::set<AclBinding>& own) {
  const auto first = image.scram.credentials.lower_bound(
      std::pair(username, broker::security::ScramMechanism::kUnknown));
  if (first != image.scram.credentials.end() && first->first.first == username) return true;
  const std::string principal = "User:" + username;
  return std::any_of(image.acls.by_id.begin(), image.acls.by_id.end(), [&](const auto& entry) {
    return entry.second.principal == principal && !own.contains(entry.second);
  });
}

}  // namespace op::plan
