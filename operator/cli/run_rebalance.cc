#include <unistd.h>

#include <nlohmann/json.hpp>

#include "operator/api/json.h"
#include "operator/api/rebalance.h"
#include "operator/cli/commands.h"
#include "operator/cli/rebalance_view.h"
#include "operator/cli/resources.h"
#include "operator/kube/client.h"

namespace op::cli {
namespace {

using broker::Error;
using broker::ErrorCode;
using broker::Result;

Result<std::vector<api::Rebalance>> find_rebalances(Resources& resources, const Options& options) {
  const std::string ns =
      options.target.ns.empty() ? resources.default_namespace() : options.target.ns;
  ASSIGN_OR_RETURN(const auto objects, resources.list(kube::kRebalance, ns));
  std::vector<api::Rebalance> out;
  for (const kube::ObjectPtr& object : objects) {
    auto read = api::parse_rebalance(nlohmann::json::parse(object->json, nullptr, false));
    if (!read.ok()) continue;  // its status says what is wrong with it
    const bool named = options.names.empty() || options.names.front() == read->metadata.name;
    const std::string& cluster = read->spec.cluster_ref.object.name;
    if (!named || (!options.target.cluster.empty() && options.target.cluster != cluster)) continue;
    out.push_back(std::move(*read));
  }
  if (out.empty())
    return Error{ErrorCode::kResourceNotFound,
                 options.names.empty() ? std::string("there is no Rebalance")
                                       : "there is no Rebalance " + options.names.front()};
  return out;
}

Result<void> annotate(Resources& resources, const api::Rebalance& rebalance,
                      std::string_view annotation, const std::string& value) {
  return resources.annotate(kube::kRebalance,
                            {rebalance.metadata.namespace_, rebalance.metadata.name},
                            std::string(annotation), value);
}

/// What was asked for, as the user is told.
Result<std::string> ask(Resources& resources, const Options& options,
                        const api::Rebalance& rebalance) {
  const std::string name = "Rebalance " + rebalance.metadata.name;
  const auto& proposal = rebalance.status.proposal;
  if (options.refresh) {
    RETURN_IF_ERROR(annotate(resources, rebalance, api::kRefreshAnnotation, kube::rfc3339_now()));
    return name + ": asked for a new proposal.\n";
  }
  const bool can_approve = rebalance.status.state == api::RebalanceState::kProposed;
  const bool can_cancel = can_approve || rebalance.status.state == api::RebalanceState::kRunning;
  if (!proposal || !(options.approve ? can_approve : can_cancel))
    return Error{
        ErrorCode::kInvalidConfig,
        name + " is " + std::string(to_string(rebalance.status.state)) +
            (options.approve ? ": there is nothing to approve" : ": there is nothing to cancel")};
  RETURN_IF_ERROR(annotate(resources, rebalance,
                           options.approve ? api::kApproveAnnotation : api::kCancelAnnotation,
                           proposal->id));
  return name + (options.approve ? ": proposal " + proposal->id + " is approved.\n"
                                 : ": proposal " + proposal->id + " is cancelled.\n");
}

}  // namespace

int run_rebalance(const Options& options) {
  if (options.target.is_kafka_only())
    return fail(Error{ErrorCode::kInvalidConfig,
                      "a Rebalance is a resource: name the Cluster, not --bootstrap"});
  const auto resources = open_resources(options.target);
  if (!resources.ok()) return fail(resources.error());
  const auto found = find_rebalances(**resources, options);
  if (!found.ok()) return fail(found.error());
  if (options.approve || options.cancel || options.refresh) {
    if (found->size() > 1)
      return fail(Error{ErrorCode::kInvalidConfig, "there are several: give the name of one"});
    const auto asked = ask(**resources, options, found->front());
    if (!asked.ok()) return fail(asked.error());
    print(*asked);
    return kDone;
  }
  const Terminal terminal = look_at_terminal(STDOUT_FILENO);
  if (options.format != Format::kTable) {
    print(document_text(options.format, rebalances_json(*found)));
  } else {
    print(found->size() == 1 ? render_rebalance(found->front(), terminal)
                             : render_rebalances(*found, terminal));
  }
  return kDone;
}

}  // namespace op::cli
