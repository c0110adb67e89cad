#pragma once

#include <cstdint>

#include "broker/common/ids.h"

namespace broker::storage {

/// An entry of .txnindex: a transaction whose abort marker lies in that segment.
struct AbortedTxn {
  ProducerId producer_id;
  Offset first_offset;
  Offset last_offset;  // of the marker
  Offset last_stable_offset;

  bool operator==(const AbortedTxn&) const = default;
};

}  // namespace broker::storage
