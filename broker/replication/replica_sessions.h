#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "broker/common/function.h"
#include "broker/common/result.h"
#include "broker/common/rng.h"
#include "broker/io/strand.h"
#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/replication/replica_feed.h"

namespace broker::replication {

/// The sessions of followers (KIP-227) whose connections live on one strand: what is remembered of
/// each is spread over the strands of its partitions (ReplicaFeed). Followers are never evicted
/// while they fetch.
class ReplicaSessions {
 public:
  using Request = protocol::FetchRequest;
  using Response = protocol::FetchResponse;
  using Callback = UniqueFunction<void(Response)>;
  /// Where a partition is at home.
  using HomeOf = std::function<PartitionTable&(const PartitionKey&)>;

  ReplicaSessions(io::Strand& strand, HomeOf home_of, std::uint64_t seed);
  ~ReplicaSessions();

  /// Errors of the whole answer: kFetchSessionIdNotFound, kInvalidFetchSessionEpoch.
  void serve(Request request, Callback callback);
  /// Answers everything that waits, and closes all sessions.
  void shut_down();
  std::size_t size() const { return sessions_.size(); }

  static constexpr std::chrono::minutes kIdle{2};

 private:
  class Session;

  Result<std::shared_ptr<Session>> find_or_make(const Request& request);
  void close_idle();
  std::int32_t new_id();

  io::Strand& strand_;
  const HomeOf home_of_;
  Rng rng_;
  std::map<std::int32_t, std::shared_ptr<Session>> sessions_;
};

}  // namespace broker::replication
