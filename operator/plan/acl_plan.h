#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/metadata/image.h"
#include "broker/security/acl.h"
#include "operator/api/acl.h"
#include "operator/plan/types.h"

namespace op::plan {

using broker::security::AclBinding;

/// All rules that the resource stands for, sorted and unique. Roles:
/// Producer: Topic Write, Describe, Create; transactional id Write, Describe.
/// Consumer: Topic Read, Describe; Group Read, Describe.
/// Streams: Group and Topic prefixed by applicationId (Group Read, Describe, Delete; Topic all that
///   repartition and changelog topics need), transactional id prefixed; named topics Read, Write,
///   Describe.
std::vector<AclBinding> expand_acl(const api::AclSpec& spec, const std::string& principal);

struct AclInput {
  const api::Acl& acl;
  /// "User:…"; from the User that userRef names, or spec.principal. nullopt: no such User.
  std::optional<std::string> principal;
  std::string cluster_id;
  const broker::metadata::MetadataImage& image;  // synced
  /// Rules that other ACL resources of the same cluster own now.
  const std::set<AclBinding>& granted_by_others;
  std::string acknowledged_cluster_id;
  std::optional<Verdict> not_admitted;
  std::optional<Verdict> rejection;
  api::Timestamp now;
};

struct AclPlan {
  std::vector<AclBinding> create;
  std::vector<AclBinding> remove;
  api::AclStatus status;  // write it first: its bindings are what we own from now on
  bool wants_finalizer = false;
  std::optional<Verdict> event;
};

AclPlan plan_acl(const AclInput& in);

/// The rules that the image holds; the set every ACL of a reconcile round is compared with.
std::set<AclBinding> bindings_of(const broker::metadata::MetadataImage& image);

}  // namespace op::plan
