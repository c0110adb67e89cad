#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "broker/client/reconnecting_client.h"
#include "broker/protocol/messages/describe_cluster_response.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/protocol/messages/fetch_snapshot_response.h"
#include "operator/kafka/log_replay.h"

namespace op::kafka {

struct WatchOptions {
  std::chrono::milliseconds max_wait{5000};  // a fetch without news is answered after this
  broker::Duration answer_margin = std::chrono::seconds(3);  // then the node counts as frozen
  std::int32_t max_bytes = 1 << 20;                          // per fetch and snapshot slice
  broker::Duration min_backoff = std::chrono::milliseconds(20);
  broker::Duration max_backoff = std::chrono::seconds(5);
};

/// What the watch knows. Callbacks run on its strand, one at a time.
struct WatchEvents {
  /// The image at the high watermark. `resynchronised`: not reached from the image before by
  /// `update.changes`; true for the first.
  std::function<void(const broker::metadata::MetadataUpdate& update, bool resynchronised)> on_image;
  /// `problem` is "" when synced.
  std::function<void(bool synced, const std::string& problem)> on_state;
  std::function<void(const std::string& cluster_id)> on_cluster_id;
};

/// Observes `__cluster_metadata` as a reader that is no member of the quorum: finds the leading
/// controller, fetches from where it stopped (offset and epoch), takes a snapshot when told to, and
/// waits for news in a long poll. One request at a time. Lives on one strand.
class MetadataWatch {
 public:
  MetadataWatch(broker::io::Strand& strand, broker::io::Transport& transport,
                broker::client::ReconnectOptions controllers, WatchOptions options,
                WatchEvents events);
  ~MetadataWatch();
  MetadataWatch(const MetadataWatch&) = delete;
  MetadataWatch& operator=(const MetadataWatch&) = delete;

  void start() { step(); }
  /// The node that answers; the leader, while in step.
  const broker::io::Endpoint& endpoint() const { return client_.endpoint(); }

 private:
  using PartitionData = broker::protocol::FetchResponse::PartitionData;
  struct Leader {
    std::int32_t id = -1;
    std::int32_t epoch = -1;
    std::optional<broker::io::Endpoint> endpoint;
  };

  void step();
  void step_after_backoff();
  void describe_cluster();
  void fetch();
  void fetch_snapshot();

  void on_cluster(const broker::protocol::DescribeClusterResponse& response);
  void on_fetch(broker::protocol::FetchResponse response);
  void on_records(PartitionData partition);
  void on_diverging(const PartitionData& partition);
  void on_snapshot(broker::protocol::FetchSnapshotResponse response);
  void on_snapshot_bytes(broker::protocol::FetchSnapshotResponse::PartitionSnapshot slice);

  void on_call_failed(const broker::Error& error);
  void on_refused(broker::ErrorCode code, const Leader& leader);
  void follow(const Leader& leader);
  void start_over(const std::string& why);
  /// Hands the update over once the image is complete, and says whether it is in step.
  void publish(broker::metadata::MetadataUpdate update);
  void progress();
  void set_state(bool synced, std::string problem);

  broker::io::Strand& strand_;
  const WatchOptions options_;
  const WatchEvents events_;
  const std::size_t controller_count_;
  broker::client::ReconnectingClient client_;
  broker::io::TimerId timer_ = broker::io::kNoTimer;
  int failures_ = 0;  // in a row, without an answer that brought us on
  broker::Instant asked_at_;
  int behind_ = 0;  // answers in a row from nodes of an older epoch

  std::optional<std::string> cluster_id_;  // of the log that is replayed; "" where nobody tells
  bool cluster_known_ = false;
  std::int32_t leader_epoch_ = 0;
  broker::Offset high_watermark_{-1};
  LogReplay replay_;
  bool complete_ = false;                                  // an image of this log was handed over
  std::optional<broker::metadata::MetadataUpdate> first_;  // until then
  bool synced_ = false;
  std::string problem_ = "not connected yet";
};

}  // namespace op::kafka
