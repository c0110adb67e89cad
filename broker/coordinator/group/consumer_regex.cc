// Subscriptions by regular expression: looked up elsewhere, written when known.
#include "broker/common/log.h"
#include "broker/coordinator/group/consumer_beat.h"
#include "broker/coordinator/group/consumer_records.h"
#include "broker/coordinator/group/group_shard.h"
#include "broker/coordinator/group/metadata_hash.h"
#include "broker/coordinator/group/topic_regex.h"

namespace broker::coordinator::group {

Result<GroupShard::RegexChange> GroupShard::update_regexes(Beat& beat, const ConsumerGroup& group,
                                                           const Seat& seat,
                                                           const ConsumerMember& updated) {
  RegexChange change = RegexChange::kNone;
  bool resolve = false;
  if (seat.member.regex != updated.regex) {
    change = RegexChange::kUnresolved;
    if (seat.member.has_regex() && group.regex_subscribers(*seat.member.regex) == 1)
      beat.out.records.push_back(consumer_regex_tombstone(beat.group_id, *seat.member.regex));
    if (!updated.has_regex()) {
      if (seat.member.has_regex()) change = RegexChange::kResolved;
    } else if (group.regex_subscribers(*updated.regex) == 0) {
      RETURN_IF_ERROR(check_regex(*updated.regex));
      resolve = true;
    } else if (group.regexes.contains(*updated.regex)) {
      change = RegexChange::kResolved;
    }
  }
  if (resolve || !group.regex_counts().empty())
    look_up_regexes(beat, group, {&updated, seat.gone}, resolve);
  return change;
}

void GroupShard::look_up_regexes(Beat& beat, const ConsumerGroup& group, const MemberChange& change,
                                 bool needed) {
  if (!beat.may_see || resolving_.contains(beat.group_id)) return;
  // All were looked up together.
  const ResolvedRegex* last = group.regexes.empty() ? nullptr : &group.regexes.begin()->second;
  if (last && beat.now.wall <= last->timestamp + options_.consumer.regex_refresh_pause.count())
    return;
  const auto subscribed = group.regexes_after(change);
  if (subscribed.empty()) return;
  needed = needed || !last || subscribed.size() != group.regexes.size() ||
           last->version < ports_.topics_created_at().value ||
           beat.now.wall > last->timestamp + options_.consumer.regex_refresh_interval.count();
  if (!needed) return;
  resolving_.insert(beat.group_id);
  RegexJob job{beat.group_id, {}, beat.image, beat.may_see, beat.now.wall};
  for (const auto& [regex, count] : subscribed) job.regexes.insert(regex);
  ports_.resolve(std::move(job));
}

Output GroupShard::apply_regexes(const std::string& group_id,
                                 const std::map<std::string, ResolvedRegex>& resolved) {
  Output out;
  resolving_.erase(group_id);
  ConsumerGroup* group = find_consumer_group(group_id);
  if (!group) return out;
  std::map<std::string, ResolvedRegex> regexes = group->regexes;
  bool bump = false;
  for (const auto& [regex, found] : resolved) {
    if (group->regex_subscribers(regex) == 0) continue;
    ResolvedRegex& known = regexes[regex];
    bump = bump || known.topics != found.topics;
    known = found;
    out.records.push_back(consumer_regex_record(group_id, regex, found));
  }
  const metadata::ImagePtr image = ports_.image();
  const std::int64_t hash = metadata_hash(group->subscribed_topics({}, &regexes), *image);
  if (bump || hash != group->metadata_hash) {
    out.records.push_back(consumer_epoch_record(group_id, group->epoch + 1, hash));
    log_info("group", "regular expressions matched other topics",
             {{"group", group_id}, {"epoch", group->epoch + 1}});
    group->topics_seen = image->topics;
    group->epoch_seen = group->epoch + 1;
  }
  return out;
}

}  // namespace broker::coordinator::group
