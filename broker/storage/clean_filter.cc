#include "broker/storage/clean_filter.h"

#include <algorithm>

#include "broker/common/varint.h"
#include "broker/record/control_batch.h"
#include "broker/record/record_iterator.h"

namespace broker::storage {

using record::BatchHeader;
using record::Bytes;

CleanedTransactions::CleanedTransactions(std::vector<AbortedTxn> aborted)
    : aborted_(std::move(aborted)) {
  std::sort(aborted_.begin(), aborted_.end(), [](const AbortedTxn& a, const AbortedTxn& b) {
    return a.first_offset < b.first_offset;
  });
}

void CleanedTransactions::begin_up_to(Offset offset) {
  for (; next_ < aborted_.size() && aborted_[next_].first_offset <= offset; ++next_) {
    ongoing_aborted_.try_emplace(aborted_[next_].producer_id, Ongoing{aborted_[next_]});
  }
}

bool CleanedTransactions::on_batch(const BatchHeader& header) {
  begin_up_to(header.last_offset());
  if (!header.is_transactional()) return false;
  const auto aborted = ongoing_aborted_.find(header.producer_id());
  if (aborted == ongoing_aborted_.end()) {
    ongoing_committed_.insert(header.producer_id());
    return false;
  }
  aborted->second.seen = true;
  return true;
}

Result<CleanedTransactions::Marker> CleanedTransactions::on_control_batch(
    const record::Batch& batch) {
  const BatchHeader header = batch.header();
  begin_up_to(header.last_offset());
  // An empty one stayed only for its producer's epoch.
  if (header.record_count() == 0) return Marker{.transaction_is_empty = true, .entry = {}};
  Bytes records = batch.bytes.span().subspan(record::kBatchHeaderSize);
  ASSIGN_OR_RETURN(const auto record,
                   record::read_record(records, header.base_offset(), header.base_timestamp()));
  ASSIGN_OR_RETURN(const auto type, record::parse_control_key(record.key));
  if (type == record::ControlType::kCommit) {
    return Marker{.transaction_is_empty = ongoing_committed_.erase(header.producer_id()) == 0,
                  .entry = {}};
  }
  if (type != record::ControlType::kAbort) return Marker{};
  const auto aborted = ongoing_aborted_.extract(header.producer_id());
  if (aborted.empty() || !aborted.mapped().seen) {
    return Marker{.transaction_is_empty = true, .entry = {}};
  }
  return Marker{.transaction_is_empty = false, .entry = aborted.mapped().txn};
}

/// What stays of a batch's records.
struct CleanFilter::Kept {
  struct Record {
    WallMs timestamp;
    std::int32_t offset_delta;
    Bytes raw;   // with its length
    Bytes body;  // behind the offset delta
  };
  Slice unpacked;  // owns what the records point to
  std::vector<Record> records;
  bool all = true;
  bool tombstones = false;
};

namespace {

/// The record's bytes behind its offset delta. `raw` was read before: it is well formed.
Bytes body_of(Bytes raw) {
  std::int32_t number = 0;
  std::int64_t delta = 0;
  bool good = read_varint(raw, number);
  raw = raw.subspan(1);  // attributes
  good = good && read_varlong(raw, delta) && read_varint(raw, number);
  CHECK(good);
  return raw;
}

/// The header alone, for the sequence, epoch and offsets that it carries.
Slice empty_batch(const BatchHeader& header, std::span<const std::uint8_t> original) {
  std::vector<std::uint8_t> bytes(original.begin(), original.begin() + record::kBatchHeaderSize);
  constexpr std::int16_t kKept =
      record::kLogAppendTimeFlag | record::kTransactionalFlag | record::kControlFlag;
  record::set_batch_length(bytes, record::kBatchHeaderSize - record::kLogOverhead);
  record::set_attributes(bytes, static_cast<std::int16_t>(header.attributes() & kKept));
  store_be<std::int64_t>(bytes.data() + 27, record::kNoTimestamp);
  store_be<std::int32_t>(bytes.data() + 57, 0);
  record::update_crc(bytes, {});
  return Slice(std::move(bytes));
}

}  // namespace

bool CleanFilter::is_last_of_producer(const BatchHeader& header) const {
  if (!header.has_producer_id()) return false;
  const auto last = rules_.last_of_producers.find(header.producer_id());
  if (last == rules_.last_of_producers.end()) return false;
  if (last->second.last_data_offset) return header.last_offset() == *last->second.last_data_offset;
  // Its last entry is a marker, which fences older epochs.
  return header.is_control() && header.producer_epoch() == last->second.epoch;
}

bool CleanFilter::keep_record(const BatchHeader& header, Offset offset,
                              const std::optional<Bytes>& key, bool has_value) const {
  if (offset > latest_) return true;
  if (!key) return false;  // written before the topic was compacted
  const auto newest = map_.find(*key);
  if (newest && offset < *newest) return false;
  return has_value || !header.has_delete_horizon() || rules_.now < header.base_timestamp();
}

Result<CleanFilter::Kept> CleanFilter::filter_records(const record::Batch& batch,
                                                      bool discard_all) const {
  const BatchHeader header = batch.header();
  Kept kept;
  if (discard_all) {
    kept.all = header.record_count() == 0;
    return kept;
  }
  kept.unpacked = batch.records();
  if (header.is_compressed()) {
    ASSIGN_OR_RETURN(auto unpacked, record::decompress(header.compression(), kept.unpacked.span(),
                                                       rules_.max_decompressed_bytes));
    kept.unpacked = Slice(std::move(unpacked));
  }
  Bytes rest = kept.unpacked.span();
  for (std::int32_t i = 0; i < header.record_count(); ++i) {
    const Bytes before = rest;
    ASSIGN_OR_RETURN(const auto record,
                     record::read_record(rest, header.base_offset(), header.base_timestamp()));
    if (!header.is_control() &&
        !keep_record(header, record.offset, record.key, record.value.has_value())) {
      kept.all = false;
      continue;
    }
    if (!record.value) kept.tombstones = true;
    const Bytes raw = before.first(record.size_bytes);
    kept.records.push_back(
        {.timestamp = header.timestamp_type() == record::TimestampType::kLogAppendTime
                          ? header.max_timestamp()
                          : record.timestamp,
         .offset_delta = record.offset_delta,
         .raw = raw,
         .body = body_of(raw)});
  }
  if (!rest.empty()) {
    return Error{ErrorCode::kInvalidRecord, "a batch has more bytes than its records"};
  }
  return kept;
}

Result<Slice> CleanFilter::rebuild(const record::Batch& batch, const Kept& kept,
                                   std::optional<WallMs> horizon) const {
  const BatchHeader header = batch.header();
  const WallMs base_timestamp = horizon.value_or(kept.records.front().timestamp);
  WallMs max_timestamp = record::kNoTimestamp;
  std::vector<std::uint8_t> records;
  records.reserve(kept.unpacked.size());
  for (const Kept::Record& record : kept.records) {
    max_timestamp = std::max(max_timestamp, record.timestamp);
    const std::int64_t delta = record.timestamp - base_timestamp;
    const std::size_t size =
        1 + varlong_size(delta) + varint_size(record.offset_delta) + record.body.size();
    append_varint(records, static_cast<std::int32_t>(size));
    records.push_back(0);  // attributes
    append_varlong(records, delta);
    append_varint(records, record.offset_delta);
    records.insert(records.end(), record.body.begin(), record.body.end());
  }
  if (header.is_compressed()) {
    ASSIGN_OR_RETURN(records, record::compress(header.compression(), records));
  }
  const auto original = batch.bytes.span();
  std::vector<std::uint8_t> bytes(original.begin(), original.begin() + record::kBatchHeaderSize);
  bytes.insert(bytes.end(), records.begin(), records.end());
  int attributes = header.attributes() & ~record::kDeleteHorizonFlag;
  if (horizon) attributes |= record::kDeleteHorizonFlag;
  record::set_batch_length(bytes, static_cast<std::int32_t>(bytes.size() - record::kLogOverhead));
  record::set_attributes(bytes, static_cast<std::int16_t>(attributes));
  store_be<std::int64_t>(bytes.data() + 27, base_timestamp);
  record::set_max_timestamp(bytes, max_timestamp);
  store_be<std::int32_t>(bytes.data() + 57, static_cast<std::int32_t>(kept.records.size()));
  record::update_crc(std::span(bytes).first(record::kBatchHeaderSize),
                     Bytes(bytes).subspan(record::kBatchHeaderSize));
  return Slice(std::move(bytes));
}

Result<CleanedBatch> CleanFilter::clean(const record::Batch& batch, bool keep_header) {
  const BatchHeader header = batch.header();
  CleanedBatch cleaned;
  bool discard = false;
  bool empty_transaction = false;
  if (header.is_control()) {
    ASSIGN_OR_RETURN(auto marker, transactions_.on_control_batch(batch));
    cleaned.aborted = marker.entry;
    empty_transaction = marker.transaction_is_empty;
    discard =
        empty_transaction && header.has_delete_horizon() && header.base_timestamp() <= rules_.now;
  } else {
    discard = transactions_.on_batch(header);
  }
  keep_header = keep_header || is_last_of_producer(header) || header.next_offset() == rules_.end;
  if (discard && !keep_header) return cleaned;

  ASSIGN_OR_RETURN(const Kept kept, filter_records(batch, discard));
  cleaned.records_kept = static_cast<std::int32_t>(kept.records.size());
  if (kept.records.empty()) {
    if (keep_header) cleaned.bytes = empty_batch(header, batch.bytes.span());
    return cleaned;
  }
  const bool new_horizon = (kept.tombstones || empty_transaction) && !header.has_delete_horizon();
  if (kept.all && !new_horizon) {
    cleaned.bytes = batch.bytes;
    return cleaned;
  }
  std::optional<WallMs> horizon;
  if (new_horizon) {
    horizon = rules_.now + std::min(rules_.delete_retention_ms, INT64_MAX - rules_.now);
  }
  if (header.has_delete_horizon()) horizon = header.base_timestamp();
  ASSIGN_OR_RETURN(cleaned.bytes, rebuild(batch, kept, horizon));
  return cleaned;
}

}  // namespace broker::storage
