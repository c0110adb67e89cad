#include "operator/cli/cluster_status.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "broker/common/text.h"
#include "broker/metadata/features.h"
#include "operator/api/acl.h"
#include "operator/api/json.h"
#include "operator/api/topic.h"
#include "operator/cli/resources.h"
#include "operator/cli/table.h"

namespace op::cli {
namespace {

using broker::join;

using broker::ErrorCode;

const api::Condition* condition_of(const api::Cluster& cluster, std::string_view type) {
  return api::find_condition(cluster.status.conditions, type);
}

bool is_true(const api::Condition* condition) {
  return condition != nullptr && condition->status == api::ConditionStatus::kTrue;
}

/// Counts the resources of one kind that belong to the cluster, and warns of those not ready.
template <class T>
std::int64_t count_kind(Resources& resources, const kube::Kind& kind, ClusterReport& report,
                        std::vector<std::string>* names) {
  const auto objects = resources.list(kind, "");
  const auto& in_namespace = report.cluster.metadata.namespace_;
  auto found = objects.ok() ? objects : resources.list(kind, in_namespace);
  if (!found.ok()) {
    report.not_seen.push_back(std::string(kind.kind) + "s");
    return 0;
  }
  std::int64_t count = 0;
  for (const kube::ObjectPtr& object : *found) {
    const auto parsed = api::parse<T>(nlohmann::json::parse(object->json, nullptr, false));
    if (!parsed.ok()) continue;
    const api::ClusterRef& ref = parsed->spec.cluster_ref;
    if (ref.kind != api::ClusterKind::kCluster ||
        ref.object != report.cluster.metadata.object_name())
      continue;
    ++count;
    if (names != nullptr) names->push_back(parsed->metadata.name);
    const auto* ready = api::find_condition(parsed->status.conditions, api::condition::kReady);
    if (is_true(ready)) continue;
    report.warnings.push_back({std::string(kind.kind) + " " + object->key.name,
                               ready == nullptr ? "" : ready->reason,
                               ready == nullptr ? "has no status yet" : ready->message});
  }
  return count;
}

std::string roles_text(const api::PoolSpec& pool) {
  std::vector<std::string> out;
  if (pool.has_role(api::Role::kController)) out.push_back("controller");
  if (pool.has_role(api::Role::kBroker)) out.push_back("broker");
  return join(out, ", ");
}

std::string authentication_text(const api::ListenerSpec& listener) {
  std::vector<std::string> out;
  for (const api::ListenerAuthentication& accepted : listener.authentication) {
    if (accepted.type == api::ListenerAuth::kMtls)
      out.push_back("mTLS");
    else if (accepted.type != api::ListenerAuth::kNone)
      out.push_back(std::string(api::sasl_mechanism(accepted.type)));
  }
  return out.empty() ? "none" : join(out, ", ");
}

std::string reach_text(const api::ListenerSpec& listener) {
  switch (listener.expose.type) {
    case api::ExposeType::kClusterIp:
      return "pods";
    case api::ExposeType::kNodePort:
      return "outside, by NodePort";
    case api::ExposeType::kLoadBalancer:
      return "outside, by LoadBalancer";
  }
  return "";
}

std::string bootstrap_of(const api::Cluster& cluster, const std::string& listener) {
  for (const api::ListenerStatus& status : cluster.status.listeners)
    if (status.name == listener) return status.bootstrap;
  return "";
}

Cell state_cell(const api::Cluster& cluster) {
  const api::Condition* ready = condition_of(cluster, api::condition::kReady);
  if (cluster.metadata.is_deleting()) return {"being deleted", Tone::kWarning};
  if (ready == nullptr) return {"no status yet: does the operator run?", Tone::kWarning};
  const bool stalled = is_true(condition_of(cluster, api::condition::kStalled));
  std::string text = is_true(ready) ? "Ready" : "Not ready";
  if (!ready->message.empty()) text += ": " + ready->message;
  if (is_true(ready) && !is_true(condition_of(cluster, api::condition::kDegraded)))
    return {text, Tone::kGood};
  return {text, stalled ? Tone::kBad : Tone::kWarning};
}

std::string controllers_text_of(const api::Cluster& cluster) {
  std::vector<std::int32_t> ids;
  for (const api::InitialController& controller : cluster.status.initial_controllers)
    ids.push_back(controller.node_id);
  std::string text = ranges(ids);
  if (cluster.status.quorum_leader)
    text += " (leader " + std::to_string(*cluster.status.quorum_leader) + ")";
  return text;
}

std::string version_text_of(const api::Cluster& cluster) {
  std::string text = cluster.status.version;
  if (cluster.status.metadata_version > 0) {
    const auto name = broker::metadata::metadata_version_name(
        static_cast<std::int16_t>(cluster.status.metadata_version));
    text += (text.empty() ? "" : ", ") + std::string("metadata version ") +
            (name ? std::string(*name) : std::to_string(cluster.status.metadata_version));
  }
  return text;
}

std::string activity_text(const api::ClusterStatus& status) {
  std::string text = status.activity;
  const std::string waiting = status.roll    ? status.roll->waiting_for
                              : status.scale ? status.scale->waiting_for
                                             : "";
  if (!waiting.empty()) text += (text.empty() ? "" : ": ") + waiting;
  return text;
}

std::string resources_text(const ClusterReport& report) {
  std::vector<std::string> parts;
  const auto add = [&](std::int64_t count, const char* noun) {
    const auto& hidden = report.not_seen;
    if (std::find(hidden.begin(), hidden.end(), std::string(noun) + "s") == hidden.end())
      parts.push_back(counted(count, noun));
  };
  add(report.topics, "Topic");
  add(report.users, "User");
  add(report.acls, "ACL");
  std::string text = join(parts, ", ");
  if (!report.not_seen.empty())
    text += (text.empty() ? "" : "; ") + std::string("may not list ") + enumerated(report.not_seen);
  return text;
}

Table pools_table(const api::Cluster& cluster) {
  Table table({{"POOL"}, {"ROLES"}, {"NODES"}, {"READY", Align::kRight}});
  for (const api::PoolSpec& pool : cluster.spec.pools) {
    const auto& all = cluster.status.pools;
    const auto status =
        std::find_if(all.begin(), all.end(), [&](const auto& s) { return s.name == pool.name; });
    if (status == all.end()) {
      table.add({pool.name, roles_text(pool), "", "-"});
      continue;
    }
    table.add({pool.name, roles_text(pool), ranges(status->node_ids),
               Cell(std::to_string(status->ready) + "/" + std::to_string(status->replicas),
                    status->ready < status->replicas ? Tone::kWarning : Tone::kGood)});
  }
  return table;
}

Table listeners_table(const api::Cluster& cluster) {
  Table table({{"LISTENER"}, {"FOR"}, {"BOOTSTRAP"}, {"PROTOCOL"}, {"AUTHENTICATION"}});
  for (const api::ListenerSpec& listener : cluster.spec.listeners) {
    std::string bootstrap = bootstrap_of(cluster, listener.name);
    if (const std::size_t comma = bootstrap.find(','); comma != std::string::npos)
      bootstrap = bootstrap.substr(0, comma) + ", …";
    table.add({listener.name, reach_text(listener), bootstrap,
               std::string(api::security_protocol(listener)), authentication_text(listener)});
  }
  return table;
}

nlohmann::ordered_json warnings_json(const std::vector<Warning>& warnings) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const Warning& warning : warnings)
    out.push_back(
        {{"resource", warning.what}, {"reason", warning.reason}, {"message", warning.message}});
  return out;
}

}  // namespace

