#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/common/time.h"
#include "broker/record/batch.h"
#include "broker/record/codec.h"
#include "broker/storage/aborted_txn.h"
#include "broker/storage/offset_map.h"

namespace broker::storage {

/// Which transactions the batches of a pass belong to. Pure; sees batches in the order of the log.
class CleanedTransactions {
 public:
  /// `aborted`: those with an offset in the range that will be seen.
  explicit CleanedTransactions(std::vector<AbortedTxn> aborted = {});

  /// Whether the batch belongs to an aborted transaction.
  bool on_batch(const record::BatchHeader& header);
  struct Marker {
    bool transaction_is_empty = false;  // nothing else of it is left: the marker may go, some time
    std::optional<AbortedTxn> entry;    // still needed in the transaction index
  };
  /// For a control batch. Errors: as parse_control_key().
  Result<Marker> on_control_batch(const record::Batch& batch);

 private:
  struct Ongoing {
    AbortedTxn txn;
    bool seen = false;  // any of its batches
  };
  void begin_up_to(Offset offset);

  std::vector<AbortedTxn> aborted_;  // by first offset
  std::size_t next_ = 0;
  std::map<ProducerId, Ongoing> ongoing_aborted_;
  std::set<ProducerId> ongoing_committed_;
};

/// What has to stay of each producer that is still known, so that its sequence and epoch survive.
struct LastOfProducer {
  std::optional<Offset> last_data_offset;
  ProducerEpoch epoch;
};
using LastOfProducers = std::map<ProducerId, LastOfProducer>;

struct CleanRules {
  WallMs now = 0;
  std::int64_t delete_retention_ms = 86400000;
  std::size_t max_decompressed_bytes = record::kDefaultMaxDecompressedBytes;
  LastOfProducers last_of_producers;
  Offset end;  // of the round: what ends here keeps its offsets
};

/// One batch after cleaning.
struct CleanedBatch {
  std::optional<Slice> bytes;         // nullopt: nothing of it stays
  std::optional<AbortedTxn> aborted;  // for the transaction index of its segment
  std::int32_t records_kept = 0;
};

/// Decides what stays of a log (KIP-58, KIP-98, KIP-534): the last record of each key; tombstones
/// and markers of empty transactions until their delete horizon, which the first pass that meets
/// them sets; an empty batch where a producer's last one was. Offsets and order never change.
/// Batches come in order, from the log's first on. Pure.
class CleanFilter {
 public:
  /// Records above `latest` are not in the map and stay.
  CleanFilter(CleanRules rules, const OffsetMap& map, Offset latest,
              CleanedTransactions transactions)
      : rules_(std::move(rules)),
        map_(map),
        latest_(latest),
        transactions_(std::move(transactions)) {}

  /// `batch` is whole and its checksum was checked. With `keep_header` its offsets stay, if empty.
  /// Errors: what its codec refuses, kInvalidRecord.
  Result<CleanedBatch> clean(const record::Batch& batch, bool keep_header = false);

 private:
  struct Kept;
  bool is_last_of_producer(const record::BatchHeader& header) const;
  bool keep_record(const record::BatchHeader& header, Offset offset,
                   const std::optional<std::span<const std::uint8_t>>& key, bool has_value) const;
  Result<Kept> filter_records(const record::Batch& batch, bool discard_all) const;
  Result<Slice> rebuild(const record::Batch& batch, const Kept& kept,
                        std::optional<WallMs> horizon) const;

  const CleanRules rules_;
  const OffsetMap& map_;
  const Offset latest_;
  CleanedTransactions transactions_;
};

}  // namespace broker::storage
