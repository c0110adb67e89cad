#include "broker/sim/memberships.h"

#include <algorithm>

namespace broker::sim {

void Memberships::heard(const std::string& member, const std::string& coordinator, Instant sent) {
  Member& known = members_[member];
  known.coordinator = coordinator;
  known.heard = sent;
}

void Memberships::unanswered(const std::string& member, Instant now) {
  members_[member].in_doubt_until = now + kDoubt;
}

void Memberships::owns(const std::string& group, std::int32_t partition, const std::string& member,
                       const std::string& coordinator, Instant now) {
  Place& place = places_[{group, partition}];
  if (place.owner == member) return;
  if (!place.owner.empty()) {
    const Member& before = members_[place.owner];
    if (before.coordinator == coordinator && now < before.heard + kSession &&
        before.in_doubt_until <= now)
      history_.violation(group + ": partition " + std::to_string(partition) + " was given to " +
                         member + " while " + place.owner + " had it");
  }
  ++handovers_;
  place.owner = member;
}

void Memberships::releases(const std::string& group, std::int32_t partition,
                           const std::string& member) {
  Place& place = places_[{group, partition}];
  if (place.owner == member) place.owner.clear();
}

Memberships::Commit Memberships::commit_started(const std::string& group, std::int32_t partition,
                                                std::int64_t value, const std::string& member) {
  const Place& place = places_[{group, partition}];
  return {group,  partition,       value,
          member, place.committed, place.owner == member ? "" : place.owner};
}

void Memberships::commit_ended(const Commit& commit, Answer answer, Instant now) {
  Place& place = places_[{commit.group, commit.partition}];
  auto& doubtful = place.doubtful;
  std::erase_if(doubtful, [now](const auto& entry) { return entry.second <= now; });
  if (answer == Answer::kRefused) return;
  if (answer == Answer::kNone) {
    doubtful.emplace_back(commit.value, now + kDoubt);
    return;
  }
  const std::string what = commit.group + ": " + commit.member + " committed " +
                           std::to_string(commit.value) + " of partition " +
                           std::to_string(commit.partition);
  if (!commit.others.empty()) return history_.violation(what + ", which " + commit.others + " had");
  // Whoever began from an offset that is in doubt goes on from there.
  std::int64_t floor = commit.floor;
  for (const auto& [value, until] : doubtful) floor = std::min(floor, value);
  if (commit.value < floor)
    return history_.violation(what + ", where " + std::to_string(commit.floor) +
                              " was committed before");
  place.last = commit.value;
  place.committed = std::max(place.committed, commit.value);
}

void Memberships::fetched(const std::string& group, std::int32_t partition, std::int64_t value) {
  Place& place = places_[{group, partition}];
  const bool may_be = std::any_of(place.doubtful.begin(), place.doubtful.end(),
                                  [value](const auto& entry) { return entry.first == value; });
  if (may_be) place.committed = value;
}

std::int64_t Memberships::committed(const std::string& group, std::int32_t partition) const {
  const auto found = places_.find({group, partition});
  return found == places_.end() ? 0 : found->second.last;
}

}  // namespace broker::sim