std::vector<Warning> warnings_of(const api::Cluster& cluster) {
  std::vector<Warning> out;
  const std::string what = "Cluster " + cluster.metadata.name;
  const auto add = [&](const api::Condition* condition) {
    const Warning warning{what, condition->reason, condition->message};
    if (std::find(out.begin(), out.end(), warning) == out.end()) out.push_back(warning);
  };
  const api::Condition* ready = condition_of(cluster, api::condition::kReady);
  if (ready != nullptr && !is_true(ready)) add(ready);
  for (const auto type : {api::condition::kStalled, api::condition::kDegraded})
    if (const api::Condition* condition = condition_of(cluster, type); is_true(condition))
      add(condition);
  if (cluster.status.roll && !cluster.status.roll->unsafe_topics.empty()) {
    out.push_back({what, std::string(api::reason::kUnsafeTopics),
                   "not available for writes while their broker restarts: " +
                       join(cluster.status.roll->unsafe_topics, ", ")});
  }
  return out;
}

broker::Result<ClusterReport> gather_report(Resources& resources, api::Cluster cluster) {
  ClusterReport report;
  report.warnings = warnings_of(cluster);
  report.cluster = std::move(cluster);
  report.topics = count_kind<api::Topic>(resources, kube::kTopic, report, nullptr);
  report.users = count_kind<api::User>(resources, kube::kUser, report, &report.user_names);
  report.acls = count_kind<api::Acl>(resources, kube::kAcl, report, nullptr);
  return report;
}

