#include <algorithm>

#include "broker/protocol/messages/heartbeat_request.h"
#include "broker/protocol/messages/heartbeat_response.h"
#include "broker/protocol/messages/join_group_request.h"
#include "broker/protocol/messages/join_group_response.h"
#include "broker/protocol/messages/leave_group_request.h"
#include "broker/protocol/messages/leave_group_response.h"
#include "broker/protocol/messages/sync_group_request.h"
#include "broker/protocol/messages/sync_group_response.h"
#include "broker/sim/group_member.h"

namespace broker::sim {
namespace {

constexpr Duration kBeatInterval = std::chrono::seconds(1);
/// A join is answered when everybody has joined, or after the session of who has not.
constexpr Duration kJoinTimeout = Memberships::kSession + kRequestTimeout;

/// Nobody but these members reads it: numbers, a byte each.
Slice encoded(const std::set<std::int32_t>& partitions) {
  return Slice(std::vector<std::uint8_t>(partitions.begin(), partitions.end()));
}

std::set<std::int32_t> decoded(const Slice& bytes) {
  std::set<std::int32_t> out;
  for (const auto byte : bytes.span()) out.insert(static_cast<std::int32_t>(byte));
  return out;
}

class ClassicMember final : public GroupMember {
 public:
  ClassicMember(ClientContext& context, std::unique_ptr<Router> router, Memberships& memberships,
                std::string group, int number, int partitions, std::uint64_t seed)
      : GroupMember(context, std::move(router), memberships, std::move(group), number, seed),
        partitions_(partitions) {}

 private:
  void join() override { join_as(""); }

  void join_as(const std::string& id) {
    release_all();
    synced_ = false;
    protocol::JoinGroupRequest request;
    request.group_id = group_;
    request.session_timeout_ms = request.rebalance_timeout_ms = kSessionMs;
    request.member_id = id;
    request.protocol_type = "consumer";
    request.protocols.push_back({"turns", {}});
    ask<protocol::JoinGroupRequest>(
        std::move(request),
        [this](protocol::JoinGroupResponse& response, Instant) { on_joined(response); },
        kJoinTimeout);
  }

  void on_joined(protocol::JoinGroupResponse& response) {
    const auto error = static_cast<ErrorCode>(response.error_code);
    if (is_trouble(error)) return on_trouble(error);
    switch (error) {
      case ErrorCode::kNone:
        identity_.id = response.member_id;
        identity_.epoch = response.generation_id;
        return sync(response);
      case ErrorCode::kMemberIdRequired:
        identity_.id = response.member_id;
        return join_as(identity_.id);
      case ErrorCode::kUnknownMemberId:
        join_anew();
        return go();
      case ErrorCode::kRebalanceInProgress:
        return go();
      default:
        return wrong("JoinGroup", error);
    }
  }

  void sync(const protocol::JoinGroupResponse& joined) {
    protocol::SyncGroupRequest request;
    request.group_id = group_;
    request.generation_id = identity_.epoch;
    request.member_id = identity_.id;
    request.protocol_type = "consumer";
    request.protocol_name = "turns";
    for (std::size_t i = 0; i < joined.members.size(); ++i) {
      std::set<std::int32_t> turn;  // another one in each generation
      for (int p = 0; p < partitions_; ++p)
        if (static_cast<std::size_t>(p + joined.generation_id) % joined.members.size() == i)
          turn.insert(p);
      request.assignments.push_back({joined.members[i].member_id, encoded(turn)});
    }
    ask<protocol::SyncGroupRequest>(
        std::move(request), [this](protocol::SyncGroupResponse& response, Instant sent) {
          if (response.error_code != 0)
            return on_refused("SyncGroup", static_cast<ErrorCode>(response.error_code));
          heard(sent, kBeatInterval);
          synced_ = true;
          (void)take(decoded(response.assignment));
          go();
        });
  }

  void beat() override {
    // The coordinator would take it for a member that knows what it has.
    if (!synced_) return join_as(identity_.id);
    protocol::HeartbeatRequest request;
    request.group_id = group_;
    request.generation_id = identity_.epoch;
    request.member_id = identity_.id;
    ask<protocol::HeartbeatRequest>(
        std::move(request), [this](protocol::HeartbeatResponse& response, Instant sent) {
          if (response.error_code != 0)
            return on_refused("Heartbeat", static_cast<ErrorCode>(response.error_code));
          heard(sent, kBeatInterval);
          go();
        });
  }

  void on_refused(const char* what, ErrorCode error) {
    if (is_trouble(error)) return on_trouble(error);
    switch (error) {
      case ErrorCode::kRebalanceInProgress:
      case ErrorCode::kIllegalGeneration:
        return join_as(identity_.id);
      case ErrorCode::kUnknownMemberId:
        release_all();
        join_anew();
        return go();
      default:
        return wrong(what, error);
    }
  }

  void leave(const Identity& as) override {
    protocol::LeaveGroupRequest request;
    request.group_id = group_;
    request.members.push_back({as.id, std::nullopt, std::nullopt});
    ask<protocol::LeaveGroupRequest>(
        std::move(request),
        [this](protocol::LeaveGroupResponse&, Instant) { go(std::chrono::seconds(5)); });
  }

  const int partitions_;
  bool synced_ = false;  // since it joined last
};

}  // namespace

std::unique_ptr<GroupMember> make_classic_member(ClientContext& context,
                                                 std::unique_ptr<Router> router,
                                                 Memberships& memberships, std::string group,
                                                 int number, int partitions, std::uint64_t seed) {
  return std::make_unique<ClassicMember>(context, std::move(router), memberships, std::move(group),
                                         number, partitions, seed);
}

}  // namespace broker::sim
