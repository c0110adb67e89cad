#include "operator/cli/consumer.h"

#include <algorithm>
#include <thread>

#include "broker/common/rng.h"
#include "broker/protocol/frame.h"
#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"
#include "operator/cli/gather.h"
#include "operator/cli/text.h"

namespace op::cli {
namespace {

using broker::Error;
using broker::ErrorCode;
using broker::Result;
using broker::TopicPartition;
namespace protocol = broker::protocol;

constexpr std::int32_t kMaxBytes = 8 << 20;
constexpr std::int32_t kPartitionMaxBytes = 1 << 20;
constexpr auto kBreath = std::chrono::milliseconds(100);
constexpr auto kUnassigned = std::chrono::seconds(5);

/// Topics by name.
using FetchByName = UpTo<protocol::FetchRequest, 12>;

}  // namespace

Consumer::Consumer(Brokers& brokers, ConsumeOptions options, OnRecord on_record,
                   std::function<bool()> stop, std::function<void(const std::string&)> notice)
    : brokers_(brokers),
      options_(std::move(options)),
      on_record_(std::move(on_record)),
      stop_(std::move(stop)),
      notice_(std::move(notice)) {}

Result<void> Consumer::run() {
  const auto begun = begin();
  const auto ran = begun.ok() ? run_until_done() : begun;
  if (!member_) return ran;
  const auto written = commit(true);
  member_->leave();
  return ran.ok() ? written : ran;
}

Result<void> Consumer::begin() {
  began_ = heard_at_ = committed_at_ = std::chrono::steady_clock::now();
  RETURN_IF_ERROR(learn_leaders());
  if (!options_.group.empty()) {
    broker::Rng rng(broker::Rng::os_seed());
    member_ = std::make_unique<GroupMember>(brokers_, options_.group, options_.topic,
                                            metadata_.topics.at(0).topic_id,
                                            broker::Uuid::random(rng).to_string());
    return {};
  }
  std::vector<TopicPartition> partitions;
  for (const auto& [name, leader] : leaders_)
    if (!options_.partition || name.partition == *options_.partition) partitions.push_back(name);
  if (partitions.empty())
    return no_such_partition(options_.topic, options_.partition.value_or(0), leaders_.size());
  return start_at(partitions, {});
}

Result<void> Consumer::run_until_done() {
  while (!enough_ && !stop_() && !is_done()) {
    if (member_) RETURN_IF_ERROR(follow_group());
    if (stale_) {
      std::this_thread::sleep_for(kBreath);
      const auto learned = learn_leaders();
      if (!learned.ok()) RETURN_IF_ERROR(on_trouble(learned.error()));
    }
    RETURN_IF_ERROR(fetch_once());
    if (member_) RETURN_IF_ERROR(commit(false));
  }
  return {};
}

bool Consumer::is_done() const {
  if (!options_.until_end) return false;
  if (member_ && !member_->is_assigned()) return false;
  if (positions_.empty())  // others have it all
    return std::chrono::steady_clock::now() - began_ > kUnassigned;
  return std::all_of(ends_.begin(), ends_.end(), [&](const auto& end) {
    const auto position = positions_.find(end.first);
    return position == positions_.end() || position->second >= end.second;
  });
}

Result<void> Consumer::follow_group() {
  const auto changed = member_->heartbeat();
  if (!changed.ok()) return changed.error();
  if (!*changed) return {};
  RETURN_IF_ERROR(commit(true));  // whatever goes now
  const auto& mine = member_->assignment();
  std::erase_if(positions_, [&](const auto& entry) {
    return std::find(mine.begin(), mine.end(), entry.first) == mine.end();
  });
  std::vector<TopicPartition> fresh;
  std::copy_if(mine.begin(), mine.end(), std::back_inserter(fresh),
               [&](const TopicPartition& name) { return !positions_.contains(name); });
  if (fresh.empty()) return {};
  const auto committed = member_->committed(fresh);
  if (!committed.ok()) return explain(committed.error(), "group " + options_.group);
  return start_at(fresh, *committed);
}

Result<void> Consumer::start_at(const std::vector<TopicPartition>& partitions,
                                const Positions& committed) {
  const auto starts = list_offsets(brokers_, metadata_, partitions,
                                   options_.from_beginning ? kEarliestTimestamp : kLatestTimestamp);
  const auto ends = list_offsets(brokers_, metadata_, partitions, kLatestTimestamp);
  for (const TopicPartition& name : partitions) {
    const auto& start = starts.at(name);
    const auto& end = ends.at(name);
    if (!start.ok()) return explain(start.error(), "partition " + to_string(name));
    if (!end.ok()) return explain(end.error(), "partition " + to_string(name));
    const auto known = committed.find(name);
    positions_[name] = known == committed.end() ? *start : known->second;
    if (known != committed.end()) committed_[name] = known->second;
    if (options_.until_end) ends_[name] = *end;
  }
  return {};
}

Result<void> Consumer::learn_leaders() {
  ASSIGN_OR_RETURN(metadata_, describe_topics(brokers_, {options_.topic}));
  leaders_.clear();
  for (const auto& topic : metadata_.topics)
    for (const auto& partition : topic.partitions)
      leaders_[{options_.topic, partition.partition_index}] = partition.leader_id;
  stale_ = false;
  return {};
}

/// A cluster that is busy with itself is waited for; one that stays away is an error.
Result<void> Consumer::on_trouble(const Error& error) {
  stale_ = true;
  if (may_pass(error.code) && std::chrono::steady_clock::now() - heard_at_ < kPatience) return {};
  return explain(error, "topic " + options_.topic);
}

Result<void> Consumer::fetch_once() {
  std::map<std::int32_t, FetchByName> requests;
  for (const auto& [name, offset] : positions_) {
    const auto leader = leaders_.find(name);
    if (leader == leaders_.end() || leader->second < 0) {
      stale_ = true;
      continue;
    }
    FetchByName& request = requests[leader->second];
    request.max_wait_ms = static_cast<std::int32_t>(kMaxWait.count());
    request.min_bytes = 1;
    request.max_bytes = kMaxBytes;
    request.isolation_level = options_.read_committed ? 1 : 0;
    if (request.topics.empty()) request.topics.emplace_back().topic = options_.topic;
    auto& partition = request.topics[0].partitions.emplace_back();
    partition.partition = name.partition;
    partition.fetch_offset = offset;
    partition.partition_max_bytes = kPartitionMaxBytes;
  }
  if (requests.empty()) {
    std::this_thread::sleep_for(kBreath);
    return stale_ ? on_trouble({ErrorCode::kLeaderNotAvailable, {}}) : Result<void>();
  }
  for (const auto& [leader, answer] : brokers_.ask_each(std::move(requests))) {
    if (!answer.ok()) {
      RETURN_IF_ERROR(on_trouble(answer.error()));
      continue;
    }
    for (const auto& topic : answer->responses)
      for (const auto& partition : topic.partitions)
        RETURN_IF_ERROR(take({options_.topic, partition.partition_index}, partition));
  }
  return {};
}

template <class Partition>
Result<void> Consumer::take(const TopicPartition& name, const Partition& partition) {
  const auto position = positions_.find(name);
  if (position == positions_.end() || enough_) return {};
  const ErrorCode code = protocol::error_from_wire(partition.error_code);
  if (code == ErrorCode::kOffsetOutOfRange) return move_into_range(name);
  if (code != ErrorCode::kNone) return on_trouble({code, {}});
  heard_at_ = std::chrono::steady_clock::now();
  if (!partition.records || partition.records->empty()) return {};
  std::vector<broker::record::AbortedTransaction> aborted;
  if (options_.read_committed && partition.aborted_transactions)
    for (const auto& entry : *partition.aborted_transactions)
      aborted.push_back({entry.producer_id, entry.first_offset});
  ASSIGN_OR_RETURN(const ReadResult read,
                   read_fetched(name, *partition.records, position->second, std::move(aborted)));
  const auto end = ends_.find(name);
  for (const ReadRecord& record : read.records) {
    if (end != ends_.end() && record.offset >= end->second) break;
    if (!on_record_(record)) {
      enough_ = true;  // it was not taken
      return {};
    }
    position->second = record.offset + 1;
    enough_ = ++handed_over_ == options_.count;
    if (enough_) return {};
  }
  position->second = read.next_offset;
  return {};
}

Result<void> Consumer::move_into_range(const TopicPartition& name) {
  const auto offsets = list_offsets(
      brokers_, metadata_, {name}, options_.from_beginning ? kEarliestTimestamp : kLatestTimestamp);
  const auto& offset = offsets.at(name);
  if (!offset.ok()) return on_trouble(offset.error());
  notice_(to_string(name) + ": offset " + std::to_string(positions_[name]) +
          " is not in the log; going on at " + std::to_string(*offset));
  positions_[name] = *offset;
  return {};
}

Result<void> Consumer::commit(bool now) {
  const broker::Instant at = std::chrono::steady_clock::now();
  if (!now && at - committed_at_ < kCommitEvery) return {};
  committed_at_ = at;
  Positions news;
  for (const auto& [name, offset] : positions_)
    if (const auto known = committed_.find(name);
        known == committed_.end() || known->second != offset)
      news[name] = offset;
  if (news.empty()) return {};
  const auto written = member_->commit(news);
  // A coordinator that moved is asked again with the next one.
  if (!written.ok()) return now || !may_pass(written.code()) ? written : Result<void>();
  for (const auto& [name, offset] : news) committed_[name] = offset;
  return {};
}

}  // namespace op::cli
