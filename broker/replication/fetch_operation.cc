#include "broker/replication/fetch_operation.h"

#include <algorithm>

namespace broker::replication {

/// The part of a Fetch that happens on one strand.
class FetchOperation::ShardFetch final : public FetchWaiter,
                                         public std::enable_shared_from_this<ShardFetch> {
 public:
  ShardFetch(std::shared_ptr<FetchOperation> operation, Part part, std::int32_t max_bytes,
             bool alone)
      : operation_(std::move(operation)),
        part_(std::move(part)),
        max_bytes_(max_bytes),
        alone_(alone) {}

  io::Strand& strand() { return part_.table->strand(); }

  void read(bool wait) {
    stop_waiting();
    const FetchPlan& plan = operation_->plan_;
    Results results;
    results.reserve(part_.indexes.size());
    bytes_ = 0;
    bool decided = false;
    counted_.resize(part_.indexes.size());
    for (std::size_t i = 0; i < part_.indexes.size(); ++i) {
      FetchResult result = read_one(plan.partitions[part_.indexes[i]], counted_[i]);
      bytes_ += static_cast<std::int64_t>(result.records.size());
      decided = decided || result.error != ErrorCode::kNone || result.diverging_epoch ||
                result.preferred_read_replica;
      results.emplace_back(part_.indexes[i], std::move(result));
    }
    first_round_ = false;
    if (wait && !decided && bytes_ < plan.min_bytes) start_waiting();
    run_on(operation_->origin_, [operation = operation_, results = std::move(results)]() mutable {
      operation->on_results(std::move(results));
    });
  }

  void stop_waiting() {
    for (auto& [partition, handle] : waiting_)
      partition->remove_fetch_waiter(operation_->plan_.reader, handle);
    waiting_.clear();
  }

  void on_progress(std::int64_t bytes, bool decided) override {
    if (notified_) return;
    bytes_ += bytes;
    // Only the gathering side knows what the other strands have.
    if (!decided && alone_ && bytes_ < operation_->plan_.min_bytes) return;
    notified_ = true;
    // Posted even on the same strand: the partition is in the middle of telling its waiters.
    operation_->origin_.post([operation = operation_] { operation->on_progress(); });
  }

 private:
  FetchResult read_one(const FetchPartition& asked, std::int64_t& counted) {
    const FetchPlan& plan = operation_->plan_;
    FetchResult result;
    Partition* partition = part_.table->find(asked.at.topic_id, asked.at.partition);
    if (!partition) {
      result.error = ErrorCode::kNotLeaderOrFollower;
      return result;
    }
    TopicCounters& counters = partition->counters();
    if (first_round_) ++counters.fetch_requests;
    const std::int64_t left = std::max<std::int64_t>(max_bytes_ - bytes_, 0);
    const auto limit = static_cast<std::int32_t>(std::min<std::int64_t>(asked.max_bytes, left));
    std::optional<BrokerId> rather;
    if (!plan.rack.empty())
      rather = part_.table->preferred_replica(*partition, plan.rack, asked.position.offset);
    result = partition->fetch(plan.reader, asked.position, rather ? 0 : limit,
                              !rather && bytes_ == 0, plan.isolation, strand().now());
    if (result.error == ErrorCode::kNone) result.preferred_read_replica = rather;
    // What an earlier round had read was not sent.
    std::int64_t& out =
        plan.reader.is_replica() ? counters.replication_bytes_out : counters.bytes_out;
    out += static_cast<std::int64_t>(result.records.size()) - counted;
    counted = static_cast<std::int64_t>(result.records.size());
    return result;
  }

  void start_waiting() {
    notified_ = false;
    for (const std::size_t index : part_.indexes) {
      const TopicIdPartition& at = operation_->plan_.partitions[index].at;
      Partition* partition = part_.table->find(at.topic_id, at.partition);
      if (!partition) continue;
      waiting_.emplace_back(
          partition->shared_from_this(),
          partition->add_fetch_waiter(operation_->plan_.reader, shared_from_this()));
    }
  }

  const std::shared_ptr<FetchOperation> operation_;
  const Part part_;
  const std::int32_t max_bytes_;
  const bool alone_;  // no other strand takes part
  std::vector<std::pair<std::shared_ptr<Partition>, Partition::WaiterHandle>> waiting_;
  std::vector<std::int64_t> counted_;  // bytes of the last round in the counters
  std::int64_t bytes_ = 0;
  bool notified_ = false;
  bool first_round_ = true;
};

FetchOperation::FetchOperation(io::Strand& origin, FetchPlan plan, FetchCallback callback)
    : origin_(origin), plan_(std::move(plan)), callback_(std::move(callback)) {}

void FetchOperation::start(std::vector<Part> parts) {
  results_.resize(plan_.partitions.size());
  for (Part& part : parts) {
    // A fair share each; one batch per strand may exceed it, the sum is cut at the end.
    const std::int64_t share = static_cast<std::int64_t>(plan_.max_bytes) *
                               static_cast<std::int64_t>(part.indexes.size()) /
                               static_cast<std::int64_t>(plan_.partitions.size());
    shards_.push_back(std::make_shared<ShardFetch>(
        shared_from_this(), std::move(part), static_cast<std::int32_t>(share), parts.size() == 1));
  }
  last_round_ = shards_.empty() || plan_.max_wait.count() <= 0;
  if (shards_.empty()) return finish();
  begin_round();
}

void FetchOperation::begin_round() {
  outstanding_ = shards_.size();
  progress_ = false;
  waits_ = !last_round_;
  // A copy: the last answer of an inline round ends the operation and clears the list.
  const auto shards = shards_;
  for (const auto& shard : shards)
    run_on(shard->strand(), [shard, wait = waits_] { shard->read(wait); });
}

void FetchOperation::on_results(Results results) {
  for (auto& [index, result] : results) results_[index] = std::move(result);
  if (--outstanding_ > 0) return;
  if (last_round_ || has_enough()) return finish();
  if (deadline_ == io::kNoTimer)
    deadline_ =
        origin_.call_after(plan_.max_wait, [self = shared_from_this()] { self->on_deadline(); });
  if (progress_) begin_round();
}

void FetchOperation::on_progress() {
  if (!callback_) return;
  if (outstanding_ > 0)
    progress_ = true;
  else
    begin_round();
}

void FetchOperation::on_deadline() {
  deadline_ = io::kNoTimer;
  if (!callback_) return;
  last_round_ = true;
  // A round under way ends it: whatever comes now is the answer.
  if (outstanding_ == 0) begin_round();
}

bool FetchOperation::has_enough() const {
  std::int64_t bytes = 0;
  for (const FetchResult& result : results_) {
    if (result.error != ErrorCode::kNone || result.diverging_epoch || result.preferred_read_replica)
      return true;
    bytes += static_cast<std::int64_t>(result.records.size());
  }
  return bytes >= plan_.min_bytes;
}

void FetchOperation::stay_within_max_bytes() {
  std::int64_t left = plan_.max_bytes;
  bool first = true;
  for (FetchResult& result : results_) {
    if (result.records.empty()) continue;
    const auto size = static_cast<std::int64_t>(result.records.size());
    if (!first && size > left) {
      result.records = Slice();
      result.aborted.clear();
      continue;
    }
    first = false;
    left -= size;
  }
}

void FetchOperation::finish() {
  if (deadline_ != io::kNoTimer) origin_.cancel(deadline_);
  deadline_ = io::kNoTimer;
  if (waits_)
    for (const auto& shard : shards_) run_on(shard->strand(), [shard] { shard->stop_waiting(); });
  shards_.clear();
  stay_within_max_bytes();
  FetchCallback callback = std::move(callback_);
  callback_ = nullptr;
  callback(std::move(results_));
}

}  // namespace broker::replication
