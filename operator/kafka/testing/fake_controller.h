#pragma once

// The leading controller of a quorum, for tests only.
#include <optional>
#include <string>
#include <vector>

#include "broker/client/testing/fake_node.h"
#include "broker/protocol/messages/describe_cluster_request.h"
#include "broker/protocol/messages/describe_cluster_response.h"
#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/protocol/messages/fetch_snapshot_request.h"
#include "broker/protocol/messages/fetch_snapshot_response.h"
#include "operator/kafka/testing/metadata_batches.h"

namespace op::kafka {

/// A log in memory with one batch per append. Lives on one strand.
class FakeController : public broker::client::FakeNode {
 public:
  using Fetch = broker::protocol::FetchRequest;
  using FetchResponse = broker::protocol::FetchResponse;
  using FetchSnapshot = broker::protocol::FetchSnapshotRequest;

  FakeController(broker::io::Strand& strand, broker::io::Transport& transport)
      : FakeNode(strand, transport) {
    on<broker::protocol::DescribeClusterRequest>([this](const auto&, const auto& reply) {
      broker::protocol::DescribeClusterResponse response;
      response.endpoint_type = 2;
      response.cluster_id = cluster_id;
      reply(response);
    });
    on<Fetch>([this](const Fetch& request, Reply<Fetch> reply) { fetch(request, reply); });
    on<FetchSnapshot>([this](const FetchSnapshot& request, const auto& reply) {
      reply(slice(request.topics.at(0).partitions.at(0)));
    });
  }

  void append(const broker::metadata::MetadataRecords& records) {
    log_.push_back({end_, batch(records, end_, epoch)});
    end_ += static_cast<std::int64_t>(records.size());
    commit();
  }
  void commit() {
    if (commits) high_watermark_ = end_;
    for (auto& [request, reply] : std::exchange(parked_, {})) fetch(request, reply);
  }
  void start_at(std::int64_t offset) { end_ = high_watermark_ = offset; }
  /// An empty disk.
  void forget() {
    log_.clear();
    start_at(0);
  }

  std::string cluster_id = "cluster-1";
  std::int32_t epoch = 3;
  std::optional<broker::io::Endpoint> leader;  // when it is another
  std::optional<broker::ErrorCode> refuse_with;
  bool commits = true;
  std::optional<FetchResponse::SnapshotId> snapshot_id;
  broker::Slice snapshot;
  std::size_t snapshot_slice = 1 << 20;
  std::vector<std::int64_t> fetched_from;

 private:
  struct Batch {
    std::int64_t offset;
    broker::Slice bytes;
  };

  void fetch(const Fetch& request, const Reply<Fetch>& reply) {
    const auto& wanted = request.topics.at(0).partitions.at(0);
    CHECK(request.topics[0].topic_id == broker::kMetadataTopicId && request.replica_id == -1);
    fetched_from.push_back(wanted.fetch_offset);
    FetchResponse response;
    auto& partition = response.responses.emplace_back().partitions.emplace_back();
    response.responses[0].topic_id = broker::kMetadataTopicId;
    partition.records = broker::Slice();
    partition.high_watermark = high_watermark_;
    const auto refuse = [&](broker::ErrorCode code) {
      partition.error_code = static_cast<std::int16_t>(code);
      partition.current_leader = {leader ? 2 : 1, epoch};
      const auto at = leader.value_or(endpoint());
      response.node_endpoints.push_back({leader ? 2 : 1, at.host, at.port, std::nullopt});
      reply(response);
    };
    if (refuse_with || (request.cluster_id && *request.cluster_id != cluster_id)) {
      response.error_code = static_cast<std::int16_t>(
          refuse_with.value_or(broker::ErrorCode::kInconsistentClusterId));
      response.responses.clear();
      return reply(response);
    }
    if (wanted.current_leader_epoch < epoch) return refuse(broker::ErrorCode::kFencedLeaderEpoch);
    if (wanted.current_leader_epoch > epoch) return refuse(broker::ErrorCode::kUnknownLeaderEpoch);
    if (leader) return refuse(broker::ErrorCode::kNotLeaderOrFollower);
    if (snapshot_id && wanted.fetch_offset < snapshot_id->end_offset) {
      partition.snapshot_id = *snapshot_id;
      return reply(response);
    }
    std::vector<broker::Slice> found;
    for (const Batch& one : log_) {
      if (one.offset >= wanted.fetch_offset) found.push_back(one.bytes);
    }
    if (found.empty() && wanted.high_watermark >= high_watermark_ && request.max_wait_ms > 1'000) {
      return parked_.emplace_back(request, reply), void();
    }
    partition.records = joined(found);
    reply(response);
  }

  broker::protocol::FetchSnapshotResponse slice(const FetchSnapshot::PartitionSnapshot& wanted) {
    broker::protocol::FetchSnapshotResponse response;
    auto& out = response.topics.emplace_back().partitions.emplace_back();
    response.topics[0].name = "__cluster_metadata";
    out.snapshot_id = {wanted.snapshot_id.end_offset, wanted.snapshot_id.epoch};
    out.size = static_cast<std::int64_t>(snapshot.size());
    out.position = wanted.position;
    const auto at = static_cast<std::size_t>(wanted.position);
    out.unaligned_records = snapshot.sub(at, std::min(snapshot_slice, snapshot.size() - at));
    return response;
  }

  std::vector<Batch> log_;
  std::int64_t end_ = 0;
  std::int64_t high_watermark_ = 0;
  std::vector<std::pair<Fetch, Reply<Fetch>>> parked_;
};

}  // namespace op::kafka
