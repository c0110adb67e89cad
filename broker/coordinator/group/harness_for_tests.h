#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/coordinator/group/group_shard.h"
#include "broker/protocol/codec.h"
#include "broker/protocol/messages/consumer_protocol_subscription.h"
#include "broker/protocol/messages/heartbeat_request.h"
#include "broker/protocol/messages/join_group_request.h"
#include "broker/protocol/messages/leave_group_request.h"
#include "broker/protocol/messages/offset_commit_request.h"
#include "broker/protocol/messages/sync_group_request.h"

namespace broker::coordinator::group {

using namespace std::chrono_literals;

/// An answer that may still be outstanding.
template <class Response>
using Promise = std::shared_ptr<std::optional<Response>>;

struct JoinArgs {
  std::string group = "g";
  std::string member;
  std::optional<std::string> instance;
  std::int16_t version = 9;
  std::vector<std::string> protocols{"range"};
  std::string metadata = "subscription";
  std::int32_t session_ms = 10'000;
  std::int32_t rebalance_ms = 60'000;
};

/// A shard in a world without a log: what it writes is replayed at once, or refused while
/// `write_error` is set. Time stands still unless advance() moves it.
class Harness {
 public:
  explicit Harness(GroupOptions options = {}) : options_(options) { restart(); }

  /// A new coordinator that loads what the old one had written.
  void restart() {
    if (shard) shard->resign(ErrorCode::kNotCoordinator);
    shard = std::make_unique<GroupShard>(options_, ports(), 7);
    for (const Record& record : log) {
      const auto replayed = shard->replay(record);
      CHECK(replayed.ok());
    }
    shard->on_loaded(now);
  }

  void carry_out(Output output) {
    if (write_error == ErrorCode::kNone || output.records.empty()) {
      for (const Record& record : output.records) {
        CHECK((output.transaction ? shard->replay_pending(*output.transaction, record)
                                  : shard->replay(record))
                  .ok());
        log.push_back(record);
      }
      for (auto& each : output.on_committed) each(ErrorCode::kNone);
    } else {
      for (auto& each : output.on_committed) each(write_error);
    }
  }

  /// Steps from deadline to deadline, as the runtime's timer does.
  void advance(std::chrono::milliseconds by) {
    const Instant end = now.now + by;
    while (shard->wake_at() && *shard->wake_at() <= end) {
      move_to(std::max(*shard->wake_at(), now.now));
      carry_out(shard->tick(now));
    }
    move_to(end);
  }

  Promise<protocol::JoinGroupResponse> join(const JoinArgs& args) {
    protocol::JoinGroupRequest request;
    request.group_id = args.group;
    request.member_id = args.member;
    request.group_instance_id = args.instance;
    request.protocol_type = "consumer";
    request.session_timeout_ms = args.session_ms;
    request.rebalance_timeout_ms = args.rebalance_ms;
    for (const std::string& name : args.protocols)
      request.protocols.push_back({.name = name, .metadata = Slice::copy_of(args.metadata)});
    auto answer = promise<protocol::JoinGroupResponse>();
    carry_out(shard->join({args.version, "client", "/127.0.0.1"}, request, now, keep(answer)));
    return answer;
  }

  /// Gets a member id the way clients since version 4 do, then joins with it.
  std::pair<std::string, Promise<protocol::JoinGroupResponse>> join_new(JoinArgs args = {}) {
    const auto id = (*join(args))->member_id;
    args.member = id;
    return {id, join(args)};
  }

  Promise<protocol::SyncGroupResponse> sync(
      const std::string& member, std::int32_t generation,
      const std::vector<std::pair<std::string, std::string>>& assignments = {},
      std::optional<std::string> instance = std::nullopt, const std::string& group = "g") {
    protocol::SyncGroupRequest request;
    request.group_id = group;
    request.member_id = member;
    request.generation_id = generation;
    request.group_instance_id = std::move(instance);
    for (const auto& [id, bytes] : assignments)
      request.assignments.push_back({.member_id = id, .assignment = Slice::copy_of(bytes)});
    auto answer = promise<protocol::SyncGroupResponse>();
    carry_out(shard->sync({5, "client", "/127.0.0.1"}, request, now, keep(answer)));
    return answer;
  }

  ErrorCode heartbeat(const std::string& member, std::int32_t generation,
                      std::optional<std::string> instance = std::nullopt) {
    protocol::HeartbeatRequest request;
    request.group_id = "g";
    request.member_id = member;
    request.generation_id = generation;
    request.group_instance_id = std::move(instance);
    auto answer = promise<protocol::HeartbeatResponse>();
    carry_out(shard->heartbeat(request, now, keep(answer)));
    return static_cast<ErrorCode>((*answer)->error_code);
  }

