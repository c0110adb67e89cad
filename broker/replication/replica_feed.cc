#include "broker/replication/replica_feed.h"

#include <algorithm>

namespace broker::replication {

struct ReplicaFeed::Entry final : ReplicaSubscriber {
  Entry(ReplicaFeed& feed, PartitionKey key) : feed(feed), key(key) {}
  ~Entry() override { leave(); }
  void on_news(News news) override { feed.on_news(*this, news); }
  void join(std::shared_ptr<Partition> to) {
    if (partition == to) return;
    leave();
    partition = std::move(to);
    if (partition) partition->subscribe(*this);
  }
  void leave() {
    if (partition) partition->unsubscribe(*this);
    partition.reset();
  }

  ReplicaFeed& feed;
  const PartitionKey key;
  std::shared_ptr<Partition> partition;  // null: not here
  FetchPosition position;
  std::int32_t max_bytes = 0;
  std::uint64_t named_in = 0;  // the request that named it last
  std::uint64_t answered_in = 0;
  Offset told_high_watermark{-1};
  Offset told_log_start{-1};
  ErrorCode refused = ErrorCode::kNone;  // when its position was noted
  CurrentLeader current_leader;
  Queue queue = Queue::kNone;
  std::list<Entry*>::iterator place;
};

ReplicaFeed::ReplicaFeed(PartitionTable& table, Reader reader, OnPart on_part)
    : table_(table),
      reader_(reader),
      on_part_(std::move(on_part)),
      clock_(std::make_shared<Instant>()) {}

ReplicaFeed::~ReplicaFeed() = default;

void ReplicaFeed::close() {
  if (is_waiting_) answer(false);
  table_.strand().cancel(timer_);
  timer_ = io::kNoTimer;
  hot_.clear();
  cold_.clear();
  held_back_.clear();
  entries_.clear();
}

// --- Entries

ReplicaFeed::Entry& ReplicaFeed::entry_of(const PartitionKey& key) {
  std::unique_ptr<Entry>& entry = entries_[key];
  if (!entry) entry = std::make_unique<Entry>(*this, key);
  return *entry;
}

void ReplicaFeed::forget(const PartitionKey& key) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return;
  dequeue(*at->second);
  entries_.erase(at);
}

std::list<ReplicaFeed::Entry*>& ReplicaFeed::list_of(Queue queue) {
  return queue == Queue::kHot ? hot_ : queue == Queue::kCold ? cold_ : held_back_;
}

void ReplicaFeed::enqueue(Entry& entry, Queue queue) {
  if (entry.queue == queue || entry.queue == Queue::kHot) return;
  dequeue(entry);
  auto& list = list_of(queue);
  entry.place = list.insert(list.end(), &entry);
  entry.queue = queue;
}

void ReplicaFeed::dequeue(Entry& entry) {
  if (entry.queue == Queue::kNone) return;
  list_of(entry.queue).erase(entry.place);
  entry.queue = Queue::kNone;
}

void ReplicaFeed::on_news(Entry& entry, ReplicaSubscriber::News news) {
  if (entry.queue == Queue::kHeldBack && news != ReplicaSubscriber::News::kDecided) return;
  enqueue(entry, news == ReplicaSubscriber::News::kHighWatermark ? Queue::kCold : Queue::kHot);
  if (!is_waiting_) return;
  if (!hot_.empty())
    wake_soon();
  else
    set_timer(kHighWatermarkDelay);
}

// Posted: the partition is in the middle of telling its subscribers, and others of the same produce
// request may follow.
void ReplicaFeed::wake_soon() {
  if (woken_) return;
  woken_ = true;
  table_.strand().post([self = shared_from_this()] {
    self->woken_ = false;
    self->hold_back();
    if (self->is_waiting_ && !self->hot_.empty()) self->answer(true);
  });
}

void ReplicaFeed::set_timer(std::chrono::milliseconds delay) {
  if (timer_ != io::kNoTimer) return;
  timer_ = table_.strand().call_after(delay, [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->on_timer();
  });
}

void ReplicaFeed::on_timer() {
  timer_ = io::kNoTimer;
  while (!held_back_.empty()) enqueue(*held_back_.front(), Queue::kHot);
  hold_back();
  if (!is_waiting_) return;
  if (!hot_.empty() || !cold_.empty()) answer(true);
}

// Followers in sync are never held back: they would hold the high watermark.
void ReplicaFeed::hold_back() {
  const Instant now = table_.strand().now();
  for (auto at = hot_.begin(); at != hot_.end();) {
    Entry& entry = **at++;
    if (!entry.partition || !entry.partition->settings().throttled_as_leader) continue;
    const LeaderState* leader = entry.partition->leader_state();
    if (!leader || entry.refused != ErrorCode::kNone) continue;
    const auto& isr = leader->isr();
    if (std::find(isr.begin(), isr.end(), reader_.replica) != isr.end()) continue;
    if (!table_.quotas().leader.is_exceeded(now)) continue;
    dequeue(entry);
    enqueue(entry, Queue::kHeldBack);
  }
  if (!held_back_.empty()) set_timer(kThrottleDelay);
}

// --- Requests

