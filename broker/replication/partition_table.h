#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/io/strand.h"
#include "broker/metadata/image.h"
#include "broker/replication/partition.h"

namespace broker::replication {

/// All partitions of one strand, with their timers. Lives on that strand.
class PartitionTable final : public PartitionHost {
 public:
  struct Options {
    BrokerId node;
    std::chrono::milliseconds retention_check_interval{300'000};
    std::chrono::milliseconds flush_check_interval{1'000};
    std::chrono::milliseconds waiter_check_interval{100};
  };
  PartitionTable(Options options, io::Strand& strand, io::WorkerPool& workers);
  ~PartitionTable() override;

  io::Strand& strand() { return strand_; }
  /// Begins checking retention.
  void start();

  Partition* find(const TopicId& topic, std::int32_t partition) const;
  Partition& find_or_create(const TopicIdPartition& at);
  /// Stops the partition and forgets it.
  void remove(const TopicIdPartition& at, ErrorCode reason);
  const std::map<std::pair<TopicId, std::int32_t>, std::shared_ptr<Partition>>& partitions() const {
    return partitions_;
  }

  const metadata::ImagePtr& image() const { return image_; }
  void set_image(metadata::ImagePtr image) { image_ = std::move(image); }
  BrokerEpoch broker_epoch() const { return broker_epoch_; }
  void set_broker_epoch(BrokerEpoch epoch) { broker_epoch_ = epoch; }

  /// To be called after a change of the partition's settings.
  void on_settings(const Partition& partition);

  void run_flush(storage::FlushJob job, Done done) override;
  void on_waiting(const Partition& partition) override;

  void collect(MetricsSnapshot& into) const;
  std::vector<storage::LogPositions> positions() const;
  /// Stops all partitions and timers; `idle` runs once no flush is under way.
  void shut_down(ErrorCode reason, Task idle);

 private:
  struct Topic {
    TopicCounters counters;
    std::size_t partitions = 0;
  };
  using Key = std::pair<TopicId, std::int32_t>;

  void check_retention();
  void check_waiters();
  void check_flushes();

  const Options options_;
  io::Strand& strand_;
  io::WorkerPool& workers_;

  std::map<Key, std::shared_ptr<Partition>> partitions_;
  std::map<std::string, Topic> topics_;  // partitions refer to their counters
  metadata::ImagePtr image_ = metadata::MetadataImage::empty();
  BrokerEpoch broker_epoch_{-1};
  std::set<Key> waiting_;   // partitions that may have waiters to expire
  std::set<Key> flushing_;  // partitions with a finite flush.ms
  io::TimerId retention_timer_ = io::kNoTimer;
  io::TimerId waiter_timer_ = io::kNoTimer;
  io::TimerId flush_timer_ = io::kNoTimer;
  std::size_t flushes_under_way_ = 0;
  Task idle_;
};

}  // namespace broker::replication
