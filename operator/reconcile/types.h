#pragma once

#include <compare>
#include <functional>
#include <string>

namespace op::reconcile {

/// A Kubernetes object's name within its kind. `ns` is empty for cluster-scoped kinds.
struct ObjectKey {
  std::string ns;
  std::string name;

  auto operator<=>(const ObjectKey&) const = default;
};

/// "namespace/name", or "name".
inline std::string to_string(const ObjectKey& key) {
  return key.ns.empty() ? key.name : key.ns + "/" + key.name;
}

/// What a worker reconciles: a name of a kind, never an event.
struct WorkKey {
  std::string kind;
  ObjectKey object;

  auto operator<=>(const WorkKey&) const = default;
};

inline std::string to_string(const WorkKey& key) { return key.kind + " " + to_string(key.object); }

}  // namespace op::reconcile

template <>
struct std::hash<op::reconcile::ObjectKey> {
  std::size_t operator()(const op::reconcile::ObjectKey& key) const {
    return std::hash<std::string>{}(key.ns) * 31 + std::hash<std::string>{}(key.name);
  }
};
template <>
struct std::hash<op::reconcile::WorkKey> {
  std::size_t operator()(const op::reconcile::WorkKey& key) const {
    return std::hash<std::string>{}(key.kind) * 31 +
           std::hash<op::reconcile::ObjectKey>{}(key.object);
  }
};
