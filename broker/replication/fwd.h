#pragma once

namespace broker::replication {
class FetchSessionCache;
class Partition;
class ReplicaManager;
struct FetchPlan;
struct ProducePlan;
}  // namespace broker::replication
