#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "broker/common/time.h"

namespace broker::sim {

/// What one run is like. Drawn from the seed; a test may change it before the run.
struct Plan {
  std::uint64_t seed = 1;
  int nodes = 3;  // each is broker and controller
  std::size_t cores = 1;
  int partitions = 2;
  int producers = 2;
  int readers = 1;
  int groups = 1;
  int classic_members = 0;       // of one group; and of another:
  int consumer_members = 0;      // those of KIP-848
  int transactors = 0;           // transactional producers, on a topic of their own
  bool old_transactors = false;  // as before KIP-890
  Duration pause_between_batches = std::chrono::milliseconds(400);  // of a producer, at most
  Duration storm = std::chrono::seconds(300);                       // with faults
  Duration calm = std::chrono::seconds(30);                         // between faults, on average
  // Which faults come.
  bool kills = true;
  bool power_failures = true;  // of one machine, until it is in sync again
  bool freezes = true;
  bool partitions_of_network = true;
  bool resets = true;
  bool restarts = true;
  bool slow_disks = true;
  bool disk_errors = false;
  bool clock_skew = true;
  bool administration = true;  // moved replicas, changed configuration
};

Plan draw_plan(std::uint64_t seed);
std::string describe(const Plan& plan);

}  // namespace broker::sim
