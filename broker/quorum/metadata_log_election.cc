// MetadataLog: carries out what RaftCore decides, in its order, and what other voters ask.
#include "broker/common/defect.h"
#include "broker/common/log.h"
#include "broker/quorum/control_records.h"
#include "broker/quorum/metadata_log_parts.h"

namespace broker::quorum {
namespace {

constexpr Duration kResignTime = std::chrono::seconds(1);

template <class Response>
void name_leader_in(Response& response, std::int16_t version, const LeaderAndEpoch& leader,
                    std::int16_t endpoints_since) {
  auto& partition = response.topics.front().partitions.front();
  partition.leader_id = leader.leader ? leader.leader->value : -1;
  partition.leader_epoch = leader.epoch.value;
  if (leader.endpoint && version >= endpoints_since) {
    response.node_endpoints.push_back(
        {leader.leader->value, leader.endpoint->host, leader.endpoint->port});
  }
}

template <class Response>
Response partition_response() {
  Response response;
  auto& topic = response.topics.emplace_back();
  topic.topic_name = kTopicName;
  topic.partitions.emplace_back();
  return response;
}

/// The endpoint of the listener `name`, else the first.
template <class Listeners>
std::optional<io::Endpoint> endpoint_in(const Listeners& listeners, const std::string& name) {
  std::optional<io::Endpoint> found;
  for (const auto& listener : listeners) {
    if (found && listener.name != name) continue;
    found = io::Endpoint{listener.host, listener.port};
    if (listener.name == name) break;
  }
  return found;
}

}  // namespace

// --- the core's wishes, in order ---

void MetadataLog::run(Task then) {
  steps_.push_back({core_->take_output(), std::move(then)});
  drain();
}

void MetadataLog::drain() {
  if (std::exchange(draining_, true)) return;
  while (!steps_.empty() && !persisting_ && running()) {
    if (steps_.front().output.persist) {
      persist(*std::exchange(steps_.front().output.persist, std::nullopt));
      continue;
    }
    Step step = std::move(steps_.front());
    steps_.pop_front();
    execute(step.output);
    if (step.then && running()) step.then();
  }
  draining_ = false;
  arm_timer();
}

/// Everything behind it in the queue waits until it is on disk.
void MetadataLog::persist(const ElectionState& state) {
  if (has_defect(Defect::kVoteNotStored)) return;
  if (blocking_) {
    const auto written = write_election_state(ports_.files, log_->directory(), state);
    if (!written.ok()) fail(written.error());
    return;
  }
  persisting_ = true;
  auto outcome = std::make_shared<Result<void>>();
  ports_.workers.run(
      ports_.strand,
      [outcome, state, &files = ports_.files, directory = log_->directory()] {
        *outcome = write_election_state(files, directory, state);
      },
      [this, alive = alive_, outcome] {
        if (*alive) on_persisted(*outcome);
      });
}

void MetadataLog::on_persisted(const Result<void>& outcome) {
  persisting_ = false;
  if (!running()) return;
  if (!outcome.ok()) return fail(outcome.error());
  drain();
}

void MetadataLog::execute(const RaftOutput& output) {
  // What is committed stays so in the next role: a leader that removed itself resigns with it.
  if (output.high_watermark) on_commit(*output.high_watermark);
  if (output.role) apply_role(*output.role);
  for (const RaftSend& message : output.sends) {
    std::visit([&](const auto& wish) { send(wish); }, message);
  }
}

void MetadataLog::arm_timer() {
  const auto wake = running() ? core_->next_wake() : std::nullopt;
  if (wake == timer_at_ && timer_ != io::kNoTimer) return;
  ports_.strand.cancel(std::exchange(timer_, io::kNoTimer));
  timer_at_ = wake;
  if (!wake) return;
  timer_ = ports_.strand.call_at(*wake, [this, alive = alive_] {
    if (!*alive) return;
    timer_ = io::kNoTimer;
    if (!running()) return;
    core_->tick(ports_.strand.now());
    run();
  });
}

// --- roles ---

void MetadataLog::apply_role(const RoleChange& change) {
  ++generation_;
  fetching_ = awaiting_sync_ = false;
  download_.reset();
  ports_.strand.cancel(std::exchange(fetch_timer_, io::kNoTimer));
  if (office_ && (change.role != RaftRole::kLeader || change.leader.epoch != *office_)) {
    leave_office();
  }
  report_leader();
  // The core may be further on already; then its next wish follows.
  const bool still = core_->role() == change.role && core_->epoch() == change.leader.epoch;
  if (still && change.role == RaftRole::kLeader) take_office();
  if (!running()) return;
  wake_fetches();
  if (fetch_failures_ == 0) {
    follow();
  } else {
    retry_fetch();
  }
}

void MetadataLog::report_leader() {
  const LeaderAndEpoch now = core_->leader();
  if (now == reported_leader_ || listener_ == nullptr) return;
  reported_leader_ = now;
  if (now.leader && *now.leader != options_.node_id) {
    log_info(kLogger, "follows", {{"leader", now.leader->value}, {"epoch", now.epoch.value}});
  }
  listener_->on_leader_change(now);
}

void MetadataLog::take_office() {
  office_ = core_->epoch();
  log_->assign_epoch_start(*office_);
  if (const auto written = write_office_records(); !written.ok()) return fail(written.error());
  log_info(kLogger, "leads the metadata quorum",
           {{"epoch", office_->value}, {"epochStart", core_->epoch_start().value}});
  if (!blocking_) return publish_appended();
  const auto flushed = log_->flush(ports_.strand.wall_now());
  if (!flushed.ok()) return fail(flushed.error());
  core_->on_synced(ports_.strand.now(), log_->recovery_point());
  run();
}

/// The first records of an epoch; with them the voters, where the log does not name them yet or
/// this leader's addresses changed.
Result<void> MetadataLog::write_office_records() {
  const auto here = [&] {
    return BatchPosition{log_->log_end_offset(), *office_, ports_.strand.wall_now()};
  };
  RETURN_IF_ERROR(append_control(
      leader_change_batch(here(), options_.node_id, voters(), core_->granting_voters())));
  VoterSet set = voters();
  if (set.kraft_version == 0) return {};
  bool moved = false;
  for (Voter& voter : set.voters) {
    if (voter.id == options_.node_id) moved = correct_listeners(voter, options_.listeners);
  }
  if (voters_.is_logged() && !moved) return {};
  RETURN_IF_ERROR(append_control(kraft_version_batch(here(), set.kraft_version)));
  return append_control(voters_batch(here(), set));
}

void MetadataLog::leave_office() {
  office_.reset();
  finish_voter_changes(ErrorCode::kNotLeaderOrFollower);
  if (std::exchange(announced_, false) && listener_ != nullptr) {
    log_info(kLogger, "leads the metadata quorum no more", {{"epoch", epoch().value}});
    listener_->on_resigned();
  }
}

void MetadataLog::resign(Task done) {
  ports_.strand.check_current();
  if (!running()) return ports_.strand.post(std::move(done));
  const bool led = core_->leads();
  core_->resign(ports_.strand.now());
  run();
  if (!led || untold_successors_ == 0) return ports_.strand.post(std::move(done));
  on_resigned_ = std::move(done);
  ports_.strand.call_after(kResignTime, [this, alive = alive_] {
    if (*alive && on_resigned_) std::exchange(on_resigned_, nullptr)();
  });
}

void MetadataLog::on_successor_told() {
  if (untold_successors_ > 0) --untold_successors_;
  if (untold_successors_ == 0 && on_resigned_) std::exchange(on_resigned_, nullptr)();
}

// --- asking other voters ---

void MetadataLog::send(const SendVote& vote) {
  protocol::VoteRequest request;
  request.cluster_id = options_.cluster_id;
  request.voter_id = vote.to.id.value;
  protocol::VoteRequest::PartitionData partition;
  partition.replica_epoch = vote.ask.epoch.value;
  partition.replica_id = options_.node_id.value;
  partition.replica_directory_id = options_.directory_id;
  partition.voter_directory_id = vote.to.directory_id;
  partition.last_offset_epoch = vote.ask.log_end.epoch.value;
  partition.last_offset = vote.ask.log_end.offset.value;
  partition.pre_vote = vote.ask.pre_vote;
  request.topics.push_back({std::string(kTopicName), {std::move(partition)}});
  const auto finish = [this, alive = alive_, to = vote.to.id,
                       round = vote.round](const Result<PeerResponse>& answer) {
    if (!*alive || !running()) return;
    const Instant now = ports_.strand.now();
    if (!answer.ok()) {
      core_->on_vote_failure(now, to, round, answer.code());
      return run();
    }
    const auto& response = std::get<protocol::VoteResponse>(*answer);
    const auto* partition = only_partition(response);
    if (response.error_code != 0 || partition == nullptr) {
      core_->on_vote_failure(now, to, round, static_cast<ErrorCode>(response.error_code));
      return run();
    }
    core_->on_leader_seen(
        now, named_leader(partition->leader_id, partition->leader_epoch, response.node_endpoints));
    core_->on_vote_answer(now, to, round,
                          {static_cast<ErrorCode>(partition->error_code), partition->vote_granted});
    run();
  };
  if (ports_.peers == nullptr) {
    ports_.strand.post([finish] { finish(Error{ErrorCode::kBrokerNotAvailable}); });
    return;
  }
  ports_.peers->send(vote.to.endpoint, std::move(request), options_.request_timeout, finish);
}

void MetadataLog::send(const SendBeginEpoch& begin) {
  if (ports_.peers == nullptr) return;
  protocol::BeginQuorumEpochRequest request;
  request.cluster_id = options_.cluster_id;
  request.voter_id = begin.to.id.value;
  protocol::BeginQuorumEpochRequest::PartitionData partition;
  partition.voter_directory_id = begin.to.directory_id;
  partition.leader_id = options_.node_id.value;
  partition.leader_epoch = begin.epoch.value;
  request.topics.push_back({std::string(kTopicName), {std::move(partition)}});
  for (const VoterListener& listener : own_listeners()) {
    request.leader_endpoints.push_back(
        {listener.name, listener.endpoint.host, listener.endpoint.port});
  }
  ports_.peers->send(
      begin.to.endpoint, std::move(request), options_.request_timeout,
      [this, alive = alive_](const Result<PeerResponse>& answer) {
        if (!*alive || !running() || !answer.ok()) return;
        const auto& response = std::get<protocol::BeginQuorumEpochResponse>(*answer);
        const auto* partition = only_partition(response);
        if (partition == nullptr) return;
        core_->on_leader_seen(
            ports_.strand.now(),
            named_leader(partition->leader_id, partition->leader_epoch, response.node_endpoints));
        run();
      });
}

void MetadataLog::send(const SendEndEpoch& end) {
  if (ports_.peers == nullptr) return;
  protocol::EndQuorumEpochRequest request;
  request.cluster_id = options_.cluster_id;
  protocol::EndQuorumEpochRequest::PartitionData partition;
  partition.leader_id = options_.node_id.value;
  partition.leader_epoch = end.epoch.value;
  for (const ReplicaKey& candidate : end.preferred) {
    partition.preferred_candidates.push_back({candidate.id.value, candidate.directory});
  }
  request.topics.push_back({std::string(kTopicName), {std::move(partition)}});
  for (const VoterListener& listener : own_listeners()) {
    request.leader_endpoints.push_back(
        {listener.name, listener.endpoint.host, listener.endpoint.port});
  }
  ++untold_successors_;
  ports_.peers->send(end.to.endpoint, std::move(request), kResignTime,
                     [this, alive = alive_](const Result<PeerResponse>&) {
                       if (*alive) on_successor_told();
                     });
}

// --- being asked ---

bool MetadataLog::is_mine(std::int32_t voter_id, const Uuid& directory) const {
  if (voter_id >= 0 && voter_id != options_.node_id.value) return false;
  return directory == kZeroUuid || directory == options_.directory_id;
}

void MetadataLog::vote(const protocol::VoteRequest& request, std::int16_t version,
                       UniqueFunction<void(protocol::VoteResponse)> done) {
  ports_.strand.check_current();
  protocol::VoteResponse response;
  const auto* asked = only_partition(request);
  if (const ErrorCode error = refuse_request(request.cluster_id, asked != nullptr);
      error != ErrorCode::kNone) {
    response.error_code = wire(error);
    return done(std::move(response));
  }
  response = partition_response<protocol::VoteResponse>();
  auto& partition = response.topics.front().partitions.front();
  VoteAnswer answer{ErrorCode::kInvalidVoterKey};
  if (is_mine(request.voter_id, asked->voter_directory_id)) {
    const VoteAsk ask{{BrokerId{asked->replica_id}, asked->replica_directory_id},
                      LeaderEpoch{asked->replica_epoch},
                      {LeaderEpoch{asked->last_offset_epoch}, Offset{asked->last_offset}},
                      asked->pre_vote};
    answer = core_->on_vote(ports_.strand.now(), ask);
    log_debug(kLogger, "asked for a vote",
              {{"candidate", asked->replica_id},
               {"epoch", asked->replica_epoch},
               {"preVote", asked->pre_vote},
               {"granted", answer.granted}});
  }
  partition.error_code = wire(answer.error);
  partition.vote_granted = answer.granted;
  name_leader_in(response, version, core_->leader(), 1);
  run([done = std::move(done), response = std::move(response)]() mutable {
    done(std::move(response));
  });
}

void MetadataLog::begin_quorum_epoch(
    const protocol::BeginQuorumEpochRequest& request, std::int16_t version,
    UniqueFunction<void(protocol::BeginQuorumEpochResponse)> done) {
  ports_.strand.check_current();
  protocol::BeginQuorumEpochResponse response;
  const auto* asked = only_partition(request);
  if (const ErrorCode error = refuse_request(request.cluster_id, asked != nullptr);
      error != ErrorCode::kNone) {
    response.error_code = wire(error);
    return done(std::move(response));
  }
  response = partition_response<protocol::BeginQuorumEpochResponse>();
  ErrorCode error = ErrorCode::kInvalidVoterKey;
  if (asked->leader_id < 0) {
    error = ErrorCode::kInvalidRequest;
  } else if (is_mine(request.voter_id, asked->voter_directory_id)) {
    error = core_->on_begin_epoch(ports_.strand.now(),
                                  {BrokerId{asked->leader_id}, LeaderEpoch{asked->leader_epoch},
                                   endpoint_in(request.leader_endpoints, default_listener())});
  }
  response.topics.front().partitions.front().error_code = wire(error);
  name_leader_in(response, version, core_->leader(), 1);
  run([done = std::move(done), response = std::move(response)]() mutable {
    done(std::move(response));
  });
}

void MetadataLog::end_quorum_epoch(const protocol::EndQuorumEpochRequest& request,
                                   std::int16_t version,
                                   UniqueFunction<void(protocol::EndQuorumEpochResponse)> done) {
  ports_.strand.check_current();
  protocol::EndQuorumEpochResponse response;
  const auto* asked = only_partition(request);
  if (const ErrorCode error = refuse_request(request.cluster_id, asked != nullptr);
      error != ErrorCode::kNone) {
    response.error_code = wire(error);
    return done(std::move(response));
  }
  response = partition_response<protocol::EndQuorumEpochResponse>();
  std::vector<ReplicaKey> preferred;
  for (const auto& candidate : asked->preferred_candidates) {
    preferred.push_back({BrokerId{candidate.candidate_id}, candidate.candidate_directory_id});
  }
  for (const std::int32_t id : asked->preferred_successors) {
    preferred.push_back({BrokerId{id}, kZeroUuid});
  }
  const ErrorCode error = core_->on_end_epoch(ports_.strand.now(), BrokerId{asked->leader_id},
                                              LeaderEpoch{asked->leader_epoch}, preferred);
  response.topics.front().partitions.front().error_code = wire(error);
  name_leader_in(response, version, core_->leader(), 1);
  run([done = std::move(done), response = std::move(response)]() mutable {
    done(std::move(response));
  });
}

ErrorCode MetadataLog::refuse_request(const std::optional<std::string>& cluster_id,
                                      bool well_formed) const {
  if (!running()) return ErrorCode::kBrokerNotAvailable;
  if (cluster_id && *cluster_id != options_.cluster_id) return ErrorCode::kInconsistentClusterId;
  return well_formed ? ErrorCode::kNone : ErrorCode::kInvalidRequest;
}

}  // namespace broker::quorum
