#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/rng.h"
#include "broker/controller/brokers.h"
#include "broker/controller/channel.h"
#include "broker/controller/metrics.h"
#include "broker/controller/mutation_quota.h"
#include "broker/controller/partition_index.h"
#include "broker/controller/record_log.h"
#include "broker/controller/types.h"
#include "broker/io/strand.h"
#include "broker/metadata/delta.h"

namespace broker::controller {

/// Gets every committed image, in order, on the controller's strand; a publisher posts it on to the
/// strands that want it.
class ImageListener {
 public:
  virtual ~ImageListener() = default;
  virtual void on_image(const metadata::MetadataUpdate& update) = 0;
  /// Who leads the quorum changed, as far as this node knows.
  virtual void on_leader_change(const quorum::LeaderAndEpoch& /*leader*/) {}
  /// The metadata log failed; the node must stop.
  virtual void on_controller_fatal(const Error& error) = 0;
};

/// Turns the committed log into images on every node. On the node that leads the quorum it is the
/// active controller: decides requests on the newest (appended) image, appends the records, and
/// holds each response until its records are committed. Lives on the quorum's strand.
class Controller final : public quorum::QuorumListener {
 public:
  Controller(ControllerOptions options, io::Strand& strand, quorum::MetadataLog& log);
  Controller(ControllerOptions options, io::Strand& strand, std::unique_ptr<RecordLog> log);
  ~Controller() override;

  /// Before start(). The listener gets the current image at once if there is one.
  void add_listener(ImageListener& listener);
  /// Starts the log; returns when everything in it was loaded and published. Errors: as
  /// MetadataLog::start. A log whose records contradict each other comes as on_controller_fatal.
  Result<void> start();
  /// Stops the log and answers everything that waits with kNotController: it may have been
  /// committed or not.
  void stop();

  /// Decides one request. `done` runs on this strand, at once or when the records are committed.
  /// Error kNotController: this node does not lead. `caller`: the client whose mutation quota
  /// counts; nodes themselves have none.
  void handle(ControllerRequest request, ControllerChannel::Done done,
              const std::optional<Caller>& caller = std::nullopt);

  /// The connection that carried this broker's heartbeats closed, or its node cannot be reached: it
  /// is fenced after a short grace unless it heartbeats again. Also on a node that does not lead
  /// yet: what it knows counts when it takes over within a few seconds.
  void broker_connection_lost(BrokerId id, BrokerEpoch epoch);

  io::Strand& strand() { return strand_; }
  bool is_active() const { return active_; }
  const ControllerMetrics& metrics() const { return metrics_; }
  bool failed() const { return failed_; }
  metadata::ImagePtr committed_image() const override { return committed_; }

  // quorum::QuorumListener
  void on_snapshot(const quorum::LoadedSnapshot& snapshot) override;
  void on_committed(const quorum::CommittedRecords& records) override;
  void on_leader_change(const quorum::LeaderAndEpoch& leader) override;
  void on_leader(LeaderEpoch epoch) override;
  void on_resigned() override;
  void on_high_watermark(Offset high_watermark) override;
  void on_fatal(const Error& error) override;

 private:
  /// What waits for the high watermark: an image to publish, and then an answer to give.
  struct Pending {
    Offset last_offset;
    std::optional<metadata::MetadataUpdate> update;
    Task answer;   // the records are committed
    Task abandon;  // leadership was lost first
    Instant appended_at{};
  };

  static constexpr std::string_view kLogger = "controller";

  template <class Request>
  void handle_request(const Request& request, ControllerChannel::Done done,
                      const std::optional<Caller>& caller);
  DecideContext context();
  /// Appends, replays and queues; runs one of the tasks (either may be null), `abandon` when
  /// leadership is lost first. Unless `atomic`, many records go into several batches.
  void append(metadata::MetadataRecords records, bool atomic, Task answer, Task abandon);
  void append_own(metadata::MetadataRecords records) {
    append(std::move(records), false, nullptr, nullptr);
  }
  bool append_batch(metadata::MetadataRecords records);
  void replay_committed(const metadata::MetadataRecords& records);
  void publish_loaded();
  void publish(const metadata::MetadataUpdate& update);
  void drop_uncommitted();
  void bootstrap();
  void take_over_sessions();
  std::optional<Instant> next_wakeup() const;
  /// Makes sure that tick() runs in time for whatever comes next; an idle controller sleeps.
  void arm_timer();
  void tick();
  void fence_overdue();
  void balance_leaders_if_due();
  void elect_unclean_leaders_if_due();
  bool has_token_sweep() const;
  Duration token_sweep_interval() const;
  void sweep_tokens_if_due();
  void write_no_op_if_idle();

  const ControllerOptions options_;
  io::Strand& strand_;
  const std::unique_ptr<RecordLog> log_;

  std::vector<ImageListener*> listeners_;
  metadata::ImagePtr committed_;
  metadata::MetadataDelta newest_;
  std::deque<Pending> pending_;
  ControllerMetrics metrics_;
  BrokerHeartbeats heartbeats_;
  MutationQuotas mutation_quotas_;
  Rng rng_;
  bool active_ = false;
  bool failed_ = false;
  bool loading_ = false;
  bool replaced_ = false;  // a snapshot came since the last publication
  std::optional<metadata::MetadataProvenance> loaded_;  // replayed, not yet published

  PartitionIndex partitions_;  // of newest_; only if this node may be active
  struct Loss {
    BrokerEpoch epoch;
    Instant at;
  };
  std::map<BrokerId, Loss> losses_before_office_;
  std::optional<BrokerId> last_leader_;  // other than this node
  Instant next_balance_{};
  Instant next_unclean_sweep_{};
  Instant next_token_sweep_{};
  Instant last_append_{};
  io::TimerId timer_ = io::kNoTimer;
  Instant timer_at_{};
};

}  // namespace broker::controller
