#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/coordinator/runtime/shard_calls.h"
#include "broker/coordinator/transaction/marker_sender.h"
#include "broker/coordinator/transaction/transaction_shard.h"
#include "broker/metadata/delta.h"

namespace broker::coordinator::transaction {

/// The transaction coordinator as the handlers see it, on any of the strands; callbacks run on the
/// strand of the call, never from inside a shard. Authorization is done before. Besides the errors
/// of TransactionShard: kCoordinatorNotAvailable, kNotCoordinator, kCoordinatorLoadInProgress.
class TransactionCoordinator {
 public:
  struct Ports {
    replication::ReplicaManager& replicas;
    /// Asked when somebody looks for a coordinator and there is no __transaction_state yet; may be
    /// asked again before it is there.
    std::function<void()> create_topic;
    /// An id that nobody has; calls back on `caller`.
    std::function<void(io::Strand& caller, UniqueFunction<void(Result<ProducerId>)>)>
        next_producer_id;
    std::function<metadata::ImagePtr()> image;  // any strand
    /// See MarkerSender.
    std::function<void(BrokerId, protocol::WriteTxnMarkersRequest,
                       UniqueFunction<void(Result<protocol::WriteTxnMarkersResponse>)>)>
        write_markers;
  };
  TransactionCoordinator(const TransactionOptions& options,
                         const CoordinatorOptions& runtime_options, Ports ports);
  ~TransactionCoordinator();

  /// On main, after ReplicaManager::apply() of the same update: leaders may have moved.
  void apply(const metadata::MetadataUpdate& update);
  /// On main: sends no more markers.
  void stop();

  /// Where FindCoordinator sends the client. Errors: kCoordinatorNotAvailable while
  /// __transaction_state is being created or its partition has no leader.
  Result<BrokerId> find_coordinator(const std::string& transactional_id,
                                    const metadata::MetadataImage& image);

  void init_producer(InitProducer request, Reply<ProducerAnswer> reply);
  using Verdicts = TransactionShard::Verdicts;
  void add_partitions(PartitionsOfTransaction request, TransactionVersion client_version,
                      Reply<ErrorCode> reply);
  void verify_partitions(PartitionsOfTransaction request, Reply<Verdicts> reply);
  void end(EndTransaction request, Reply<ProducerAnswer> reply);
  void describe(const std::string& transactional_id, Reply<TransactionShard::Described> reply);
  struct Listing {
    ErrorCode error = ErrorCode::kNone;  // kCoordinatorLoadInProgress
    TransactionShard::Listed transactions;
  };
  void list(ListFilter filter, Reply<Listing> reply);

 private:
  /// `work`, a method of TransactionShard that may find that it needs an id nobody has: then it is
  /// fetched and asked again.
  template <class Request, class Work>
  void with_fresh_id(std::shared_ptr<const Request> request, std::optional<ProducerId> fresh,
                     Work work, Reply<ProducerAnswer> reply);
  TransactionShard::Ports shard_ports(std::int32_t partition);
  void on_markers_written(const MarkerWork& work);

  const TransactionOptions options_;
  const Ports ports_;
  std::shared_ptr<MarkerSender> sender_;  // on main
  CoordinatorRuntime runtime_;
  ShardCalls<TransactionShard> calls_;
};

}  // namespace broker::coordinator::transaction
