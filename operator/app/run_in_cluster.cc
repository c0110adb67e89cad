#include <chrono>
#include <thread>

#include "broker/common/log.h"
#include "operator/app/metrics.h"
#include "operator/app/process.h"
#include "operator/controllers/leader.h"
#include "operator/controllers/operator.h"
#include "operator/kube/api_server.h"
#include "operator/kube/client.h"
#include "operator/kube/http_transport.h"
#include "operator/kube/service_account.h"
#include "operator/provider/kubernetes_infrastructure.h"
#include "operator/provider/kubernetes_store.h"

namespace op::app {
namespace {

using namespace std::chrono_literals;

broker::Result<kube::ApiServer> find_server(const Options& options) {
  if (options.kubeconfig.empty()) return kube::in_cluster_config();
  return kube::load_kubeconfig(options.kubeconfig, options.context);
}

/// Waits until the API server answers: at the start of a node it may come after us.
bool wait_for_server(kube::KubeClient& client) {
  for (int attempt = 1; !stop_requested(); ++attempt) {
    const auto version = client.server_version();
    if (version.ok()) {
      broker::log_info("app", "API server found", {{"version", *version}});
      return true;
    }
    broker::log_warn("app", "API server does not answer",
                     {{"attempt", attempt}, {"error", to_string(version.error())}});
    for (int i = 0; i < 20 && !stop_requested(); ++i) std::this_thread::sleep_for(100ms);
  }
  return false;
}

bool wait_for_caches(provider::KubernetesStore& store) {
  const auto began = std::chrono::steady_clock::now();
  auto complain_at = began + 10s;
  while (!store.synced()) {
    if (stop_requested()) return false;
    if (std::chrono::steady_clock::now() > complain_at) {
      std::string kinds;
      for (const std::string& kind : store.missing()) kinds += (kinds.empty() ? "" : ", ") + kind;
      broker::log_error("app", "cannot list some kinds: are the CRDs and the RBAC rules installed?",
                        {{"kinds", kinds}});
      complain_at += 30s;
    }
    std::this_thread::sleep_for(5ms);
  }
  const auto took = std::chrono::steady_clock::now() - began;
  broker::log_info("app", "caches filled",
                   {{"ms", std::chrono::duration_cast<std::chrono::milliseconds>(took).count()}});
  return true;
}

provider::KubernetesStoreOptions store_options(const Options& options,
                                               std::function<bool()> may_write) {
  provider::KubernetesStoreOptions out;
  out.namespaces = options.namespaces;
  out.instance = options.identity;
  out.may_write = std::move(may_write);
  for (const controllers::WatchedChild& child : controllers::watched_kinds()) {
    const bool optional = child.kind == &kube::kNamespace && !options.namespaces.empty();
    out.watched.push_back({child.kind, child.selector, optional});
  }
  return out;
}

controllers::OperatorSettings settings_of(const Options& options, const std::string& ns) {
  controllers::OperatorSettings settings;
  settings.ns = ns;
  settings.default_image = options.broker_image;
  for (const std::string& label : options.pod_labels) {
    const auto equals = label.find('=');
    if (equals == std::string::npos) continue;
    settings.pod_labels[label.substr(0, equals)] = label.substr(equals + 1);
  }
  return settings;
}

}  // namespace

int run_in_cluster(const Options& options) {
  const auto server = find_server(options);
  if (!server.ok()) return fail(server.error().detail);
  const std::string ns =
      options.operator_namespace.empty() ? server->ns : options.operator_namespace;
  const auto transport = kube::make_cpprest_transport(*server);
  kube::KubeClient client(*transport);
  if (!wait_for_server(client)) return 0;

  controllers::Leader* leader_ptr = nullptr;  // set before anything asks
  const auto may_write = [&leader_ptr] { return leader_ptr == nullptr || leader_ptr->may_act(); };
  provider::KubernetesStore store(client, store_options(options, may_write));
  provider::KubernetesInfrastructure infrastructure;
  KafkaRuntime kafka(options);
  controllers::Operator op({store, infrastructure, kafka.connector(), kafka.scheduler(), may_write},
                           settings_of(options, ns), {.workers = options.workers});
  controllers::MetricsCollector collector(store, op.clusters());
  const auto lasting = std::chrono::seconds(options.lease_seconds);
  controllers::Leader leader(
      client, {ns, options.lease}, options.identity, kube::service_account_uid(*server),
      reconcile::LeaseOptions::lasting(lasting), {[&op] { op.start(); }, [&op] { op.stop(); }});
  if (options.leader_election) leader_ptr = &leader;

  const auto http = start_http(
      options, [&store] { return store.synced(); },
      [&] { return metrics_text(op, collector, may_write()); });
  if (!http.ok()) return fail(http.error().detail);
  const auto started = store.start();
  if (!started.ok()) return fail(started.error().detail);
  if (wait_for_caches(store)) {
    if (options.leader_election) {
      leader.start();
    } else {
      op.start();
    }
    wait_for_stop_signal();
  }
  leader.stop();
  op.stop();
  store.stop();
  return 0;
}

}  // namespace op::app