void ReplicaFeed::ask(Ask ask) {
  if (is_waiting_) answer(false);
  *clock_ = table_.strand().now();
  for (const PartitionKey& key : ask.forgotten) forget(key);
  for (const Ask::Partition& asked : ask.partitions) note(asked, ask.number);
  // What was sent but not taken (the follower stands where it stood) is sent again.
  for (const PartitionKey& key : std::exchange(sent_, {})) {
    const auto at = entries_.find(key);
    if (at != entries_.end() && at->second->named_in != ask.number)
      enqueue(*at->second, Queue::kHot);
  }
  waiting_ = std::move(ask);
  is_waiting_ = true;
  hold_back();
  if (waiting_.at_once || waiting_.all || !hot_.empty()) return answer(true);
  if (!cold_.empty()) set_timer(kHighWatermarkDelay);
}

void ReplicaFeed::note(const Ask::Partition& asked, std::uint64_t number) {
  Entry& entry = entry_of(asked.key);
  entry.position = asked.position;
  entry.max_bytes = asked.max_bytes;
  entry.named_in = number;
  Partition* partition = table_.find(asked.key.topic_id, asked.key.partition);
  entry.join(partition ? partition->shared_from_this() : nullptr);
  entry.refused = ErrorCode::kNotLeaderOrFollower;
  if (!partition) return enqueue(entry, Queue::kHot);
  ++partition->counters().fetch_requests;
  const FetchResult noted = partition->note_replica(reader_, asked.position, asked.log_start,
                                                    clock_, table_.strand().now());
  entry.refused = noted.error;
  entry.current_leader = noted.current_leader;
  const bool in_log =
      partition->log() != nullptr && asked.position.offset == partition->log()->log_end_offset();
  if (noted.error != ErrorCode::kNone || noted.diverging_epoch || !in_log)
    return enqueue(entry, Queue::kHot);
  // Up to date: whatever made it hot before is known now.
  if (entry.queue == Queue::kHot || entry.queue == Queue::kHeldBack) dequeue(entry);
  if (entry.told_high_watermark != partition->high_watermark() ||
      entry.told_log_start != partition->log()->log_start_offset())
    enqueue(entry, Queue::kCold);
}

void ReplicaFeed::collect(std::uint64_t number) {
  if (is_waiting_ && waiting_.number == number) answer(false);
}

void ReplicaFeed::answer(bool has_news) {
  Part part{waiting_.number, has_news, {}};
  is_waiting_ = false;
  if (timer_ != io::kNoTimer && held_back_.empty()) {
    table_.strand().cancel(timer_);
    timer_ = io::kNoTimer;
  }
  std::int64_t left = waiting_.max_bytes;
  bool first = true;
  // Each once: what has more to tell comes again behind the others.
  for (std::size_t n = hot_.size(); n > 0 && !hot_.empty(); --n) {
    Entry& entry = *hot_.front();
    if (!serve(entry, part, left, first)) break;
  }
  while (!cold_.empty()) {
    if (!serve(*cold_.front(), part, left, first)) break;
  }
  if (waiting_.all) {
    for (const Ask::Partition& asked : waiting_.partitions) {
      const auto at = entries_.find(asked.key);
      if (at == entries_.end() || at->second->queue != Queue::kNone ||
          at->second->answered_in == waiting_.number)
        continue;
      serve(*at->second, part, left, first);
    }
  }
  waiting_ = {};
  on_part_(std::move(part));
}

bool ReplicaFeed::serve(Entry& entry, Part& part, std::int64_t& left, bool& first) {
  FetchResult result;
  if (entry.refused != ErrorCode::kNone || !entry.partition) {
    result.error = entry.refused;
    result.current_leader = entry.current_leader;
  } else {
    if (left <= 0 && entry.queue == Queue::kHot) return false;
    const auto limit = static_cast<std::int32_t>(std::min<std::int64_t>(entry.max_bytes, left));
    result = entry.partition->read_for_replica(entry.position, limit, first);
  }
  dequeue(entry);
  entry.answered_in = waiting_.number;
  auto& data =
      part.partitions.emplace_back(entry.key.topic_id, protocol::FetchResponse::PartitionData{})
          .second;
  data.partition_index = entry.key.partition;
  data.error_code = static_cast<std::int16_t>(result.error);
  data.high_watermark = result.high_watermark.value;
  data.last_stable_offset = result.last_stable_offset.value;
  data.log_start_offset = result.log_start_offset.value;
  if (result.diverging_epoch)
    data.diverging_epoch = {result.diverging_epoch->epoch.value,
                            result.diverging_epoch->end_offset.value};
  data.current_leader = {result.current_leader.leader.value, result.current_leader.epoch.value};
  entry.told_high_watermark = result.high_watermark;
  entry.told_log_start = result.log_start_offset;
  if (!result.records.empty()) {
    first = false;
    left -= static_cast<std::int64_t>(result.records.size());
    if (entry.partition->settings().throttled_as_leader)
      table_.quotas().leader.record(table_.strand().now(),
                                    static_cast<std::int64_t>(result.records.size()));
  }
  // Unless the follower moves, or forgets it, the next request is answered with this again.
  if (!result.records.empty() || result.error != ErrorCode::kNone || result.diverging_epoch)
    sent_.push_back(entry.key);
  data.records = std::move(result.records);
  return true;
}

}  // namespace broker::replication
