#include "operator/api/json_reader.h"

namespace op::api {
namespace detail {

using nlohmann::json;

namespace {

constexpr std::array<std::pair<std::string_view, ConditionStatus>, 3> kConditionStatuses{{
    {"Unknown", ConditionStatus::kUnknown},
    {"True", ConditionStatus::kTrue},
    {"False", ConditionStatus::kFalse},
}};
constexpr std::array<std::pair<std::string_view, ClusterKind>, 2> kClusterKinds{{
    {"Cluster", ClusterKind::kCluster},
    {"ExternalCluster", ClusterKind::kExternalCluster},
}};
constexpr std::array<std::pair<std::string_view, LabelSelector::Operator>, 4> kOperators{{
    {"In", LabelSelector::Operator::kIn},
    {"NotIn", LabelSelector::Operator::kNotIn},
    {"Exists", LabelSelector::Operator::kExists},
    {"DoesNotExist", LabelSelector::Operator::kDoesNotExist},
}};

}  // namespace

ObjectMeta read_meta(Reader& metadata) {
  ObjectMeta out;
  out.name = metadata.required_text("name");
  out.namespace_ = metadata.text_or("namespace");
  out.uid = metadata.text_or("uid");
  out.resource_version = metadata.text_or("resourceVersion");
  out.generation = metadata.integer("generation").value_or(0);
  out.labels = metadata.text_map("labels");
  out.annotations = metadata.text_map("annotations");
  out.finalizers = metadata.texts("finalizers");
  out.owner_references = metadata.list("ownerReferences", [](Reader& owner) {
    owner.get("blockOwnerDeletion");
    return OwnerReference{owner.text_or("apiVersion"), owner.text_or("kind"), owner.text_or("name"),
                          owner.text_or("uid"), owner.boolean_or("controller", false)};
  });
  out.creation_timestamp = metadata.text_or("creationTimestamp");
  out.deletion_timestamp = metadata.text("deletionTimestamp");
  for (const char* ignored :
       {"managedFields", "generateName", "selfLink", "deletionGracePeriodSeconds"})
    metadata.get(ignored);
  return out;
}

ClusterRef read_cluster_ref(Reader& spec, const std::string& own_namespace) {
  Reader ref = spec.object("clusterRef");
  if (!ref.present()) spec.fail("clusterRef", "is required");
  ClusterRef out;
  out.kind = ref.choice<ClusterKind>("kind", kClusterKinds, ClusterKind::kCluster);
  if (ref.present()) out.object.name = ref.required_text("name");
  out.object.namespace_ = ref.text_or("namespace", own_namespace);
  return out;
}

KeyRef read_key_ref(Reader& ref) {
  return KeyRef{ref.required_text("name"), ref.required_text("key")};
}

LabelSelector read_selector(Reader& selector) {
  LabelSelector out;
  out.match_labels = selector.text_map("matchLabels");
  out.match_expressions = selector.list("matchExpressions", [](Reader& expression) {
    LabelSelector::Requirement requirement;
    requirement.key = expression.required_text("key");
    requirement.op =
        expression.choice<LabelSelector::Operator>("operator", kOperators, std::nullopt);
    requirement.values = expression.texts("values");
    return requirement;
  });
  return out;
}

std::vector<Condition> read_conditions(Reader& status) {
  return status.list("conditions", [](Reader& condition) {
    Condition out;
    out.type = condition.text_or("type");
    out.status =
        condition.choice<ConditionStatus>("status", kConditionStatuses, ConditionStatus::kUnknown);
    out.reason = condition.text_or("reason");
    out.message = condition.text_or("message");
    out.observed_generation = condition.integer("observedGeneration").value_or(0);
    out.last_transition_time = condition.text_or("lastTransitionTime");
    return out;
  });
}

json write_conditions(const std::vector<Condition>& conditions) {
  json out = json::array();
  for (const Condition& condition : conditions) {
    out.push_back({{"type", condition.type},
                   {"status", name_of(condition.status, kConditionStatuses)},
                   {"reason", condition.reason},
                   {"message", condition.message},
                   {"observedGeneration", condition.observed_generation},
                   {"lastTransitionTime", condition.last_transition_time}});
  }
  return out;
}

}  // namespace detail

broker::Result<ObjectMeta> parse_meta(const nlohmann::json& metadata) {
  detail::Problems problems;
  ObjectMeta out;
  {
    detail::Reader reader(&metadata, "metadata", problems);
    out = detail::read_meta(reader);
  }
  if (!problems.first.empty())
    return broker::Error{broker::ErrorCode::kInvalidRequest, problems.first};
  return out;
}

}  // namespace op::api
