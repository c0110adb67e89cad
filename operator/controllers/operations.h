#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "broker/common/time.h"
#include "operator/kafka/cluster_view.h"
#include "operator/reconcile/types.h"

namespace op::controllers {

/// What was asked of Kafka for each object and has not shown in the image yet. Admin answers bring
/// errors only; success is what the image says. Thread-safe.
class Operations {
 public:
  /// `on_idle` gets the key when its last answer came.
  explicit Operations(std::function<void(const reconcile::WorkKey&)> on_idle)
      : on_idle_(std::move(on_idle)) {}

  /// Returns what to call with the answer of one operation. `generation` is the object's: a refusal
  /// holds until the user changes the object.
  std::function<void(const kafka::ItemResult&)> begin(const reconcile::WorkKey& key,
                                                      std::int64_t generation);

  enum class Phase {
    kFree,      // nothing under way: plan and act
    kInFlight,  // answers are missing: wait, they bring the key back
    kUnseen,    // done, but the image does not show it yet: wait for the image
    kRefused,   // see refusal(); worth another try after wait()
  };
  Phase phase(const reconcile::WorkKey& key, std::int64_t generation, broker::Instant now);
  /// What Kafka answered last to this generation, until an attempt succeeds.
  std::optional<kafka::ItemResult> refusal(const reconcile::WorkKey& key,
                                           std::int64_t generation) const;
  /// When a refused or unseen key is worth another try.
  broker::Duration wait(const reconcile::WorkKey& key, broker::Instant now) const;
  /// The world is as planned, or the object is gone.
  void settle(const reconcile::WorkKey& key);

  /// After this long a write that still does not show is made again.
  static constexpr std::chrono::seconds kUnseenLimit{5};
  /// First pause after a refusal; doubles up to kMaxPause.
  static constexpr std::chrono::seconds kFirstPause{1};
  static constexpr std::chrono::seconds kMaxPause{60};

 private:
  struct State {
    int in_flight = 0;
    std::int64_t generation = 0;
    std::optional<kafka::ItemResult> refusal;        // of the last complete round
    std::optional<kafka::ItemResult> round_refusal;  // of the round under way
    int refusals = 0;
    broker::Instant until{};  // of kUnseen or kRefused
    bool unseen = false;
  };

  const std::function<void(const reconcile::WorkKey&)> on_idle_;
  mutable std::mutex mutex_;
  std::unordered_map<reconcile::WorkKey, State> states_;
};

}  // namespace op::controllers
