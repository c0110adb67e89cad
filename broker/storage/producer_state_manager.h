#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/common/time.h"
#include "broker/record/control_batch.h"
#include "broker/record/validate.h"
#include "broker/storage/aborted_txn.h"

namespace broker::storage {

/// Where one of a producer's batches went.
struct ProducerBatch {
  std::int32_t last_sequence = record::kNoSequence;
  Offset last_offset{-1};
  std::int32_t offset_delta = 0;
  WallMs timestamp = record::kNoTimestamp;

  std::int32_t first_sequence() const { return record::add_sequence(last_sequence, -offset_delta); }
  Offset first_offset() const { return last_offset + -offset_delta; }
  bool operator==(const ProducerBatch&) const = default;
};

struct ProducerState {
  static constexpr std::size_t kWindow = 5;  // max.in.flight.requests.per.connection's bound

  ProducerEpoch epoch{record::kNoProducerEpoch};
  std::vector<ProducerBatch> batches;  // at most kWindow, oldest first
  std::int32_t coordinator_epoch = -1;
  WallMs last_timestamp = record::kNoTimestamp;
  std::optional<Offset> current_txn_first_offset;

  std::int32_t last_sequence() const {
    return batches.empty() ? record::kNoSequence : batches.back().last_sequence;
  }
  bool operator==(const ProducerState&) const = default;
};

/// What a partition knows about its idempotent and transactional producers (KIP-98). Pure; the log
/// keeps its snapshots on disk.
class ProducerStateManager {
 public:
  /// Whether a leader may append `header`. A value is the earlier batch that this one repeats: it
  /// must not be written again. Errors: kInvalidProducerEpoch, kOutOfOrderSequenceNumber,
  /// kInvalidTxnState for a batch without a transaction in the middle of one.
  /// Only a client's sequences are checked, a coordinator's epoch is.
  Result<std::optional<ProducerBatch>> check(const record::BatchHeader& header,
                                             record::AppendOrigin origin) const;
  /// As check(), for a transaction marker. From `transaction_version` 2 on (KIP-890) its epoch is a
  /// new one, unless it repeats a marker that closed the transaction. Errors:
  /// kInvalidProducerEpoch, kTransactionCoordinatorFenced.
  Result<void> check_marker(const record::TxnMarker& marker,
                            std::int16_t transaction_version = 0) const;
  /// Whether a transaction of this producer is open, by a batch with this epoch.
  bool has_open_transaction(ProducerId producer, ProducerEpoch epoch) const;

  /// Folds in a batch that is in the log. No checks: what is in the log is true.
  void update(const record::BatchHeader& header);
  /// Folds in a marker at `offset`; gives the transaction that it aborted.
  std::optional<AbortedTxn> update_marker(const record::TxnMarker& marker, Offset offset,
                                          WallMs timestamp);

  /// Of the oldest transaction that is open, or whose marker is not below `high_watermark`: until
  /// then the decision could be lost with this broker. High watermarks do not fall.
  std::optional<Offset> first_unstable_offset(Offset high_watermark);
  /// Forgets producers without an open transaction whose last batch is `expiration_ms` old.
  void expire(WallMs now, std::int64_t expiration_ms);
  void clear() { *this = {}; }

  const std::map<ProducerId, ProducerState>& producers() const { return producers_; }

  /// The bytes of a .snapshot file (version 1).
  std::vector<std::uint8_t> to_snapshot() const;
  /// Producers expired at `now` are left out. Errors: kKafkaStorageError on a wrong version,
  /// checksum or size.
  static Result<ProducerStateManager> from_snapshot(std::span<const std::uint8_t> bytes, WallMs now,
                                                    std::int64_t expiration_ms);

 private:
  std::map<ProducerId, ProducerState> producers_;  // ordered, so that snapshots are reproducible
  std::set<Offset> open_;                          // first offsets of open transactions
  /// Closed ones whose marker may not be replicated yet: first offset, offset of the marker; in the
  /// order of the markers.
  std::deque<std::pair<Offset, Offset>> closed_;
};

}  // namespace broker::storage
