// MetadataLog: changes of the voter set (KIP-853), one at a time. Preconditions and errors are
// Kafka's.
#include <algorithm>

#include "broker/common/log.h"
#include "broker/metadata/features.h"
#include "broker/quorum/control_records.h"
#include "broker/quorum/metadata_log_parts.h"

namespace broker::quorum {
namespace {

/// An observer that was caught up so recently will be so again soon.
constexpr Duration kCaughtUpRecently = std::chrono::hours(1);

/// The quorum's listener first; empty without it.
template <class Listeners>
std::vector<VoterListener> listeners_of(const Listeners& listeners, const std::string& quorums) {
  std::vector<VoterListener> out;
  for (const auto& listener : listeners) {
    out.push_back({listener.name, {listener.host, listener.port}});
  }
  const auto first = std::find_if(out.begin(), out.end(), [&](const VoterListener& listener) {
    return listener.name == quorums;
  });
  if (first == out.end()) return {};
  std::rotate(out.begin(), first, first + 1);
  return out;
}

std::vector<VoterListener> listeners_of(const Voter& voter) {
  std::vector<VoterListener> listeners{{voter.listener, voter.endpoint}};
  listeners.insert(listeners.end(), voter.more_listeners.begin(), voter.more_listeners.end());
  return listeners;
}

/// kraft.version as a node supports it; a node that does not say so knows none but 0.
std::pair<std::int16_t, std::int16_t> kraft_versions(
    const protocol::ApiVersionsResponse& response) {
  for (const auto& feature : response.supported_features) {
    if (feature.name == metadata::kKRaftVersionFeature) {
      return {feature.min_version, feature.max_version};
    }
  }
  return {0, 0};
}

template <class Response>
auto answer_with(UniqueFunction<void(Response)> done) {
  return [done = std::move(done)](ErrorCode error, std::string message) mutable {
    Response response;
    response.error_code = wire(error);
    if (error != ErrorCode::kNone) response.error_message = std::move(message);
    done(std::move(response));
  };
}

}  // namespace

bool correct_listeners(Voter& voter, std::vector<VoterListener> listeners) {
  if (listeners.empty()) return false;
  std::vector<VoterListener> known = listeners_of(voter), wanted = listeners;
  std::sort(known.begin(), known.end());
  std::sort(wanted.begin(), wanted.end());
  if (known == wanted) return false;  // their order means nothing
  voter.listener = listeners.front().name;
  voter.endpoint = listeners.front().endpoint;
  voter.more_listeners.assign(listeners.begin() + 1, listeners.end());
  return true;
}

std::vector<VoterListener> MetadataLog::own_listeners() const {
  if (!options_.listeners.empty()) return options_.listeners;
  const Voter* self = voters().find(options_.node_id);
  return self == nullptr ? std::vector<VoterListener>() : listeners_of(*self);
}

std::string MetadataLog::default_listener() const {
  const auto own = own_listeners();
  return own.empty() ? std::string() : own.front().name;
}

/// What stands against any change now.
std::optional<Error> MetadataLog::refuse_change() const {
  if (!leads()) return Error{ErrorCode::kNotLeaderOrFollower, "this node does not lead"};
  if (!core_->high_watermark_known()) {
    return Error{ErrorCode::kRequestTimedOut, "the high watermark is not known yet"};
  }
  if (voters().kraft_version < 1) {
    return Error{ErrorCode::kUnsupportedVersion,
                 "the voters are static: kraft.version is 0, changing them needs 1"};
  }
  if (change_ || adding_voter_ || voters_.current().offset >= high_watermark_) {
    return Error{ErrorCode::kRequestTimedOut, "another change of the voters is under way"};
  }
  return std::nullopt;
}

void MetadataLog::change_voters(VoterSet set, std::int32_t timeout_ms, ChangeDone done) {
  const Offset offset = log_->log_end_offset();
  const auto appended =
      append_control(voters_batch({offset, epoch(), ports_.strand.wall_now()}, set));
  if (!appended.ok()) {
    done(ErrorCode::kKafkaStorageError, appended.error().detail);
    return fail(appended.error());
  }
  log_info(kLogger, "the voters change", {{"offset", offset.value}, {"voters", set.voters.size()}});
  change_ = std::make_unique<VoterChange>(VoterChange{offset, std::move(done)});
  change_->timer = ports_.strand.call_after(std::chrono::milliseconds(std::max(timeout_ms, 1)),
                                            [this, alive = alive_, offset] {
                                              if (!*alive || !change_ || change_->offset != offset)
                                                return;
                                              change_->timer = io::kNoTimer;
                                              finish_voter_changes(ErrorCode::kRequestTimedOut);
                                            });
  publish_appended();
  run();
}

/// With kNone only what is committed.
void MetadataLog::finish_voter_changes(ErrorCode error) {
  if (!change_ || (error == ErrorCode::kNone && change_->offset >= high_watermark_)) return;
  const auto change = std::exchange(change_, nullptr);
  ports_.strand.cancel(change->timer);
  change->done(error, error == ErrorCode::kNone
                          ? std::string()
                          : "the change was not committed in time; it may be yet");
}

// --- AddRaftVoter ---

void MetadataLog::add_raft_voter(const protocol::AddRaftVoterRequest& request,
                                 UniqueFunction<void(protocol::AddRaftVoterResponse)> reply) {
  ports_.strand.check_current();
  ChangeDone done = answer_with(std::move(reply));
  if (const ErrorCode error = refuse_request(request.cluster_id, true); error != ErrorCode::kNone) {
    return done(error, "");
  }
  Voter voter{BrokerId{request.voter_id}, request.voter_directory_id};
  const auto listeners = listeners_of(request.listeners, default_listener());
  correct_listeners(voter, listeners);
  if (const auto refused = refuse_change()) return done(refused->code, refused->detail);
  if (request.voter_id < 0 || request.voter_directory_id == kZeroUuid || listeners.empty()) {
    return done(
        ErrorCode::kInvalidRequest,
        "a voter has an id, a directory id and an address on listener " + default_listener());
  }
  if (voters().find(voter.id) != nullptr) {
    return done(ErrorCode::kDuplicateVoter,
                "node " + std::to_string(request.voter_id) + " is a voter already");
  }
  if (ports_.peers == nullptr) return done(ErrorCode::kRequestTimedOut, "nobody can be reached");
  adding_voter_ = true;
  protocol::ApiVersionsRequest versions;
  versions.client_software_name = "millrace";
  versions.client_software_version = "1.0";
  auto shared = std::make_shared<ChangeDone>(std::move(done));
  ports_.peers->send(
      voter.endpoint, std::move(versions), options_.request_timeout,
      [this, alive = alive_, shared, voter, ack = request.ack_when_committed,
       timeout = request.timeout_ms](const Result<PeerResponse>& answer) mutable {
        if (!*alive) return;
        adding_voter_ = false;
        if (!answer.ok()) {
          return (*shared)(ErrorCode::kRequestTimedOut,
                           "the new voter cannot be reached: " + to_string(answer.error()));
        }
        const auto [min, max] = kraft_versions(std::get<protocol::ApiVersionsResponse>(*answer));
        voter.min_kraft_version = min;
        voter.max_kraft_version = max;
        add_checked_voter(voter, ack, timeout, std::move(*shared));
      });
}

void MetadataLog::add_checked_voter(const Voter& voter, bool ack_when_committed,
                                    std::int32_t timeout_ms, ChangeDone done) {
  if (const auto refused = refuse_change()) return done(refused->code, refused->detail);
  const std::int16_t level = voters().kraft_version;
  if (level < voter.min_kraft_version || level > voter.max_kraft_version) {
    return done(ErrorCode::kInvalidRequest,
                "the new voter does not support kraft.version " + std::to_string(level));
  }
  const auto replica = core_->replicas().find({voter.id, voter.directory_id});
  const bool caught_up = replica != core_->replicas().end() && replica->second.last_caught_up &&
                         ports_.strand.now() - *replica->second.last_caught_up < kCaughtUpRecently;
  if (!caught_up) {
    return done(ErrorCode::kRequestTimedOut,
                "node " + std::to_string(voter.id.value) + " has not caught up with the log");
  }
  VoterSet set = voters();
  set.voters.push_back(voter);
  if (ack_when_committed) return change_voters(std::move(set), timeout_ms, std::move(done));
  change_voters(std::move(set), timeout_ms, [](ErrorCode, const std::string&) {});
  done(ErrorCode::kNone, "");
}

// --- RemoveRaftVoter, UpdateRaftVoter ---

void MetadataLog::remove_raft_voter(const protocol::RemoveRaftVoterRequest& request,
                                    UniqueFunction<void(protocol::RemoveRaftVoterResponse)> reply) {
  ports_.strand.check_current();
  ChangeDone done = answer_with(std::move(reply));
  if (const ErrorCode error = refuse_request(request.cluster_id, true); error != ErrorCode::kNone) {
    return done(error, "");
  }
  if (const auto refused = refuse_change()) return done(refused->code, refused->detail);
  if (request.voter_id < 0 || request.voter_directory_id == kZeroUuid) {
    return done(ErrorCode::kInvalidRequest, "a voter has an id and a directory id");
  }
  VoterSet set = voters();
  const std::size_t removed = std::erase_if(set.voters, [&](const Voter& voter) {
    return voter.id.value == request.voter_id && voter.directory_id == request.voter_directory_id;
  });
  if (removed == 0) {
    return done(ErrorCode::kVoterNotFound,
                "node " + std::to_string(request.voter_id) + " with directory " +
                    request.voter_directory_id.to_string() + " is no voter");
  }
  if (set.voters.empty()) {
    return done(ErrorCode::kInvalidRequest, "the last voter cannot be removed");
  }
  change_voters(std::move(set), static_cast<std::int32_t>(options_.request_timeout.count()),
                std::move(done));
}

void MetadataLog::update_raft_voter(const protocol::UpdateRaftVoterRequest& request,
                                    UniqueFunction<void(protocol::UpdateRaftVoterResponse)> reply) {
  ports_.strand.check_current();
  ChangeDone done = [this, alive = alive_, reply = std::move(reply)](ErrorCode error,
                                                                     const std::string&) mutable {
    protocol::UpdateRaftVoterResponse response;
    response.error_code = wire(error);
    const LeaderAndEpoch known = *alive ? leader() : LeaderAndEpoch{};
    response.current_leader.leader_id = known.leader ? known.leader->value : -1;
    response.current_leader.leader_epoch = known.epoch.value;
    if (known.endpoint) {
      response.current_leader.host = known.endpoint->host;
      response.current_leader.port = known.endpoint->port;
    }
    reply(std::move(response));
  };
  if (const ErrorCode error = refuse_request(request.cluster_id, true); error != ErrorCode::kNone) {
    return done(error, "");
  }
  if (request.current_leader_epoch < epoch().value) return done(ErrorCode::kFencedLeaderEpoch, "");
  if (request.current_leader_epoch > epoch().value) {
    return done(ErrorCode::kUnknownLeaderEpoch, "");
  }
  // Static voters say so at every start; there is nothing to write down.
  if (leads() && voters().kraft_version == 0) return done(ErrorCode::kNone, "");
  if (const auto refused = refuse_change()) return done(refused->code, refused->detail);
  const auto listeners = listeners_of(request.listeners, default_listener());
  VoterSet set = voters();
  const auto& versions = request.kraft_version_feature;
  if (listeners.empty() || set.kraft_version < versions.min_supported_version ||
      set.kraft_version > versions.max_supported_version) {
    return done(ErrorCode::kInvalidRequest, "");
  }
  const auto voter = std::find_if(set.voters.begin(), set.voters.end(), [&](const Voter& v) {
    return v.id.value == request.voter_id && v.directory_id == request.voter_directory_id;
  });
  if (voter == set.voters.end()) return done(ErrorCode::kVoterNotFound, "");
  const bool moved = correct_listeners(*voter, listeners);
  const bool changed = moved || voter->min_kraft_version != versions.min_supported_version ||
                       voter->max_kraft_version != versions.max_supported_version;
  voter->min_kraft_version = versions.min_supported_version;
  voter->max_kraft_version = versions.max_supported_version;
  if (!changed) return done(ErrorCode::kNone, "");
  change_voters(std::move(set), static_cast<std::int32_t>(options_.request_timeout.count()),
                std::move(done));
}

// --- this node's own entry ---

/// A follower that the voter set has wrong tells the leader: a voter whose addresses changed; with
/// auto-join a controller whose disk is not in it.
void MetadataLog::maybe_correct_own_voter() {
  const Instant now = ports_.strand.now();
  const auto leader = core_->leader().endpoint;
  const bool lately = corrected_at_ && now - *corrected_at_ < options_.fetch_timeout;
  if (lately || !leader || voters().kraft_version < 1 || options_.listeners.empty()) return;
  if (log_end_offset() < leader_high_watermark_) return;  // the set may be an old one
  PeerRequest correction;
  const Voter* same_id = voters().find(options_.node_id);
  if (is_voter()) {
    Voter corrected = *same_id;
    if (!correct_listeners(corrected, options_.listeners)) return;
    protocol::UpdateRaftVoterRequest request;
    request.cluster_id = options_.cluster_id;
    request.current_leader_epoch = epoch().value;
    request.voter_id = options_.node_id.value;
    request.voter_directory_id = options_.directory_id;
    for (const VoterListener& l : options_.listeners) {
      request.listeners.push_back({l.name, l.endpoint.host, l.endpoint.port});
    }
    request.kraft_version_feature = {0, 1};
    correction = std::move(request);
  } else if (!options_.is_controller || !options_.auto_join) {
    return;
  } else if (same_id != nullptr) {
    protocol::RemoveRaftVoterRequest request;  // the disk that was lost
    request.cluster_id = options_.cluster_id;
    request.voter_id = options_.node_id.value;
    request.voter_directory_id = same_id->directory_id;
    correction = std::move(request);
  } else {
    protocol::AddRaftVoterRequest request;
    request.cluster_id = options_.cluster_id;
    request.timeout_ms = static_cast<std::int32_t>(options_.request_timeout.count());
    request.voter_id = options_.node_id.value;
    request.voter_directory_id = options_.directory_id;
    request.ack_when_committed = false;  // commits need this node's fetches meanwhile
    for (const VoterListener& l : options_.listeners) {
      request.listeners.push_back({l.name, l.endpoint.host, l.endpoint.port});
    }
    correction = std::move(request);
  }
  corrected_at_ = now;
  ports_.peers->send(*leader, std::move(correction), options_.request_timeout,
                     [](const Result<PeerResponse>& answer) {
                       if (!answer.ok()) {
                         log_warn(kLogger, "the voter set was not corrected",
                                  {{"error", to_string(answer.error())}});
                       }
                     });
}

}  // namespace broker::quorum
