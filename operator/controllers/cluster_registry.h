#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "operator/api/meta.h"
#include "operator/controllers/admin_batcher.h"
#include "operator/controllers/begun_moves.h"
#include "operator/controllers/round.h"
#include "operator/kafka/cluster_view.h"

namespace op::controllers {

/// One Kafka cluster as the loops use it.
class ClusterHandle {
 public:
  ClusterHandle(kafka::ConnectionSpec spec, std::unique_ptr<kafka::ClusterConnection> connection,
                reconcile::Scheduler& scheduler, BatchOptions options,
                std::function<bool()> may_write);

  /// Whether this is a connection by that spec, if need be after its certificates were renewed.
  /// Only the cluster's own loop calls it.
  bool serves(const kafka::ConnectionSpec& spec);
  kafka::ClusterView& view() { return connection_->view(); }
  AdminBatcher& admin() { return batcher_; }
  /// view().offsets() is kept current for the next minutes.
  void follow_offsets() { connection_->follow_offsets(); }

  /// The quorum as it was described last (null: never), and whether that was asked for after
  /// `pods` looked as they do now; asks for it if not, or if it is older than `max_age`. Only the
  /// cluster's own loop calls it.
  struct Quorum {
    std::shared_ptr<const kafka::QuorumDescription> last;
    bool is_current = false;
  };
  Quorum quorum(const std::string& pods, std::optional<broker::Duration> max_age);

  /// One change of the voters at a time, and a pause after a refusal. Returns whether it was begun;
  /// `on_done` runs when it is answered.
  bool change_voter(kafka::VoterChange change, std::function<void()> on_done);
  /// Why the last change was refused; "" if it was not.
  std::string voter_problem() const;

  /// Moves, elections and the like that the cluster's own loop asks for.
  Round& scaling() { return scaling_; }
  /// Those of a Rebalance.
  Round& rebalancing() { return rebalancing_; }
  /// Limits of replication that are mended or removed.
  Round& limiting() { return limiting_; }
  const std::shared_ptr<BegunMoves>& begun_moves() { return begun_; }

  /// The sizes of the brokers' logs as they were told last (null: never). Asks for them when they
  /// are older than `max_age`; `on_done` runs when the answer is there.
  struct Sizes {
    std::shared_ptr<const kafka::LogSizes> last;
    bool is_fresh = false;
    std::string problem;  // of the last answer; "" if it was none
  };
  Sizes log_sizes(broker::Duration max_age, std::function<void()> on_done);

  /// Too young to say that the cluster cannot be reached.
  bool is_connecting() const { return std::chrono::steady_clock::now() - opened_at_ < kPatience; }

 private:
  static constexpr std::chrono::seconds kPatience{5};
  static constexpr std::chrono::milliseconds kAskAgain{500};
  static constexpr std::chrono::seconds kAfterRefusal{5};

  struct VoterState {
    std::mutex mutex;
    bool under_way = false;
    broker::Instant not_before{};
    broker::Instant changed{};  // what was described before is old
    std::string problem;
  };

  struct SizesState {
    std::mutex mutex;
    bool asking = false;
    broker::Instant answered{};
    std::shared_ptr<const kafka::LogSizes> last;
    std::string problem;
  };

  const broker::Instant opened_at_ = std::chrono::steady_clock::now();
  kafka::ConnectionSpec spec_;
  const std::unique_ptr<kafka::ClusterConnection> connection_;
  std::string pods_;
  broker::Instant pods_changed_{};
  broker::Instant asked_{};
  const std::shared_ptr<VoterState> voters_ = std::make_shared<VoterState>();
  const std::shared_ptr<SizesState> sizes_ = std::make_shared<SizesState>();
  Round scaling_;
  Round rebalancing_;
  Round limiting_;
  const std::shared_ptr<BegunMoves> begun_ = std::make_shared<BegunMoves>();
  AdminBatcher batcher_;  // before the connection goes
};
using ClusterHandlePtr = std::shared_ptr<ClusterHandle>;

/// The connections to all clusters. The Cluster and ExternalCluster loops open and close them, the
/// others use them. Thread-safe.
class ClusterRegistry {
 public:
  using OnChange = std::function<void(const api::ClusterRef&, const kafka::Changes&)>;

  ClusterRegistry(kafka::Connector& connector, reconcile::Scheduler& scheduler,
                  BatchOptions options, std::function<bool()> may_write, OnChange on_change);

  /// Connects, or reconnects when the spec changed; an equal spec changes nothing, and one with
  /// other certificates no connection that is open.
  broker::Result<ClusterHandlePtr> open(const api::ClusterRef& cluster,
                                        const kafka::ConnectionSpec& spec);
  void close(const api::ClusterRef& cluster);
  void close_all();
  /// Null when it is not open.
  ClusterHandlePtr find(const api::ClusterRef& cluster) const;
  std::map<api::ClusterRef, ClusterHandlePtr> all() const;

 private:
  kafka::Connector& connector_;
  reconcile::Scheduler& scheduler_;
  const BatchOptions options_;
  const std::function<bool()> may_write_;
  const OnChange on_change_;
  mutable std::mutex mutex_;
  std::map<api::ClusterRef, ClusterHandlePtr> clusters_;
};

}  // namespace op::controllers
