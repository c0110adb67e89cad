#pragma once

#include <functional>
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
struct AddRaftVoterRequest;
struct AddRaftVoterResponse;
struct BeginQuorumEpochRequest;
struct BeginQuorumEpochResponse;
struct DescribeQuorumRequest;
struct DescribeQuorumResponse;
struct EndQuorumEpochRequest;
struct EndQuorumEpochResponse;
struct FetchRequest;
struct FetchResponse;
struct FetchSnapshotRequest;
struct FetchSnapshotResponse;
struct RemoveRaftVoterRequest;
struct RemoveRaftVoterResponse;
struct UpdateRaftVoterRequest;
struct UpdateRaftVoterResponse;
struct VoteRequest;
struct VoteResponse;
}  // namespace broker::protocol

namespace broker::quorum {

class PeerSender;

/// Whoever builds on the log: the controller. Called on the log's strand, in the log's order.
class QuorumListener {
 public:
  virtual ~QuorumListener() = default;
  /// Replaces everything handed over before.
  virtual void on_snapshot(const LoadedSnapshot& snapshot) = 0;
  /// Committed batches that this listener did not append itself: at load time, and as a follower.
  /// What it appended it has replayed already; on_high_watermark() says when that is committed.
  virtual void on_committed(const CommittedRecords& records) = 0;
  /// The leader or the epoch that this node knows of changed. For itself it comes before
  /// on_leader(), which waits until everything earlier is committed.
  virtual void on_leader_change(const LeaderAndEpoch& /*leader*/) {}
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
  DirectoryId directory_id;  // of the disk with the metadata log
  /// A controller stands for election when the voters name it; a broker only observes.
  bool is_controller = true;
  /// Where this node's controller listeners can be reached (advertised); the first one is the
  /// quorum's.
  std::vector<VoterListener> listeners;
  /// controller.quorum.voters: a quorum that never changes (kraft.version 0). Directory ids zero.
  std::vector<Voter> static_voters;
  /// controller.quorum.bootstrap.servers: where an observer asks for the leader.
  std::vector<io::Endpoint> bootstrap_servers;
  bool auto_join = false;  // controller.quorum.auto.join.enable
  /// controller.quorum.election.timeout.ms: how long candidates and their voters wait, up to
  /// twice that at random.
  std::chrono::milliseconds election_timeout{1000};
  /// controller.quorum.election.backoff.max.ms
  std::chrono::milliseconds election_backoff_max{1000};
  /// controller.quorum.fetch.timeout.ms: a leader that is silent for so long is given up (Kafka:
  /// 2000). A dropped connection is noticed at once whatever it says.
  std::chrono::milliseconds fetch_timeout{1500};
  /// controller.quorum.request.timeout.ms
  std::chrono::milliseconds request_timeout{2000};
  std::uint64_t seed = 1;                        // election jitter
  std::int64_t snapshot_after_bytes = 20 << 20;  // metadata.log.max.record.bytes.between.snapshots
  std::chrono::milliseconds snapshot_after{3'600'000};  // metadata.log.max.snapshot.interval.ms
  std::int64_t retention_bytes = 100 << 20;             // metadata.max.retention.bytes
  std::int32_t fetch_max_bytes = 1 << 20;               // controller.quorum.fetch.max.bytes
};

/// The replicated log `__cluster_metadata-0`: an append is committed once a majority of the voters
/// has it on disk. Formats, files and answers are KRaft's (KIP-595, KIP-630, KIP-853, KIP-996).
/// Lives on one strand; syncs and snapshots run on the pool.
class MetadataLog {
 public:
  struct Ports {
    io::Strand& strand;
    io::WorkerPool& workers;
    io::FileSystem& files;
    PeerSender* peers = nullptr;  // null: nobody can be reached, enough for a quorum of one
    /// Writes the log directory's recovery-point checkpoint (LogManager::checkpoint) after the log
    /// was truncated; without it a crash may trust what was overwritten.
    std::function<Result<void>(const storage::LogPositions&)> write_checkpoint{};
  };

  MetadataLog(Ports ports, std::shared_ptr<storage::Log> log, MetadataLogOptions options);
  ~MetadataLog();

  /// Loads snapshot and log and hands what is known to be committed to `listener` (which outlives
  /// this). A sole voter leads before this returns: epoch durable, everything handed over,
  /// on_leader called. Else elections and fetching go on afterwards. Blocks while it loads. Errors:
  /// kInconsistentVoterSet when there are neither voters nor bootstrap servers to find them with;
  /// kKafkaStorageError, kCorruptMessage.
  Result<void> start(QuorumListener& listener);
  /// A leader hands over: it resigns (on_resigned) and names its successors (EndQuorumEpoch);
  /// `done` runs when they know, after a second at the latest, at once when there is nobody to
  /// tell. stop() follows.
  void resign(Task done);
  /// No more commits are reported; parked fetches are answered. A sync under way ends by itself.
  void stop();

  /// Appends one atomic batch and returns the offset of its last record. It is committed when
  /// on_high_watermark passes it, never before append() has returned. Errors: kNotLeaderOrFollower
  /// before on_leader or after a failure; kUnsupportedVersion, kKafkaStorageError.
  Result<Offset> append(const metadata::MetadataRecords& records, std::int16_t metadata_version);

  LeaderAndEpoch leader() const;
  LeaderEpoch epoch() const { return epoch_; }
  Offset high_watermark() const { return high_watermark_; }
  Offset log_end_offset() const { return log_->log_end_offset(); }
  const VoterSet& voters() const { return voters_; }

  /// Whether this node is one of voters() and may be elected.
  bool is_voter() const;

  // What peers ask. `done` runs on the strand; `version`: the request's API version. Callers
  // authorize, these check everything else (cluster id, epoch, voter) and answer with Kafka's
  // errors.
  void vote(const protocol::VoteRequest& request, std::int16_t version,
            UniqueFunction<void(protocol::VoteResponse)> done);
  void begin_quorum_epoch(const protocol::BeginQuorumEpochRequest& request, std::int16_t version,
                          UniqueFunction<void(protocol::BeginQuorumEpochResponse)> done);
  void end_quorum_epoch(const protocol::EndQuorumEpochRequest& request, std::int16_t version,
                        UniqueFunction<void(protocol::EndQuorumEpochResponse)> done);
  /// KIP-853. Answered when the change is committed, or refused; see the errors at VoterChanges.
  void add_raft_voter(const protocol::AddRaftVoterRequest& request,
                      UniqueFunction<void(protocol::AddRaftVoterResponse)> done);
  void remove_raft_voter(const protocol::RemoveRaftVoterRequest& request,
                         UniqueFunction<void(protocol::RemoveRaftVoterResponse)> done);
  void update_raft_voter(const protocol::UpdateRaftVoterRequest& request,
                         UniqueFunction<void(protocol::UpdateRaftVoterResponse)> done);

  /// Followers and observers read here (metadata_log_reads.cc). Voters read up to the log end,
  /// everybody else what is committed.
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
