#include "operator/controllers/object_writer.h"

#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "broker/common/log.h"
#include "operator/provider/merge.h"

namespace op::controllers {
namespace {

using nlohmann::json;

/// The same on every run and machine: it is stored in an annotation.
std::uint64_t fnv1a(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

/// The fields of `live` that `wanted` names.
json projection(const json& live, const json& wanted) {
  if (wanted.is_object() && live.is_object()) {
    json out = json::object();
    for (const auto& [key, value] : wanted.items()) {
      if (const auto at = live.find(key); at != live.end()) out[key] = projection(*at, value);
    }
    return out;
  }
  if (wanted.is_array() && live.is_array() && wanted.size() == live.size()) {
    json out = json::array();
    for (std::size_t i = 0; i < live.size(); ++i) out.push_back(projection(live[i], wanted[i]));
    return out;
  }
  return live;
}

/// Secrets and ConfigMaps of ours hold nothing but what we put there.
bool has_foreign_data(const kube::Kind& kind, const json& live, const json& wanted) {
  if (!(kind == kube::kSecret) && !(kind == kube::kConfigMap)) return false;
  const json have = live.value("data", json::object());
  const json want = wanted.value("data", json::object());
  return have.size() > want.size();
}

}  // namespace

broker::Result<bool> ObjectWriter::ensure(const kube::Kind& kind, const kube::ObjectKey& key,
                                          const std::string& desired) {
  json wanted = json::parse(desired, nullptr, false);
  CHECK(wanted.is_object());
  char digest[20];
  std::snprintf(digest, sizeof digest, "%016llx",
                static_cast<unsigned long long>(fnv1a(wanted.dump())));
  wanted["metadata"]["annotations"][kDigestAnnotation] = digest;
  const std::string body = wanted.dump();
  const reconcile::WorkKey id{std::string(kind.kind), key};
  const std::size_t desired_hash = std::hash<std::string>{}(body);

  const kube::ObjectPtr live = store_.get(kind, key);
  if (live && live->deleting) return false;  // its end is an event that brings us back
  if (live) {
    const json document = json::parse(live->json, nullptr, false);
    if (!has_foreign_data(kind, document, wanted)) {
      if (provider::has_fields(document, wanted)) return false;
      const std::size_t live_hash = std::hash<std::string>{}(projection(document, wanted).dump());
      const std::lock_guard lock(mutex_);
      const auto known = applied_.find(id);
      if (known != applied_.end() && known->second.desired == desired_hash &&
          known->second.live == live_hash) {
        return false;
      }
    }
  }
  ASSIGN_OR_RETURN(const kube::ObjectPtr written, store_.apply(kind, key, body));
  broker::log_info("controllers", live ? "child object changed" : "child object created",
                   {{"kind", kind.kind}, {"object", to_string(key)}});
  const json document = json::parse(written->json, nullptr, false);
  const std::lock_guard lock(mutex_);
  applied_[id] = {desired_hash, std::hash<std::string>{}(projection(document, wanted).dump())};
  return true;
}

broker::Result<int> ObjectWriter::prune(const kube::Kind& kind, const std::string& ns,
                                        const std::string& selector,
                                        const std::set<std::string>& keep) {
  int removed = 0;
  for (const kube::ObjectPtr& object : store_.list(kind, ns, selector)) {
    if (keep.contains(object->key.name) || object->deleting) continue;
    const auto gone = store_.remove(kind, object->key, object->uid);
    if (!gone.ok() && gone.code() != broker::ErrorCode::kResourceNotFound) return gone.error();
    broker::log_info("controllers", "child object removed",
                     {{"kind", kind.kind}, {"object", to_string(object->key)}});
    ++removed;
  }
  return removed;
}

}  // namespace op::controllers
