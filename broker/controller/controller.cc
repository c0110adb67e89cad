#include "broker/controller/controller.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "broker/common/check.h"
#include "broker/common/log.h"
#include "broker/controller/cluster.h"
#include "broker/controller/configs.h"
#include "broker/controller/credentials.h"
#include "broker/controller/delegation_tokens.h"
#include "broker/controller/directories.h"
#include "broker/controller/partitions.h"
#include "broker/controller/quotas.h"
#include "broker/controller/reassignments.h"
#include "broker/controller/topics.h"
#include "broker/metadata/features.h"

namespace broker::controller {
namespace {

/// As Kafka: more records than this are no longer one batch.
constexpr std::size_t kMaxRecordsPerBatch = 10'000;

template <class Request>
auto decide_any(const DecideContext& context, BrokerHeartbeats& heartbeats,
                const Request& request) {
  if constexpr (std::is_same_v<Request, protocol::BrokerRegistrationRequest> ||
                std::is_same_v<Request, protocol::BrokerHeartbeatRequest>)
    return decide(context, heartbeats, request);
  else
    return decide(context, request);
}

}  // namespace

Controller::Controller(ControllerOptions options, io::Strand& strand, quorum::MetadataLog& log)
    : Controller(std::move(options), strand, std::make_unique<QuorumRecordLog>(log)) {}

Controller::Controller(ControllerOptions options, io::Strand& strand,
                       std::unique_ptr<RecordLog> log)
    : options_(std::move(options)),
      strand_(strand),
      log_(std::move(log)),
      committed_(metadata::MetadataImage::empty()),
      newest_(committed_),
      heartbeats_(std::chrono::milliseconds(options_.session_timeout_ms),
                  std::chrono::milliseconds(options_.connection_loss_grace_ms)),
      mutation_quotas_(options_.mutation_window),
      rng_(options_.seed) {}

Controller::~Controller() = default;

void Controller::add_listener(ImageListener& listener) {
  listeners_.push_back(&listener);
  if (committed_->provenance.offset.value >= 0)
    listener.on_image({committed_, metadata::diff(*metadata::MetadataImage::empty(), *committed_)});
}

Result<void> Controller::start() {
  strand_.check_current();
  loading_ = true;
  const auto started = log_->start(*this);
  publish_loaded();
  return started;
}

void Controller::stop() {
  strand_.check_current();
  active_ = false;
  strand_.cancel(std::exchange(timer_, io::kNoTimer));
  log_->stop();
  drop_uncommitted();
}

DecideContext Controller::context() {
  DecideContext now{newest_.newest(),       options_,      rng_,
                    log_->log_end_offset(), strand_.now(), partitions_};
  now.wall_now = strand_.wall_now();
  return now;
}

void Controller::handle(ControllerRequest request, ControllerChannel::Done done,
                        const std::optional<Caller>& caller) {
  strand_.check_current();
  if (!active_) return done(Error{ErrorCode::kNotController, "this node does not lead the quorum"});
  std::visit([&](const auto& r) { handle_request(r, std::move(done), caller); }, request);
}

template <class Request>
void Controller::handle_request(const Request& request, ControllerChannel::Done done,
                                const std::optional<Caller>& caller) {
  DecideContext now = context();
  auto quota = caller && last_lenient_version(Request::kApiKey)
                   ? mutation_quotas_.of(now.image.client_quotas, *caller, now.now)
                   : std::nullopt;
  if (quota) now.mutation_quota = &*quota;
  if (caller) now.caller = &*caller;
  auto result = decide_any(now, heartbeats_, request);
  if constexpr (requires { result.response.throttle_time_ms; })
    if (quota)
      result.response.throttle_time_ms = static_cast<std::int32_t>(quota->throttle().count());
  if (!result.note.empty()) log_info(kLogger, result.note);
  if constexpr (std::is_same_v<Request, protocol::BrokerRegistrationRequest>) {
    if (result.response.error_code == 0)
      heartbeats_.touch(BrokerId{request.broker_id}, BrokerEpoch{result.response.broker_epoch},
                        Offset{-1}, strand_.now());
  }
  // Either way the answer waits for what it was decided upon: it may speak of records that are not
  // committed yet ("already exists").
  auto shared = std::make_shared<ControllerChannel::Done>(std::move(done));
  append(
      std::move(result.records), result.atomic,
      [shared, response = std::move(result.response)]() mutable {
        (*shared)(ControllerResponse(std::move(response)));
      },
      [shared] {
        (*shared)(Error{ErrorCode::kNotController, "leadership was lost"});
      });
}

void Controller::append(metadata::MetadataRecords records, bool atomic, Task answer, Task abandon) {
  if (records.empty()) {
    if (pending_.empty()) {
      if (answer) answer();
      return;
    }
    pending_.push_back(
        {pending_.back().last_offset, std::nullopt, std::move(answer), std::move(abandon)});
    return;
  }
  bool appended = true;
  while (appended && !atomic && records.size() > kMaxRecordsPerBatch) {
    const auto rest = records.begin() + kMaxRecordsPerBatch;
    metadata::MetadataRecords later(std::make_move_iterator(rest),
                                    std::make_move_iterator(records.end()));
    records.erase(rest, records.end());
    appended = append_batch(std::exchange(records, std::move(later)));
  }
  if (!appended || !append_batch(std::move(records))) {
    if (abandon) abandon();
    return;
  }
  pending_.back().answer = std::move(answer);
  pending_.back().abandon = std::move(abandon);
  arm_timer();
}

bool Controller::append_batch(metadata::MetadataRecords records) {
  const std::int16_t version = newest_.newest().features.metadata_version();
  for (metadata::MetadataRecord& record : records) metadata::restrict_to_version(record, version);
  const auto appended = log_->append(records, version);
  if (!appended.ok()) {
    log_error(kLogger, "cannot append", {{"error", to_string(appended.error())}});
    return false;
  }
  const metadata::TopicsImage before = newest_.newest().topics;
  for (const metadata::MetadataRecord& record : records) {
    const auto replayed = newest_.replay(record);
    // A record that this very controller made and cannot replay must not reach the brokers.
    if (!replayed.ok())
      check_failed("own record replays", __FILE__, __LINE__, to_string(replayed.error()));
  }
  for (const metadata::MetadataRecord& record : records) {
    const auto* change = std::get_if<protocol::PartitionChangeRecord>(&record);
    // Elected although it may lack records: it says so to whoever fetches from it.
    if (change != nullptr && change->leader >= 0 &&
        change->leader_recovery_state ==
            static_cast<std::int8_t>(metadata::LeaderRecoveryState::kRecovering))
      ++metrics_.unclean_elections;
  }
  last_append_ = strand_.now();
  pending_.push_back({*appended, newest_.apply({*appended, log_->epoch(), strand_.wall_now()}),
                      nullptr, nullptr, last_append_});
  const metadata::MetadataUpdate& update = *pending_.back().update;
  partitions_.apply(before, update.image->topics, update.changes);
  return true;
}

void Controller::publish(const metadata::MetadataUpdate& update) {
  committed_ = update.image;
  for (ImageListener* listener : listeners_) listener->on_image(update);
}

void Controller::on_high_watermark(Offset high_watermark) {
  // One image for everything that was committed together: publishing costs more than merging.
  metadata::MetadataUpdate merged;
  std::vector<Task> answers;
  while (!pending_.empty() && pending_.front().last_offset < high_watermark) {
    Pending& first = pending_.front();
    if (first.update) {
      ++metrics_.commits;
      metrics_.commit_time += strand_.now() - first.appended_at;
      merged.image = std::move(first.update->image);
      merged.changes.merge(first.update->changes);
    }
    if (first.answer) answers.push_back(std::move(first.answer));
    pending_.pop_front();
  }
  // Listeners first: whoever gets an answer finds its effect in the image.
  if (merged.image) publish(merged);
  for (Task& answer : answers) answer();
}

void Controller::drop_uncommitted() {
  std::deque<Pending> dropped = std::exchange(pending_, {});
  if (!dropped.empty()) {
    const metadata::MetadataImage& newest = newest_.newest();
    partitions_.apply(newest.topics, committed_->topics, metadata::diff(newest, *committed_));
  }
  newest_ = metadata::MetadataDelta(committed_);
  for (Pending& pending : dropped)
    if (pending.abandon) pending.abandon();
}

void Controller::on_snapshot(const quorum::LoadedSnapshot& snapshot) {
  newest_ = metadata::MetadataDelta(metadata::MetadataImage::empty());
  loaded_ = {snapshot.id.end_offset + -1, snapshot.id.epoch, snapshot.last_contained_log_timestamp};
  replaced_ = true;
  replay_committed(snapshot.records);
  if (!loading_) publish_loaded();
}

void Controller::on_committed(const quorum::CommittedRecords& committed) {
  loaded_ = {committed.last_offset, committed.epoch, committed.timestamp};
  replay_committed(committed.records);
  if (!loading_) publish_loaded();
}

void Controller::replay_committed(const metadata::MetadataRecords& records) {
  for (const metadata::MetadataRecord& record : records) {
    if (failed_) return;
    if (const auto replayed = newest_.replay(record); !replayed.ok()) on_fatal(replayed.error());
  }
}

/// Publishes what was replayed since the last time; while the log loads, that is once for all of
/// it.
void Controller::publish_loaded() {
  loading_ = false;
  // A log without even its bootstrap records says nothing yet.
  const bool bootstrapped = newest_.newest().features.level(metadata::kMetadataVersionFeature) != 0;
  if (!loaded_ || failed_ || !bootstrapped) return;
  metadata::MetadataUpdate update = newest_.apply(*loaded_);
  // After a snapshot the changes of the replay say nothing about what was there before.
  if (replaced_) update.changes = metadata::diff(*committed_, *update.image);
  if (options_.may_be_active)
    partitions_.apply(committed_->topics, update.image->topics, update.changes);
  loaded_.reset();
  replaced_ = false;
  publish(update);
}

void Controller::on_leader_change(const quorum::LeaderAndEpoch& leader) {
  if (leader.leader && *leader.leader != options_.node_id) last_leader_ = leader.leader;
  for (ImageListener* listener : listeners_) listener->on_leader_change(leader);
}

void Controller::on_leader(LeaderEpoch epoch) {
  CHECK(options_.may_be_active);
  publish_loaded();
  if (failed_) return;
  active_ = true;
  log_info(kLogger, "became the active controller", {{"epoch", epoch.value}});
  if (newest_.in_transaction()) {
    protocol::AbortTransactionRecord abort;
    abort.reason = "there was an unfinished transaction when this controller became active";
    append_own({std::move(abort)});
  }
  if (newest_.newest().features.level(metadata::kMetadataVersionFeature) == 0) bootstrap();
  if (auto registration = register_controller(context()); !registration.empty())
    append_own(std::move(registration));
  take_over_sessions();
  const Instant now = strand_.now();
  last_append_ = now;
  next_balance_ = now + std::chrono::milliseconds(options_.leader_imbalance_check_interval_ms);
  next_unclean_sweep_ =
      now + std::chrono::milliseconds(options_.unclean_leader_election_interval_ms);
  next_token_sweep_ =
      now + std::chrono::milliseconds(options_.delegation_tokens.expiry_check_interval_ms);
  arm_timer();
}

void Controller::bootstrap() {
  log_info(kLogger, "the metadata log is empty: writing the bootstrap records",
           {{"records", options_.bootstrap_records.size()}});
  append(bootstrap_records(context()), true, nullptr, nullptr);
}

void Controller::on_resigned() {
  active_ = false;
  strand_.cancel(std::exchange(timer_, io::kNoTimer));
  drop_uncommitted();
}

void Controller::on_fatal(const Error& error) {
  const bool led = std::exchange(active_, false);
  failed_ = true;
  log_error(kLogger, "the metadata log failed", {{"error", to_string(error)}});
  if (led) {
    strand_.cancel(std::exchange(timer_, io::kNoTimer));
    drop_uncommitted();
  }
  for (ImageListener* listener : listeners_) listener->on_controller_fatal(error);
}

}  // namespace broker::controller
