#include <algorithm>
#include <set>
#include <thread>

#include "broker/protocol/frame.h"
#include "broker/protocol/messages/consumer_group_describe_request.h"
#include "broker/protocol/messages/consumer_group_describe_response.h"
#include "broker/protocol/messages/consumer_protocol_assignment.h"
#include "broker/protocol/messages/describe_groups_request.h"
#include "broker/protocol/messages/describe_groups_response.h"
#include "broker/protocol/messages/find_coordinator_request.h"
#include "broker/protocol/messages/find_coordinator_response.h"
#include "broker/protocol/messages/list_groups_request.h"
#include "broker/protocol/messages/list_groups_response.h"
#include "broker/protocol/messages/offset_fetch_request.h"
#include "broker/protocol/messages/offset_fetch_response.h"
#include "operator/cli/gather.h"

namespace op::cli {
namespace {

using broker::Error;
using broker::ErrorCode;
using broker::Result;
using broker::TopicPartition;
namespace protocol = broker::protocol;

constexpr auto kPause = std::chrono::milliseconds(200);
constexpr int kAttempts = 50;  // ten seconds: an internal topic may just be being created

bool will_pass(ErrorCode code) {
  return code == ErrorCode::kCoordinatorNotAvailable ||
         code == ErrorCode::kCoordinatorLoadInProgress || code == ErrorCode::kNotCoordinator;
}

Result<std::map<TopicPartition, std::int64_t>> ask_committed(Brokers& brokers,
                                                             std::int32_t coordinator,
                                                             const std::string& group) {
  OffsetFetchByName request;
  auto& wanted = request.groups.emplace_back();
  wanted.group_id = group;
  wanted.topics.reset();  // all
  ASSIGN_OR_RETURN(const auto answer, brokers.ask(coordinator, std::move(request)));
  if (answer.groups.size() != 1)
    return Error{ErrorCode::kUnsupportedVersion, "the broker is older than Kafka 3.0"};
  const auto& described = answer.groups[0];
  if (described.error_code != 0) return Error{protocol::error_from_wire(described.error_code), {}};
  std::map<TopicPartition, std::int64_t> out;
  for (const auto& topic : described.topics)
    for (const auto& partition : topic.partitions)
      if (partition.error_code == 0 && partition.committed_offset >= 0)
        out[{topic.name, partition.partition_index}] = partition.committed_offset;
  return out;
}

/// What a classic member was told by the leader of its group; empty for another protocol's bytes.
std::vector<TopicPartition> read_assignment(const broker::Slice& bytes) {
  std::vector<TopicPartition> out;
  if (bytes.size() < 2) return out;
  protocol::Reader reader(bytes);
  const std::int16_t version = reader.int16();
  const auto known = std::clamp<std::int16_t>(version, 0, 3);  // later ones only append
  protocol::ConsumerProtocolAssignment assignment;
  if (version < 0 || !assignment.read(reader, known).ok()) return out;
  for (const auto& topic : assignment.assigned_partitions)
    for (const std::int32_t partition : topic.partitions) out.push_back({topic.topic, partition});
  return out;
}

Result<bool> describe_by_new_protocol(Brokers& brokers, GroupView& view) {
  protocol::ConsumerGroupDescribeRequest request;
  request.group_ids.push_back(view.id);
  auto answer = brokers.ask(view.coordinator, std::move(request));
  if (answer.code() == ErrorCode::kUnsupportedVersion) return false;
  if (!answer.ok()) return answer.error();
  if (answer->groups.size() != 1) return Error{ErrorCode::kUnknownServerError, {}};
  auto& group = answer->groups[0];
  const ErrorCode code = protocol::error_from_wire(group.error_code);
  // Not found: it may be a classic one.
  if (code == ErrorCode::kGroupIdNotFound || code == ErrorCode::kUnsupportedVersion) return false;
  if (code != ErrorCode::kNone) return Error{code, group.error_message.value_or("")};
  view.type = "Consumer";
  view.state = group.group_state;
  view.assignor = group.assignor_name;
  for (auto& member : group.members) {
    MemberView out{member.member_id,
                   member.instance_id.value_or(""),
                   member.client_id,
                   member.client_host,
                   {}};
    for (const auto& topic : member.assignment.topic_partitions)
      for (const std::int32_t partition : topic.partitions)
        out.partitions.push_back({topic.topic_name, partition});
    view.members.push_back(std::move(out));
  }
  return true;
}

Result<void> describe_classic(Brokers& brokers, GroupView& view) {
  protocol::DescribeGroupsRequest request;
  request.groups.push_back(view.id);
  ASSIGN_OR_RETURN(const auto answer, brokers.ask(view.coordinator, std::move(request)));
  if (answer.groups.size() != 1) return Error{ErrorCode::kUnknownServerError, {}};
  const auto& group = answer.groups[0];
  const ErrorCode code = protocol::error_from_wire(group.error_code);
  if (code == ErrorCode::kGroupIdNotFound) {
    view.state = "Dead";
    return {};
  }
  if (code != ErrorCode::kNone) return Error{code, group.error_message.value_or("")};
  view.state = group.group_state;
  if (view.state == "Dead") return {};
  view.type = "Classic";
  view.assignor = group.protocol_data;
  for (const auto& member : group.members) {
    view.members.push_back({member.member_id, member.group_instance_id.value_or(""),
                            member.client_id, member.client_host,
                            group.protocol_type == "consumer"
                                ? read_assignment(member.member_assignment)
                                : std::vector<TopicPartition>()});
  }
  return {};
}

Result<void> describe(Brokers& brokers, GroupView& view) {
  ASSIGN_OR_RETURN(view.coordinator, find_coordinator(brokers, view.id));
  ASSIGN_OR_RETURN(const bool known, describe_by_new_protocol(brokers, view));
  if (!known) RETURN_IF_ERROR(describe_classic(brokers, view));
  std::sort(view.members.begin(), view.members.end(), [](const auto& a, const auto& b) {
    return std::tie(a.client_id, a.id) < std::tie(b.client_id, b.id);
  });
  ASSIGN_OR_RETURN(const auto committed, ask_committed(brokers, view.coordinator, view.id));
  std::map<TopicPartition, PartitionLag> partitions;
  for (const auto& [partition, offset] : committed) partitions[partition].committed = offset;
  for (std::size_t i = 0; i < view.members.size(); ++i)
    for (const TopicPartition& partition : view.members[i].partitions)
      partitions[partition].member = i;
  for (auto& [name, partition] : partitions) {
    partition.partition = name;
    view.partitions.push_back(std::move(partition));
  }
  return {};
}

Result<void> fill_ends(Brokers& brokers, std::vector<GroupView>& groups) {
  std::set<TopicPartition> wanted;
  for (const GroupView& group : groups)
    for (const PartitionLag& partition : group.partitions) wanted.insert(partition.partition);
  if (wanted.empty()) return {};
  ASSIGN_OR_RETURN(const auto metadata, describe_topics(brokers, {}));
  const auto ends =
      list_offsets(brokers, metadata, {wanted.begin(), wanted.end()}, kLatestTimestamp);
  for (GroupView& group : groups) {
    for (PartitionLag& partition : group.partitions) {
      const auto& end = ends.at(partition.partition);
      if (end.ok())
        partition.end_offset = *end;
      else
        partition.problem = std::string(error_name(end.code()));
    }
  }
  return {};
}

}  // namespace

Result<std::int32_t> find_coordinator(Brokers& brokers, const std::string& group) {
  ErrorCode code = ErrorCode::kNone;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    if (attempt > 0) std::this_thread::sleep_for(kPause);
    protocol::FindCoordinatorRequest request;
    request.coordinator_keys.push_back(group);
    ASSIGN_OR_RETURN(const auto answer, brokers.ask(std::move(request)));
    std::int32_t node = answer.node_id;
    code = protocol::error_from_wire(answer.error_code);
    if (!answer.coordinators.empty()) {
      node = answer.coordinators[0].node_id;
      code = protocol::error_from_wire(answer.coordinators[0].error_code);
    }
    if (code == ErrorCode::kNone) return node;
    if (!will_pass(code)) break;
  }
  return explain({code, {}}, "group " + group);
}

