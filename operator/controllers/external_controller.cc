#include "operator/controllers/external_controller.h"

#include <nlohmann/json.hpp>

#include "broker/metadata/image.h"
#include "operator/api/external_cluster.h"
#include "operator/api/json.h"
#include "operator/api/validate.h"
#include "operator/controllers/external_material.h"
#include "operator/controllers/status_writer.h"

namespace op::controllers {
namespace {

using nlohmann::json;

/// Its Secrets are not ours and not watched.
constexpr std::chrono::seconds kLookAtSecrets{60};

api::ExternalClusterStatus observed(const Context& context, const api::ExternalCluster& cluster,
                                    ClusterHandle& handle) {
  api::ExternalClusterStatus status = cluster.status;
  status.observed_generation = cluster.metadata.generation;
  kafka::ClusterView& view = handle.view();
  const auto image = view.image();
  const bool synced = image && view.synced();
  if (synced) {
    // The first answer is recorded; another cluster behind the same address must be acknowledged.
    if (status.cluster_id.empty()) status.cluster_id = view.cluster_id();
    status.brokers = static_cast<std::int32_t>(image->cluster.brokers.size());
  }
  plan::Verdict verdict{api::reason::kReady, "connected"};
  bool ready = synced;
  if (!synced) {
    const std::string problem = view.problem();
    verdict = {api::reason::kUnreachable, problem.empty() ? "connecting" : problem};
  } else if (status.cluster_id != view.cluster_id()) {
    const std::string* acknowledged = cluster.metadata.annotation(api::kAcknowledgeAnnotation);
    ready = acknowledged != nullptr && *acknowledged == view.cluster_id();
    if (ready) {
      status.cluster_id = view.cluster_id();
    } else {
      verdict = {api::reason::kClusterIdChanged,
                 "the cluster id was " + status.cluster_id + " and is now " + view.cluster_id()};
    }
  }
  plan::set_ready(status.conditions, ready, verdict, cluster.metadata.generation,
                  context.timestamp());
  return status;
}

}  // namespace

Outcome ExternalClusterController::reconcile(const ObjectKey& key) {
  const api::ClusterRef ref{api::ClusterKind::kExternalCluster, {key.ns, key.name}};
  const auto object = context_.store.get(kind(), key);
  if (!object || object->deleting) {
    context_.clusters.close(ref);
    for (const auto& dependant : context_.index.of_cluster(ref)) context_.enqueue(dependant);
    return Outcome::done();
  }
  const auto cluster = api::parse_external_cluster(json::parse(object->json, nullptr, false),
                                                   context_.settings.unknown_fields);
  if (!cluster.ok()) return report_unreadable(context_, *object, cluster.error().detail);
  api::ExternalClusterStatus status = cluster->status;
  const auto errors = api::validate(*cluster);
  const auto refused = [&](const plan::Verdict& why) {
    const auto written = refuse(context_, *object, cluster->status, why);
    return written.ok() ? Outcome::again(kLookAtSecrets) : Outcome::failed(written.error());
  };
  if (cluster->metadata.is_paused()) {
    status = paused(status, object->generation, context_.timestamp());
  } else if (!errors.empty()) {
    return refused({errors.front().reason, api::to_string(errors)});
  } else if (const auto spec = external_connection(context_, *cluster); !spec.ok()) {
    const bool absent = spec.code() == broker::ErrorCode::kResourceNotFound;
    return refused(
        {absent ? api::reason::kSecretNotFound : api::reason::kInvalid, spec.error().detail});
  } else if (const auto handle = context_.clusters.open(ref, *spec); !handle.ok()) {
    status = not_ready(status, {api::reason::kUnreachable, handle.error().detail},
                       object->generation, context_.timestamp());
  } else {
    status = observed(context_, *cluster, **handle);
  }
  const auto written = write_status(context_, *object, cluster->status, status);
  return written.ok() ? Outcome::again(kLookAtSecrets) : Outcome::failed(written.error());
}

}  // namespace op::controllers
