#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "broker/common/result.h"

namespace op::kube {

/// Splits the text of a Kubernetes list into its items without parsing it: a DOM of 500 objects
/// would take ten times their size at once. `on_item` gets each element of the top-level "items"
/// array. Returns the text of the top-level "metadata" object ("" when there is none).
/// Errors: kInvalidRequest for text that is not a JSON object.
broker::Result<std::string> split_items(std::string_view json,
                                        const std::function<void(std::string_view)>& on_item);

}  // namespace op::kube
