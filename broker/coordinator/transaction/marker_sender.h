#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/common/result.h"
#include "broker/coordinator/transaction/types.h"
#include "broker/io/strand.h"
#include "broker/metadata/image.h"
#include "broker/protocol/messages/write_txn_markers_request.h"
#include "broker/protocol/messages/write_txn_markers_response.h"

namespace broker::coordinator::transaction {

/// Brings markers to the leaders of their partitions, batched, one request per broker at a time,
/// for as long as it takes: leaders move and brokers come back. Partitions that do not exist any
/// more need none. Lives on one strand.
class MarkerSender {
 public:
  struct Ports {
    io::Strand& strand;
    std::function<metadata::ImagePtr()> image;
    /// `done` runs on `strand`, once, unless the node has stopped. May be this very broker.
    std::function<void(BrokerId, protocol::WriteTxnMarkersRequest,
                       UniqueFunction<void(Result<protocol::WriteTxnMarkersResponse>)> done)>
        write;
    /// All markers of this work are written.
    std::function<void(const MarkerWork&)> finished;
  };
  explicit MarkerSender(Ports ports);
  ~MarkerSender();

  /// Replaces what there was for the same transactional id.
  void send(MarkerWork work);
  /// This broker coordinates that partition of __transaction_state no longer.
  void forget(std::int32_t coordinator_partition);
  /// Leaders may have moved.
  void on_metadata();
  void stop();
  std::size_t pending() const { return works_.size(); }

 private:
  using Key = std::pair<std::int32_t, std::string>;  // coordinator partition, transactional id
  struct Work {
    MarkerWork work;
    std::set<TopicPartition> waiting;  // the others are on their way
    std::size_t flying = 0;
    std::uint64_t number = 0;
  };
  struct Line {  // to one broker
    bool busy = false;
    Instant not_before{};
    Duration backoff = kMinBackoff;
  };
  struct Sent {
    Key key;
    std::uint64_t number = 0;  // of the work
    ProducerIdAndEpoch producer;
    std::set<TopicPartition> partitions;
  };
  using Batches = std::map<BrokerId, std::vector<Sent>>;

  void pump();
  void collect(const Key& key, Work& work, const metadata::MetadataImage& image, Batches& batches);
  void dispatch(BrokerId broker, std::vector<Sent> sent);
  void on_answer(BrokerId broker, const std::vector<Sent>& sent,
                 const Result<protocol::WriteTxnMarkersResponse>& answer);
  /// Whether the partition has to be tried again.
  bool settle(Work& work, const TopicPartition& at, ErrorCode error);
  void wake_at(Instant when);

  static constexpr Duration kMinBackoff = std::chrono::milliseconds(20);
  static constexpr Duration kMaxBackoff = std::chrono::seconds(1);

  const Ports ports_;
  std::map<Key, Work> works_;
  std::map<BrokerId, Line> lines_;
  std::uint64_t next_number_ = 0;
  io::TimerId timer_ = io::kNoTimer;
  Instant timer_due_{};
  bool stopped_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::coordinator::transaction
