#include "operator/provider/merge.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace op::provider {
namespace {

using nlohmann::json;

/// Takes the leaves of `applied` that `wanted` lacks out of `live`; empty objects left over go too.
void prune(json& live, const json& applied, const json& wanted) {
  if (!live.is_object() || !applied.is_object()) return;
  for (const auto& [key, old_value] : applied.items()) {
    const auto at = live.find(key);
    if (at == live.end()) continue;
    const auto still = wanted.is_object() ? wanted.find(key) : wanted.end();
    const bool is_wanted = wanted.is_object() && still != wanted.end();
    if (old_value.is_object() && at->is_object()) {
      prune(*at, old_value, is_wanted ? *still : json());
      if (at->empty() && !is_wanted) live.erase(at);
    } else if (!is_wanted) {
      live.erase(at);
    }
  }
}

void merge(json& live, const json& wanted) {
  if (!live.is_object() || !wanted.is_object()) {
    live = wanted;
    return;
  }
  for (const auto& [key, value] : wanted.items()) {
    if (value.is_object() && live.contains(key)) {
      merge(live[key], value);
    } else {
      live[key] = value;
    }
  }
}

bool is_empty(const json& value) {
  return value.is_null() || ((value.is_object() || value.is_array()) && value.empty());
}

}  // namespace

void apply_fields(json& live, const json& applied, const json& wanted) {
  prune(live, applied, wanted);
  merge(live, wanted);
}

bool has_fields(const json& live, const json& wanted) {
  if (wanted.is_object()) {
    if (!live.is_object()) return is_empty(wanted) && live.is_null();
    for (const auto& [key, value] : wanted.items()) {
      const auto at = live.find(key);
      if (at == live.end()) {
        // The API server drops some empty values.
        if (!is_empty(value)) return false;
      } else if (!has_fields(*at, value)) {
        return false;
      }
    }
    return true;
  }
  if (wanted.is_array()) {
    return live.is_array() && live.size() == wanted.size() &&
           std::equal(wanted.begin(), wanted.end(), live.begin(),
                      [](const json& w, const json& l) { return has_fields(l, w); });
  }
  return live == wanted;
}

}  // namespace op::provider
