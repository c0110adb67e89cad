#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "operator/api/cluster.h"
#include "operator/controllers/cluster_registry.h"
#include "operator/controllers/context.h"
#include "operator/plan/balance.h"
#include "operator/plan/replica_moves.h"

namespace op::controllers {

/// Asks Kafka for the moves, each answered through what `answer` returns for it. With a throttle,
/// its limits come first, and a move is asked for when they are answered: both are records of one
/// log, so that every broker knows the limit before it copies anything.
void send_moves(const ClusterHandlePtr& handle, const broker::metadata::MetadataImage& image,
                std::optional<std::int64_t> throttle, const std::vector<plan::Move>& moves,
                const std::function<AdminBatcher::Done(const plan::Move&)>& answer);

/// Bytes of one replica of each partition: of the largest one.
plan::PartitionBytes bytes_by_partition(const kafka::LogSizes& sizes);

/// Limits that are missing, or that nobody needs any more. Returns whether there is more to do.
bool apply_throttle(const Context& context, const api::Cluster& cluster,
                    const api::ClusterStatus& status, const broker::metadata::MetadataImage& image,
                    ClusterHandle& handle);

}  // namespace op::controllers
