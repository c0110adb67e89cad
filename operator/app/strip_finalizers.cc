#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "broker/common/log.h"
#include "operator/api/meta.h"
#include "operator/app/process.h"
#include "operator/controllers/leader.h"
#include "operator/kube/api_server.h"
#include "operator/kube/client.h"
#include "operator/kube/http_transport.h"
#include "operator/kube/service_account.h"
#include "operator/reconcile/lease_rule.h"

namespace op::app {
namespace {

using broker::ErrorCode;
using nlohmann::json;

/// The replicas still run while the hook does; without the Lease none of them puts a finalizer
/// back. They notice within their retry period.
broker::Result<void> take_lease(kube::KubeClient& client, const kube::ObjectKey& key,
                                const std::string& holder, std::int64_t duration_s) {
  broker::Result<void> last;
  for (int attempt = 0; attempt < 20; ++attempt) {
    const auto found = client.get_lease(key);
    if (!found.ok()) return found.error();
    kube::LeaseSpec lease;
    lease.key = key;
    lease.holder = holder;
    lease.duration_s = duration_s;
    lease.renew_time = lease.acquire_time = kube::rfc3339_now(true);
    lease.transitions = *found ? (*found)->record.transitions + 1 : 0;
    const auto written = client.put_lease(lease, *found ? (*found)->record.version : "");
    if (written.ok()) return {};
    last = written.error();
    if (written.code() != ErrorCode::kInvalidUpdateVersion &&
        written.code() != ErrorCode::kDuplicateResource) {
      return last;
    }
  }
  return last;
}

broker::Result<int> strip(kube::KubeClient& client, const kube::Kind& kind, const std::string& ns) {
  std::vector<kube::ObjectPtr> held;
  const auto listed = client.list(kind, ns, "", [&](const kube::ObjectPtr& object) {
    if (object->has_finalizer(api::kFinalizer)) held.push_back(object);
  });
  if (!listed.ok()) {
    if (listed.code() == ErrorCode::kResourceNotFound) return 0;  // the CRD is gone already
    return listed.error();
  }
  int stripped = 0;
  for (const auto& object : held) {
    std::vector<std::string> kept = object->finalizers;
    std::erase(kept, std::string(api::kFinalizer));
    const json patch{{"metadata", {{"uid", object->uid}, {"finalizers", kept}}}};
    const auto written = client.merge_patch(kind, object->key, patch.dump());
    if (!written.ok() && written.code() != ErrorCode::kResourceNotFound) return written.error();
    ++stripped;
  }
  return stripped;
}

}  // namespace

int strip_finalizers(const Options& options) {
  const auto server = options.kubeconfig.empty()
                          ? kube::in_cluster_config()
                          : kube::load_kubeconfig(options.kubeconfig, options.context);
  if (!server.ok()) return fail(server.error().detail);
  const auto transport = kube::make_cpprest_transport(*server);
  kube::KubeClient client(*transport);
  const kube::ObjectKey lease{
      options.operator_namespace.empty() ? server->ns : options.operator_namespace, options.lease};
  const std::string self = controllers::uninstaller_of(kube::service_account_uid(*server));
  const auto taken = take_lease(client, lease, self, 600);
  if (!taken.ok()) return fail("cannot take the Lease: " + taken.error().detail);
  std::this_thread::sleep_for(reconcile::LeaseOptions().retry_period * 2);

  std::vector<std::string> namespaces = options.namespaces;
  if (namespaces.empty()) namespaces = {""};
  for (const kube::Kind* kind : {&kube::kTopic, &kube::kUser, &kube::kAcl}) {
    for (const std::string& ns : namespaces) {
      const auto stripped = strip(client, *kind, ns);
      if (!stripped.ok()) return fail(stripped.error().detail);
      broker::log_info("app", "finalizers removed",
                       {{"kind", kind->kind}, {"namespace", ns}, {"count", *stripped}});
    }
  }
  // Long enough for the replicas to be deleted. An installation that follows does not wait for it.
  const auto released = take_lease(client, lease, self, 20);
  if (!released.ok()) return fail("cannot release the Lease: " + released.error().detail);
  return 0;
}

}  // namespace op::app
