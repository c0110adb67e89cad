#pragma once

#include <map>
#include <memory>
#include <utility>

#include "broker/replication/peer_fetcher.h"
#include "broker/replication/types.h"

namespace broker::replication {

class Partition;
class PartitionTable;

/// Everything that one strand's followers ask of their leaders. Two lines per leader: replicas that
/// have all that is committed fetch on one, those that lag on the other, in smaller bites, so that
/// catching up delays no acknowledgement. Lives on its strand.
class ReplicaFetchers final : public PeerFetcher::Owner {
 public:
  struct Options {
    FetcherCore::Options fetch;
    std::int32_t catch_up_max_bytes = 2 << 20;  // of one answer on the second line
    std::size_t shard = 0;                      // for the names of the lines
  };
  ReplicaFetchers(Options options, PartitionTable& table, PeerConnector& connector);
  ~ReplicaFetchers() override;

  /// To be called after every change of the partition's role. A new leader or leader epoch begins
  /// anew; anything else changes nothing.
  void update(Partition& partition);
  /// Asks the leader no more.
  void stop(const PartitionKey& key);
  /// This broker's epoch or the brokers' endpoints have changed.
  void pump();
  /// The partition may be fetched again after it waited for its disk.
  void resume(Partition& partition);
  void shut_down();

  struct Lag {
    PartitionKey key;
    std::int64_t messages = 0;
  };
  std::size_t partition_count() const { return assigned_.size(); }

  void on_answer(PeerFetcher& from, const PartitionKey& key,
                 protocol::FetchResponse::PartitionData& data) override;
  const metadata::BrokerRegistration* registration(BrokerId peer) const override;
  BrokerEpoch broker_epoch() const override;

 private:
  enum class Line { kInSync, kCatchUp };
  struct Assignment {
    BrokerId leader;
    LeaderEpoch epoch;
    Line line = Line::kInSync;
  };

  PeerFetcher& line_to(BrokerId leader, Line line);
  PeerFetcher* line_of(const PartitionKey& key);
  void use(PeerFetcher& from, Partition& partition, protocol::FetchResponse::PartitionData& data);
  void choose_line(Partition& partition);
  void throttle(Partition& partition, std::size_t bytes);
  void truncate(PeerFetcher& from, Partition& partition, const EpochEndOffset& leader);
  /// Fetching goes on where the partition stands now, once that is safe.
  void go_on(PeerFetcher& from, Partition& partition);
  void go_on_after_checkpoint(PeerFetcher& from, Partition& partition);
  void ask_for_bounds(PeerFetcher& from, Partition& partition, std::int64_t timestamp);
  void on_bounds(PeerFetcher& from, const PartitionKey& key, LeaderEpoch epoch,
                 std::int64_t timestamp, const Result<protocol::ListOffsetsResponse>& response);
  /// Drops lines that have nothing to fetch.
  void sweep_soon();
  void sweep();

  const Options options_;
  PartitionTable& table_;
  PeerConnector& connector_;
  std::map<PartitionKey, Assignment> assigned_;
  std::map<std::pair<BrokerId, Line>, std::shared_ptr<PeerFetcher>> lines_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool sweep_posted_ = false;
};

}  // namespace broker::replication
