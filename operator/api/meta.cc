#include "operator/api/meta.h"

#include <algorithm>

namespace op::api {

std::string to_string(const ObjectName& name) { return name.namespace_ + "/" + name.name; }

bool ObjectMeta::is_paused() const {
  const std::string* value = annotation(kPausedAnnotation);
  return value && *value == "true";
}

bool ObjectMeta::has_finalizer(std::string_view finalizer) const {
  return std::find(finalizers.begin(), finalizers.end(), finalizer) != finalizers.end();
}

const std::string* ObjectMeta::annotation(std::string_view key) const {
  const auto it = annotations.find(std::string(key));
  return it == annotations.end() ? nullptr : &it->second;
}

void set_condition(std::vector<Condition>& conditions, Condition wanted, const Timestamp& now) {
  for (Condition& existing : conditions) {
    if (existing.type != wanted.type) continue;
    wanted.last_transition_time =
        existing.status == wanted.status && !existing.last_transition_time.empty()
            ? existing.last_transition_time
            : now;
    existing = std::move(wanted);
    return;
  }
  wanted.last_transition_time = now;
  conditions.push_back(std::move(wanted));
}

const Condition* find_condition(const std::vector<Condition>& conditions, std::string_view type) {
  for (const Condition& condition : conditions)
    if (condition.type == type) return &condition;
  return nullptr;
}

namespace {

bool holds(const LabelSelector::Requirement& requirement,
           const std::map<std::string, std::string>& labels) {
  const auto label = labels.find(requirement.key);
  const bool exists = label != labels.end();
  const auto is_listed = [&] {
    return std::find(requirement.values.begin(), requirement.values.end(), label->second) !=
           requirement.values.end();
  };
  switch (requirement.op) {
    case LabelSelector::Operator::kIn:
      return exists && is_listed();
    case LabelSelector::Operator::kNotIn:
      return !exists || !is_listed();
    case LabelSelector::Operator::kExists:
      return exists;
    case LabelSelector::Operator::kDoesNotExist:
      return !exists;
  }
  return false;
}

}  // namespace

bool LabelSelector::matches(const std::map<std::string, std::string>& labels) const {
  for (const auto& [key, value] : match_labels) {
    const auto label = labels.find(key);
    if (label == labels.end() || label->second != value) return false;
  }
  return std::all_of(match_expressions.begin(), match_expressions.end(),
                     [&](const Requirement& requirement) { return holds(requirement, labels); });
}

}  // namespace op::api
