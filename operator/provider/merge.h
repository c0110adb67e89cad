#pragma once

#include <nlohmann/json_fwd.hpp>

namespace op::provider {

/// What server-side apply does, for stores without an API server: `live` gets every field of
/// `wanted`; fields that were in `applied` (what was applied last) and are in `wanted` no more go
/// away; all others stay. Lists are one value.
void apply_fields(nlohmann::json& live, const nlohmann::json& applied,
                  const nlohmann::json& wanted);

/// Whether `live` has every field of `wanted` with that value. Objects in lists are compared the
/// same way, element by element, so that defaults filled in by the API server do not count as a
/// difference. Equal quantities in another spelling ("1Gi", "1024Mi") differ.
bool has_fields(const nlohmann::json& live, const nlohmann::json& wanted);

}  // namespace op::provider
