#include "operator/provider/local_store.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "broker/common/log.h"
#include "broker/common/rng.h"
#include "operator/kube/client.h"
#include "operator/kube/object_json.h"
#include "operator/provider/merge.h"

namespace op::provider {
namespace {

using broker::Error;
using broker::ErrorCode;
using nlohmann::json;

constexpr std::size_t kRememberedEvents = 1000;

std::string new_uid() {
  static broker::Rng rng(broker::Rng::os_seed());
  const std::uint64_t a = rng.next();
  const std::uint64_t b = rng.next();
  char text[40];
  std::snprintf(text, sizeof text, "%08x-%04x-4%03x-a%03x-%012llx", static_cast<unsigned>(a >> 32),
                static_cast<unsigned>(a >> 16 & 0xffff), static_cast<unsigned>(a & 0xfff),
                static_cast<unsigned>(b >> 52),
                static_cast<unsigned long long>(b & 0xffffffffffff));
  return text;
}

Error not_found(const Kind& kind, const ObjectKey& key) {
  return {ErrorCode::kResourceNotFound,
          std::string(kind.kind) + " " + to_string(key) + " not found"};
}
Error other_object(const Kind& kind, const ObjectKey& key) {
  return {ErrorCode::kInvalidUpdateVersion,
          std::string(kind.kind) + " " + to_string(key) + " was created anew"};
}

/// What makes a new generation: everything but metadata and status.
json desired_part(const json& document) {
  json part = document;
  part.erase("metadata");
  part.erase("status");
  return part;
}

/// Whether an owner with `uid` is among the object's owner references.
bool is_owned_by(const Object& object, const std::string& uid) {
  if (object.json.find(uid) == std::string::npos) return false;
  const json document = json::parse(object.json, nullptr, false);
  const json owners = document["metadata"].value("ownerReferences", json::array());
  return std::any_of(owners.begin(), owners.end(),
                     [&](const json& owner) { return owner.value("uid", "") == uid; });
}

template <class F>
auto guarded(F f) -> decltype(f()) {
  try {
    return f();
  } catch (const json::exception& e) {
    return Error{ErrorCode::kInvalidRequest, e.what()};
  }
}

}  // namespace

ObjectPtr LocalStore::get(const Kind& kind, const ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find({std::string(kind.kind), key});
  return found == objects_.end() ? nullptr : found->second.object;
}

std::vector<ObjectPtr> LocalStore::list(const Kind& kind, const std::string& ns,
                                        const std::string& selector) const {
  const std::lock_guard lock(mutex_);
  std::vector<ObjectPtr> hits;
  const std::string name(kind.kind);
  for (auto it = objects_.lower_bound({name, {ns, ""}});
       it != objects_.end() && it->first.first == name; ++it) {
    const ObjectPtr& object = it->second.object;
    if (!ns.empty() && object->key.ns != ns) break;
    if (kube::matches_selector(object->labels, selector)) hits.push_back(object);
  }
  return hits;
}

broker::Result<ObjectPtr> LocalStore::read(const Kind& kind, const ObjectKey& key) {
  if (ObjectPtr object = get(kind, key)) return object;
  return not_found(kind, key);
}

ObjectPtr LocalStore::store_locked(const Kind& kind, const ObjectKey& key, json document,
                                   std::vector<Change>& changes) {
  const Id id{std::string(kind.kind), key};
  const auto found = objects_.find(id);
  const ObjectPtr old = found == objects_.end() ? nullptr : found->second.object;
  json& meta = document["metadata"];
  meta["name"] = key.name;
  if (kind.namespaced) meta["namespace"] = key.ns;
  std::int64_t generation = 1;
  if (old) {
    const json before = json::parse(old->json);
    meta["resourceVersion"] = old->resource_version;
    meta["uid"] = old->uid;
    meta["creationTimestamp"] = old->created;
    generation = std::max<std::int64_t>(old->generation, 1) +
                 (desired_part(before) == desired_part(document) ? 0 : 1);
    meta["generation"] = old->generation;
    if (before == document) return old;
  } else {
    meta["uid"] = new_uid();
    meta["creationTimestamp"] = kube::rfc3339_now();
  }
  meta["generation"] = generation;
  meta["resourceVersion"] = std::to_string(++version_);
  ObjectPtr now = kube::build_object(document, kube::find_kind(kind.kind));
  objects_[id].object = now;
  changes.push_back({old, now});
  return now;
}

void LocalStore::erase_locked(const Id& id, std::vector<Change>& changes) {
  const auto found = objects_.find(id);
  if (found == objects_.end()) return;
  const ObjectPtr gone = found->second.object;
  objects_.erase(found);
  changes.push_back({gone, nullptr});
  std::vector<Id> dependents;
  for (const auto& [other, entry] : objects_) {
    if (is_owned_by(*entry.object, gone->uid)) dependents.push_back(other);
  }
  for (const Id& dependent : dependents) erase_locked(dependent, changes);
}

void LocalStore::publish(const std::vector<Change>& changes) {
  for (const auto& [old, now] : changes) {
    on_changed(old, now);
    std::vector<ChangeHandler> handlers;
    {
      const std::lock_guard lock(mutex_);
      const auto found = handlers_.find(std::string((now ? now : old)->kind->kind));
      if (found != handlers_.end()) handlers = found->second;
    }
    for (const ChangeHandler& handler : handlers) handler(old, now);
  }
}

broker::Result<ObjectPtr> LocalStore::apply(const Kind& kind, const ObjectKey& key,
                                            const std::string& text) {
  ++writes_;
  std::vector<Change> changes;
  auto result = guarded([&]() -> broker::Result<ObjectPtr> {
    json wanted = json::parse(text);
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find({std::string(kind.kind), key});
    const std::string uid = wanted["metadata"].value("uid", "");
    json live = json::object();
    json applied;
    if (found != objects_.end()) {
      if (!uid.empty() && uid != found->second.object->uid) return other_object(kind, key);
      live = json::parse(found->second.object->json);
      applied = json::parse(found->second.applied, nullptr, false);
    } else if (!uid.empty()) {
      return other_object(kind, key);
    }
    // Secrets and ConfigMaps of ours are wholly ours.
    if (kind == kube::kSecret || kind == kube::kConfigMap) live.erase("data");
    apply_fields(live, applied, wanted);
    ObjectPtr now = store_locked(kind, key, std::move(live), changes);
    objects_[{std::string(kind.kind), key}].applied = text;
    return now;
  });
  publish(changes);
  return result;
}

broker::Result<void> LocalStore::remove(const Kind& kind, const ObjectKey& key,
                                        const std::string& uid) {
  ++writes_;
  return remove_counted(kind, key, uid);
}

broker::Result<void> LocalStore::remove_as_user(const Kind& kind, const ObjectKey& key) {
  return remove_counted(kind, key, {});
}

broker::Result<void> LocalStore::remove_counted(const Kind& kind, const ObjectKey& key,
                                                const std::string& uid) {
  std::vector<Change> changes;
  auto result = guarded([&]() -> broker::Result<void> {
    const std::lock_guard lock(mutex_);
    const Id id{std::string(kind.kind), key};
    const auto found = objects_.find(id);
    if (found == objects_.end()) return not_found(kind, key);
    const ObjectPtr object = found->second.object;
    if (!uid.empty() && uid != object->uid) return other_object(kind, key);
    if (object->finalizers.empty()) {
      erase_locked(id, changes);
    } else if (!object->deleting) {
      json document = json::parse(object->json);
      document["metadata"]["deletionTimestamp"] = kube::rfc3339_now();
      store_locked(kind, key, std::move(document), changes);
    }
    return {};
  });
  publish(changes);
  return result;
}

broker::Result<void> LocalStore::write_status(const Object& object, const std::string& status) {
  ++writes_;
  const ObjectPtr now = get(*object.kind, object.key);
  if (!now) return not_found(*object.kind, object.key);
  if (now->uid != object.uid) return other_object(*object.kind, object.key);
  return put_status(*object.kind, object.key, status);
}

broker::Result<void> LocalStore::put_status(const Kind& kind, const ObjectKey& key,
                                            const std::string& status) {
  std::vector<Change> changes;
  auto result = guarded([&]() -> broker::Result<void> {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find({std::string(kind.kind), key});
    if (found == objects_.end()) return not_found(kind, key);
    json document = json::parse(found->second.object->json);
    document["status"] = json::parse(status);
    store_locked(kind, key, std::move(document), changes);
    return {};
  });
  publish(changes);
  return result;
}

broker::Result<void> LocalStore::set_finalizer(const Object& object, const std::string& finalizer,
                                               bool present) {
  ++writes_;
  std::vector<Change> changes;
  auto result = guarded([&]() -> broker::Result<void> {
    const std::lock_guard lock(mutex_);
    const Id id{std::string(object.kind->kind), object.key};
    const auto found = objects_.find(id);
    if (found == objects_.end()) return not_found(*object.kind, object.key);
    if (found->second.object->uid != object.uid) return other_object(*object.kind, object.key);
    std::vector<std::string> finalizers = found->second.object->finalizers;
    std::erase(finalizers, finalizer);
    if (present) finalizers.push_back(finalizer);
    json document = json::parse(found->second.object->json);
    document["metadata"]["finalizers"] = finalizers;
    if (finalizers.empty()) document["metadata"].erase("finalizers");
    const ObjectPtr now = store_locked(*object.kind, object.key, std::move(document), changes);
    if (now->deleting && finalizers.empty()) erase_locked(id, changes);
    return {};
  });
  publish(changes);
  return result;
}

broker::Result<ObjectPtr> LocalStore::put(const std::string& text) {
  std::vector<Change> changes;
  auto result = guarded([&]() -> broker::Result<ObjectPtr> {
    json document = json::parse(text);
    const Kind* kind = kube::find_kind(document.value("kind", ""));
    if (kind == nullptr) {
      return Error{ErrorCode::kInvalidRequest, "unknown kind '" + document.value("kind", "") + "'"};
    }
    const json& meta = document.at("metadata");
    const ObjectKey key{kind->namespaced ? meta.value("namespace", "default") : "",
                        meta.at("name").get<std::string>()};
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find({std::string(kind->kind), key});
    document.erase("status");
    if (found != objects_.end()) {
      const json before = json::parse(found->second.object->json);
      if (before.contains("status")) document["status"] = before["status"];
      for (const char* kept : {"finalizers", "deletionTimestamp"}) {
        if (before["metadata"].contains(kept)) {
          document["metadata"][kept] = before["metadata"][kept];
        }
      }
    }
    return store_locked(*kind, key, std::move(document), changes);
  });
  publish(changes);
  return result;
}

void LocalStore::event(const Object& about, bool warning, const std::string& reason,
                       const std::string& message) {
  const std::lock_guard lock(mutex_);
  if (events_.size() >= kRememberedEvents) events_.erase(events_.begin());
  events_.push_back({about.key, warning, reason, message});
}

std::vector<LocalStore::RecordedEvent> LocalStore::events() const {
  const std::lock_guard lock(mutex_);
  return events_;
}

void LocalStore::subscribe(const Kind& kind, ChangeHandler handler) {
  const std::lock_guard lock(mutex_);
  handlers_[std::string(kind.kind)].push_back(std::move(handler));
}

void LocalStore::forget_subscribers() {
  const std::lock_guard lock(mutex_);
  handlers_.clear();
}

void LocalStore::on_changed(const ObjectPtr&, const ObjectPtr&) {}

void LocalStore::restore(const ObjectPtr& object, const std::string& applied) {
  const std::lock_guard lock(mutex_);
  objects_[{std::string(object->kind->kind), object->key}] = {object, applied};
  version_ = std::max<std::uint64_t>(version_,
                                     std::strtoull(object->resource_version.c_str(), nullptr, 10));
}

std::string LocalStore::applied_fields(const Kind& kind, const ObjectKey& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find({std::string(kind.kind), key});
  return found == objects_.end() ? std::string() : found->second.applied;
}

}  // namespace op::provider
