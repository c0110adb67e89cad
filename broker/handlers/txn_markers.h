#pragma once

#include "broker/common/function.h"
#include "broker/protocol/messages/write_txn_markers_request.h"
#include "broker/protocol/messages/write_txn_markers_response.h"

namespace broker::handlers {

struct Services;

/// Writes the markers that a coordinator asks for, on this broker perhaps itself, into the
/// partitions that this broker leads. `done` runs on the strand of the call.
void write_markers(Services& services, protocol::WriteTxnMarkersRequest request,
                   UniqueFunction<void(protocol::WriteTxnMarkersResponse)> done);

}  // namespace broker::handlers
