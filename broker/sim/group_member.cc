#include "broker/sim/group_member.h"

#include <algorithm>

#include "broker/common/log.h"
#include "broker/protocol/messages/offset_commit_request.h"
#include "broker/protocol/messages/offset_commit_response.h"
#include "broker/protocol/messages/offset_fetch_request.h"
#include "broker/protocol/messages/offset_fetch_response.h"

namespace broker::sim {

using std::chrono::milliseconds;

GroupMember::GroupMember(ClientContext& context, std::unique_ptr<Router> router,
                         Memberships& memberships, std::string group, int number,
                         std::uint64_t seed)
    : context_(context),
      group_(std::move(group)),
      rng_(seed),
      router_(std::move(router)),
      memberships_(memberships),
      number_(number) {
  join_anew();
}

void GroupMember::go(Duration max_pause) {
  context_.strand.call_after(draw(rng_, max_pause), [this] { step(); });
}

void GroupMember::join_anew() {
  positions_.clear();
  identity_ = {"", -1, group_ + "." + std::to_string(number_) + "." + std::to_string(++lives_)};
}

GroupMember::Partitions GroupMember::owned() const {
  Partitions out;
  for (const auto& [partition, position] : positions_) out.insert(partition);
  return out;
}

GroupMember::Partitions GroupMember::without_position() const {
  Partitions out;
  for (const auto& [partition, position] : positions_)
    if (!position) out.insert(partition);
  return out;
}

void GroupMember::step() {
  if (!coordinator_)
    return find_coordinator(context_, CoordinatorType::kGroup, group_,
                            [this](std::optional<io::Endpoint> found) {
                              coordinator_ = std::move(found);
                              go();
                            });
  if (identity_.id.empty()) return join();
  if (context_.strand.now() >= next_beat_) return beat();
  if (const Partitions unknown = without_position(); !unknown.empty())
    return fetch_positions(unknown);
  const std::uint64_t whim = context_.stop ? ~0ULL : rng_.below(100);
  if (whim == 0) return fall_silent();
  if (whim == 1) {
    const Identity left = identity_;
    remember_zombie();
    release_all();
    join_anew();
    return leave(left);
  }
  if (whim < 20 && zombie_) return haunt();
  if (positions_.empty()) return go();
  commit(std::next(positions_.begin(), static_cast<std::ptrdiff_t>(rng_.below(positions_.size())))
             ->first);
}

// ---- what the coordinator says

bool GroupMember::is_trouble(ErrorCode error) {
  return error == ErrorCode::kNotCoordinator || error == ErrorCode::kCoordinatorNotAvailable ||
         error == ErrorCode::kCoordinatorLoadInProgress || error == ErrorCode::kRequestTimedOut;
}

void GroupMember::on_trouble(ErrorCode error) {
  if (error != ErrorCode::kCoordinatorLoadInProgress) {
    memberships_.unanswered(identity_.name, context_.strand.now());
    answered_ = false;
    coordinator_.reset();
  }
  go(kMaxBackoff);
}

void GroupMember::wrong(const char* what, ErrorCode error) {
  context_.history.violation(identity_.name + ": " + what + ": " + std::string(error_name(error)));
}

void GroupMember::heard(Instant sent, Duration next_beat) {
  answered_ = true;
  memberships_.heard(identity_.name, io::to_string(*coordinator_), sent);
  next_beat_ = context_.strand.now() + next_beat;
}

bool GroupMember::take(const Partitions& partitions) {
  bool lost = false;
  std::erase_if(positions_, [&](const auto& entry) {
    if (partitions.contains(entry.first)) return false;
    memberships_.releases(group_, entry.first, identity_.name);
    return lost = true;
  });
  for (const std::int32_t partition : partitions) {
    if (!positions_.try_emplace(partition).second) continue;
    log_info("member", "has",
             {{"member", identity_.name}, {"epoch", identity_.epoch}, {"partition", partition}});
    memberships_.owns(group_, partition, identity_.name, io::to_string(*coordinator_),
                      context_.strand.now());
  }
  return lost;
}

// ---- offsets

void GroupMember::fetch_positions(const Partitions& partitions) {
  protocol::OffsetFetchRequest request;
  request.require_stable = true;
  protocol::OffsetFetchRequest::OffsetFetchRequestGroup asked;
  asked.group_id = group_;
  const auto leader = context_.router.leader({context_.topic, 0});
  asked.topics->push_back(
      {context_.topic, leader ? leader->topic_id : Uuid{}, {partitions.begin(), partitions.end()}});
  request.groups.push_back(std::move(asked));
  ask<protocol::OffsetFetchRequest>(
      std::move(request), [this](protocol::OffsetFetchResponse& response, Instant) {
        for (const auto& group : response.groups) {
          if (group.error_code != 0) return on_trouble(static_cast<ErrorCode>(group.error_code));
          for (const auto& topic : group.topics) {
            for (const auto& partition : topic.partitions) {
              const auto at = positions_.find(partition.partition_index);
              if (partition.error_code != 0 || at == positions_.end()) continue;
              at->second = std::max<std::int64_t>(partition.committed_offset, 0);
              memberships_.fetched(group_, at->first, *at->second);
            }
          }
        }
        go(milliseconds(20));
      });
}

void GroupMember::commit(std::int32_t partition) {
  std::int64_t& position = *positions_.at(partition);
  const std::int64_t end = context_.history.acknowledged_end({context_.topic, partition}).value;
  const std::int64_t step = context_.stop ? end : 1 + static_cast<std::int64_t>(rng_.below(20));
  position = std::max(position, std::min(end, position + step));
  send_commit(identity_, partition, position);
}

void GroupMember::send_commit(const Identity& as, std::int32_t partition, std::int64_t offset) {
  protocol::OffsetCommitRequest request;
  request.group_id = group_;
  request.member_id = as.id;
  request.generation_id_or_member_epoch = as.epoch;
  const auto leader = context_.router.leader({context_.topic, 0});
  request.topics.push_back({context_.topic, leader ? leader->topic_id : Uuid{}, {}});
  auto& wanted = request.topics.back().partitions.emplace_back();
  wanted.partition_index = partition;
  wanted.committed_offset = offset;
  const auto commit = memberships_.commit_started(group_, partition, offset, as.name);
  router_->call<protocol::OffsetCommitRequest>(
      *coordinator_, std::move(request),
      [this, commit, node = *coordinator_](Result<protocol::OffsetCommitResponse> response) {
        const Instant now = context_.strand.now();
        const ErrorCode error =
            response.ok()
                ? static_cast<ErrorCode>(response->topics.front().partitions.front().error_code)
                : response.code();
        const bool unknown = !response.ok() || is_trouble(error);
        memberships_.commit_ended(commit,
                                  unknown                     ? Answer::kNone
                                  : error == ErrorCode::kNone ? Answer::kDone
                                                              : Answer::kRefused,
                                  now);
        if (response.code() == ErrorCode::kRequestTimedOut) router_->forget(node);
        if (unknown) coordinator_.reset();
        if (error != ErrorCode::kNone) next_beat_ = now;  // what is wrong?
        go();
      },
      kRequestTimeout);
}

// ---- whims

void GroupMember::remember_zombie() {
  if (positions_.empty()) return;
  const auto& [partition, position] = *positions_.begin();
  if (position) zombie_ = {identity_, partition, *position};
}

void GroupMember::haunt() {
  log_info("member", "who it was commits", {{"member", zombie_->identity.name}});
  const Zombie zombie = *zombie_;
  zombie_.reset();
  send_commit(zombie.identity, zombie.partition, zombie.offset);
}

/// Without a word: to the coordinator it still has what it had.
void GroupMember::fall_silent() {
  log_info("member", "falls silent", {{"member", identity_.name}});
  const Duration time = draw(rng_, 2 * Memberships::kSession);
  if (rng_.below(2) == 0) {
    remember_zombie();
    join_anew();
  }
  context_.strand.call_after(time, [this] { step(); });
}

}  // namespace broker::sim
