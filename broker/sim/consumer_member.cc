#include "broker/protocol/messages/consumer_group_heartbeat_request.h"
#include "broker/protocol/messages/consumer_group_heartbeat_response.h"
#include "broker/sim/group_member.h"

namespace broker::sim {
namespace {

constexpr std::int32_t kJoinEpoch = 0;
constexpr std::int32_t kLeaveEpoch = -1;

class ConsumerMember final : public GroupMember {
 public:
  using GroupMember::GroupMember;

 private:
  void join() override {
    identity_.id = Uuid::random(rng_).to_string();
    identity_.epoch = kJoinEpoch;
    beat();
  }

  protocol::ConsumerGroupHeartbeatRequest request(const std::string& id, std::int32_t epoch) const {
    protocol::ConsumerGroupHeartbeatRequest request;
    request.group_id = group_;
    request.member_id = id;
    request.member_epoch = epoch;
    return request;
  }

  void beat() override {
    auto request = this->request(identity_.id, identity_.epoch);
    request.topic_partitions.emplace();
    if (const Partitions partitions = owned(); !partitions.empty())
      request.topic_partitions->push_back({topic_id_, {partitions.begin(), partitions.end()}});
    // A whole request is answered with the whole assignment.
    if (identity_.epoch == kJoinEpoch || !was_answered() || rng_.below(4) == 0) {
      request.rebalance_timeout_ms = kSessionMs;
      request.subscribed_topic_names = std::vector<std::string>{context_.topic};
    }
    ask<protocol::ConsumerGroupHeartbeatRequest>(
        std::move(request), [this](protocol::ConsumerGroupHeartbeatResponse& response,
                                   Instant sent) { on_answer(response, sent); });
  }

  void on_answer(protocol::ConsumerGroupHeartbeatResponse& response, Instant sent) {
    const auto error = static_cast<ErrorCode>(response.error_code);
    if (is_trouble(error)) return on_trouble(error);
    switch (error) {
      case ErrorCode::kNone:
        break;
      case ErrorCode::kUnknownMemberId:
      case ErrorCode::kFencedMemberEpoch:
        release_all();
        if (rng_.below(2) == 0)
          join_anew();
        else
          identity_.epoch = kJoinEpoch;
        return go();
      default:
        return wrong("ConsumerGroupHeartbeat", error);
    }
    identity_.epoch = response.member_epoch;
    heard(sent, std::chrono::milliseconds(response.heartbeat_interval_ms));
    bool lost = false;
    if (response.assignment) {
      Partitions partitions;
      for (const auto& topic : response.assignment->topic_partitions) {
        topic_id_ = topic.topic_id;
        partitions.insert(topic.partitions.begin(), topic.partitions.end());
      }
      lost = take(partitions);
    }
    if (lost) return beat();  // others wait for them
    go();
  }

  void leave(const Identity& as) override {
    ask<protocol::ConsumerGroupHeartbeatRequest>(
        request(as.id, kLeaveEpoch), [this](protocol::ConsumerGroupHeartbeatResponse&, Instant) {
          go(std::chrono::seconds(5));
        });
  }

  Uuid topic_id_;
};

}  // namespace

std::unique_ptr<GroupMember> make_consumer_member(ClientContext& context,
                                                  std::unique_ptr<Router> router,
                                                  Memberships& memberships, std::string group,
                                                  int number, std::uint64_t seed) {
  return std::make_unique<ConsumerMember>(context, std::move(router), memberships, std::move(group),
                                          number, seed);
}

}  // namespace broker::sim
