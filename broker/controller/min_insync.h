#pragma once

#include "broker/controller/types.h"

namespace broker::controller {

/// min.insync.replicas decides which replicas are eligible leaders (KIP-966), so with that feature
/// on all controllers must agree on it. Refuses values for single brokers and the removal of the
/// cluster-wide one: kInvalidConfig, with Kafka's sentence.
Result<void> check_min_insync_change(const metadata::MetadataImage& image,
                                     const metadata::MetadataRecords& config_records);
/// What has to follow config records: eligible leaders under another minimum are none any more,
/// but where nobody is in sync.
metadata::MetadataRecords after_min_insync_change(const DecideContext& context,
                                                  const metadata::MetadataRecords& config_records);
/// What has to precede the feature: no value for single brokers, and one for the whole cluster.
metadata::MetadataRecords prepare_elr(const metadata::MetadataImage& image,
                                      const ControllerOptions& options);

}  // namespace broker::controller
