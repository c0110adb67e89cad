#pragma once

#include <optional>
#include <string>

#include "operator/plan/types.h"

/// Shared by the plans of this folder.
namespace op::plan::detail {

/// The rule that keeps an emptied cluster from being filled by surprise: nullopt when the object
/// was never written to a cluster, or to the one that answers now, or when the user has
/// acknowledged the new one (on the Cluster or on the object itself).
std::optional<Verdict> cluster_id_changed(const std::string& known, const std::string& now,
                                          const std::string& acknowledged,
                                          const api::ObjectMeta& object);

/// Whether the verdict is news: an Event is worth it only then.
bool is_news(const std::vector<api::Condition>& conditions, const Verdict& verdict);

template <class Status>
void begin_status(Status& status, const api::ObjectMeta& metadata) {
  status.observed_generation = metadata.generation;
}

/// "1 partition", "12 partitions".
std::string counted(std::int64_t count, const std::string& noun);

}  // namespace op::plan::detail
