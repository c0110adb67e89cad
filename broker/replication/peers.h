#pragma once

#include <memory>
#include <string>

#include "broker/common/function.h"
#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/io/strand.h"
#include "broker/replication/types.h"

namespace broker::metadata {
struct BrokerRegistration;
}
namespace broker::protocol {
struct AlterPartitionRequest;
struct AlterPartitionResponse;
struct FetchRequest;
struct FetchResponse;
struct ListOffsetsRequest;
struct ListOffsetsResponse;
}  // namespace broker::protocol

namespace broker::replication {

struct PartitionKey;

/// A line to another broker. Lives on the strand that it was made for; callbacks run there, on a
/// later turn, once each, and not after the destructor. Errors are those of client::Connection.
class PeerConnection {
 public:
  virtual ~PeerConnection() = default;
  virtual void fetch(protocol::FetchRequest request,
                     UniqueFunction<void(Result<protocol::FetchResponse>)> done) = 0;
  virtual void list_offsets(protocol::ListOffsetsRequest request,
                            UniqueFunction<void(Result<protocol::ListOffsetsResponse>)> done) = 0;
  /// Called once, when the line is lost or never came about: it will not come back, and its owner
  /// asks for another one. Set it before the strand's next turn.
  virtual void on_lost(UniqueFunction<void(const Error&)> callback) = 0;
};

/// Connects to other brokers' inter-broker listener (inter.broker.listener.name), with this
/// broker's credentials. Called on any of the shards, with what that shard knows of the peer.
class PeerConnector {
 public:
  virtual ~PeerConnector() = default;
  /// Begins to connect and returns at once; calls wait for it. `client_id` names the line in the
  /// peer's logs and quotas. Never null: a peer without such a listener is a line that is lost.
  virtual std::unique_ptr<PeerConnection> connect(io::Strand& strand,
                                                  const metadata::BrokerRegistration& peer,
                                                  std::string client_id) = 0;
};

/// Asks the transaction coordinator, wherever it is, whether a partition belongs to a transaction.
class TransactionVerifier {
 public:
  virtual ~TransactionVerifier() = default;
  /// On any of the shards; `done` runs there, on a later turn, once, unless the node has stopped.
  /// Errors: what AddPartitionsToTxn says of the partition, kNetworkException, and those of finding
  /// the coordinator.
  virtual void verify(const TopicPartition& at, TransactionCheck check,
                      UniqueFunction<void(ErrorCode)> done) = 0;
};

/// Brings changes of ISRs to the active controller.
class AlterPartitionSender {
 public:
  virtual ~AlterPartitionSender() = default;
  /// On main; `done` runs on main, once, unless the node has stopped. ReplicaManager has one
  /// request under way at a time and repeats it after an error with a back-off of its own. Version
  /// 3: `new_isr_with_epochs` is set. Errors: kNotController and whatever leaves the outcome open.
  virtual void alter_partition(
      protocol::AlterPartitionRequest request,
      UniqueFunction<void(Result<protocol::AlterPartitionResponse>)> done) = 0;
};

/// Told where replicas of this broker are that metadata has elsewhere, or nowhere (KIP-858).
class DirectoryListener {
 public:
  virtual ~DirectoryListener() = default;
  /// On main. Again with every change of the partition, until metadata says the same.
  virtual void on_placed(const PartitionKey& replica, const DirectoryId& directory) = 0;
};

}  // namespace broker::replication
