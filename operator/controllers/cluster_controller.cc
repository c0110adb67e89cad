#include "operator/controllers/cluster_controller.h"

#include <nlohmann/json.hpp>

#include "broker/common/log.h"
#include "broker/metadata/image.h"
#include "operator/api/json.h"
#include "operator/api/validate.h"
#include "operator/controllers/cluster_apply.h"
#include "operator/controllers/cluster_gather.h"
#include "operator/controllers/moves.h"
#include "operator/controllers/status_writer.h"
#include "operator/model/cluster_objects.h"
#include "operator/plan/cluster_plan.h"

namespace op::controllers {
namespace {

using api::ClusterRef;
using nlohmann::json;

ClusterRef ref_of(const ObjectKey& key) { return {api::ClusterKind::kCluster, {key.ns, key.name}}; }

void wake_users(const Context& context, const ClusterRef& ref) {
  for (const auto& key : context.index.of_cluster(ref)) {
    if (key.kind == kube::kUser.kind) context.enqueue(key);
  }
}

/// The identity is in status before anything that depends on it exists: an operator killed in
/// between would otherwise draw a second one.
broker::Result<void> ensure_identity(const Context& context, const kube::Object& object,
                                     api::Cluster& cluster) {
  // A newer operator's default is for new clusters: this one keeps what it has.
  const std::string& base =
      cluster.status.image.empty() ? context.settings.default_image : cluster.status.image;
  const auto wanted = plan::plan_identity(cluster, draw_identity(cluster),
                                          model::resolve_image(cluster.spec.image, base));
  if (!wanted) return {};
  RETURN_IF_ERROR(context.store.write_status(object, api::encode_status(*wanted).dump()));
  cluster.status = *wanted;
  return {};
}

/// Certificates and child objects. The status shows what went wrong.
broker::Result<broker::WallMs> build(const Context& context, const kube::Object& object,
                                     const api::Cluster& cluster, plan::ClusterInput& input) {
  ASSIGN_OR_RETURN(const ClusterPki pki, ensure_cluster_pki(context, object, cluster, input.pods));
  input.certificates = pki.status;
  input.rotating = pki.waiting;
  input.certificate_problem = pki.problem;
  if (pki.changed) {
    wake_users(context, ref_of({cluster.metadata.namespace_, cluster.metadata.name}));
  }
  RETURN_IF_ERROR(apply_objects(context, cluster));
  return pki.renew_at;
}

void observe_kafka(const Context& context, const api::Cluster& cluster, const ClusterRef& ref,
                   plan::ClusterInput& input,
                   std::shared_ptr<const broker::metadata::MetadataImage>& image) {
  ClusterHandlePtr handle;
  if (const auto spec = connection_of(context, cluster)) {
    auto opened = context.clusters.open(ref, *spec);
    if (opened.ok()) {
      handle = *opened;
    } else {
      input.problem = opened.error().detail;
    }
  }
  if (!handle) return;
  image = handle->view().image();
  input.image = image.get();
  input.synced = image && handle->view().synced();
  input.observed_cluster_id = handle->view().cluster_id();
  if (!input.synced) input.problem = handle->view().problem();
  input.voter_problem = handle->voter_problem();
  if (image) observe_quorum(cluster, *handle, input);
}

/// Sizes of logs, while something is moved that is shown in bytes.
constexpr std::chrono::seconds kFreshBytes{10};

void observe_bytes(const Context& context, const api::Cluster& cluster, ClusterHandle& handle,
                   plan::ClusterInput& input) {
  if (!cluster.status.scale && input.leaving.empty()) return;
  const reconcile::WorkKey key{std::string(api::Cluster::kKind),
                               {cluster.metadata.namespace_, cluster.metadata.name}};
  const auto sizes = handle.log_sizes(kFreshBytes, [&context, key] { context.enqueue(key); });
  if (sizes.last) input.bytes = bytes_by_partition(*sizes.last);
}

void tell_about_ready(const Context& context, const kube::Object& object,
                      const api::ClusterStatus& before, const api::ClusterStatus& after) {
  const auto* was = api::find_condition(before.conditions, api::condition::kReady);
  const auto* is = api::find_condition(after.conditions, api::condition::kReady);
  if (is == nullptr || (was != nullptr && was->reason == is->reason)) return;
  const bool warning =
      is->status != api::ConditionStatus::kTrue && is->reason != api::reason::kBrokersNotReady &&
      is->reason != api::reason::kRestartRequired && is->reason != api::reason::kScaling &&
      is->reason != api::reason::kMaintenanceWindow;
  context.store.event(object, warning, is->reason, is->message);
}

/// A certificate of the user's that cannot be used: a warning when that is news.
void tell_about_certificates(const Context& context, const kube::Object& object,
                             const api::ClusterStatus& before,
                             const std::optional<plan::Verdict>& problem) {
  if (!problem) return;
  const auto* was = api::find_condition(before.conditions, api::condition::kDegraded);
  if (was == nullptr || was->message != problem->message)
    context.store.event(object, true, std::string(problem->reason), problem->message);
}

/// Offsets of controllers change without an event.
bool waits_for_quorum(const plan::ClusterInput& input, const plan::RollAction& roll,
                      const plan::VoterAction& voters) {
  if (const auto* wait = std::get_if<plan::WaitUntilReady>(&roll))
    return wait->why.reason != api::reason::kMaintenanceWindow;
  if (std::holds_alternative<plan::RestoreLeaders>(roll)) return true;
  return input.synced && !std::holds_alternative<plan::KeepVoters>(voters);
}

Outcome look_again(const Context& context, broker::WallMs renew_at, bool soon) {
  if (soon) return Outcome::again(std::chrono::seconds(1));
  if (renew_at == 0) return Outcome::done();
  const auto left = std::chrono::milliseconds(renew_at - context.wall_now());
  if (left > std::chrono::hours(1)) return Outcome::done();  // the resync comes before
  return Outcome::again(std::max<broker::Duration>(left, std::chrono::seconds(1)));
}

}  // namespace

void ClusterController::on_gone(const ObjectKey& key) {
  context_.clusters.close(ref_of(key));
  // They drop their finalizers or say that there is no such cluster.
  for (const auto& dependant : context_.index.of_cluster(ref_of(key))) context_.enqueue(dependant);
}

Outcome ClusterController::reconcile(const ObjectKey& key) {
  const auto object = context_.store.get(kind(), key);
  if (!object || object->deleting) {
    on_gone(key);
    return Outcome::done();
  }
  auto read = api::parse_cluster(json::parse(object->json, nullptr, false),
                                 context_.settings.unknown_fields);
  if (!read.ok()) return report_unreadable(context_, *object, read.error().detail);
  api::Cluster& cluster = *read;
  if (cluster.metadata.is_paused()) {
    const auto written =
        write_status(context_, *object, cluster.status,
                     paused(cluster.status, object->generation, context_.timestamp()));
    return written.ok() ? Outcome::done() : Outcome::failed(written.error());
  }

  // Nothing can be made in a namespace that goes, and the Cluster goes with it.
  if (namespace_is_ending(context_, key.ns)) return Outcome::done();
  // What the user wrote is judged, not what becomes of it here.
  plan::ClusterInput input{.cluster = cluster, .errors = api::validate(cluster)};
  observe_window(context_, cluster, input);
  check_leaf_validity(context_, cluster, input);
  if (input.errors.empty()) input.leaving = plan::hold_leaving_nodes(cluster);
  context_.infrastructure.adapt(cluster);
  broker::WallMs renew_at = 0;
  std::optional<broker::Error> failure;
  input.pods = observe_pods(context_, cluster);
  api::ClusterStatus before = cluster.status;
  if (input.errors.empty()) {
    const auto identity = ensure_identity(context_, *object, cluster);
    if (!identity.ok()) return Outcome::failed(identity.error());
    before = cluster.status;
    const auto placed = observe_placements(context_, cluster, input.pods);
    if (!placed.ok()) failure = placed.error();
    const auto built = build(context_, *object, cluster, input);
    if (built.ok()) {
      renew_at = *built;
    } else {
      failure = built.error();
    }
    if (failure) input.apply_problem = failure->detail;
  }
  std::shared_ptr<const broker::metadata::MetadataImage> image;
  if (!cluster.status.cluster_id.empty()) {
    observe_kafka(context_, cluster, ref_of(key), input, image);
    observe_names(context_, cluster, input);
  }
  for (const api::PoolSpec& pool : cluster.spec.pools) {
    input.declared_digests[pool.name] = model::declared_digest(cluster, pool);
  }
  input.now = context_.timestamp();

  // An operator that starts does not know yet; what its predecessor saw stands meanwhile.
  const ClusterHandlePtr handle = context_.clusters.find(ref_of(key));
  const bool said = plan::is_ready(cluster.status.conditions) ||
                    (cluster.status.formatted &&
                     cluster.status.observed_generation == cluster.metadata.generation);
  if (!input.synced && handle && handle->is_connecting() && !failure && input.errors.empty() &&
      said) {
    return Outcome::again(std::chrono::milliseconds(500));
  }
  if (input.synced && handle) observe_bytes(context_, cluster, *handle, input);
  plan::RollStep roll{plan::Nothing{}, cluster.status.roll};
  input.scale.status = cluster.status.scale;
  if (!failure) roll = plan::plan_roll(input);
  input.roll = roll.status;
  if (!failure) input.scale = plan::plan_scale(input);
  if (handle && input.scale.status && !handle->scaling().problem().empty())
    input.scale.status->waiting_for = handle->scaling().problem();
  const api::ClusterStatus status = plan::plan_cluster_status(input);
  const auto live = context_.store.get(kind(), key);  // the identity may have moved it on
  const auto written = write_status(context_, live ? *live : *object, before, status);
  if (!written.ok()) return Outcome::failed(written.error());
  if (*written) {
    tell_about_ready(context_, *object, before, status);
    tell_about_certificates(context_, *object, before, input.certificate_problem);
  }
  if (failure) return Outcome::failed(*failure);
  if (!input.errors.empty()) return Outcome::done();

  if (input.synced && handle) {
    apply_dynamic_config(context_, cluster, object->generation, *handle, *image);
  }
  bool limits = false;
  if (input.synced && handle) {
    apply_scale(context_, cluster, input.scale, roll.action, *image, handle);
    limits = apply_throttle(context_, cluster, status, *image, *handle);
  }
  const auto rolled = apply_roll(context_, *object, roll.action);
  if (!rolled.ok()) return Outcome::failed(rolled.error());
  plan::VoterAction voters = plan::KeepVoters{};
  if (input.synced && input.quorum && input.quorum_is_current && status.formatted) {
    voters = plan::next_voter_action(cluster, *input.quorum, plan::leaving_voters(input));
    apply_voters(context_, cluster, voters, *handle);
  }
  // A window that opens is an event that nobody tells of.
  if (const broker::WallMs opens = plan::to_wall_ms(status.roll ? status.roll->window_opens : "");
      opens > 0 && (renew_at == 0 || opens < renew_at))
    renew_at = opens;
  return look_again(
      context_, renew_at,
      limits || input.scale.status.has_value() || waits_for_quorum(input, roll.action, voters));
}

}  // namespace op::controllers
