#include "broker/coordinator/group/group_state.h"

#include <algorithm>

#include "broker/coordinator/group/consumer_protocol.h"

namespace broker::coordinator::group {

const Slice* Member::metadata(std::string_view protocol) const {
  for (const Protocol& candidate : protocols)
    if (candidate.name == protocol) return &candidate.metadata;
  return nullptr;
}

std::string_view state_name(State state) {
  switch (state) {
    case State::kEmpty:
      return "Empty";
    case State::kPreparingRebalance:
      return "PreparingRebalance";
    case State::kCompletingRebalance:
      return "CompletingRebalance";
    case State::kStable:
      return "Stable";
  }
  return "";
}

Member* Group::find(const std::string& member_id) {
  const auto at = members.find(member_id);
  return at == members.end() ? nullptr : &at->second;
}

const Member* Group::find(const std::string& member_id) const {
  const auto at = members.find(member_id);
  return at == members.end() ? nullptr : &at->second;
}

const Member* Group::find_static(const std::string& instance_id) const {
  for (const auto& [id, member] : members)
    if (member.instance_id == instance_id) return &member;
  return nullptr;
}

Member* Group::find_static(const std::string& instance_id) {
  return const_cast<Member*>(std::as_const(*this).find_static(instance_id));
}

ErrorCode Group::check_member(const std::string& member_id,
                              const std::optional<std::string>& instance_id) const {
  if (instance_id) {
    const Member* owner = find_static(*instance_id);
    if (!owner) return ErrorCode::kUnknownMemberId;
    return owner->id == member_id ? ErrorCode::kNone : ErrorCode::kFencedInstanceId;
  }
  return find(member_id) ? ErrorCode::kNone : ErrorCode::kUnknownMemberId;
}

std::size_t Group::joined_count() const {
  return std::count_if(members.begin(), members.end(),
                       [](const auto& entry) { return bool(entry.second.join_reply); });
}

bool Group::all_members_joined() const {
  return pending_members.empty() && joined_count() == members.size();
}

std::chrono::milliseconds Group::rebalance_timeout() const {
  std::chrono::milliseconds longest{0};
  for (const auto& [id, member] : members) longest = std::max(longest, member.rebalance_timeout);
  return longest;
}

bool Group::supports(std::string_view type, const std::vector<Protocol>& candidates) const {
  if (type.empty() || candidates.empty()) return false;
  if (members.empty()) return true;
  if (type != protocol_type) return false;
  return std::any_of(candidates.begin(), candidates.end(), [this](const Protocol& candidate) {
    return std::all_of(members.begin(), members.end(), [&](const auto& entry) {
      return entry.second.metadata(candidate.name) != nullptr;
    });
  });
}

std::string Group::select_protocol() const {
  const auto common = [this](const Protocol& candidate) {
    return std::all_of(members.begin(), members.end(), [&](const auto& entry) {
      return entry.second.metadata(candidate.name) != nullptr;
    });
  };
  std::map<std::string, std::size_t> votes;
  for (const auto& [id, member] : members) {
    const auto vote = std::find_if(member.protocols.begin(), member.protocols.end(), common);
    if (vote != member.protocols.end()) ++votes[vote->name];
  }
  const auto winner = std::max_element(
      votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return winner == votes.end() ? std::string() : winner->first;
}

namespace {

// Members in a map are ordered by name; leadership goes by who came first.
template <class Accept>
const Member* first_joined(const Group& group, Accept accept) {
  const Member* first = nullptr;
  for (const auto& [id, member] : group.members)
    if (accept(member) && (!first || member.order < first->order)) first = &member;
  return first;
}

}  // namespace

bool Group::elect_joined_leader() {
  if (leader) {
    const Member* current = find(*leader);
    if (current && current->join_reply) return true;
  }
  const Member* next = first_joined(*this, [](const Member& m) { return bool(m.join_reply); });
  if (!next) return false;
  leader = next->id;
  return true;
}

void Group::replace_missing_leader() {
  if (leader && find(*leader)) return;
  const Member* next = first_joined(*this, [](const Member&) { return true; });
  leader = next ? std::optional(next->id) : std::nullopt;
}

std::optional<std::set<std::string>> Group::subscribed_topics() const {
  if (consumer) return consumer->subscribed_topics();
  if (protocol_type != "consumer") return std::nullopt;
  std::set<std::string> topics;
  if (members.empty() || !protocol) return topics;
  for (const auto& [id, member] : members) {
    const Slice* metadata = member.metadata(*protocol);
    if (!metadata) continue;
    const Result<Subscription> subscription = parse_subscription(*metadata);
    if (!subscription.ok()) return std::nullopt;
    const std::vector<std::string>& names = subscription->message.topics;
    topics.insert(names.begin(), names.end());
  }
  return topics;
}

protocol::JoinGroupResponse Group::joined(const Member& member) const {
  protocol::JoinGroupResponse response;
  response.generation_id = generation;
  response.protocol_type = protocol_type;
  response.protocol_name = protocol;
  response.leader = leader.value_or("");
  response.member_id = member.id;
  if (!is_leader(member)) return response;
  for (const auto& [id, each] : members) {
    const Slice* metadata = protocol ? each.metadata(*protocol) : nullptr;
    response.members.push_back({.member_id = id,
                                .group_instance_id = each.instance_id,
                                .metadata = metadata ? *metadata : Slice()});
  }
  return response;
}

protocol::SyncGroupResponse Group::synced(const Member& member) const {
  protocol::SyncGroupResponse response;
  response.protocol_type = protocol_type;
  response.protocol_name = protocol;
  response.assignment = member.assignment;
  return response;
}

namespace {

// Clients of these requests know no error for records that are too large.
std::int16_t wire_to_member(ErrorCode error) {
  return static_cast<std::int16_t>(
      error == ErrorCode::kMessageTooLarge ? ErrorCode::kUnknownServerError : error);
}

}  // namespace

protocol::JoinGroupResponse join_error(std::string member_id, ErrorCode error) {
  protocol::JoinGroupResponse response;
  response.error_code = wire_to_member(error);
  response.member_id = std::move(member_id);
  // Not nullable before version 7.
  response.protocol_name = "";
  return response;
}

protocol::SyncGroupResponse sync_error(ErrorCode error) {
  protocol::SyncGroupResponse response;
  response.error_code = wire_to_member(error);
  return response;
}

}  // namespace broker::coordinator::group
