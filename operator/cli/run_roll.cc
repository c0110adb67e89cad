#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "operator/api/json.h"
#include "operator/cli/commands.h"
#include "operator/cli/resources.h"
#include "operator/cli/roll_watch.h"
#include "operator/cli/signals.h"
#include "operator/kube/client.h"
#include "operator/model/names.h"

namespace op::cli {
namespace {

using broker::Error;
using broker::ErrorCode;
using Clock = std::chrono::steady_clock;

constexpr auto kLookEvery = std::chrono::milliseconds(300);
constexpr auto kToBegin =
    std::chrono::seconds(60);  // an operator that runs begins in less than one

std::string seconds_since(Clock::time_point begin) {
  return std::to_string(
             std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - begin).count()) +
         " s";
}

/// One line that changes on a terminal; a line per change elsewhere.
class Progress {
 public:
  explicit Progress(const Terminal& terminal) : terminal_(terminal), live_(terminal.width > 0) {}
  ~Progress() { clear(); }

  void show(const RollWatch& watch, Clock::time_point begin) {
    std::string text = watch.phase() == RollWatch::Phase::kNotBegun
                           ? "waiting for the operator"
                           : bar(watch.done(), watch.total()) + std::to_string(watch.done()) +
                                 " of " + std::to_string(watch.total()) + " restarted";
    if (!watch.message().empty() && watch.phase() != RollWatch::Phase::kNotBegun)
      text += ", " + watch.message();
    if (!live_) {
      if (text != last_) print(text + "\n");
      last_ = text;
      return;
    }
    text += " (" + seconds_since(begin) + ")";
    const auto room = static_cast<std::size_t>(terminal_.width - 1);
    if (columns_of(text) > room) text = wrap(text, room - 2).front() + " …";
    clear();
    print(paint(text, watch.is_stuck() ? Tone::kBad : Tone::kPlain, terminal_));
    drawn_ = true;
  }

  void say(const std::string& text, Tone tone) {
    clear();
    print(paint(text, tone, terminal_) + "\n");
  }

 private:
  std::string bar(std::int32_t done, std::int32_t total) const {
    if (!live_ || total <= 0) return "";
    constexpr std::int32_t kCells = 20;
    const std::int32_t full = done * kCells / total;
    std::string out = "[";
    for (std::int32_t i = 0; i < kCells; ++i) out += i < full ? "#" : ".";
    return out + "] ";
  }
  void clear() {
    if (drawn_) print("\r\033[K");
    drawn_ = false;
  }

  const Terminal terminal_;
  const bool live_;
  bool drawn_ = false;
  std::string last_;
};

broker::Result<api::Cluster> read_cluster(Resources& resources, const api::ObjectName& name) {
  ASSIGN_OR_RETURN(const auto object, resources.get(kube::kCluster, {name.namespace_, name.name}));
  return api::parse<api::Cluster>(nlohmann::json::parse(object->json, nullptr, false));
}

int follow(Resources& resources, const api::Cluster& before, Progress& progress) {
  const std::string name = before.metadata.name;
  const Clock::time_point begin = Clock::now();
  RollWatch watch(before.status);
  while (watch.phase() != RollWatch::Phase::kDone) {
    if (stop_asked()) {
      progress.say("No longer watched; the restart goes on: millrace status shows it.",
                   Tone::kWarning);
      return kFailed;
    }
    const auto cluster = read_cluster(resources, before.metadata.object_name());
    // The API server may be away for a moment: that is no news about the roll.
    if (cluster.ok()) watch.look(cluster->status);
    if (cluster.code() == ErrorCode::kResourceNotFound ||
        cluster.code() == ErrorCode::kClusterAuthorizationFailed)
      return fail(cluster.error());
    if (watch.phase() == RollWatch::Phase::kDone) break;
    if (watch.phase() == RollWatch::Phase::kNotBegun && Clock::now() - begin > kToBegin) {
      return fail(Error{ErrorCode::kRequestTimedOut,
                        "the operator has not begun within " + seconds_since(begin) +
                            (watch.message().empty() ? ": does it run?" : ": " + watch.message())});
    }
    progress.show(watch, begin);
    std::this_thread::sleep_for(kLookEvery);
  }
  progress.say("Cluster " + name + ": every node was restarted, in " + seconds_since(begin) + ".",
               Tone::kGood);
  return kDone;
}

}  // namespace

int run_roll(const Options& options) {
  if (options.target.is_kafka_only()) {
    return fail(Error{ErrorCode::kInvalidConfig,
                      "a restart is asked of the operator: name the Cluster, not --bootstrap"});
  }
  hold_stop_signals();
  const auto resources = open_resources(options.target);
  if (!resources.ok()) return fail(resources.error());
  const auto cluster = find_cluster(**resources, options.target);
  if (!cluster.ok()) return fail(cluster.error());
  Progress progress(look_at_terminal(STDOUT_FILENO));
  if (!options.watch_only) {
    const auto asked =
        (*resources)
            ->annotate(kube::kCluster, {cluster->metadata.namespace_, cluster->metadata.name},
                       std::string(model::kRestartAnnotation), kube::rfc3339_now());
    if (!asked.ok()) return fail(asked.error());
    progress.say("Cluster " + cluster->metadata.name +
                     ": its nodes are restarted one by one, when the one before is back in sync.",
                 Tone::kPlain);
    if (options.no_wait) return kDone;
  } else if (!cluster->status.roll) {
    progress.say("Cluster " + cluster->metadata.name + ": nothing is being restarted.",
                 Tone::kPlain);
    return kDone;
  }
  return follow(**resources, *cluster, progress);
}

}  // namespace op::cli