std::string render_clusters(const std::vector<api::Cluster>& clusters, const Terminal& terminal) {
  Table table({{"NAMESPACE"},
               {"CLUSTER"},
               {"BROKERS", Align::kRight},
               {"ACTIVITY"},
               {"STATE", Align::kLeft, true}});
  for (const api::Cluster& cluster : clusters) {
    table.add({cluster.metadata.namespace_, cluster.metadata.name,
               std::to_string(cluster.status.ready_brokers) + "/" +
                   std::to_string(cluster.status.brokers),
               cluster.status.activity, state_cell(cluster)});
  }
  return table.render(terminal);
}

std::string render_report(const ClusterReport& report, const Terminal& terminal) {
  const api::Cluster& cluster = report.cluster;
  std::vector<Fact> facts{
      {"Cluster",
       Cell(cluster.metadata.name + " in namespace " + cluster.metadata.namespace_, Tone::kStrong)},
      {"State", state_cell(cluster)}};
  const auto add = [&](const char* name, Cell value) {
    if (!value.text.empty()) facts.push_back({name, std::move(value)});
  };
  add("Activity", {activity_text(cluster.status), Tone::kWarning});
  add("Brokers", std::to_string(cluster.status.ready_brokers) + " of " +
                     std::to_string(cluster.status.brokers) + " ready");
  add("Controllers", controllers_text_of(cluster));
  add("Version", version_text_of(cluster));
  add("Image", cluster.status.image);
  add("Cluster id", cluster.status.cluster_id);
  add("Resources", resources_text(report));
  std::string out = render_facts(facts, terminal) + "\n" + pools_table(cluster).render(terminal) +
                    "\n" + listeners_table(cluster).render(terminal);
  if (!report.user_names.empty()) {
    out += paint("A client needs the Secret of a User (" + join(report.user_names, ", ") +
                     ") and nothing else.",
                 Tone::kDim, terminal) +
           "\n";
  }
  if (report.warnings.empty()) return out;
  Table table({{"WARNING"}, {"REASON"}, {"MESSAGE", Align::kLeft, true}});
  for (const Warning& warning : report.warnings)
    table.add({warning.what, Cell(warning.reason, Tone::kWarning), warning.message});
  return out + "\n" + table.render(terminal) +
         paint("What a reason means and what to do: docs/runbooks/<REASON>.md", Tone::kDim,
               terminal) +
         "\n";
}

std::string reports_json(const std::vector<ClusterReport>& reports) {
  using json = nlohmann::ordered_json;
  json out = json::array();
  for (const ClusterReport& report : reports) {
    const api::Cluster& cluster = report.cluster;
    const api::Condition* ready = condition_of(cluster, api::condition::kReady);
    json listeners = json::array();
    for (const api::ListenerSpec& listener : cluster.spec.listeners) {
      listeners.push_back({{"name", listener.name},
                           {"bootstrap", bootstrap_of(cluster, listener.name)},
                           {"protocol", api::security_protocol(listener)},
                           {"authentication", authentication_text(listener)},
                           {"exposed", listener.expose.type != api::ExposeType::kClusterIp}});
    }
    out.push_back({{"namespace", cluster.metadata.namespace_},
                   {"name", cluster.metadata.name},
                   {"ready", is_true(ready)},
                   {"reason", ready == nullptr ? "" : ready->reason},
                   {"message", ready == nullptr ? "" : ready->message},
                   {"activity", cluster.status.activity},
                   {"topics", report.topics},
                   {"users", report.users},
                   {"acls", report.acls},
                   {"listeners", std::move(listeners)},
                   {"warnings", warnings_json(report.warnings)},
                   {"status", api::encode_status(cluster.status)}});
  }
  return json{{"clusters", std::move(out)}}.dump();
}

}  // namespace op::cli
