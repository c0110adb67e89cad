#include "operator/controllers/cluster_gather.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "broker/common/rng.h"
#include "broker/common/uuid.h"
#include "operator/model/names.h"

namespace op::controllers {
namespace {

using nlohmann::json;

const json& field(const json& object, const char* name) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

std::string text(const json& object, const char* name) {
  const json& value = field(object, name);
  return value.is_string() ? value.get<std::string>() : std::string();
}

/// Why a container ended: what Kubernetes knows (OOMKilled), else the last line that it wrote.
std::string last_words(const json& container) {
  const json& terminated = field(field(container, "lastState"), "terminated");
  const std::string reason = text(terminated, "reason");
  if (!reason.empty() && reason != "Error") return reason;
  std::string message = text(terminated, "message");
  message.erase(message.find_last_not_of('\n') + 1);
  message.erase(0, message.rfind('\n') + 1);
  return message;
}

/// Why the container does not run, in its own words or the kubelet's.
std::string waiting_problem(const json& status) {
  for (const json& container : field(status, "containerStatuses")) {
    const json& waiting = field(field(container, "state"), "waiting");
    const std::string reason = text(waiting, "reason");
    if (!reason.empty() && reason != "ContainerCreating" && reason != "PodInitializing") {
      std::string message = reason == "CrashLoopBackOff" ? last_words(container) : std::string();
      if (message.empty()) message = text(waiting, "message");
      return message.empty() ? reason : reason + ": " + message;
    }
  }
  return {};
}

/// Between two crashes the container runs for a moment: that is no other story.
std::string crash_loop(const json& status) {
  for (const json& container : field(status, "containerStatuses")) {
    const json& restarts = field(container, "restartCount");
    const bool often = restarts.is_number_integer() && restarts.get<std::int64_t>() >= 2;
    const bool runs = field(field(container, "state"), "running").is_object();
    if (!often || !runs || field(container, "ready") == json(true)) continue;
    const std::string words = last_words(container);
    return words.empty() ? "CrashLoopBackOff" : "CrashLoopBackOff: " + words;
  }
  return {};
}

plan::ObservedPod observe(const kube::Object& object) {
  plan::ObservedPod pod;
  pod.name = object.key.name;
  pod.uid = object.uid;
  pod.deleting = object.deleting;
  pod.declared_digest = object.annotation(std::string(model::kDeclaredDigestAnnotation));
  pod.restart_asked = !object.annotation(std::string(model::kRestartAnnotation)).empty();
  const auto dash = pod.name.rfind('-');
  pod.node_id = dash == std::string::npos ? 0 : std::atoi(pod.name.c_str() + dash + 1);
  const json document = json::parse(object.json, nullptr, false);
  pod.node = text(field(document, "spec"), "nodeName");
  const json& status = field(document, "status");
  pod.address = text(status, "podIP");
  for (const json& condition : field(status, "conditions")) {
    const std::string type = text(condition, "type");
    const bool is_true = text(condition, "status") == "True";
    if (type == "Ready") pod.ready = is_true && !pod.deleting;
    if (type == "PodScheduled" && !is_true) {
      pod.unschedulable = true;
      pod.problem = text(condition, "message");
    }
  }
  if (pod.problem.empty()) pod.problem = waiting_problem(status);
  if (pod.problem.empty() && !pod.ready) pod.problem = crash_loop(status);
  return pod;
}

plan::ObservedQuorum to_plan(const kafka::QuorumDescription& quorum) {
  const auto converted = [](const auto& replicas) {
    std::vector<plan::QuorumReplica> out;
    for (const auto& replica : replicas)
      out.push_back({replica.node_id, replica.directory_id, replica.caught_up});
    return out;
  };
  return {quorum.leader_id, converted(quorum.voters), converted(quorum.observers)};
}

}  // namespace

std::vector<plan::ObservedPod> observe_pods(const Context& context, const api::Cluster& cluster) {
  std::vector<plan::ObservedPod> pods;
  const std::string selector = std::string(model::kClusterLabel) + "=" + cluster.metadata.name;
  for (const auto& object : context.store.list(kube::kPod, cluster.metadata.namespace_, selector)) {
    pods.push_back(observe(*object));
  }
  return pods;
}

void observe_names(const Context& context, const api::Cluster& cluster, plan::ClusterInput& input) {
  const auto& roll = cluster.status.roll;
  const auto& scale = cluster.status.scale;
  for (plan::ObservedPod& pod : input.pods) {
    const bool restarted = roll && roll->node_id == pod.node_id && roll->pod_uid != pod.uid;
    const bool joins =
        scale && std::count(scale->joining.begin(), scale->joining.end(), pod.node_id) > 0;
    // Asked only about pods that have just come, once they serve: a name server that is asked too
    // early remembers that there was nothing.
    const api::PoolSpec* pool = model::pool_of(cluster, pod.node_id);
    if (!pool || !(restarted || joins) || !pod.ready || pod.address.empty()) continue;
    const provider::Infrastructure::NodeName node{
        {cluster.metadata.namespace_, cluster.metadata.name},
        pod.name,
        model::pod_host(cluster, *pool, pod.node_id)};
    pod.name_is_stale = !context.infrastructure.name_leads_to(node, pod.address);
  }
}

broker::Result<void> observe_placements(const Context& context, api::Cluster& cluster,
                                        const std::vector<plan::ObservedPod>& pods) {
  if (!cluster.spec.rack_topology_key) {
    cluster.status.placements.clear();
    return {};
  }
  std::optional<broker::Error> first;
  for (api::NodePlacement& placement : plan::unknown_placements(cluster, pods)) {
    const auto node = context.store.read(kube::kNode, {"", placement.node});
    if (!node.ok()) {
      if (!first)
        first = {node.error().code, "Node " + placement.node + ": " + node.error().detail};
      continue;
    }
    placement.rack = std::string((*node)->label(*cluster.spec.rack_topology_key));
    auto& known = cluster.status.placements;
    std::erase_if(known, [&](const auto& old) { return old.node_id == placement.node_id; });
    known.push_back(std::move(placement));
  }
  std::sort(cluster.status.placements.begin(), cluster.status.placements.end(),
            [](const auto& a, const auto& b) { return a.node_id < b.node_id; });
  if (first) return *first;
  return {};
}

void observe_quorum(const api::Cluster& cluster, ClusterHandle& handle, plan::ClusterInput& input) {
  std::string pods;
  for (const plan::ObservedPod& pod : input.pods)
    pods += pod.uid + (pod.deleting ? "-" : pod.ready ? "+" : "?");
  // Nothing tells when a controller has caught up.
  const auto known = handle.view().quorum();
  const bool waiting = cluster.status.roll || cluster.status.scale || !input.leaving.empty() ||
                       (known && !std::holds_alternative<plan::KeepVoters>(plan::next_voter_action(
                                     cluster, to_plan(*known), plan::leaving_voters(input))));
  const ClusterHandle::Quorum quorum = handle.quorum(
      pods, waiting ? std::optional<broker::Duration>(std::chrono::seconds(1)) : std::nullopt);
  if (!quorum.last) return;
  input.quorum = to_plan(*quorum.last);
  input.quorum_is_current = quorum.is_current;
}

std::optional<kafka::ConnectionSpec> connection_of(const Context& context,
                                                   const api::Cluster& cluster) {
  const auto ca = read_ca(context, cluster, model::CaPurpose::kCluster);
  const ObjectKey secret{cluster.metadata.namespace_, model::operator_secret(cluster)};
  const SecretData data = context.secrets.recall(secret, cluster.metadata.uid,
                                                 context.store.get(kube::kSecret, secret));
  const auto certificate = data.find("tls.crt");
  const auto private_key = data.find("tls.key");
  if (!ca || certificate == data.end() || private_key == data.end()) return std::nullopt;
  kafka::ConnectionSpec spec;
  spec.ca_pem = ca->bundle_pem;
  spec.certificate_pem = certificate->second;
  spec.private_key_pem = private_key->second;
  // A name that every node's certificate has.
  if (context.infrastructure.connects_by_other_name()) spec.tls_server_name = "localhost";
  for (const api::PoolSpec& pool : cluster.spec.pools) {
    for (const std::int32_t id : model::node_ids(pool)) {
      const provider::Infrastructure::NodeName node{
          {cluster.metadata.namespace_, cluster.metadata.name},
          model::pod_name(cluster, pool, id),
          model::pod_host(cluster, pool, id)};
      if (pool.has_role(api::Role::kController)) {
        spec.controllers.push_back(
            context.infrastructure.node_endpoint(node, model::kControllerPort));
      }
      if (pool.has_role(api::Role::kBroker)) {
        spec.brokers.push_back(context.infrastructure.node_endpoint(node, model::kInternalPort));
        spec.broker_ids.push_back(id);
      }
    }
  }
  return spec;
}

namespace {

/// From the tz database of the system; "UTC" needs none.
std::optional<plan::TimeZone> read_time_zone(const std::string& directory,
                                             const std::string& name) {
  if (name == "UTC") return plan::TimeZone::utc();
  const bool is_name =
      !name.empty() && name.front() != '/' && name.find("..") == std::string::npos &&
      std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '/' || c == '_' || c == '-' || c == '+';
      });
  if (!is_name) return std::nullopt;
  std::ifstream file(directory + "/" + name, std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  return file ? plan::TimeZone::parse(bytes.str()) : std::nullopt;
}

}  // namespace

