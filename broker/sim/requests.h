#pragma once

#include <optional>
#include <string>

#include "broker/common/rng.h"
#include "broker/sim/history.h"
#include "broker/sim/router.h"

namespace broker::sim {

class Transactions;

constexpr Duration kRequestTimeout = std::chrono::seconds(4);
constexpr Duration kMaxBackoff = std::chrono::milliseconds(400);

/// What the clients of one topic share.
struct ClientContext {
  io::Strand& strand;
  Router& router;
  History& history;
  std::string topic;
  Transactions* transactions = nullptr;  // those that write to the topic; null: none do
  bool stop = false;  // nothing new is begun; what is under way goes on until it succeeds
};

/// Anything up to `max`, in microseconds.
Duration draw(Rng& rng, Duration max);

/// Creates the topic, again and again until it is there.
void create_topic(ClientContext& context, int partitions, int replicas, int min_insync, Task done);

enum class CoordinatorType : std::int8_t { kGroup = 0, kTransaction = 1 };
/// Asks any node; nullopt: nobody knows now.
void find_coordinator(ClientContext& context, CoordinatorType type, const std::string& key,
                      UniqueFunction<void(std::optional<io::Endpoint>)> done);

/// A group's stable offset of partition 0; nullopt: not to be had there and now.
void fetch_group_offset(ClientContext& context, const io::Endpoint& coordinator,
                        const std::string& group,
                        UniqueFunction<void(std::optional<std::int64_t>)> done);

}  // namespace broker::sim
