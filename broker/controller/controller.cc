#include "broker/controller/controller.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "broker/common/log.h"
#include "broker/controller/cluster.h"
#include "broker/controller/configs.h"
#include "broker/controller/credentials.h"
#include "broker/controller/partitions.h"
#include "broker/controller/topics.h"
#include "broker/metadata/features.h"

namespace broker::controller {
namespace {

constexpr std::string_view kLogger = "controller";

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
    : options_(std::move(options)),
      strand_(strand),
      log_(log),
      committed_(metadata::MetadataImage::empty()),
      newest_(committed_),
      heartbeats_(std::chrono::milliseconds(options_.session_timeout_ms)),
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
  const auto started = log_.start(*this);
  publish_loaded();
  return started;
}

void Controller::stop() {
  strand_.check_current();
  active_ = false;
  strand_.cancel(std::exchange(timer_, io::kNoTimer));
  log_.stop();
  drop_uncommitted();
}

DecideContext Controller::context() {
  return DecideContext{newest_.newest(), options_, rng_, log_.log_end_offset(), strand_.now()};
}

void Controller::handle(ControllerRequest request, ControllerChannel::Done done) {
  strand_.check_current();
  if (!active_) return done(Error{ErrorCode::kNotController, "this node does not lead the quorum"});
  std::visit([&](const auto& r) { handle_request(r, std::move(done)); }, request);
}

template <class Request>
void Controller::handle_request(const Request& request, ControllerChannel::Done done) {
  auto result = decide_any(context(), heartbeats_, request);
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
      std::move(result.records),
      [shared, response = std::move(result.response)]() mutable {
        (*shared)(ControllerResponse(std::move(response)));
      },
      [shared] {
        (*shared)(Error{ErrorCode::kNotController, "leadership was lost"});
      });
}

void Controller::append(metadata::MetadataRecords records, Task answer, Task abandon) {
  if (records.empty()) {
    if (pending_.empty()) {
      if (answer) answer();
      return;
    }
    pending_.push_back(
        {pending_.back().last_offset, std::nullopt, std::move(answer), std::move(abandon)});
    return;
  }
  const std::int16_t version = newest_.newest().features.metadata_version();
  for (metadata::MetadataRecord& record : records) metadata::restrict_to_version(record, version);
  const auto appended = log_.append(records, version);
  if (!appended.ok()) {
    log_error(kLogger, "cannot append", {{"error", to_string(appended.error())}});
    if (abandon) abandon();
    return;
  }
  for (const metadata::MetadataRecord& record : records) {
    const auto replayed = newest_.replay(record);
    // A record that this very controller made and cannot replay must not reach the brokers.
    if (!replayed.ok())
      check_failed("own record replays", __FILE__, __LINE__, to_string(replayed.error()));
  }
  pending_.push_back({*appended, newest_.apply({*appended, log_.epoch(), strand_.wall_now()}),
                      std::move(answer), std::move(abandon)});
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
  if (!loaded_ || failed_) return;
  metadata::MetadataUpdate update = newest_.apply(*loaded_);
  // After a snapshot the changes of the replay say nothing about what was there before.
  if (replaced_) update.changes = metadata::diff(*committed_, *update.image);
  loaded_.reset();
  replaced_ = false;
  publish(update);
}

void Controller::on_leader(LeaderEpoch epoch) {
  publish_loaded();
  if (failed_) return;
  active_ = true;
  log_info(kLogger, "became the active controller", {{"epoch", epoch.value}});
  if (newest_.in_transaction()) {
    protocol::AbortTransactionRecord abort;
    abort.reason = "there was an unfinished transaction when this controller became active";
    append({std::move(abort)}, nullptr, nullptr);
  }
  if (newest_.newest().features.level(metadata::kMetadataVersionFeature) == 0) bootstrap();
  if (auto registration = register_controller(context()); !registration.empty())
    append(std::move(registration), nullptr, nullptr);
  heartbeats_.reset(newest_.newest().cluster, strand_.now());
  schedule_tick();
}

void Controller::bootstrap() {
  log_info(kLogger, "the metadata log is empty: writing the bootstrap records",
           {{"records", options_.bootstrap_records.size()}});
  append(bootstrap_records(options_.bootstrap_records), nullptr, nullptr);
}

void Controller::on_resigned() {
  active_ = false;
  strand_.cancel(std::exchange(timer_, io::kNoTimer));
  drop_uncommitted();
}

void Controller::on_fatal(const Error& error) {
  active_ = false;
  failed_ = true;
  log_error(kLogger, "the metadata log failed", {{"error", to_string(error)}});
  for (ImageListener* listener : listeners_) listener->on_controller_fatal(error);
}

/// Wakes up when the next session ends, not in between: an idle controller costs nothing.
void Controller::schedule_tick() {
  const auto next = heartbeats_.next_expiry(newest_.newest().cluster);
  const auto retry = strand_.now() + std::chrono::milliseconds(options_.session_timeout_ms);
  timer_ = strand_.call_at(next.value_or(retry), [this] { tick(); });
}

void Controller::tick() {
  timer_ = io::kNoTimer;
  if (!active_) return;
  // One broker per turn, as Kafka does, so that heartbeats waiting in line can still save others.
  if (const auto expired = heartbeats_.next_expired(newest_.newest().cluster, strand_.now())) {
    log_warn(kLogger, "fencing a broker that sends no heartbeats",
             {{"broker", expired->value}, {"session_timeout_ms", options_.session_timeout_ms}});
    append(fence_broker(context(), *expired), nullptr, nullptr);
  }
  schedule_tick();
}

}  // namespace broker::controller
