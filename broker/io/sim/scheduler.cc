#include "broker/io/sim/scheduler.h"

#include <algorithm>

namespace broker::io::sim {

Actor::Actor(Scheduler& scheduler)
    : scheduler_(scheduler), actor_id_(static_cast<std::uint32_t>(scheduler.actors_.size())) {
  scheduler.actors_.push_back(this);
}

Actor::~Actor() { scheduler_.actors_[actor_id_] = nullptr; }

void Actor::wake_at(Instant when, std::uint64_t token) {
  scheduler_.push({std::max(when, scheduler_.now()), 0, actor_id_, token, nullptr});
}

Scheduler::Scheduler(std::uint64_t seed) : rng_(seed) {}
Scheduler::~Scheduler() = default;

bool Scheduler::chance(double probability) {
  if (probability <= 0) return false;
  return static_cast<double>(rng_.next() >> 11) * 0x1.0p-53 < probability;
}

Duration Scheduler::between(Duration min, Duration max) {
  if (max <= min) return min;
  return min + Duration(static_cast<Duration::rep>(
                   rng_.below(static_cast<std::uint64_t>((max - min).count()) + 1)));
}

void Scheduler::at(Instant when, Task task) {
  push({std::max(when, now_), 0, 0, 0, std::move(task)});
}

void Scheduler::push(Event event) {
  event.sequence = next_sequence_++;
  heap_.push_back(std::move(event));
  std::push_heap(heap_.begin(), heap_.end(), later);
}

bool Scheduler::step() {
  if (heap_.empty()) return false;
  std::pop_heap(heap_.begin(), heap_.end(), later);
  Event event = std::move(heap_.back());
  heap_.pop_back();
  now_ = event.when;
  charged_ = {};
  ++events_;
  note(static_cast<std::uint64_t>(event.when.time_since_epoch().count()));
  note(event.actor);
  if (event.task) {
    event.task();
  } else if (Actor* actor = actors_[event.actor]; actor != nullptr) {
    actor->on_wake(event.token);
  }
  if (observer_) observer_();
  return true;
}

void Scheduler::run_until(Instant end) {
  while (!heap_.empty() && heap_.front().when <= end) step();
  now_ = std::max(now_, end);
}

bool Scheduler::run_until_true(const std::function<bool()>& done, Duration limit) {
  const Instant end = now_ + limit;
  while (!done()) {
    if (heap_.empty() || heap_.front().when > end) {
      now_ = std::max(now_, end);
      return false;
    }
    step();
  }
  return true;
}

void Scheduler::note(std::uint64_t value) {
  hash_ = (hash_ ^ value) * 0x9e3779b97f4a7c15ULL;
  hash_ ^= hash_ >> 29;
}

}  // namespace broker::io::sim
