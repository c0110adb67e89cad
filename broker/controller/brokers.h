#pragma once

#include <map>
#include <optional>

#include "broker/controller/types.h"
#include "broker/protocol/messages/broker_heartbeat_request.h"
#include "broker/protocol/messages/broker_heartbeat_response.h"
#include "broker/protocol/messages/broker_registration_request.h"
#include "broker/protocol/messages/broker_registration_response.h"
#include "broker/protocol/messages/unregister_broker_request.h"
#include "broker/protocol/messages/unregister_broker_response.h"

namespace broker::controller {

/// Who was heard from when, and how far each broker has read. Soft state of the active controller:
/// never in the log, rebuilt by heartbeats after a change of leader.
class BrokerHeartbeats {
 public:
  explicit BrokerHeartbeats(Duration session_timeout) : session_timeout_(session_timeout) {}

  /// A new leader gives every unfenced broker a fresh session.
  void reset(const metadata::ClusterImage& cluster, Instant now);
  void touch(BrokerId id, BrokerEpoch epoch, Offset metadata_offset, Instant now);
  void forget(BrokerId id);
  /// Where the broker's controlled shutdown was written, if it is in one.
  void set_shutdown_offset(BrokerId id, Offset offset);
  std::optional<Offset> shutdown_offset(BrokerId id) const;

  /// Whether the broker itself was heard from within the session timeout. The grace that a new
  /// leader gives does not count: a node that restarts with its controller registers at once.
  bool has_valid_session(BrokerId id, BrokerEpoch epoch, Instant now) const;
  /// The unfenced broker whose session expired first.
  std::optional<BrokerId> next_expired(const metadata::ClusterImage& cluster, Instant now) const;
  /// When the next unfenced broker's session ends.
  std::optional<Instant> next_expiry(const metadata::ClusterImage& cluster) const;
  /// The lowest offset that all active brokers have read.
  Offset lowest_active_offset(const metadata::ClusterImage& cluster) const;

 private:
  struct Session {
    BrokerEpoch epoch;
    bool heard = false;
    Instant last_contact{};
    Offset metadata_offset{-1};
    std::optional<Offset> shutdown_offset;
  };
  const Duration session_timeout_;
  std::map<BrokerId, Session> sessions_;
};

/// Errors in the response: kInconsistentClusterId, kDuplicateBrokerRegistration,
/// kUnsupportedVersion, kInvalidRegistration (KIP-631, KIP-858). A restarted broker (new
/// incarnation) comes back fenced, and out of every ISR that has another member.
ControllerResult<protocol::BrokerRegistrationResponse> decide(
    const DecideContext& context, const BrokerHeartbeats& heartbeats,
    const protocol::BrokerRegistrationRequest& request);

/// Moves the broker between fenced, unfenced, controlled shutdown and "stop now"; notes the contact
/// in `heartbeats`. Errors in the response: kBrokerIdNotRegistered, kStaleBrokerEpoch.
ControllerResult<protocol::BrokerHeartbeatResponse> decide(
    const DecideContext& context, BrokerHeartbeats& heartbeats,
    const protocol::BrokerHeartbeatRequest& request);

/// Errors in the response: kBrokerIdNotRegistered.
ControllerResult<protocol::UnregisterBrokerResponse> decide(
    const DecideContext& context, const protocol::UnregisterBrokerRequest& request);

/// Fences a broker whose session expired: out of all ISRs, leaders elsewhere.
metadata::MetadataRecords fence_broker(const DecideContext& context, BrokerId id);

}  // namespace broker::controller
