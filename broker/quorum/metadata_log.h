#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/function.h"
#include "broker/common/result.h"
#include "broker/io/file.h"
#include "broker/io/strand.h"
#include "broker/metadata/image.h"
#include "broker/quorum/raft_core.h"
#include "broker/quorum/snapshot.h"
#include "broker/quorum/types.h"
#include "broker/quorum/voter_history.h"
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
  /// Whom this node voted for in this epoch.
  std::optional<BrokerId> voted() const { return core_ ? core_->voted() : std::nullopt; }
  LeaderEpoch epoch() const { return core_ ? core_->epoch() : LeaderEpoch{0}; }
  Offset high_watermark() const { return high_watermark_; }
  Offset log_end_offset() const { return log_->log_end_offset(); }
  const VoterSet& voters() const;

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
  /// KIP-853. Answered when the change is committed, or refused; errors in README.md.
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
  protocol::FetchSnapshotResponse fetch_snapshot(const protocol::FetchSnapshotRequest& request,
                                                 std::int16_t version = 0);
  protocol::DescribeQuorumResponse describe_quorum(
      const protocol::DescribeQuorumRequest& request) const;

 private:
  struct ParkedFetch;
  struct Download;
  struct VoterChange;
  /// What the core asked for, and the answer that leaves after it.
  struct Step {
    RaftOutput output;
    Task then;
  };
  enum class Position { kRefused, kElsewhere, kValid };

  // loading, appending, committing, snapshots (metadata_log.cc, metadata_log_snapshots.cc)
  Result<void> load();
  Result<void> load_snapshot();
  Result<void> load_voters(Offset from);
  Result<void> check_reachable() const;
  Result<void> append_control(const Slice& batch);
  Result<void> hand_over(Offset from, Offset to);
  void on_commit(Offset high_watermark);
  void publish_appended();
  void start_flush();
  void on_flushed(const storage::FlushJob& job, const Result<void>& outcome);
  void maybe_snapshot();
  void on_snapshot_written(storage::SnapshotId id, const Result<void>& outcome);
  Result<void> clean_up();
  void fail(const Error& error);
  bool running() const { return core_ && !stopped_ && !failure_; }
  bool leads() const;
  LogEnd log_end() const;
  void note_log_end();

  // elections (metadata_log_election.cc)
  void run(Task then = {});
  void drain();
  void persist(const ElectionState& state);
  void on_persisted(const Result<void>& outcome);
  void execute(const RaftOutput& output);
  void apply_role(const RoleChange& change);
  void take_office();
  Result<void> write_office_records();
  void leave_office();
  void report_leader();
  void send(const SendVote& vote);
  void send(const SendBeginEpoch& begin);
  void send(const SendEndEpoch& end);
  void on_successor_told();
  void arm_timer();
  ErrorCode refuse_request(const std::optional<std::string>& cluster_id, bool well_formed) const;
  bool is_mine(std::int32_t voter_id, const Uuid& directory) const;

  // following (metadata_log_follow.cc)
  void follow();
  void follow_after(Duration delay);
  void retry_fetch();
  std::optional<io::Endpoint> fetch_target();
  void on_fetch_answer(std::uint64_t generation, const Result<protocol::FetchResponse>& answer);
  void on_fetched(const protocol::FetchResponse& response);
  void append_fetched(const Slice& records);
  void on_caught_up_on_disk();
  void truncate_diverging(storage::EpochEnd leaders);
  Result<void> note_truncation();
  void start_download(storage::SnapshotId id);
  void fetch_chunk();
  void on_chunk(const protocol::FetchSnapshotResponse& response);
  void finish_download();
  void install(LoadedSnapshot snapshot);

  // being read (metadata_log_reads.cc)
  Position check_position(const protocol::FetchRequest& request,
                          protocol::FetchResponse& response) const;
  bool read_into(const protocol::FetchRequest& request, protocol::FetchResponse& response);
  bool answer_fetch(const protocol::FetchRequest& request, protocol::FetchResponse& response);
  void wake_fetches();
  void name_leader(protocol::FetchResponse& response, std::int16_t version) const;

  // voter changes (metadata_log_voters.cc)
  using ChangeDone = UniqueFunction<void(ErrorCode, std::string)>;
  std::optional<Error> refuse_change() const;
  void add_checked_voter(const Voter& voter, bool ack_when_committed, std::int32_t timeout_ms,
                         ChangeDone done);
  void change_voters(VoterSet voters, std::int32_t timeout_ms, ChangeDone done);
  void finish_voter_changes(ErrorCode error);
  void maybe_correct_own_voter();
  std::vector<VoterListener> own_listeners() const;
  std::string default_listener() const;

  Ports ports_;
  const std::shared_ptr<storage::Log> log_;
  const MetadataLogOptions options_;
  QuorumListener* listener_ = nullptr;
  std::optional<RaftCore> core_;
  VoterHistory voters_;
  /// The latest, without the 0-0 checkpoint of formatting.
  std::optional<storage::SnapshotId> snapshot_;
  Offset high_watermark_{0};
  Offset handed_over_{0};  // the listener has everything below, or appended it itself
  std::optional<Error> failure_;
  bool stopped_ = false;

  std::deque<Step> steps_;
  bool draining_ = false;
  bool persisting_ = false;
  bool blocking_ = false;  // a sole voter's start
  io::TimerId timer_ = io::kNoTimer;
  std::optional<Instant> timer_at_;
  LeaderAndEpoch reported_leader_;
  std::optional<LeaderEpoch> office_;  // the epoch whose first records this leader wrote
  bool announced_ = false;             // on_leader was called for it
  Task on_resigned_;                   // resign() waits
  std::size_t untold_successors_ = 0;

  bool flushing_ = false;
  bool publishing_ = false;  // a turn is posted that syncs and serves what was appended
  bool snapshotting_ = false;
  std::int64_t bytes_since_snapshot_ = 0;
  Instant last_snapshot_{};

  std::uint64_t generation_ = 0;  // of the role: answers to earlier ones do not count
  bool fetching_ = false;
  bool awaiting_sync_ = false;
  bool probing_ = true;  // the next fetch is answered at once: is anybody there?
  int fetch_failures_ = 0;
  std::size_t next_contact_ = 0;
  Offset leader_high_watermark_{0};
  io::TimerId fetch_timer_ = io::kNoTimer;
  std::unique_ptr<Download> download_;

  std::list<ParkedFetch> parked_;
  std::unique_ptr<VoterChange> change_;
  bool adding_voter_ = false;  // its versions are being asked for
  std::optional<Instant> corrected_at_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // guards tasks on the pool
};

}  // namespace broker::quorum
