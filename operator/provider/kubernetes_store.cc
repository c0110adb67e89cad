#include "operator/provider/kubernetes_store.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace op::provider {

using broker::Error;
using broker::ErrorCode;
using nlohmann::json;

namespace {

/// Server-side apply leaves what others added, but Secrets and ConfigMaps of ours are wholly ours:
/// a merge patch that takes foreign entries out; "" when there are none.
std::string foreign_data(const Object& written, const std::string& wanted) {
  if (!(*written.kind == kube::kSecret) && !(*written.kind == kube::kConfigMap)) return {};
  const json have = json::parse(written.json, nullptr, false).value("data", json::object());
  const json want = json::parse(wanted, nullptr, false).value("data", json::object());
  json nulls = json::object();
  for (const auto& [key, value] : have.items()) {
    if (!want.contains(key)) nulls[key] = nullptr;
  }
  return nulls.empty() ? std::string() : json{{"data", nulls}}.dump();
}

bool has_status(const Object& object) {
  return json::parse(object.json, nullptr, false).contains("status");
}

}  // namespace

KubernetesStore::KubernetesStore(kube::KubeClient& client, KubernetesStoreOptions options)
    : client_(client), options_(std::move(options)), events_(client, options_.instance) {
  for (const WatchedKind& what : options_.watched) {
    auto watched = std::make_unique<Watched>();
    watched->what = what;
    watched_.emplace(std::string(what.kind->kind), std::move(watched));
  }
}

KubernetesStore::~KubernetesStore() { stop(); }

KubernetesStore::Watched* KubernetesStore::find(const Kind& kind) const {
  const auto found = watched_.find(kind.kind);
  return found == watched_.end() ? nullptr : found->second.get();
}

ObjectPtr KubernetesStore::get(const Kind& kind, const ObjectKey& key) const {
  const Watched* watched = find(kind);
  return watched == nullptr ? nullptr : watched->cache.get(key);
}

std::vector<ObjectPtr> KubernetesStore::list(const Kind& kind, const std::string& ns,
                                             const std::string& selector) const {
  const Watched* watched = find(kind);
  if (watched == nullptr) return {};
  std::vector<ObjectPtr> hits = watched->cache.list();
  std::erase_if(hits, [&](const ObjectPtr& object) {
    return (!ns.empty() && object->key.ns != ns) ||
           !kube::matches_selector(object->labels, selector);
  });
  return hits;
}

bool KubernetesStore::synced() const { return missing().empty(); }

std::vector<std::string> KubernetesStore::missing() const {
  std::vector<std::string> kinds;
  for (const auto& [name, watched] : watched_) {
    const auto& informers = watched->informers;
    const bool complete =
        !informers.empty() && std::all_of(informers.begin(), informers.end(),
                                          [](const auto& informer) { return informer->synced(); });
    if (!complete && !watched->what.optional) kinds.push_back(name);
  }
  return kinds;
}

broker::Result<ObjectPtr> KubernetesStore::read(const Kind& kind, const ObjectKey& key) {
  return client_.get(kind, key);
}

broker::Result<void> KubernetesStore::check_leader() const {
  if (options_.may_write()) return {};
  return Error{ErrorCode::kNotController, "not the leader"};
}

void KubernetesStore::remember(const ObjectPtr& written) {
  Watched* watched = find(*written->kind);
  if (watched == nullptr) return;
  const auto [stored, old] =
      watched->cache.put_if(written->key, written, [&](const ObjectPtr& known) {
        // Where nothing is known the watch will bring it; putting it there could revive an object
        // that was deleted in the meantime.
        return known && known->uid == written->uid &&
               kube::is_newer(written->resource_version, known->resource_version);
      });
  if (!stored) return;
  // The watch will find nothing new, so other loops must hear of it here.
  for (const ChangeHandler& handler : watched->handlers) handler(old, written);
}

broker::Result<void> KubernetesStore::check_unseen(const Kind& kind, const ObjectKey& key) {
  if (!(kind == kube::kSecret) || get(kind, key)) return {};
  const auto there = client_.get(kind, key);
  if (there.code() == ErrorCode::kResourceNotFound) return {};
  if (!there.ok()) return there.error();
  const Watched* watched = find(kind);
  const bool ours =
      watched != nullptr && kube::matches_selector((*there)->labels, watched->what.selector);
  if (!ours) return {};
  return Error{ErrorCode::kInvalidUpdateVersion,
               "Secret " + to_string(key) + " is there, but was not seen yet"};
}

