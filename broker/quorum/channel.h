#pragma once

#include <variant>

#include "broker/common/function.h"
#include "broker/io/strand.h"
#include "broker/quorum/metadata_log.h"

namespace broker::quorum {

using QuorumRequest = std::variant<protocol::FetchRequest, protocol::FetchSnapshotRequest,
                                   protocol::DescribeQuorumRequest>;
using QuorumResponse = std::variant<protocol::FetchResponse, protocol::FetchSnapshotResponse,
                                    protocol::DescribeQuorumResponse>;

/// Carries requests that a listener received to the quorum's strand of the same process. `home` is
/// the caller's strand: send() is called there and `done` runs there. The log must outlive what is
/// under way; shut it down, then drain both strands.
class QuorumChannel {
 public:
  QuorumChannel(io::Strand& home, io::Strand& quorum_strand, MetadataLog& log)
      : home_(home), quorum_strand_(quorum_strand), log_(log) {}

  void send(QuorumRequest request, UniqueFunction<void(QuorumResponse)> done);

 private:
  io::Strand& home_;
  io::Strand& quorum_strand_;
  MetadataLog& log_;
};

}  // namespace broker::quorum
