#include "operator/plan/rebalance.h"

#include <algorithm>
#include <cstdio>

#include "operator/plan/common.h"
#include "operator/plan/progress.h"
#include "operator/plan/throttle.h"

namespace op::plan {

using api::RebalanceState;
using broker::BrokerId;
using broker::metadata::PartitionRegistration;

namespace {

namespace reason = api::reason;

/// The cache may be a moment behind what was just stored.
constexpr std::int64_t kDocumentPatienceMs = 30'000;
/// Progress is written at most this often.
constexpr std::int64_t kProgressEveryMs = 5'000;
/// An election that is refused for ever must not hold the end for ever.
constexpr std::int64_t kLeadPatienceMs = 20'000;
constexpr std::size_t kElectionsAtOnce = 100;

std::string annotation(const api::Rebalance& rebalance, std::string_view key) {
  const std::string* value = rebalance.metadata.annotation(key);
  return value == nullptr ? std::string() : *value;
}

std::int64_t since(const api::Timestamp& then, const api::Timestamp& now) {
  return to_wall_ms(now) - to_wall_ms(then);
}

/// The same for the same moves at the same time, whoever computes it.
std::string id_of(const std::vector<PlannedMove>& moves, const std::string& salt) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  const auto mix = [&](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  };
  mix(salt);
  for (const PlannedMove& move : moves) {
    mix(move.topic);
    mix(std::to_string(move.partition));
    for (const std::int32_t id : move.after) mix("," + std::to_string(id));
  }
  char text[20];
  std::snprintf(text, sizeof text, "%08x", static_cast<unsigned>(hash ^ (hash >> 32)));
  return text;
}

/// Where each partition of the document stands.
struct Survey {
  std::vector<const PlannedMove*> to_do;
  std::vector<const PlannedMove*> under_way;
  std::vector<const PlannedMove*> to_lead;  // moved, and led by another than its first replica
  std::int64_t done = 0;
  std::int64_t skipped = 0;
  std::int64_t done_bytes = 0;
  std::int64_t total_bytes = 0;  // without what is skipped
};

Survey survey(const RebalanceInput& in) {
  Survey out;
  if (in.document == nullptr) return out;
  for (const PlannedMove& move : in.document->moves) {
    const auto* topic = in.image.topics.find(move.topic);
    const auto* partition = topic ? topic->partitions.find(move.partition) : nullptr;
    const bool reached = partition && target_replicas(*partition) == move.after;
    if (reached && is_moving(*partition)) {
      out.under_way.push_back(&move);
      const auto copied = in.copied.find({move.topic, move.partition});
      if (copied != in.copied.end()) out.done_bytes += std::min(copied->second, move.bytes);
    } else if (reached) {
      ++out.done;
      out.done_bytes += move.bytes;
      const BrokerId first = partition->replicas.front();
      if (move.before.front() != move.after.front() && partition->leader != first &&
          partition->in_isr(first))
        out.to_lead.push_back(&move);
    } else if (partition && !is_moving(*partition) && ids_of(partition->replicas) == move.before) {
      out.to_do.push_back(&move);
    } else {
      ++out.skipped;
      continue;
    }
    out.total_bytes += move.bytes;
  }
  return out;
}

std::size_t moving_anywhere(const RebalanceInput& in) {
  std::size_t out = 0;
  for (const auto& [id, topic] : in.image.topics.by_id)
    for (const auto& [index, partition] : topic.partitions) out += is_moving(partition) ? 1 : 0;
  return out;
}

std::optional<Verdict> broker_is_away(const RebalanceInput& in) {
  for (const auto& [id, broker] : in.image.cluster.brokers) {
    if (!broker.fenced && !broker.in_controlled_shutdown) continue;
    return Verdict{reason::kBrokersNotReady,
                   "broker " + std::to_string(id.value) + " is away, and must be back first"};
  }
  return std::nullopt;
}

/// What goes before a Rebalance.
std::optional<Verdict> something_else(const RebalanceInput& in) {
  if (in.older)
    return Verdict{reason::kConflict, "Rebalance " + to_string(*in.older) + " goes first"};
  if (in.cluster.status.scale)
    return Verdict{reason::kScaling, "nodes of the cluster come or go first"};
  const auto& roll = in.cluster.status.roll;
  // One that waits for its window, perhaps for days, holds nobody up.
  if (roll && (roll->node_id || roll->window_opens.empty()))
    return Verdict{reason::kRestartRequired, "pods of the cluster are restarted first"};
  if (!throttle_is_recorded(in.cluster))
    return Verdict{reason::kApplying, "the throttle of the cluster is not in its status yet"};
  return broker_is_away(in);
}

void judge(RebalancePlan& plan, const RebalanceInput& in, bool ready, const Verdict& verdict) {
  // A message that counts is news to status and not to the list of Events.
  const api::Condition* was = api::find_condition(plan.status.conditions, api::condition::kReady);
  if (!was || was->reason != verdict.reason) plan.event = verdict;
  set_ready(plan.status.conditions, ready, verdict, in.rebalance.metadata.generation, in.now);
}

std::string described(const api::RebalanceProposal& proposal) {
  std::string out;
  const std::int64_t copied = proposal.partitions - proposal.leaders;
  if (copied > 0)
    out = detail::counted(copied, "partition") + " to be moved, " + proposal.size + " to be copied";
  if (proposal.leaders > 0)
    out += (out.empty() ? "" : "; ") + detail::counted(proposal.leaders, "partition") +
           " to get another preferred leader";
  return out;
}

Verdict awaiting_approval(const RebalanceInput& in, const api::RebalanceProposal& proposal) {
  std::string message = described(proposal);
  if (in.rebalance.spec.mode == api::RebalanceMode::kManual)
    message += "; approve with: kubectl annotate rebalance -n " + in.rebalance.metadata.namespace_ +
               " " + in.rebalance.metadata.name + " --overwrite " +
               std::string(api::kApproveAnnotation) + "=" + proposal.id;
  return {reason::kAwaitingApproval, std::move(message)};
}

bool is_cancelled(const RebalanceInput& in) {
  const std::string wish = annotation(in.rebalance, api::kCancelAnnotation);
  const auto& proposal = in.rebalance.status.proposal;
  return wish == "true" || (proposal && !wish.empty() && wish == proposal->id);
}

void plan_proposal(RebalancePlan& plan, const RebalanceInput& in) {
  api::RebalanceStatus& status = plan.status;
  status.state = RebalanceState::kPlanning;
  status.summary.clear();
  status.progress.reset();
  plan.look_again = true;
  if (auto wait = something_else(in)) return judge(plan, in, false, *wait);
  plan.needs_bytes = true;
  if (in.bytes == nullptr)
    return judge(
        plan, in, false,
        in.bytes_problem.empty()
            ? Verdict{reason::kPlanning, "the brokers are asked for the sizes of their logs"}
            : Verdict{reason::kUnreachable, in.bytes_problem});
  Proposed proposed = propose(in.image, in.rebalance.spec.goals, *in.bytes);
  api::RebalanceProposal out;
  out.id = id_of(proposed.moves, in.rebalance.metadata.uid + in.now);
  out.generation = in.rebalance.metadata.generation;
  out.refresh = annotation(in.rebalance, api::kRefreshAnnotation);
  out.made_at = in.now;
  out.partitions = static_cast<std::int64_t>(proposed.moves.size());
  out.replicas = proposed.replicas;
  out.leaders = proposed.leaders;
  out.bytes = proposed.bytes;
  out.size = human_bytes(proposed.bytes);
  out.brokers = std::move(proposed.table);
  status.proposal = std::move(out);
  plan.needs_bytes = false;
  if (proposed.moves.empty()) {
    status.state = RebalanceState::kDone;
    status.summary = "nothing to move";
    plan.look_again = false;
    return judge(plan, in, true, {reason::kBalanced, "nothing is to be moved"});
  }
  plan.document = RebalanceDocument{status.proposal->id, std::move(proposed.moves)};
  status.state = RebalanceState::kProposed;
  status.summary =
      detail::counted(status.proposal->partitions, "partition") + ", " + status.proposal->size;
  judge(plan, in, false, awaiting_approval(in, *status.proposal));
}

void fill_progress(RebalancePlan& plan, const RebalanceInput& in, const Survey& found) {
  api::MoveProgress next = plan.status.progress.value_or(api::MoveProgress{});
  const auto total = static_cast<std::int64_t>(in.document->moves.size()) - found.skipped;
  const bool over = found.to_do.empty() && found.under_way.empty();
  if (!over && !next.observed_at.empty() && since(next.observed_at, in.now) < kProgressEveryMs)
    return;
  next.moved_partitions = found.done;
  next.total_partitions = total;
  next.moved_bytes = found.done_bytes;
  next.total_bytes = found.total_bytes;
  next.skipped = found.skipped;
  next.observed_at = in.now;
  next.eta = found.total_bytes > 0
                 ? estimate(found.done_bytes, found.total_bytes, next.started_at, in.now)
                 : estimate(found.done, total, next.started_at, in.now);
  plan.status.summary = std::to_string(next.moved_partitions) + "/" + std::to_string(total) +
                        (next.eta.empty() ? "" : ", " + next.eta);
  plan.status.progress = std::move(next);
}

std::string progress_text(const api::MoveProgress& progress) {
  std::string out = std::to_string(progress.moved_partitions) + " of " +
                    detail::counted(progress.total_partitions, "partition") + " moved, " +
                    human_bytes(progress.moved_bytes) + " of " + human_bytes(progress.total_bytes);
  if (!progress.eta.empty()) out += ", about " + progress.eta + " left";
  if (!progress.waiting_for.empty()) out += "; " + progress.waiting_for;
  return out;
}

/// Takes back what is under way; `after` is the state when nothing is.
void stop(RebalancePlan& plan, const RebalanceInput& in, RebalanceState after) {
  const Survey found = survey(in);
  for (const PlannedMove* move : found.under_way)
    plan.moves.push_back({move->topic, move->partition, std::nullopt});
  plan.wants_finalizer = !found.under_way.empty();
  plan.look_again = plan.wants_finalizer;
  plan.status.state = plan.wants_finalizer ? RebalanceState::kStopping : after;
  if (plan.wants_finalizer)
    return judge(
        plan, in, false,
        {reason::kMoving,
         "what is under way is taken back: " +
             detail::counted(static_cast<std::int64_t>(found.under_way.size()), "partition")});
  plan.status.summary = "cancelled";
  std::string message = "cancelled before anything was moved";
  if (found.done > 0)
    message = "cancelled; " + detail::counted(found.done, "partition") +
              " had been moved and stay where they are";
  judge(plan, in, false, {reason::kCancelled, std::move(message)});
}

/// Brokers that a move needs and that cannot take replicas now.
std::optional<std::string> target_is_missing(const RebalanceInput& in, const PlannedMove& move) {
  for (const std::int32_t id : move.after) {
    if (std::find(move.before.begin(), move.before.end(), id) != move.before.end()) continue;
    const auto* broker = in.image.cluster.broker(BrokerId{id});
    if (broker == nullptr || !takes_replicas(*broker))
      return "broker " + std::to_string(id) + " does not take replicas";
  }
  return std::nullopt;
}

/// Returns what holds it up; "" if nothing.
std::string begin_moves(RebalancePlan& plan, const RebalanceInput& in, const Survey& found) {
  if (found.to_do.empty()) return "";
  if (const auto wait = something_else(in)) return wait->message;
  const auto at_once = static_cast<std::size_t>(in.rebalance.spec.moves_at_once);
  std::size_t free = at_once - std::min(at_once, moving_anywhere(in));
  std::string missing;
  for (const PlannedMove* move : found.to_do) {
    if (free == 0) break;
    if (auto why = target_is_missing(in, *move)) {
      missing = std::move(*why);
      continue;
    }
    plan.moves.push_back({move->topic, move->partition, move->after});
    --free;
  }
  return plan.moves.empty() && found.under_way.empty() ? missing : "";
}

void finish(RebalancePlan& plan, const RebalanceInput& in, const Survey& found) {
  api::MoveProgress& progress = *plan.status.progress;
  if (progress.leading_since.empty()) progress.leading_since = in.now;
  const bool waits =
      !found.to_lead.empty() && since(progress.leading_since, in.now) < kLeadPatienceMs;
  if (waits) {
    progress.waiting_for =
        detail::counted(static_cast<std::int64_t>(found.to_lead.size()), "partition") +
        " must be led by the first replica";
    return judge(plan, in, false, {reason::kMoving, progress_text(progress)});
  }
  plan.status.state = RebalanceState::kDone;
  plan.wants_finalizer = false;
  plan.look_again = plan.needs_bytes = false;
  plan.elections.clear();
  progress.waiting_for.clear();
  progress.eta.clear();
  std::string message = detail::counted(found.done, "partition") + " moved, " +
                        human_bytes(found.done_bytes) + " copied in " +
                        human_duration(since(progress.started_at, in.now) / 1000);
  if (found.skipped > 0)
    message += "; " + detail::counted(found.skipped, "partition") +
               " left alone, because somebody else changed them meanwhile";
  plan.status.summary = "done";
  judge(plan, in, true, {reason::kBalanced, std::move(message)});
}

void run(RebalancePlan& plan, const RebalanceInput& in) {
  const Survey found = survey(in);
  plan.status.state = RebalanceState::kRunning;
  plan.wants_finalizer = true;
  plan.look_again = true;
  plan.needs_bytes = !found.under_way.empty() && found.total_bytes > 0;
  std::string waiting_for = begin_moves(plan, in, found);
  for (const PlannedMove* move : found.to_lead) {
    if (plan.elections.size() == kElectionsAtOnce) break;
    plan.elections.emplace_back(move->topic, move->partition);
  }
  fill_progress(plan, in, found);
  if (waiting_for.empty()) waiting_for = in.round_problem;
  plan.status.progress->waiting_for = std::move(waiting_for);
  if (found.to_do.empty() && found.under_way.empty()) return finish(plan, in, found);
  judge(plan, in, false, {reason::kMoving, progress_text(*plan.status.progress)});
}

/// The document of the proposal is not there.
void miss_document(RebalancePlan& plan, const RebalanceInput& in) {
  plan.look_again = true;
  if (since(plan.status.proposal->made_at, in.now) < kDocumentPatienceMs) return;
  plan.status.proposal.reset();
  plan_proposal(plan, in);
}

void plan_approval(RebalancePlan& plan, const RebalanceInput& in) {
  const api::RebalanceProposal& proposal = *plan.status.proposal;
  const bool approved = in.rebalance.spec.mode == api::RebalanceMode::kAuto ||
                        annotation(in.rebalance, api::kApproveAnnotation) == proposal.id;
  if (!approved) return judge(plan, in, false, awaiting_approval(in, proposal));
  plan.status.progress = api::MoveProgress{};
  plan.status.progress->started_at = in.now;
  run(plan, in);
}

}  // namespace