  protocol::LeaveGroupResponse leave(
      std::vector<protocol::LeaveGroupRequest::MemberIdentity> members) {
    protocol::LeaveGroupRequest request;
    request.group_id = "g";
    request.members = std::move(members);
    auto answer = promise<protocol::LeaveGroupResponse>();
    carry_out(shard->leave({5, "client", "/127.0.0.1"}, request, now, keep(answer)));
    return **answer;
  }

  struct CommitArgs {
    std::string member;
    std::int32_t generation = -1;
    std::string topic = "orders";
    std::int64_t offset = 42;
    std::string metadata;
    std::int64_t retention_ms = -1;
    Uuid topic_id;
    std::int16_t version = 9;
  };
  ErrorCode commit(const CommitArgs& args) {
    protocol::OffsetCommitRequest request;
    request.group_id = "g";
    request.member_id = args.member;
    request.generation_id_or_member_epoch = args.generation;
    request.retention_time_ms = args.retention_ms;
    auto& topic = request.topics.emplace_back();
    topic.name = args.topic;
    topic.topic_id = args.topic_id;
    topic.partitions.push_back({.partition_index = 0,
                                .committed_offset = args.offset,
                                .committed_leader_epoch = 3,
                                .committed_metadata = args.metadata});
    auto answer = promise<protocol::OffsetCommitResponse>();
    carry_out(shard->commit_offsets({args.version, "client", "/h"}, request, now, keep(answer)));
    return static_cast<ErrorCode>((*answer)->topics[0].partitions[0].error_code);
  }

  /// -1 when there is none.
  std::int64_t committed(const std::string& topic = "orders", Uuid topic_id = {}) {
    protocol::OffsetFetchRequest::OffsetFetchRequestGroup request;
    request.group_id = "g";
    request.topics.emplace();
    auto& asked = request.topics->emplace_back();
    asked.name = topic;
    asked.topic_id = topic_id;
    asked.partition_indexes = {0};
    auto answer = promise<protocol::OffsetFetchResponse::OffsetFetchResponseGroup>();
    carry_out(shard->fetch_offsets(request, false, keep(answer)));
    return (*answer)->topics[0].partitions[0].committed_offset;
  }

  protocol::DescribeGroupsResponse::DescribedGroup describe(std::int16_t version = 6) {
    auto answer = promise<protocol::DescribeGroupsResponse::DescribedGroup>();
    carry_out(shard->describe({version, "", ""}, "g", keep(answer)));
    return **answer;
  }

  ErrorCode delete_group() {
    auto answer = promise<protocol::DeleteGroupsResponse::DeletableGroupResult>();
    carry_out(shard->delete_group("g", keep(answer)));
    return static_cast<ErrorCode>((*answer)->error_code);
  }

  /// A stable group of one member; returns its id. Generation 1.
  std::string make_stable(JoinArgs args = {}) {
    auto [member, joined] = join_new(args);
    advance(3s);
    CHECK(joined->has_value());
    auto synced = sync(member, (*joined)->generation_id, {{member, "all"}}, args.instance);
    CHECK((*synced)->error_code == 0);
    return member;
  }

  std::string state() const {
    const Group* group = shard->find("g");
    return group ? std::string(state_name(group->state)) : "none";
  }

  /// What a consumer subscribed to `topics` sends as its metadata.
  static std::string subscription(const std::vector<std::string>& topics) {
    protocol::ConsumerProtocolSubscription message;
    message.topics = topics;
    protocol::Writer writer;
    writer.int16(1);
    message.write(writer, 1);
    return std::string(writer.to_bytes()->view());
  }

  GroupPorts ports() {
    return {[this] { return image; }, [this] { return topics_created_at; },
            [this](RegexJob job) { regex_jobs.push_back(std::move(job)); }};
  }

  metadata::ImagePtr image = std::make_shared<metadata::MetadataImage>();
  Offset topics_created_at{0};
  std::vector<RegexJob> regex_jobs;  // asked for, not answered
  std::unique_ptr<GroupShard> shard;
  std::vector<Record> log;
  Now now{Instant{} + 1h, 1'000'000'000};
  ErrorCode write_error = ErrorCode::kNone;

 protected:
  template <class Response>
  static Promise<Response> promise() {
    return std::make_shared<std::optional<Response>>();
  }
  template <class Response>
  static Reply<Response> keep(const Promise<Response>& answer) {
    return [answer](Response response) {
      CHECK(!answer->has_value());  // exactly once
      *answer = std::move(response);
    };
  }

 private:
  void move_to(Instant to) {
    now.wall += std::chrono::duration_cast<std::chrono::milliseconds>(to - now.now).count();
    now.now = to;
  }

  const GroupOptions options_;
};

inline ErrorCode error_of(const protocol::JoinGroupResponse& response) {
  return static_cast<ErrorCode>(response.error_code);
}
inline ErrorCode error_of(const protocol::SyncGroupResponse& response) {
  return static_cast<ErrorCode>(response.error_code);
}

}  // namespace broker::coordinator::group
