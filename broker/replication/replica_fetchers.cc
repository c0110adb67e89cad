#include "broker/replication/replica_fetchers.h"

#include <string>
#include <utility>

#include "broker/common/log.h"
#include "broker/replication/partition_table.h"

namespace broker::replication {
namespace {

PartitionKey key_of(const Partition& partition) {
  return {partition.id().topic_id, partition.id().partition};
}

}  // namespace

ReplicaFetchers::ReplicaFetchers(Options options, PartitionTable& table, PeerConnector& connector)
    : options_(options), table_(table), connector_(connector) {}

ReplicaFetchers::~ReplicaFetchers() = default;

const metadata::BrokerRegistration* ReplicaFetchers::registration(BrokerId peer) const {
  return table_.image()->cluster.broker(peer);
}

BrokerEpoch ReplicaFetchers::broker_epoch() const { return table_.broker_epoch(); }

// --- Who follows whom

PeerFetcher& ReplicaFetchers::line_to(BrokerId leader, Line line) {
  std::shared_ptr<PeerFetcher>& fetcher = lines_[{leader, line}];
  if (!fetcher) {
    FetcherCore::Options fetch = options_.fetch;
    const bool catch_up = line == Line::kCatchUp;
    if (catch_up) fetch.max_bytes = options_.catch_up_max_bytes;
    const std::string name = "broker-" + std::to_string(fetch.self.value) + "-fetcher-" +
                             std::to_string(options_.shard) + (catch_up ? "-catch-up" : "");
    fetcher =
        std::make_shared<PeerFetcher>(*this, table_.strand(), connector_, leader, name, fetch);
  }
  return *fetcher;
}

PeerFetcher* ReplicaFetchers::line_of(const PartitionKey& key) {
  const auto at = assigned_.find(key);
  return at == assigned_.end() ? nullptr : &line_to(at->second.leader, at->second.line);
}

void ReplicaFetchers::update(Partition& partition) {
  const PartitionKey key = key_of(partition);
  const CurrentLeader leader = partition.followed_leader();
  const auto position = partition.follower_position();
  if (!position || leader.leader.value < 0) return stop(key);
  const auto known = assigned_.find(key);
  if (known != assigned_.end() && known->second.leader == leader.leader &&
      known->second.epoch == leader.epoch)
    return;
  stop(key);
  assigned_[key] = {leader.leader, leader.epoch, Line::kInSync};
  PeerFetcher& line = line_to(leader.leader, Line::kInSync);
  line.core().follow(key, *position);
  if (position->last_fetched_epoch.value < 0 && position->fetch_offset > position->high_watermark) {
    // Without epochs the leader cannot tell where the logs part: only what is committed is sure.
    const auto cut = partition.truncate_to(position->high_watermark, table_.strand().wall_now());
    if (!cut.ok()) return stop(key);
    go_on_after_checkpoint(line, partition);
  } else {
    go_on(line, partition);
  }
  line.pump_soon();
}

void ReplicaFetchers::stop(const PartitionKey& key) {
  const auto at = assigned_.find(key);
  if (at == assigned_.end()) return;
  PeerFetcher& line = line_to(at->second.leader, at->second.line);
  line.core().unfollow(key);
  assigned_.erase(at);
  if (line.core().empty()) sweep_soon();
}

// Posted: callers may stand in the middle of a line's answers.
void ReplicaFetchers::sweep_soon() {
  if (sweep_posted_) return;
  sweep_posted_ = true;
  table_.strand().post([this, alive = std::weak_ptr(alive_)] {
    if (!alive.lock()) return;
    sweep_posted_ = false;
    sweep();
  });
}

// The line for those in sync stays as long as others catch up with the same leader.
void ReplicaFetchers::sweep() {
  for (auto at = lines_.begin(); at != lines_.end();) {
    const auto catch_up = lines_.find({at->first.first, Line::kCatchUp});
    const bool used = catch_up != lines_.end() && !catch_up->second->core().empty();
    if (!at->second->core().empty() || (at->first.second == Line::kInSync && used)) {
      ++at;
      continue;
    }
    at->second->close();
    at = lines_.erase(at);
  }
}

void ReplicaFetchers::pump() {
  for (const auto& [key, line] : lines_) line->pump_soon();
}

void ReplicaFetchers::shut_down() {
  alive_.reset();
  assigned_.clear();
  for (const auto& [key, line] : std::exchange(lines_, {})) line->close();
}

// --- Answers

void ReplicaFetchers::on_answer(PeerFetcher& from, const PartitionKey& key,
                                protocol::FetchResponse::PartitionData& data) {
  Partition* partition = table_.find(key.topic_id, key.partition);
  if (!partition || !partition->follower_position()) return stop(key);
  switch (static_cast<ErrorCode>(data.error_code)) {
    case ErrorCode::kNone:
      if (data.diverging_epoch.epoch >= 0 || data.diverging_epoch.end_offset >= 0)
        return truncate(
            from, *partition,
            {LeaderEpoch{data.diverging_epoch.epoch}, Offset{data.diverging_epoch.end_offset}});
      return use(from, *partition, data);
    case ErrorCode::kOffsetOutOfRange:
      from.core().pause(key);
      return ask_for_bounds(from, *partition, kLatestTimestamp);
    default:
      // The leader or this broker does not know yet what the controller has decided, or the
      // leader's disk failed: metadata will tell.
      return from.core().delay(key, table_.strand().now());
  }
}

void ReplicaFetchers::use(PeerFetcher& from, Partition& partition,
                          protocol::FetchResponse::PartitionData& data) {
  const PartitionKey key = key_of(partition);
  const Slice records = data.records.value_or(Slice());
  const Result<void> appended =
      partition.append_as_follower(records, Offset{data.high_watermark},
                                   Offset{data.log_start_offset}, table_.strand().wall_now());
  if (!appended.ok()) {
    if (partition.is_offline()) return stop(key);
    if (!partition.log()->is_full())
      log_warn("replication", "cannot use what the leader sent",
               {{"partition", to_string(partition.id())},
                {"leader", from.peer().value},
                {"reason", to_string(appended.error())}});
    return from.core().delay(key, table_.strand().now());
  }
  go_on(from, partition);
  choose_line(partition);
  throttle(partition, records.size());
}

// Only what lags waits: a replica in sync would hold the high watermark back.
void ReplicaFetchers::throttle(Partition& partition, std::size_t bytes) {
  if (!partition.settings().throttled_as_follower) return;
  const Instant now = table_.strand().now();
  ReplicationQuota& quota = table_.quotas().follower;
  quota.record(now, static_cast<std::int64_t>(bytes));
  const auto at = assigned_.find(key_of(partition));
  const auto wait = quota.wait(now);
  if (at == assigned_.end() || at->second.line != Line::kCatchUp || wait.count() == 0) return;
  line_to(at->second.leader, at->second.line).core().delay_until(at->first, now + wait);
}

void ReplicaFetchers::choose_line(Partition& partition) {
  const PartitionKey key = key_of(partition);
  const auto position = partition.follower_position();
  const auto at = assigned_.find(key);
  if (!position || at == assigned_.end()) return;
  const Line line =
      position->fetch_offset < partition.leader_high_watermark() ? Line::kCatchUp : Line::kInSync;
  if (line == at->second.line) return;
  PeerFetcher& before = line_to(at->second.leader, at->second.line);
  before.core().unfollow(key);
  if (before.core().empty()) sweep_soon();
  at->second.line = line;
  PeerFetcher& now = line_to(at->second.leader, line);
  now.core().follow(key, *position);
  if (partition.awaits_follower_flush()) now.core().pause(key);
  now.pump_soon();
}

void ReplicaFetchers::go_on(PeerFetcher& from, Partition& partition) {
  const auto position = partition.follower_position();
  if (!position) return stop(key_of(partition));
  if (partition.awaits_follower_flush()) return from.core().pause(key_of(partition));
  from.core().moved_to(key_of(partition), *position);
}

void ReplicaFetchers::resume(Partition& partition) {
  PeerFetcher* line = line_of(key_of(partition));
  if (!line || !partition.follower_position()) return;
  go_on(*line, partition);
  line->pump_soon();
}

// --- Logs that differ

void ReplicaFetchers::truncate(PeerFetcher& from, Partition& partition,
                               const EpochEndOffset& leader) {
  const auto before = partition.follower_position();
  const auto cut = partition.truncate_to_leader(leader, table_.strand().wall_now());
  if (!cut.ok()) return stop(key_of(partition));
  // The same question would get the same answer.
  if (partition.follower_position() == before)
    return from.core().delay(key_of(partition), table_.strand().now());
  if (*cut) return go_on_after_checkpoint(from, partition);
  go_on(from, partition);
}

// A recovery point on disk behind the log's end would let a crash trust offsets that were written
// twice.
void ReplicaFetchers::go_on_after_checkpoint(PeerFetcher& from, Partition& partition) {
  const PartitionKey key = key_of(partition);
  from.core().pause(key);
  const LeaderEpoch epoch = partition.followed_leader().epoch;
  table_.checkpoint(partition,
                    [this, alive = std::weak_ptr(alive_), key, epoch](const Result<void>& written) {
                      if (!alive.lock()) return;
                      Partition* partition = table_.find(key.topic_id, key.partition);
                      if (!partition || partition->followed_leader().epoch != epoch) return;
                      if (!written.ok()) {
                        partition->go_offline(written.error());
                        return stop(key);
                      }
                      resume(*partition);
                    });
}

void ReplicaFetchers::ask_for_bounds(PeerFetcher& from, Partition& partition,
                                     std::int64_t timestamp) {
  const PartitionKey key = key_of(partition);
  const LeaderEpoch epoch = partition.followed_leader().epoch;
  protocol::ListOffsetsRequest request;
  request.replica_id = options_.fetch.self.value;
  auto& topic = request.topics.emplace_back();
  topic.name = partition.id().topic;
  auto& asked = topic.partitions.emplace_back();
  asked.partition_index = key.partition;
  asked.current_leader_epoch = epoch.value;
  asked.timestamp = timestamp;
  from.list_offsets(std::move(request),
                    [this, alive = std::weak_ptr(alive_), line = from.weak_from_this(), key, epoch,
                     timestamp](const Result<protocol::ListOffsetsResponse>& response) {
                      const auto from = line.lock();
                      if (alive.lock() && from) on_bounds(*from, key, epoch, timestamp, response);
                    });
}

// What is out of range: our log is longer than the leader's (an unclean election), or so old that
// the leader has deleted everything behind it.
void ReplicaFetchers::on_bounds(PeerFetcher& from, const PartitionKey& key, LeaderEpoch epoch,
                                std::int64_t timestamp,
                                const Result<protocol::ListOffsetsResponse>& response) {
  Partition* partition = table_.find(key.topic_id, key.partition);
  if (!partition || partition->followed_leader().epoch != epoch || line_of(key) != &from) return;
  const auto again = [&] {
    from.core().delay(key, table_.strand().now());
    from.pump_soon();
  };
  if (!response.ok() || response->topics.size() != 1 || response->topics[0].partitions.size() != 1)
    return again();
  const auto& answer = response->topics[0].partitions[0];
  if (answer.error_code != 0 || answer.offset < 0) return again();
  const auto position = partition->follower_position();
  if (!position) return stop(key);
  const Offset bound{answer.offset};
  const WallMs wall = table_.strand().wall_now();
  if (timestamp == kLatestTimestamp) {
    if (bound >= position->fetch_offset)
      return ask_for_bounds(from, *partition, kEarliestTimestamp);
    const auto cut = partition->truncate_to(bound, wall);
    if (!cut.ok()) return stop(key);
    if (*cut) return go_on_after_checkpoint(from, *partition);
  } else if (bound > position->fetch_offset) {
    if (!partition->restart_at(bound, wall).ok()) return stop(key);
    return go_on_after_checkpoint(from, *partition);
  } else {
    // Within range by now: the leader's log moved meanwhile.
    return again();
  }
  resume(*partition);
}

}  // namespace broker::replication
