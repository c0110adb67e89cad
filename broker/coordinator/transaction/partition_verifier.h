#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/common/result.h"
#include "broker/io/strand.h"
#include "broker/metadata/image.h"
#include "broker/protocol/messages/add_partitions_to_txn_request.h"
#include "broker/protocol/messages/add_partitions_to_txn_response.h"
#include "broker/replication/peers.h"
#include "broker/replication/strands.h"

namespace broker::coordinator::transaction {

/// Asks the coordinator of a transaction about partitions that are led here (KIP-890): questions
/// that come while one is under way to a broker go together with the next.
class PartitionVerifier final : public replication::TransactionVerifier {
 public:
  struct Options {
    Duration retry_backoff = std::chrono::milliseconds(20);  // add.partitions.to.txn.retry.*
    Duration retry_for = std::chrono::milliseconds(100);
  };
  struct Ports {
    const replication::Strands& strands;
    std::function<metadata::ImagePtr()> image;  // on main
    /// On main; `done` runs there, once, unless the node has stopped. May be this very broker.
    std::function<void(BrokerId, protocol::AddPartitionsToTxnRequest,
                       UniqueFunction<void(Result<protocol::AddPartitionsToTxnResponse>)> done)>
        ask;
  };
  PartitionVerifier(Options options, Ports ports);
  ~PartitionVerifier() override;

  void verify(const TopicPartition& at, replication::TransactionCheck check,
              UniqueFunction<void(ErrorCode)> done) override;
  /// On main.
  void stop();

 private:
  struct Question {
    TopicPartition at;
    replication::TransactionCheck check;
    Instant give_up;
    UniqueFunction<void(ErrorCode)> done;  // goes to its strand by itself
  };
  struct Line {
    bool busy = false;
    std::vector<std::shared_ptr<Question>> waiting;
  };

  void enqueue(std::shared_ptr<Question> question);
  void pump(BrokerId broker);
  void on_answer(BrokerId broker, const std::vector<std::shared_ptr<Question>>& asked,
                 const Result<protocol::AddPartitionsToTxnResponse>& answer);
  void settle(const std::shared_ptr<Question>& question, ErrorCode error);

  const Options options_;
  const Ports ports_;
  std::map<BrokerId, Line> lines_;  // on main
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace broker::coordinator::transaction
