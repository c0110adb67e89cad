#pragma once

#include "broker/metadata/delta.h"
#include "operator/kafka/cluster_view.h"

namespace op::kafka {

/// Ids become names; what is gone is named by `before`.
Changes name_changes(const broker::metadata::MetadataChanges& changes,
                     const broker::metadata::MetadataImage& before,
                     const broker::metadata::MetadataImage& after);

inline bool empty(const Changes& changes) { return changes == Changes{}; }

}  // namespace op::kafka
