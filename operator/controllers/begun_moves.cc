#include "operator/controllers/begun_moves.h"

namespace op::controllers {

void BegunMoves::add(const std::vector<plan::Move>& moves) {
  const broker::Instant now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  for (const plan::Move& move : moves)
    if (move.replicas) moves_[{move.topic, move.partition}] = {*move.replicas, now};
}

void BegunMoves::forget(const plan::Move& move) {
  const std::lock_guard lock(mutex_);
  moves_.erase({move.topic, move.partition});
}

bool BegunMoves::pending(const broker::metadata::MetadataImage& image) {
  const broker::Instant now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  std::erase_if(moves_, [&](const auto& entry) {
    const auto& [partition_key, begun] = entry;
    const auto* topic = image.topics.find(partition_key.first);
    const auto* partition = topic ? topic->partitions.find(partition_key.second) : nullptr;
    return partition == nullptr || plan::target_replicas(*partition) == begun.replicas ||
           now - begun.at > kForgetAfter;
  });
  return !moves_.empty();
}

}  // namespace op::controllers