void observe_window(const Context& context, const api::Cluster& cluster,
                    plan::ClusterInput& input) {
  const std::string* ignore = cluster.metadata.annotation(plan::kIgnoreWindowsAnnotation);
  std::vector<plan::Window> windows;
  for (std::size_t i = 0; i < cluster.spec.maintenance_windows.size(); ++i) {
    const api::MaintenanceWindow& declared = cluster.spec.maintenance_windows[i];
    const auto schedule = api::parse_cron(declared.schedule);
    const auto zone = read_time_zone(context.settings.time_zones, declared.time_zone);
    if (!zone)
      input.errors.push_back({api::reason::kInvalid,
                              "spec.maintenanceWindows[" + std::to_string(i) + "].timeZone",
                              "there is no time zone \"" + declared.time_zone + "\""});
    if (zone && schedule.ok()) windows.push_back({*schedule, declared.duration, *zone});
  }
  if (ignore == nullptr || *ignore != "true")
    input.window = plan::window_state(windows, context.wall_now());
}

void check_leaf_validity(const Context& context, const api::Cluster& cluster,
                         plan::ClusterInput& input) {
  // Renewed when a third of its life is left.
  const auto shortest = 3 * context.infrastructure.certificate_delay();
  if (cluster.spec.certificates.leaf_validity >= shortest || !input.errors.empty()) return;
  input.errors.push_back({api::reason::kInvalid, "spec.certificates.leafValidity",
                          "must be at least " + std::to_string(shortest.count()) +
                              "s here, where a changed Secret takes up to " +
                              std::to_string(context.infrastructure.certificate_delay().count()) +
                              "s to reach the brokers"});
}

plan::Identity draw_identity(const api::Cluster& cluster) {
  broker::Rng rng(broker::Rng::os_seed());
  plan::Identity identity;
  identity.cluster_id = broker::Uuid::random(rng).to_string();
  for (const api::PoolSpec& pool : cluster.spec.pools) {
    for (std::int32_t i = 0; pool.has_role(api::Role::kController) && i < pool.replicas; ++i) {
      identity.directory_ids.push_back(broker::Uuid::random(rng).to_string());
    }
  }
  return identity;
}

}  // namespace op::controllers
