#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "operator/reconcile/types.h"

namespace op::reconcile {

/// The last known state of every object of one kind, with indexes. Values are immutable snapshots,
/// so a reader keeps a consistent object while the cache moves on. Thread-safe.
template <class T>
class ObjectCache {
 public:
  using Ptr = std::shared_ptr<const T>;
  /// The values under which an object is found; deterministic.
  using IndexFunction = std::function<std::vector<std::string>(const T&)>;

  /// Before the first put.
  void add_index(std::string name, IndexFunction function) {
    const std::lock_guard lock(mutex_);
    indexes_[std::move(name)].function = std::move(function);
  }

  /// Returns what was there before.
  Ptr put(const ObjectKey& key, Ptr value) {
    return put_if(key, std::move(value), [](const Ptr&) { return true; }).second;
  }

  /// Puts `value` if `wins(current)`, where current may be null; nothing comes between the two.
  /// Returns whether it did, and what was there before.
  std::pair<bool, Ptr> put_if(const ObjectKey& key, Ptr value,
                              const std::function<bool(const Ptr& current)>& wins) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(key);
    Ptr old = found == objects_.end() ? nullptr : found->second;
    if (!wins(old)) return {false, std::move(old)};
    if (old) {
      for (auto& [name, index] : indexes_) index.remove(key, *old);
    }
    for (auto& [name, index] : indexes_) index.insert(key, *value);
    objects_[key] = std::move(value);
    return {true, std::move(old)};
  }

  /// Erases if `agrees(current)`; returns what was erased.
  Ptr erase_if(const ObjectKey& key, const std::function<bool(const T& current)>& agrees) {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(key);
    if (found == objects_.end() || !agrees(*found->second)) return nullptr;
    Ptr old = std::move(found->second);
    objects_.erase(found);
    for (auto& [name, index] : indexes_) index.remove(key, *old);
    return old;
  }

  Ptr erase(const ObjectKey& key) {
    return erase_if(key, [](const T&) { return true; });
  }
  Ptr get(const ObjectKey& key) const {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(key);
    return found == objects_.end() ? nullptr : found->second;
  }

  /// In the order of their names, so that loops over them repeat.
  std::vector<Ptr> list() const {
    const std::lock_guard lock(mutex_);
    std::vector<Ptr> all;
    all.reserve(objects_.size());
    for (const auto& [key, object] : objects_) all.push_back(object);
    return all;
  }

  std::vector<Ptr> find(const std::string& index, const std::string& value) const {
    const std::lock_guard lock(mutex_);
    std::vector<Ptr> hits;
    const auto found = indexes_.find(index);
    if (found == indexes_.end()) return hits;
    const auto keys = found->second.keys.find(value);
    if (keys == found->second.keys.end()) return hits;
    for (const ObjectKey& key : keys->second) hits.push_back(objects_.at(key));
    return hits;
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return objects_.size();
  }

 private:
  struct Index {
    IndexFunction function;
    std::unordered_map<std::string, std::set<ObjectKey>> keys;

    void insert(const ObjectKey& key, const T& object) {
      for (const std::string& value : function(object)) keys[value].insert(key);
    }
    void remove(const ObjectKey& key, const T& object) {
      for (const std::string& value : function(object)) {
        const auto found = keys.find(value);
        if (found == keys.end()) continue;
        found->second.erase(key);
        if (found->second.empty()) keys.erase(found);
      }
    }
  };

  mutable std::mutex mutex_;
  std::map<ObjectKey, Ptr> objects_;
  std::map<std::string, Index> indexes_;
};

}  // namespace op::reconcile
