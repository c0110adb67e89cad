#pragma once

// What every generated message header needs; kept light because a handler includes several.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/common/uuid.h"
#include "broker/protocol/api_key.h"

namespace broker::protocol {

class Reader;
class Writer;

}  // namespace broker::protocol
