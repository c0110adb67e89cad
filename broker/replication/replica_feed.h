#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "broker/io/strand.h"
#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/replication/fetcher_core.h"
#include "broker/replication/partition_table.h"
#include "broker/replication/types.h"

namespace broker::replication {

/// One follower session's part on one of the leader's strands. Every partition of the session has
/// an entry that the partition itself tells of news, so a request costs what it names plus what has
/// news, and an idle one costs nothing however many partitions there are.
///
/// One request at a time: answered at once when there are records or errors, else as soon as there
/// are, or on collect(). A high watermark that moved is news too (KIP-1166), but waits a little for
/// records to travel with.
class ReplicaFeed final : public std::enable_shared_from_this<ReplicaFeed> {
 public:
  struct Ask {
    std::uint64_t number = 0;
    bool at_once = false;  // do not wait for news
    bool all = false;      // answer every partition named, news or not
    std::int32_t max_bytes = 0;
    struct Partition {
      PartitionKey key;
      FetchPosition position;
      Offset log_start;
      std::int32_t max_bytes = 0;
    };
    std::vector<Partition> partitions;
    std::vector<PartitionKey> forgotten;
  };
  struct Part {
    std::uint64_t number = 0;
    bool has_news = false;  // not merely collected
    std::vector<std::pair<TopicId, protocol::FetchResponse::PartitionData>> partitions;
  };
  /// On the feed's strand, once per ask().
  using OnPart = std::function<void(Part)>;

  ReplicaFeed(PartitionTable& table, Reader reader, OnPart on_part);
  ~ReplicaFeed();

  PartitionTable& table() { return table_; }
  /// A request before this one that still waits is answered first, with what there is.
  void ask(Ask ask);
  /// Answers request `number` now, if it still waits.
  void collect(std::uint64_t number);
  /// Lets go of all partitions.
  void close();
  std::size_t size() const { return entries_.size(); }

  static constexpr std::chrono::milliseconds kHighWatermarkDelay{5};
  static constexpr std::chrono::milliseconds kThrottleDelay{100};

 private:
  struct Entry;
  enum class Queue { kNone, kHot, kCold, kHeldBack };

  Entry& entry_of(const PartitionKey& key);
  void forget(const PartitionKey& key);
  void note(const Ask::Partition& asked, std::uint64_t number);
  std::list<Entry*>& list_of(Queue queue);
  void enqueue(Entry& entry, Queue queue);
  void dequeue(Entry& entry);
  void on_news(Entry& entry, ReplicaSubscriber::News news);
  void answer(bool has_news);
  /// Adds what the entry has to tell; false if the answer is full.
  bool serve(Entry& entry, Part& part, std::int64_t& left, bool& first);
  void wake_soon();
  void set_timer(std::chrono::milliseconds delay);
  void on_timer();
  /// Takes what has to wait for the quota of throttled replicas out of hot_.
  void hold_back();

  PartitionTable& table_;
  const Reader reader_;
  const OnPart on_part_;
  std::shared_ptr<Instant> clock_;
  std::map<PartitionKey, std::unique_ptr<Entry>> entries_;
  std::list<Entry*> hot_;           // records, errors: the order to serve them
  std::list<Entry*> cold_;          // only offsets have moved
  std::list<Entry*> held_back_;     // records, over the quota
  std::vector<PartitionKey> sent_;  // with records, in the answer before
  Ask waiting_;
  bool is_waiting_ = false;
  bool woken_ = false;  // an answer is on its way through the strand
  io::TimerId timer_ = io::kNoTimer;
};

}  // namespace broker::replication
