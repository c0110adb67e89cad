#pragma once

#include "broker/common/function.h"
#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/metadata/image.h"
#include "broker/metadata/record.h"
#include "broker/protocol/messages/describe_quorum_request.h"
#include "broker/protocol/messages/describe_quorum_response.h"
#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/protocol/messages/fetch_snapshot_request.h"
#include "broker/protocol/messages/fetch_snapshot_response.h"
#include "broker/quorum/types.h"

namespace broker::quorum {

/// The state machine above the log (the controller). All calls come on the quorum's strand.
class QuorumListener {
 public:
  virtual ~QuorumListener() = default;
  /// Replaces everything delivered before.
  virtual void on_snapshot(const LoadedSnapshot& snapshot) = 0;
  /// Committed records of this or an earlier leader, in order, before on_leader. What the listener
  /// appended itself comes as on_high_watermark.
  virtual void on_committed(const CommittedRecords& records) = 0;
  /// This node leads `epoch`; everything committed before was delivered; append() works from now.
  virtual void on_leader(LeaderEpoch epoch) = 0;
  /// No longer leader. Records appended and not yet reported by on_high_watermark may be lost.
  virtual void on_resigned() = 0;
  /// Everything below `high_watermark` is committed.
  virtual void on_high_watermark(Offset high_watermark) = 0;
  /// A write or sync failed: the log is unusable until the process starts again.
  virtual void on_fatal(const Error& error) = 0;
  /// The newest committed image, for a snapshot. nullptr = not now.
  virtual metadata::ImagePtr committed_image() const = 0;
};

struct AppendedRecords {
  Offset first_offset;
  Offset last_offset;
  WallMs timestamp = 0;
};

/// `__cluster_metadata-0` as its users see it. Lives on the controller's strand. The only thing
/// that a quorum of several voters replaces is what stands behind this.
class MetadataLog {
 public:
  virtual ~MetadataLog() = default;

  /// Loads snapshot and log, delivers them, takes part in the quorum. Blocks until loaded. Errors:
  /// kKafkaStorageError, kInvalidConfig (not formatted, foreign directory), kCorruptMessage,
  /// kUnsupportedVersion (records of newer software).
  virtual Result<void> start(QuorumListener& listener) = 0;
  /// Syncs and closes; nothing is delivered after it. Parked fetches are answered with
  /// kBrokerNotAvailable.
  virtual Result<void> shutdown() = 0;

  /// Writes the records as one batch (more only above 8 MiB), in order after everything appended
  /// before, and commits them in the background. Only while leading. Errors: kNotController; a
  /// storage error also comes as on_fatal.
  virtual Result<AppendedRecords> append(const metadata::MetadataRecords& records,
                                         std::int16_t metadata_version) = 0;
  /// The offset that the next append() begins at.
  virtual Offset log_end_offset() const = 0;
  virtual Offset high_watermark() const = 0;
  virtual LeaderEpoch leader_epoch() const = 0;
  virtual std::optional<BrokerId> leader() const = 0;
  virtual const VoterSet& voters() const = 0;

  /// Fetch of observers, v13 and later (by topic id). Replica id -1 reads what is committed;
  /// others up to the log end. Parked until there is more, the high watermark is above the
  /// request's or max wait is over. `done` runs on the strand, maybe inside the call.
  virtual void fetch(const protocol::FetchRequest& request,
                     UniqueFunction<void(protocol::FetchResponse)> done) = 0;
  virtual protocol::FetchSnapshotResponse fetch_snapshot(
      const protocol::FetchSnapshotRequest& request) = 0;
  virtual protocol::DescribeQuorumResponse describe_quorum(
      const protocol::DescribeQuorumRequest& request) = 0;
};

}  // namespace broker::quorum
