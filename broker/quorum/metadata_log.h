#pragma once

#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/function.h"
#include "broker/common/result.h"
#include "broker/io/file.h"
#include "broker/io/strand.h"
#include "broker/metadata/image.h"
#include "broker/quorum/snapshot.h"
#include "broker/quorum/types.h"
#include "broker/storage/log.h"
#include "broker/storage/snapshot_file.h"

namespace broker::protocol {
struct DescribeQuorumRequest;
struct DescribeQuorumResponse;
struct FetchRequest;
struct FetchResponse;
struct FetchSnapshotRequest;
struct FetchSnapshotResponse;
}  // namespace broker::protocol

namespace broker::quorum {

/// Whoever builds on the log: the controller. Called on the log's strand, in the log's order.
class QuorumListener {
 public:
  virtual ~QuorumListener() = default;
  /// Replaces everything handed over before.
  virtual void on_snapshot(const LoadedSnapshot& snapshot) = 0;
  /// Committed batches that this listener did not append itself: at load time, and as a follower.
  /// What it appended it has replayed already; on_high_watermark() says when that is committed.
  virtual void on_committed(const CommittedRecords& records) = 0;
  /// This node leads from here on: everything committed earlier was handed over, append() may be
  /// called.
  virtual void on_leader(LeaderEpoch epoch) = 0;
  /// append() is over: what was appended and is not below the high watermark may never be
  /// committed.
  virtual void on_resigned() = 0;
  /// Everything below is committed.
  virtual void on_high_watermark(Offset high_watermark) = 0;
  /// The log cannot be written any more (failed write or sync): the node must stop.
  virtual void on_fatal(const Error& error) = 0;
  /// The committed state, for a snapshot.
  virtual metadata::ImagePtr committed_image() const = 0;
};

struct MetadataLogOptions {
  std::string cluster_id;
  BrokerId node_id;
  DirectoryId directory_id;
  std::int64_t snapshot_after_bytes = 20 << 20;  // metadata.log.max.record.bytes.between.snapshots
  std::chrono::milliseconds snapshot_after{3'600'000};  // metadata.log.max.snapshot.interval.ms
  std::int64_t retention_bytes = 100 << 20;             // metadata.max.retention.bytes
  std::int32_t fetch_max_bytes = 1 << 20;               // controller.quorum.fetch.max.bytes
};

/// The replicated log `__cluster_metadata-0` of a quorum with one voter: an append is committed
/// once it is on this disk. Formats, files and answers are KRaft's (KIP-595, KIP-630, KIP-853), so
/// that a quorum of several voters replaces this class behind the same calls. Lives on one strand;
/// syncs and snapshots run on the pool.
class MetadataLog {
 public:
  struct Ports {
    io::Strand& strand;
    io::WorkerPool& workers;
    io::FileSystem& files;
  };

  MetadataLog(Ports ports, std::shared_ptr<storage::Log> log, MetadataLogOptions options);
  ~MetadataLog();

  /// Loads snapshot and log, makes the new epoch durable, hands everything committed to `listener`
  /// (which outlives this), then calls on_leader. Blocks; the listener hears everything before it
  /// returns. Errors: kInconsistentVoterSet when this disk is not the quorum's one voter;
  /// kKafkaStorageError, kCorruptMessage.
  Result<void> start(QuorumListener& listener);
  /// No more commits are reported; parked fetches are answered. A sync under way ends by itself.
  void stop();

  /// Appends one atomic batch and returns the offset of its last record. It is committed when
  /// on_high_watermark passes it, never before append() has returned. Errors: kNotLeaderOrFollower
  /// before on_leader or after a failure; kUnsupportedVersion, kKafkaStorageError.
  Result<Offset> append(const metadata::MetadataRecords& records, std::int16_t metadata_version);

  LeaderEpoch epoch() const { return epoch_; }
  Offset high_watermark() const { return high_watermark_; }
  Offset log_end_offset() const { return log_->log_end_offset(); }
  const VoterSet& voters() const { return voters_; }

  /// Followers and observers read here (metadata_log_reads.cc). Only what is committed is handed
  /// out. `done` runs on the strand.
  void fetch(const protocol::FetchRequest& request, std::int16_t version,
             UniqueFunction<void(protocol::FetchResponse)> done);
  protocol::FetchSnapshotResponse fetch_snapshot(const protocol::FetchSnapshotRequest& request);
  protocol::DescribeQuorumResponse describe_quorum(
      const protocol::DescribeQuorumRequest& request) const;

 private:
  struct ParkedFetch;
  struct Observer {
    DirectoryId directory_id;
    Offset log_end_offset;
    WallMs last_fetch = -1;
    WallMs last_caught_up = -1;
  };

  Result<void> load_snapshot();
  Result<void> take_office();
  Result<void> hand_over(Offset from, Offset to);
  void start_flush();
  void on_flushed(const storage::FlushJob& job, const Result<void>& outcome);
  void maybe_snapshot();
  void on_snapshot_written(storage::SnapshotId id, const Result<void>& outcome);
  Result<void> clean_up();
  void fail(const Error& error);

  bool answer_fetch(const protocol::FetchRequest& request, protocol::FetchResponse& response);
  void wake_fetches();
  void note_observer(const protocol::FetchRequest& request);
  void name_leader(protocol::FetchResponse& response, std::int16_t version) const;

  Ports ports_;
  const std::shared_ptr<storage::Log> log_;
  const MetadataLogOptions options_;
  QuorumListener* listener_ = nullptr;
  VoterSet voters_;
  std::optional<storage::SnapshotId>
      snapshot_;  // the latest, without the 0-0 checkpoint of formatting
  LeaderEpoch epoch_{0};
  Offset high_watermark_{0};
  bool leader_ = false;
  bool flushing_ = false;
  bool snapshotting_ = false;
  std::int64_t bytes_since_snapshot_ = 0;
  Instant last_snapshot_{};
  std::list<ParkedFetch> parked_;
  std::map<BrokerId, Observer> observers_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // guards tasks on the pool
};

}  // namespace broker::quorum