bool wants_new_proposal(const api::Rebalance& rebalance) {
  const auto& proposal = rebalance.status.proposal;
  if (!proposal || rebalance.status.state == RebalanceState::kPlanning) return true;
  return proposal->generation != rebalance.metadata.generation ||
         proposal->refresh != annotation(rebalance, api::kRefreshAnnotation);
}

RebalancePlan plan_rebalance(const RebalanceInput& in) {
  RebalancePlan plan;
  const api::Rebalance& rebalance = in.rebalance;
  plan.status = rebalance.status;
  plan.wants_finalizer = rebalance.metadata.has_finalizer(api::kFinalizer);
  if (rebalance.metadata.is_paused()) return plan;
  const bool is_kept =
      in.document && plan.status.proposal && in.document->id == plan.status.proposal->id;
  RebalanceInput known{in};
  if (!is_kept) known.document = nullptr;
  if (rebalance.metadata.is_deleting()) {
    stop(plan, known, RebalanceState::kCancelled);
    return plan;
  }
  detail::begin_status(plan.status, rebalance.metadata);
  if (const auto changed = detail::cluster_id_changed(
          plan.status.cluster_id, in.cluster_id, in.acknowledged_cluster_id, rebalance.metadata)) {
    judge(plan, in, false, *changed);
    return plan;
  }
  if (plan.status.cluster_id != in.cluster_id) plan.status.proposal.reset();
  plan.status.cluster_id = in.cluster_id;
  const bool is_over =
      plan.status.state == RebalanceState::kDone || plan.status.state == RebalanceState::kCancelled;
  if (wants_new_proposal(in.rebalance) || !plan.status.proposal) {
    const Survey found = survey(known);
    if (found.under_way.empty()) {
      plan.wants_finalizer = false;
      plan_proposal(plan, known);
    } else {
      plan.status.state = RebalanceState::kStopping;
      plan.look_again = true;
      judge(plan, in, false,
            {reason::kMoving, "what is under way is finished before there is a new proposal"});
    }
  } else if (!is_over && is_cancelled(in)) {
    stop(plan, known, RebalanceState::kCancelled);
  } else if (!is_over && !is_kept) {
    miss_document(plan, known);
  } else if (plan.status.state == RebalanceState::kProposed) {
    plan_approval(plan, known);
  } else if (plan.status.state == RebalanceState::kRunning) {
    run(plan, known);
  } else if (plan.status.state == RebalanceState::kStopping) {
    stop(plan, known, RebalanceState::kCancelled);
  }
  return plan;
}

}  // namespace op::plan
