#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/security/acl.h"
#include "operator/api/cluster.h"
#include "operator/api/topic.h"
#include "operator/api/user.h"
#include "operator/plan/types.h"

namespace broker::metadata {
struct MetadataImage;
}

namespace op::plan {

/// Who may declare what from where. The cluster's own namespace may declare everything; any other
/// only what a tenant entry selects it for, within that entry's prefixes ("*": every name).
struct TenancyInput {
  std::string cluster_namespace;
  const std::vector<api::TenantSpec>& tenants;
  std::set<std::string> super_users;  // "User:admin"
  std::string object_namespace;
  std::map<std::string, std::string> namespace_labels;
};

/// nullopt: admitted. The verdict's reason is NotAdmitted.
std::optional<Verdict> admit_topic(const TenancyInput& in, const std::string& topic);
/// `taken`: the name already stands for somebody whom this namespace did not declare (see
/// principal_is_taken). From another namespace a super user or a taken name is refused; reserved
/// names are refused everywhere.
std::optional<Verdict> admit_user(const TenancyInput& in, const std::string& username, bool taken);
/// Judges every rule: from another namespace only topics, groups and transactional ids within the
/// prefixes, and neither super users nor all users ("User:*") as principal.
std::optional<Verdict> admit_bindings(const TenancyInput& in,
                                      const std::vector<broker::security::AclBinding>& bindings);

/// Whether the image holds a credential or a rule of "User:<username>". `own`: rules that this
/// namespace's ACL resources declared.
bool principal_is_taken(const broker::metadata::MetadataImage& image, const std::string& username,
                        const std::set<broker::security::AclBinding>& own);

}  // namespace op::plan