Result<std::vector<GroupView>> list_groups(Brokers& brokers) {
  std::map<std::int32_t, protocol::ListGroupsRequest> requests;
  for (const std::int32_t id : brokers.ids()) requests[id] = {};
  std::map<std::string, GroupView> groups;
  for (const auto& [id, answer] : brokers.ask_each(std::move(requests))) {
    if (!answer.ok()) return answer.error();
    const ErrorCode code = protocol::error_from_wire(answer->error_code);
    if (code != ErrorCode::kNone && !will_pass(code))
      return explain({code, {}}, "the groups of broker " + std::to_string(id));
    for (const auto& listed : answer->groups) {
      GroupView& group = groups[listed.group_id];
      group.id = listed.group_id;
      group.coordinator = id;
      group.state = listed.group_state;
      group.type = listed.group_type;
    }
  }
  std::vector<GroupView> out;
  for (auto& [id, group] : groups) out.push_back(std::move(group));
  return out;
}

Result<std::vector<GroupView>> gather_groups(Brokers& brokers,
                                             const std::vector<std::string>& ids) {
  std::vector<GroupView> groups;
  for (const std::string& id : ids) {
    GroupView& group = groups.emplace_back();
    group.id = id;
    const auto described = describe(brokers, group);
    if (described.ok()) continue;
    const Error problem = explain(described.error(), "group " + id);
    group.problem = problem.detail;
    group.problem_code = problem.code;
  }
  RETURN_IF_ERROR(fill_ends(brokers, groups));
  return groups;
}

}  // namespace op::cli
