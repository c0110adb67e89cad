#pragma once

#include <functional>
#include <string>
#include <vector>

#include "broker/common/function.h"
#include "broker/common/ids.h"
#include "broker/controller/channel.h"
#include "broker/io/strand.h"

namespace broker::node {

struct MembershipOptions {
  std::string cluster_id;
  BrokerId node_id;
  Uuid incarnation;
  std::optional<std::string> rack;
  std::vector<protocol::BrokerRegistrationRequest::Listener> listeners;  // as clients reach them
  std::optional<BrokerEpoch> previous_epoch;                             // of the last clean stop
  std::chrono::milliseconds heartbeat_interval{2000};
  std::chrono::milliseconds registration_timeout{60'000};
};

/// This broker's place in the cluster: registers, heartbeats, asks to be unfenced, and to be let go
/// (KIP-631). A controller that does not know this broker, or knows it under another epoch, is
/// registered with again. Speaks to the controller through the channel even when both live in one
/// process. On one strand.
class Membership {
 public:
  /// `metadata_offset`: how far this broker has read the metadata.
  Membership(io::Strand& strand, controller::ControllerChannel& channel, MembershipOptions options,
             std::function<Offset()> metadata_offset);
  ~Membership();

  /// Told every epoch that a registration brings, before register_broker() calls back.
  void on_epoch(std::function<void(BrokerEpoch)> callback) { on_epoch_ = std::move(callback); }
  /// Registers, again and again until the controller accepts; then heartbeats as a fenced broker.
  /// Errors: kRequestTimedOut with the controller's last word, and what no retry mends
  /// (kInconsistentClusterId, kInvalidRegistration, kUnsupportedVersion).
  void register_broker(UniqueFunction<void(Result<BrokerEpoch>)> done);
  /// Asks to be unfenced; `done` once the controller has.
  void unfence(UniqueFunction<void()> done);
  /// The log directories that can be used, and those that failed or are full. Before
  /// register_broker(), and with every change. One that comes back is registered again.
  void set_directories(std::vector<DirectoryId> usable, std::vector<DirectoryId> unusable);
  /// From the next heartbeat on this broker asks to be fenced, or not any more, after it was
  /// unfenced: it steps aside while it cannot take records.
  void step_aside(bool aside);
  /// The log directories that take nothing new (KIP-1066), all of them; the controller is told.
  void set_cordoned(std::vector<DirectoryId> cordoned);
  bool steps_aside() const { return aside_; }
  /// Ends what register_broker() or unfence() still wait for: the one with kBrokerNotAvailable.
  void give_up();
  /// Controlled shutdown: `done` when the controller has moved all leaders away, or after
  /// `patience`.
  void leave(Duration patience, UniqueFunction<void()> done);
  /// Another controller wants to hear from this broker, or the way to it is new.
  void heartbeat_now();
  void stop();

  BrokerEpoch epoch() const { return epoch_; }

 private:
  void try_register();
  void on_registration(const Result<protocol::BrokerRegistrationResponse>& result);
  void register_again();
  bool has_unregistered_directory();
  void heartbeat();
  void schedule_heartbeat(Duration delay);
  void on_heartbeat(const Result<protocol::BrokerHeartbeatResponse>& result);

  io::Strand& strand_;
  controller::ControllerChannel& channel_;
  const MembershipOptions options_;
  const std::function<Offset()> metadata_offset_;
  std::vector<DirectoryId> usable_dirs_;
  std::vector<DirectoryId> unusable_dirs_;
  std::vector<DirectoryId> registered_dirs_;
  std::optional<std::vector<DirectoryId>> cordoned_dirs_;  // unset until there were any
  BrokerEpoch epoch_{-1};
  Instant register_until_{};
  std::string last_refusal_;
  bool want_fence_ = true;
  bool want_shut_down_ = false;
  bool aside_ = false;
  bool registering_ = false;
  bool in_flight_ = false;
  bool again_ = false;  // another heartbeat has been asked for meanwhile
  io::TimerId timer_ = io::kNoTimer;
  io::TimerId leave_timer_ = io::kNoTimer;
  std::function<void(BrokerEpoch)> on_epoch_;
  UniqueFunction<void(Result<BrokerEpoch>)> on_registered_;
  UniqueFunction<void()> on_unfenced_;
  UniqueFunction<void()> on_left_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::node
