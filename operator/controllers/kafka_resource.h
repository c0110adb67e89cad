#pragma once

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "operator/controllers/status_writer.h"

/// What the loops of Topic, User and ACL have in common: they wait, give up and finish alike.
namespace op::controllers {

inline constexpr std::chrono::milliseconds kConnecting{500};

/// The first part of every such reconcile: what needs no Kafka. An outcome means: done for now.
template <class Kind>
std::optional<Outcome> settle_without_kafka(const Context& context, const kube::Object& object,
                                            const Kind& resource, const Target& target) {
  const bool nothing_to_wait_for = resource.metadata.is_deleting() &&
                                   (target.gone || namespace_is_ending(context, object.key.ns));
  if (nothing_to_wait_for) {
    if (!object.has_finalizer(api::kFinalizer)) return Outcome::done();
    const auto dropped = context.store.set_finalizer(object, std::string(api::kFinalizer), false);
    return dropped.ok() ? Outcome::done() : Outcome::failed(dropped.error());
  }
  const auto errors = api::validate(resource);
  std::optional<plan::Verdict> refusal;
  if (!errors.empty()) {
    refusal = {errors.front().reason, api::to_string(errors)};
  } else if (target.gone) {
    refusal = target.problem;
  }
  if (refusal && !resource.metadata.is_paused() && !resource.metadata.is_deleting()) {
    const auto refused = refuse(context, object, resource.status, *refusal);
    return refused.ok() ? Outcome::done() : Outcome::failed(refused.error());
  }
  std::optional<typename Kind::Status> wanted;
  if (resource.metadata.is_paused()) {
    wanted = paused(resource.status, resource.metadata.generation, context.timestamp());
  } else if (target.problem) {
    // Brokers that are away are no news about what was Ready for this generation, and an operator
    // that has just started none about anything: the Cluster says so; a thousand status writes
    // would help nobody.
    const bool said = resource.status.observed_generation == resource.metadata.generation;
    if (said && plan::is_ready(resource.status.conditions)) return Outcome::done();
    if (said && target.is_connecting) return Outcome::again(kConnecting);
    wanted = not_ready(resource.status, *target.problem, resource.metadata.generation,
                       context.timestamp());
  }
  if (!wanted) return std::nullopt;
  const auto written = write_status(context, object, resource.status, *wanted);
  return written.ok() ? Outcome::done() : Outcome::failed(written.error());
}

template <class Plan>
void announce(const Context& context, const kube::Object& object, const Plan& plan) {
  if (!plan.event) return;
  static constexpr std::string_view kCalm[] = {
      api::reason::kApplying, api::reason::kDeleting,  api::reason::kPlanning,
      api::reason::kMoving,   api::reason::kCancelled, api::reason::kAwaitingApproval};
  const bool warning =
      !plan::is_ready(plan.status.conditions) &&
      std::find(std::begin(kCalm), std::end(kCalm), plan.event->reason) == std::end(kCalm);
  context.store.event(object, warning, std::string(plan.event->reason), plan.event->message);
}

/// The finalizer and the status first, because what they say we own must be known before we make
/// it. An Event that announces no action goes with a change of status, so that what stays blocked
/// is not repeated; `acts`: the action announces itself when it is carried out.
template <class Kind, class Plan>
broker::Result<void> record_plan(const Context& context, const kube::Object& object,
                                 const Kind& resource, const Plan& plan, bool acts) {
  if (plan.wants_finalizer && !object.has_finalizer(api::kFinalizer) && !object.deleting) {
    RETURN_IF_ERROR(context.store.set_finalizer(object, std::string(api::kFinalizer), true));
  }
  ASSIGN_OR_RETURN(const bool wrote, write_status(context, object, resource.status, plan.status));
  if (wrote && !acts) announce(context, object, plan);
  return {};
}

template <class Plan>
broker::Result<void> drop_finalizer(const Context& context, const kube::Object& object,
                                    const Plan& plan) {
  if (plan.wants_finalizer || !object.has_finalizer(api::kFinalizer)) return {};
  // The status write moved the object on; the patch must name its present version.
  const auto live = context.store.get(*object.kind, object.key);
  if (!live || live->uid != object.uid) return {};
  return context.store.set_finalizer(*live, std::string(api::kFinalizer), false);
}

/// May the plan's actions be carried out now? An outcome means: wait.
inline std::optional<Outcome> wait_for_operations(const Context& context,
                                                  const reconcile::WorkKey& key,
                                                  std::int64_t generation) {
  const auto now = std::chrono::steady_clock::now();
  switch (context.operations.phase(key, generation, now)) {
    case Operations::Phase::kFree:
      return std::nullopt;
    case Operations::Phase::kInFlight:
      return Outcome::done();  // the answer brings us back
    case Operations::Phase::kUnseen:
    case Operations::Phase::kRefused:
      return Outcome::again(context.operations.wait(key, now) + std::chrono::milliseconds(1));
  }
  return std::nullopt;
}

/// Plans without the brokers' last refusal, to see whether it still matters, and if there is
/// something left to do, with it, so that the user sees why it is not done. `input.rejection` is
/// set here.
template <class Input, class PlanFunction, class IsDone>
auto plan_with_refusal(const Context& context, const reconcile::WorkKey& key,
                       std::int64_t generation, Input input, PlanFunction make_plan,
                       IsDone is_done) {
  auto plan = make_plan(input);
  const auto refusal = context.operations.refusal(key, generation);
  if (!refusal || is_done(plan)) return plan;
  const auto verdict = verdict_of(*refusal);
  Input refused{input};
  refused.rejection.emplace(verdict);
  const auto explained = make_plan(refused);
  plan.status = explained.status;
  plan.event = explained.event;
  return plan;
}

}  // namespace op::controllers
