#include "operator/controllers/runner.h"

#include <algorithm>

#include "broker/common/log.h"

namespace op::controllers {

using reconcile::WorkKey;
using reconcile::WorkQueue;

Runner::Runner(provider::ResourceStore& store, RunnerOptions options)
    : store_(store), options_(options) {}

Runner::~Runner() { stop(); }

void Runner::add(Controller& controller) {
  const std::string kind(controller.kind().kind);
  controllers_[kind] = &controller;
  counters_[kind] = std::make_unique<Counters>();
  watch(controller.kind(), [kind](const kube::ObjectPtr& old, const kube::ObjectPtr& now) {
    return std::vector<WorkKey>{{kind, (now ? now : old)->key}};
  });
}

void Runner::watch(const kube::Kind& kind, Mapper mapper) {
  store_.subscribe(kind, [this, mapper = std::move(mapper)](const kube::ObjectPtr& old,
                                                            const kube::ObjectPtr& now) {
    for (const WorkKey& key : mapper(old, now)) enqueue(key);
  });
}

void Runner::enqueue(const WorkKey& key) {
  const std::lock_guard lock(mutex_);
  if (queue_) queue_->add(key);
}

void Runner::enqueue_after(const WorkKey& key, broker::Duration delay) {
  const std::lock_guard lock(mutex_);
  if (queue_) queue_->add_after(key, delay);
}

void Runner::enqueue_all() {
  for (const auto& [kind, controller] : controllers_) {
    for (const auto& object : store_.list(controller->kind(), "", "")) {
      enqueue({kind, object->key});
    }
  }
}

void Runner::start() {
  std::shared_ptr<WorkQueue> queue;
  {
    const std::lock_guard lock(mutex_);
    if (queue_) return;
    queue_ = queue = std::make_shared<WorkQueue>(options_.backoff);
  }
  enqueue_all();
  for (int i = 0; i < options_.workers; ++i) {
    workers_.emplace_back([this, queue] { work(*queue); });
  }
}

void Runner::stop() {
  {
    const std::lock_guard lock(mutex_);
    if (!queue_) return;
    queue_->shut_down();
    queue_.reset();
  }
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

void Runner::work(WorkQueue& queue) {
  while (const auto key = queue.take()) {
    reconcile_one(queue, *key);
    queue.done(*key);
  }
}

void Runner::reconcile_one(WorkQueue& queue, const WorkKey& key) {
  const auto found = controllers_.find(key.kind);
  CHECK(found != controllers_.end());
  Counters& counters = *counters_.at(key.kind);
  const auto began = std::chrono::steady_clock::now();
  Outcome outcome;
  try {
    outcome = found->second->reconcile(key.object);
  } catch (const std::exception& e) {
    // A bug, but of one object: the others go on.
    outcome = Outcome::failed({broker::ErrorCode::kUnknownServerError, e.what()});
  }
  const auto took = std::chrono::steady_clock::now() - began;
  const auto bucket = std::lower_bound(kBuckets.begin(), kBuckets.end(), took) - kBuckets.begin();
  counters.took[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
  counters.reconciles.fetch_add(1, std::memory_order_relaxed);
  counters.busy_microseconds.fetch_add(
      std::chrono::duration_cast<std::chrono::microseconds>(took).count(),
      std::memory_order_relaxed);
  if (!outcome.error) {
    queue.forget(key);
    queue.add_after(key, outcome.again_after.value_or(options_.resync));
    return;
  }
  counters.failures.fetch_add(1, std::memory_order_relaxed);
  const auto delay = queue.add_failed(key);
  const auto level = queue.failures(key) > 3 ? broker::LogLevel::kWarn : broker::LogLevel::kInfo;
  broker::log(level, "controllers", "reconcile failed, will retry",
              {{"kind", key.kind},
               {"object", to_string(key.object)},
               {"error", to_string(*outcome.error)},
               {"failures", queue.failures(key)},
               {"retry_ms", std::chrono::duration_cast<std::chrono::milliseconds>(delay).count()}});
}

int Runner::run_until_idle(int limit) {
  std::shared_ptr<WorkQueue> queue;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (!queue_) {
      queue_ = std::make_shared<WorkQueue>(options_.backoff);
      first = true;
    }
    queue = queue_;
  }
  if (first) enqueue_all();
  int count = 0;
  while (count < limit) {
    const auto key = queue->try_take();
    if (!key) break;
    reconcile_one(*queue, *key);
    queue->done(*key);
    ++count;
  }
  return count;
}

std::size_t Runner::depth() const {
  const std::lock_guard lock(mutex_);
  return queue_ ? queue_->depth() : 0;
}

}  // namespace op::controllers
