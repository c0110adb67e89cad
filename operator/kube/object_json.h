#pragma once

#include <nlohmann/json_fwd.hpp>

#include "operator/kube/object.h"

namespace op::kube {

/// Makes the snapshot from a parsed object (which is changed: what is not kept goes). Throws
/// nlohmann's exceptions on fields of a wrong type.
ObjectPtr build_object(nlohmann::json& document, const Kind* kind);

}  // namespace op::kube
