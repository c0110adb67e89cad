#include "broker/coordinator/group/consumer_group.h"

#include <algorithm>

#include "broker/coordinator/assignor/java_order.h"
#include "broker/coordinator/runtime/types.h"

namespace broker::coordinator::group {

const ConsumerMember* ConsumerGroup::find(const std::string& member_id) const {
  const auto at = members_.find(member_id);
  return at == members_.end() ? nullptr : &at->second;
}

const ConsumerMember* ConsumerGroup::find_static(
    const std::optional<std::string>& instance_id) const {
  if (!instance_id) return nullptr;
  const auto at = static_members_.find(*instance_id);
  return at == static_members_.end() ? nullptr : find(at->second);
}

assignor::Assignment ConsumerGroup::target_of(const ConsumerMember& member) const {
  const ConsumerMember* before = find_static(member.instance_id);
  const auto at = target.find(before ? before->id : member.id);
  return at == target.end() ? assignor::Assignment() : at->second;
}

std::int32_t ConsumerGroup::partition_epoch(const Uuid& topic, std::int32_t partition) const {
  const auto at = partition_epochs_.find(topic);
  if (at == partition_epochs_.end()) return -1;
  const auto epoch = at->second.find(partition);
  return epoch == at->second.end() ? -1 : epoch->second;
}

std::size_t ConsumerGroup::regex_subscribers(const std::string& regex) const {
  const auto at = regex_counts_.find(regex);
  return at == regex_counts_.end() ? 0 : at->second;
}

// --- Members

void ConsumerGroup::count(const ConsumerMember& member, int sign) {
  if (member.classic) classic_members_ += sign;
  if (member.has_regex()) {
    std::size_t& subscribers = regex_counts_[*member.regex];
    subscribers += sign;
    if (subscribers == 0) regex_counts_.erase(*member.regex);
  }
  for (const OwnedPartitions* owned : {&member.assigned, &member.pending_revocation})
    for (const auto& [topic, partitions] : *owned) {
      auto& epochs = partition_epochs_[topic];
      for (const auto& [partition, since] : partitions) {
        if (sign > 0)
          epochs[partition] = member.epoch;
        else if (const auto at = epochs.find(partition);
                 at != epochs.end() && at->second == member.epoch)
          epochs.erase(at);  // else somebody has it already in a later epoch
      }
      if (epochs.empty()) partition_epochs_.erase(topic);
    }
}

void ConsumerGroup::put(ConsumerMember member) {
  const auto old = members_.find(member.id);
  if (old != members_.end()) count(old->second, -1);
  if (member.instance_id) static_members_[*member.instance_id] = member.id;
  count(member, 1);
  std::string id = member.id;
  members_.insert_or_assign(std::move(id), std::move(member));
}

void ConsumerGroup::remove(const std::string& member_id) {
  const auto at = members_.find(member_id);
  if (at == members_.end()) return;
  count(at->second, -1);
  // The place may have been given to another already.
  if (at->second.instance_id) {
    const auto place = static_members_.find(*at->second.instance_id);
    if (place != static_members_.end() && place->second == member_id) static_members_.erase(place);
  }
  members_.erase(at);
}

// --- What follows from them

std::string_view ConsumerGroup::state_name() const {
  if (members_.empty()) return "Empty";
  if (epoch > assignment_epoch) return "Assigning";
  const bool reconciled = std::all_of(members_.begin(), members_.end(), [this](const auto& entry) {
    return entry.second.is_reconciled_to(assignment_epoch);
  });
  return reconciled ? "Stable" : "Reconciling";
}

namespace {

// Kafka keeps members in a hash table of its own, which doubles when it is more than 4/3 full.
std::size_t table_slot(std::int32_t hash, std::size_t members) {
  int bits = 1;
  while (members * 3 > (std::size_t{4} << bits)) ++bits;
  const auto spread = static_cast<std::uint64_t>(std::int64_t{hash}) * 0x9e3779b97f4a7c15ULL;
  return spread >> (64 - bits);
}

}  // namespace

std::vector<const ConsumerMember*> ConsumerGroup::members_in_order(
    const MemberChange& change) const {
  struct Place {
    std::size_t slot;
    const ConsumerMember* member;
    std::int32_t hash;
  };
  std::vector<Place> places;
  for (const auto& [id, member] : members_) {
    if (change.gone.contains(id)) continue;
    const std::int32_t hash = java_hash_code(id);
    const bool changed = change.member && change.member->id == id;
    places.push_back({table_slot(hash, members_.size()), changed ? change.member : &member, hash});
  }
  std::stable_sort(places.begin(), places.end(),
                   [](const Place& a, const Place& b) { return a.slot < b.slot; });
  if (change.member && !find(change.member->id))
    places.push_back({0, change.member, java_hash_code(change.member->id)});
  const auto listed = assignor::in_java_order(places, assignor::grown_buckets(places.size()),
                                              [](const Place& p) { return p.hash; });
  std::vector<const ConsumerMember*> members;
  for (const Place& place : listed) members.push_back(place.member);
  return members;
}

std::map<std::string, std::size_t> ConsumerGroup::regexes_after(const MemberChange& change) const {
  std::map<std::string, std::size_t> counts = regex_counts_;
  const auto take = [&counts](const ConsumerMember* member) {
    if (member && member->has_regex() && --counts[*member->regex] == 0)
      counts.erase(*member->regex);
  };
  for (const std::string& id : change.gone) take(find(id));
  if (change.member) {
    if (!change.gone.contains(change.member->id)) take(find(change.member->id));
    if (change.member->has_regex()) ++counts[*change.member->regex];
  }
  return counts;
}

std::set<std::string> ConsumerGroup::topics_of(const ConsumerMember& member) const {
  std::set<std::string> topics = member.topics;
  if (!member.has_regex()) return topics;
  const auto at = regexes.find(*member.regex);
  if (at != regexes.end()) topics.insert(at->second.topics.begin(), at->second.topics.end());
  return topics;
}

std::set<std::string> ConsumerGroup::subscribed_topics(
    const MemberChange& change, const std::map<std::string, ResolvedRegex>* results) const {
  if (!results) results = &regexes;
  std::set<std::string> topics;
  for (const auto& [id, member] : members_)
    if (!change.concerns(id)) topics.insert(member.topics.begin(), member.topics.end());
  if (change.member) topics.insert(change.member->topics.begin(), change.member->topics.end());
  if (results->empty()) return topics;
  const auto subscribed = regexes_after(change);
  for (const auto& [regex, resolved] : *results)
    // One that lost its last subscriber stays in the log until its tombstone is written.
    if (subscribed.contains(regex) || !regex_counts_.contains(regex))
      topics.insert(resolved.topics.begin(), resolved.topics.end());
  return topics;
}

bool ConsumerGroup::is_homogeneous(const MemberChange& change) const {
  std::map<std::string, std::size_t> by_name;
  std::size_t count = 0;
  const auto add = [&](const ConsumerMember& member) {
    ++count;
    for (const std::string& topic : member.topics) ++by_name[topic];
  };
  for (const auto& [id, member] : members_)
    if (!change.concerns(id)) add(member);
  if (change.member) add(*change.member);
  const auto subscribed = regexes_after(change);
  if (subscribed.empty())
    return std::all_of(by_name.begin(), by_name.end(),
                       [count](const auto& entry) { return entry.second == count; });
  // With one regular expression for all, and nothing beside it.
  return by_name.empty() && subscribed.begin()->second == count;
}

std::optional<std::string> ConsumerGroup::preferred_assignor(const MemberChange& change) const {
  std::map<std::string, std::size_t> votes;
  for (const auto& [id, member] : members_)
    if (!change.concerns(id) && member.assignor) ++votes[*member.assignor];
  if (change.member && change.member->assignor) ++votes[*change.member->assignor];
  if (votes.empty()) return std::nullopt;
  // Of equals the first, as Java lists them.
  std::vector<std::string> names;
  for (const auto& [name, count] : votes) names.push_back(name);
  names = assignor::in_java_order(names, assignor::grown_buckets(names.size()),
                                  [](const std::string& name) { return java_hash_code(name); });
  return *std::max_element(
      names.begin(), names.end(),
      [&votes](const std::string& a, const std::string& b) { return votes[a] < votes[b]; });
}

bool ConsumerGroup::all_classic_without(const std::set<std::string>& gone) const {
  return std::all_of(members_.begin(), members_.end(), [&gone](const auto& entry) {
    return gone.contains(entry.first) || entry.second.classic;
  });
}

bool ConsumerGroup::supports_classic(std::string_view type,
                                     const std::vector<Protocol>& protocols) const {
  if (type != "consumer") return false;
  if (members_.empty()) return !protocols.empty();
  return std::any_of(protocols.begin(), protocols.end(), [this](const Protocol& candidate) {
    return std::all_of(members_.begin(), members_.end(), [&](const auto& entry) {
      if (!entry.second.classic) return true;
      const auto& known = entry.second.classic->protocols;
      return std::any_of(known.begin(), known.end(),
                         [&](const Protocol& p) { return p.name == candidate.name; });
    });
  });
}

}  // namespace broker::coordinator::group
