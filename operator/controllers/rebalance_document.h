#pragma once

#include <optional>
#include <string>

#include "operator/api/rebalance.h"
#include "operator/kube/object.h"
#include "operator/plan/rebalance.h"

namespace op::controllers {

/// Of the ConfigMap that keeps a proposal: the name of its Rebalance.
inline constexpr const char* kRebalanceLabel = "millrace.io/rebalance";

kube::ObjectKey document_key(const kube::ObjectKey& rebalance);

/// The ConfigMap of a proposal, which goes with its Rebalance. `reassignment.json` and
/// `rollback.json` are what kafka-reassign-partitions.sh takes.
std::string encode_document(const api::Rebalance& rebalance,
                            const plan::RebalanceDocument& document);
/// nullopt: it is not what encode_document() wrote.
std::optional<plan::RebalanceDocument> decode_document(const kube::Object& config_map);

}  // namespace op::controllers
