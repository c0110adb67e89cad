#pragma once

#include "broker/common/function.h"
#include "broker/io/strand.h"
#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/quorum/metadata_log.h"

namespace broker::quorum {

/// A fetch at the high watermark: answered when that moves, or when its time is over.
struct MetadataLog::ParkedFetch {
  protocol::FetchRequest request;
  std::int16_t version;
  UniqueFunction<void(protocol::FetchResponse)> done;
  io::TimerId timer = io::kNoTimer;
};

}  // namespace broker::quorum
