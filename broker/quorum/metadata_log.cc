// MetadataLog: loading, appending and committing. Elections, following, being read and voter
// changes are in files of their own.
#include "broker/quorum/metadata_log.h"

#include <algorithm>

#include "broker/common/log.h"
#include "broker/quorum/control_records.h"
#include "broker/quorum/data_batch.h"
#include "broker/quorum/metadata_log_parts.h"

namespace broker::quorum {
namespace {

constexpr std::size_t kReplayChunk = 4 << 20;
constexpr storage::SnapshotId kFormatCheckpoint{Offset{0}, LeaderEpoch{0}};

RaftOptions raft_options(const MetadataLogOptions& options) {
  return {.self = {options.node_id, options.directory_id},
          .is_controller = options.is_controller,
          .election_timeout = options.election_timeout,
          .election_backoff_max = options.election_backoff_max,
          .fetch_timeout = options.fetch_timeout,
          .seed = options.seed};
}

}  // namespace

MetadataLog::MetadataLog(Ports ports, std::shared_ptr<storage::Log> log, MetadataLogOptions options)
    : ports_(std::move(ports)), log_(std::move(log)), options_(std::move(options)) {}

MetadataLog::~MetadataLog() { *alive_ = false; }

// --- start and stop ---

Result<void> MetadataLog::start(QuorumListener& listener) {
  ports_.strand.check_current();
  listener_ = &listener;
  last_snapshot_ = ports_.strand.now();
  RETURN_IF_ERROR(load());
  ASSIGN_OR_RETURN(const auto stored, read_election_state(ports_.files, log_->directory()));
  core_.emplace(raft_options(options_), stored, voters_.current(), log_end(), high_watermark_);
  RETURN_IF_ERROR(check_reachable());
  reported_leader_ = {std::nullopt, LeaderEpoch{-1}, std::nullopt};
  blocking_ = is_voter() && voters().voters.size() == 1;
  core_->start(ports_.strand.now());
  run();
  blocking_ = false;
  if (failure_) return *failure_;
  if (!announced_) {
    log_info(kLogger, "joins the metadata quorum",
             {{"epoch", epoch().value},
              {"voters", voters().voters.size()},
              {"isVoter", is_voter()},
              {"logEnd", log_end_offset().value}});
    report_leader();
    follow();
  }
  return {};
}

Result<void> MetadataLog::load() {
  RETURN_IF_ERROR(load_snapshot());
  const Offset from = snapshot_ ? snapshot_->end_offset : log_->log_start_offset();
  RETURN_IF_ERROR(load_voters(from));
  high_watermark_ = handed_over_ = from;
  // What an earlier process wrote may be in the page cache only: the core takes it for synced.
  return log_->flush(ports_.strand.wall_now());
}

Result<void> MetadataLog::load_snapshot() {
  const std::string& directory = log_->directory();
  RETURN_IF_ERROR(storage::remove_unfinished_snapshots(ports_.files, directory));
  ASSIGN_OR_RETURN(const auto ids, storage::list_snapshots(ports_.files, directory));
  voters_.reset({0, options_.static_voters}, Offset{-1});
  if (ids.empty()) {
    if (!options_.static_voters.empty() || !options_.bootstrap_servers.empty()) return {};
    return Error{ErrorCode::kSnapshotNotFound,
                 directory + " has no checkpoint: format the directory first"};
  }
  ASSIGN_OR_RETURN(LoadedSnapshot snapshot, read_snapshot(ports_.files, directory, ids.back()));
  const bool formatting = snapshot.id == kFormatCheckpoint;
  if (snapshot.voters.kraft_version > 0) {
    voters_.reset(snapshot.voters, formatting ? Offset{-1} : snapshot.id.end_offset + -1);
  }
  if (formatting) return {};
  snapshot_ = snapshot.id;
  if (log_->log_end_offset() < snapshot.id.end_offset) {
    RETURN_IF_ERROR(
        log_->truncate_fully_and_start_at(snapshot.id.end_offset, ports_.strand.wall_now()));
  }
  listener_->on_snapshot(snapshot);
  return {};
}

/// Control batches of the log may name newer voters than the snapshot.
Result<void> MetadataLog::load_voters(Offset from) {
  const Offset end = log_->log_end_offset();
  for (Offset at = from; at < end;) {
    ASSIGN_OR_RETURN(const auto read, log_->read(at, end, kReplayChunk, true));
    record::BatchReader batches(read.records);
    for (;;) {
      ASSIGN_OR_RETURN(const auto batch, batches.next());
      if (!batch) break;
      ASSIGN_OR_RETURN([[maybe_unused]] const bool any, voters_.add(*batch));
    }
    at = read.next_offset;
  }
  return {};
}

/// A node that is no voter needs somebody to ask for the leader.
Result<void> MetadataLog::check_reachable() const {
  if (is_voter() || !options_.bootstrap_servers.empty()) return {};
  const bool others = std::any_of(voters().voters.begin(), voters().voters.end(),
                                  [&](const Voter& voter) { return voter.id != options_.node_id; });
  if (others) return {};
  return Error{ErrorCode::kInconsistentVoterSet,
               "this disk (node " + std::to_string(options_.node_id.value) + ", directory " +
                   options_.directory_id.to_string() + ") is none of the " +
                   std::to_string(voters().voters.size()) +
                   " voters, and controller.quorum.bootstrap.servers names nobody to ask"};
}

void MetadataLog::stop() {
  ports_.strand.check_current();
  if (std::exchange(stopped_, true)) return;
  for (io::TimerId* timer : {&timer_, &fetch_timer_}) {
    ports_.strand.cancel(std::exchange(*timer, io::kNoTimer));
  }
  ++generation_;
  steps_.clear();
  download_.reset();
  finish_voter_changes(ErrorCode::kBrokerNotAvailable);
  listener_ = nullptr;
  wake_fetches();
  if (on_resigned_) std::exchange(on_resigned_, nullptr)();
}

void MetadataLog::fail(const Error& error) {
  if (failure_ || stopped_) return;
  failure_ = error;
  log_error(kLogger, "the metadata log failed: this node stops", {{"error", to_string(error)}});
  finish_voter_changes(ErrorCode::kKafkaStorageError);
  if (listener_ != nullptr) listener_->on_fatal(error);
  wake_fetches();
}

// --- what is known ---

bool MetadataLog::leads() const { return running() && core_->leads() && office_ == core_->epoch(); }

LeaderAndEpoch MetadataLog::leader() const { return core_ ? core_->leader() : LeaderAndEpoch{}; }

const VoterSet& MetadataLog::voters() const {
  static const VoterSet kNone;
  return core_ ? core_->voters() : kNone;
}

bool MetadataLog::is_voter() const { return core_ && core_->is_voter(); }

LogEnd MetadataLog::log_end() const {
  LeaderEpoch epoch = snapshot_ ? snapshot_->epoch : LeaderEpoch{0};
  if (const auto latest = log_->latest_epoch()) epoch = std::max(epoch, *latest);
  return {epoch, log_->log_end_offset()};
}

/// The core hears of the log's end and of the voters in it.
void MetadataLog::note_log_end() {
  core_->on_log_end(log_end());
  const CurrentVoters current = voters_.current();
  if (current.set != core_->voters()) core_->set_voters(ports_.strand.now(), current);
}

// --- appending ---

Result<Offset> MetadataLog::append(const metadata::MetadataRecords& records,
                                   std::int16_t metadata_version) {
  ports_.strand.check_current();
  if (!leads() || !announced_) return ErrorCode::kNotLeaderOrFollower;
  CHECK(!records.empty());
  const WallMs now = ports_.strand.wall_now();
  ASSIGN_OR_RETURN(const Slice batch, encode_data_batch({log_->log_end_offset(), epoch(), now},
                                                        records, metadata_version));
  auto info = log_->append_as_leader(batch, epoch(), storage::AppendOrigin::kRaftLeader, now);
  if (!info.ok()) {
    fail(info.error());
    return info.error();
  }
  bytes_since_snapshot_ += static_cast<std::int64_t>(info->bytes);
  core_->on_log_end(log_end());
  publish_appended();
  return info->last_offset;
}

Result<void> MetadataLog::append_control(const Slice& batch) {
  ASSIGN_OR_RETURN(const auto info,
                   log_->append_as_leader(batch, epoch(), storage::AppendOrigin::kRaftLeader,
                                          ports_.strand.wall_now()));
  bytes_since_snapshot_ += static_cast<std::int64_t>(info.bytes);
  ASSIGN_OR_RETURN([[maybe_unused]] const bool any, voters_.add(record::Batch{batch}));
  note_log_end();
  return {};
}

/// On a later turn: what is decided in this one shares a single sync, and a single answer to each
/// follower, which need not wait for that sync.
void MetadataLog::publish_appended() {
  if (std::exchange(publishing_, true)) return;
  ports_.strand.post([this, alive = alive_] {
    if (!*alive) return;
    publishing_ = false;
    if (!running()) return;
    wake_fetches();
    start_flush();
  });
}

void MetadataLog::start_flush() {
  if (flushing_) return;
  auto job = log_->prepare_flush();
  if (!job.ok()) return fail(job.error());
  flushing_ = true;
  struct Flush {
    storage::FlushJob job;
    Result<void> outcome;
  };
  auto flush = std::make_shared<Flush>(Flush{std::move(*job), {}});
  ports_.workers.run(
      ports_.strand, [flush] { flush->outcome = flush->job.run(); },
      [this, alive = alive_, flush] {
        if (*alive) on_flushed(flush->job, flush->outcome);
      });
}

void MetadataLog::on_flushed(const storage::FlushJob& job, const Result<void>& outcome) {
  flushing_ = false;
  const auto completed = log_->complete_flush(job, outcome, ports_.strand.wall_now());
  if (!completed.ok()) return fail(completed.error());
  if (!running()) return;
  core_->on_synced(ports_.strand.now(), log_->recovery_point());
  if (log_->recovery_point() < log_->log_end_offset()) start_flush();
  run();
  if (awaiting_sync_ && running() && log_->recovery_point() >= log_->log_end_offset()) {
    on_caught_up_on_disk();
  }
}

// --- committing ---

Result<void> MetadataLog::hand_over(Offset from, Offset to) {
  for (Offset at = from; at < to;) {
    ASSIGN_OR_RETURN(const auto read, log_->read(at, to, kReplayChunk, true));
    record::BatchReader batches(read.records);
    for (;;) {
      ASSIGN_OR_RETURN(const auto batch, batches.next());
      if (!batch) break;
      const auto header = batch->header();
      CommittedRecords committed{header.base_offset(),
                                 header.last_offset(),
                                 header.leader_epoch(),
                                 header.max_timestamp(),
                                 {}};
      if (!header.is_control()) RETURN_IF_ERROR(decode_data_batch(*batch, committed.records));
      bytes_since_snapshot_ += static_cast<std::int64_t>(header.size_bytes());
      listener_->on_committed(committed);
    }
    at = read.next_offset;
  }
  return {};
}

/// As the leader and as a follower: everything below is committed.
void MetadataLog::on_commit(Offset high_watermark) {
  if (listener_ == nullptr || high_watermark <= high_watermark_) return;
  high_watermark_ = high_watermark;
  const bool takes_over = !announced_ && leads() && core_->high_watermark_known();
  if (!announced_) {
    // Of its own epoch a leader has written nothing but control records so far.
    const Offset to = takes_over ? core_->epoch_start() : high_watermark_;
    if (const auto handed = hand_over(handed_over_, to); !handed.ok()) {
      return fail(handed.error());
    }
  }
  handed_over_ = high_watermark_;
  listener_->on_high_watermark(high_watermark_);
  if (takes_over && listener_ != nullptr) {
    announced_ = true;
    listener_->on_leader(epoch());
  }
  finish_voter_changes(ErrorCode::kNone);
  wake_fetches();
  maybe_snapshot();
}

}  // namespace broker::quorum