broker::Result<ObjectPtr> KubernetesStore::apply(const Kind& kind, const ObjectKey& key,
                                                 const std::string& body) {
  RETURN_IF_ERROR(check_leader());
  RETURN_IF_ERROR(check_unseen(kind, key));
  ASSIGN_OR_RETURN(ObjectPtr written, client_.apply(kind, key, body));
  if (const std::string patch = foreign_data(*written, body); !patch.empty()) {
    ASSIGN_OR_RETURN(written, client_.merge_patch(kind, key, patch));
  }
  remember(written);
  return written;
}

broker::Result<void> KubernetesStore::remove(const Kind& kind, const ObjectKey& key,
                                             const std::string& uid) {
  RETURN_IF_ERROR(check_leader());
  return client_.remove(kind, key, {.uid = uid});
}

broker::Result<void> KubernetesStore::write_status(const Object& object,
                                                   const std::string& status_json) {
  RETURN_IF_ERROR(check_leader());
  json identity{{"apiVersion", object.kind->api_version()},
                {"kind", object.kind->kind},
                {"metadata",
                 {{"name", object.key.name},
                  {"namespace", object.key.ns},
                  {"uid", object.uid}}}};  // never onto an object created anew
  if (*object.kind == kube::kCluster && !has_status(object))
    identity["metadata"]["resourceVersion"] = object.resource_version;
  std::string body = identity.dump();
  body.pop_back();
  body += R"(,"status":)" + status_json + "}";
  ASSIGN_OR_RETURN(const ObjectPtr written, client_.apply_status(*object.kind, object.key, body));
  remember(written);
  return {};
}

broker::Result<void> KubernetesStore::set_finalizer(const Object& object,
                                                    const std::string& finalizer, bool present) {
  RETURN_IF_ERROR(check_leader());
  std::vector<std::string> finalizers = object.finalizers;
  std::erase(finalizers, finalizer);
  if (present) finalizers.push_back(finalizer);
  // With the version: another controller's finalizer must not be lost.
  const json patch{{"metadata",
                    {{"uid", object.uid},
                     {"resourceVersion", object.resource_version},
                     {"finalizers", finalizers}}}};
  const auto written = client_.merge_patch(*object.kind, object.key, patch.dump());
  // It went with the finalizer that was taken a moment ago; the watch has not told yet.
  if (!present && written.code() == ErrorCode::kResourceNotFound) return {};
  if (!written.ok()) return written.error();
  remember(*written);
  return {};
}

void KubernetesStore::event(const Object& about, bool warning, const std::string& reason,
                            const std::string& message) {
  if (options_.may_write()) events_.record(about, warning, reason, message);
}

void KubernetesStore::subscribe(const Kind& kind, ChangeHandler handler) {
  Watched* watched = find(kind);
  CHECK(watched != nullptr);
  watched->handlers.push_back(std::move(handler));
}

broker::Result<void> KubernetesStore::start() {
  for (const auto& [name, watched] : watched_) {
    std::vector<std::string> namespaces = options_.namespaces;
    if (namespaces.empty() || !watched->what.kind->namespaced) namespaces = {""};
    for (const std::string& ns : namespaces) {
      kube::InformerOptions options;
      options.kind = watched->what.kind;
      options.ns = ns;
      options.selector = watched->what.selector;
      watched->informers.push_back(std::make_unique<kube::Informer>(
          client_, watched->cache, options,
          [w = watched.get()](const ObjectPtr& old, const ObjectPtr& now) {
            for (const ChangeHandler& handler : w->handlers) handler(old, now);
          }));
    }
  }
  for (const auto& [name, watched] : watched_) {
    for (const auto& informer : watched->informers) informer->start();
  }
  return {};
}

void KubernetesStore::stop() {
  for (const auto& [name, watched] : watched_) {
    for (const auto& informer : watched->informers) informer->stop();
  }
}

}  // namespace op::provider
