#include "broker/storage/segment.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "broker/common/rng.h"
#include "broker/io/no_space.h"
#include "broker/storage/batch_scanner.h"
#include "broker/storage/text.h"

namespace broker::storage {
namespace {

constexpr std::size_t kNameDigits = 20;
// .txnindex: i16 version, i64 producer id, i64 first offset, i64 last offset, i64 last stable
// offset
constexpr std::size_t kTxnEntryBytes = 34;

}  // namespace

std::string segment_file_name(Offset base_offset, std::string_view suffix) {
  char digits[kNameDigits + 1];
  std::snprintf(digits, sizeof digits, "%020lld", static_cast<long long>(base_offset.value));
  return std::string(digits).append(suffix);
}

std::optional<Offset> parse_segment_file_name(std::string_view name, std::string_view suffix) {
  std::int64_t offset = 0;
  if (name.size() != kNameDigits + suffix.size() || !name.ends_with(suffix) ||
      !parse_number(name.substr(0, kNameDigits), offset) || offset < 0) {
    return std::nullopt;
  }
  return Offset{offset};
}

Segment::Segment(FileCache& files, const std::string& directory, Offset base_offset, WallMs created,
                 std::string_view state)
    : files_(files),
      directory_(directory),
      base_offset_(base_offset),
      state_(state),
      offset_index_(files, path(kIndexSuffix), base_offset),
      time_index_(files, path(kTimeIndexSuffix), base_offset),
      max_timestamp_{-1, base_offset},
      created_(created) {}

std::string Segment::path(std::string_view suffix) const {
  return directory_ + "/" + segment_file_name(base_offset_, suffix) + state_;
}

std::vector<std::string> Segment::paths() const {
  return {path(kLogSuffix), path(kIndexSuffix), path(kTimeIndexSuffix), path(kTxnIndexSuffix)};
}

Result<std::unique_ptr<Segment>> Segment::create(FileCache& files, const std::string& directory,
                                                 Offset base_offset, WallMs now,
                                                 std::string_view state) {
  std::unique_ptr<Segment> segment(new Segment(files, directory, base_offset, now, state));
  ASSIGN_OR_RETURN(segment->active_file_,
                   files.file_system().open(segment->path(kLogSuffix), io::OpenMode::kCreateNew));
  if (const auto cleared = segment->clear_indexes(); !cleared.ok()) {
    (void)files.file_system().remove(segment->path(kLogSuffix));  // or it could not be tried again
    return cleared.error();
  }
  segment->has_txn_index_ = false;
  return segment;
}

Result<std::unique_ptr<Segment>> Segment::open(FileCache& files, const std::string& directory,
                                               Offset base_offset, WallMs now) {
  std::unique_ptr<Segment> segment(new Segment(files, directory, base_offset, now));
  ASSIGN_OR_RETURN(const io::FileInfo info, files.file_system().stat(segment->path(kLogSuffix)));
  segment->size_ = info.size;
  return segment;
}

Result<std::shared_ptr<io::File>> Segment::file() const {
  if (active_file_) return active_file_;
  return files_.open(path(kLogSuffix));
}

void Segment::count_batch(const record::BatchHeader& header) {
  if (header.max_timestamp() > max_timestamp_.timestamp) {
    max_timestamp_ = {header.max_timestamp(), header.last_offset()};
  }
}

Result<void> Segment::index_batch(const record::BatchHeader& header, std::uint32_t position,
                                  std::int64_t index_interval_bytes) {
  if (position == 0) first_timestamp_ = header.max_timestamp();
  count_batch(header);
  if (bytes_since_index_ > static_cast<std::uint64_t>(index_interval_bytes)) {
    RETURN_IF_ERROR(offset_index_.append(header.last_offset(), position));
    RETURN_IF_ERROR(time_index_.append(max_timestamp_.timestamp, max_timestamp_.offset));
    bytes_since_index_ = 0;
  }
  bytes_since_index_ += header.size_bytes();
  return {};
}

Result<void> Segment::append(const Slices& bytes, std::span<const BatchParts> batches,
                             const LogOptions& options) {
  CHECK(active_file_ != nullptr);
  if (const auto written = active_file_->write_at(size_, bytes); !written.ok()) {
    if (!io::is_no_space(written.error())) return written;
    if (!active_file_->truncate(size_).ok()) {
      return Error{ErrorCode::kKafkaStorageError,
                   path(kLogSuffix) + ": what the full disk took of a batch cannot be taken back"};
    }
    return written;
  }
  for (const BatchParts& batch : batches) {
    RETURN_IF_ERROR(
        index_batch(batch.header, static_cast<std::uint32_t>(size_), options.index_interval_bytes));
    size_ += batch.header.size_bytes();
  }
  return {};
}

Result<bool> Segment::should_roll(std::uint64_t incoming_bytes, WallMs incoming_max_timestamp,
                                  Offset incoming_last_offset, const LogOptions& options,
                                  WallMs now) {
  if (incoming_last_offset - base_offset_ > INT32_MAX) return true;
  if (empty()) return false;
  const auto max_size =
      static_cast<std::uint64_t>(std::min<std::int64_t>(options.segment_bytes, INT32_MAX));
  if (size_ + incoming_bytes > max_size) return true;
  const auto index_bytes = static_cast<std::uint64_t>(options.segment_index_bytes);
  if (offset_index_.size_bytes() + OffsetIndex::kEntryBytes > index_bytes ||
      time_index_.size_bytes() + TimeIndex::kEntryBytes > index_bytes) {
    return true;
  }
  ASSIGN_OR_RETURN(const WallMs first, first_timestamp());
  // Record time drives rolling, so that a replayed log has the same segments; the clock only where
  // records carry no time.
  const std::int64_t waited = first >= 0 ? incoming_max_timestamp - first : now - created_;
  const auto jitter = static_cast<std::int64_t>(
      Rng(static_cast<std::uint64_t>(base_offset_.value + created_))
          .below(static_cast<std::uint64_t>(std::max<std::int64_t>(options.segment_jitter_ms, 0))));
  return waited > options.segment_ms - jitter;
}

Result<WallMs> Segment::first_timestamp() {
  if (!first_timestamp_) {
    ASSIGN_OR_RETURN(const auto log, file());
    BatchScanner scanner(*log, 0, size_);
    ASSIGN_OR_RETURN(const auto first, scanner.next());
    first_timestamp_ = first ? first->header().max_timestamp() : record::kNoTimestamp;
  }
  return *first_timestamp_;
}

Result<std::size_t> Segment::index_bytes() {
  RETURN_IF_ERROR(ensure_indexes());
  return std::max(offset_index_.size_bytes(), time_index_.size_bytes());
}

Result<Offset> Segment::make_active() {
  ASSIGN_OR_RETURN(active_file_,
                   files_.file_system().open(path(kLogSuffix), io::OpenMode::kReadWrite));
  files_.forget(path(kLogSuffix));
  return load_tail();
}

Result<void> Segment::finish_indexes() {
  RETURN_IF_ERROR(ensure_indexes());
  // The last entry of a closed time index is the segment's maximum: retention reads only that.
  RETURN_IF_ERROR(time_index_.append(max_timestamp_.timestamp, max_timestamp_.offset));
  RETURN_IF_ERROR(offset_index_.spill());
  return time_index_.spill();
}

Result<void> Segment::make_inactive() {
  RETURN_IF_ERROR(finish_indexes());
  if (active_file_) files_.put(path(kLogSuffix), std::move(active_file_));
  active_file_ = nullptr;
  return {};
}

Result<void> Segment::collect_files(std::vector<std::shared_ptr<io::File>>& files,
                                    bool with_indexes) {
  ASSIGN_OR_RETURN(auto log, file());
  files.push_back(std::move(log));
  if (with_indexes) {
    for (const auto suffix : {kIndexSuffix, kTimeIndexSuffix}) {
      ASSIGN_OR_RETURN(auto index, files_.open(path(suffix)));
      files.push_back(std::move(index));
    }
  }
  if (has_txn_index()) {
    ASSIGN_OR_RETURN(auto txns, files_.open(path(kTxnIndexSuffix)));
    files.push_back(std::move(txns));
  }
  return {};
}

Result<TimePosition> Segment::max_timestamp() {
  RETURN_IF_ERROR(ensure_indexes());
  return max_timestamp_;
}

Result<WallMs> Segment::modified() {
  ASSIGN_OR_RETURN(const io::FileInfo info, files_.file_system().stat(path(kLogSuffix)));
  return info.modified;
}

bool Segment::has_txn_index() {
  if (!has_txn_index_) has_txn_index_ = files_.file_system().exists(path(kTxnIndexSuffix));
  return *has_txn_index_;
}

Result<std::vector<AbortedTxn>> Segment::aborted_transactions() {
  const std::string name = path(kTxnIndexSuffix);
  if (!has_txn_index()) return std::vector<AbortedTxn>{};
  ASSIGN_OR_RETURN(const auto file, files_.open(name));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->size());
  std::vector<std::uint8_t> bytes(size / kTxnEntryBytes * kTxnEntryBytes);
  ASSIGN_OR_RETURN(const std::size_t n, file->read_at(0, bytes));
  std::vector<AbortedTxn> txns;
  for (std::size_t at = 0; at + kTxnEntryBytes <= n; at += kTxnEntryBytes) {
    const std::uint8_t* p = bytes.data() + at;
    if (load_be<std::int16_t>(p) != 0) {
      return Error{ErrorCode::kKafkaStorageError, name + " has an entry of an unknown version"};
    }
    txns.push_back({.producer_id = ProducerId{load_be<std::int64_t>(p + 2)},
                    .first_offset = Offset{load_be<std::int64_t>(p + 10)},
                    .last_offset = Offset{load_be<std::int64_t>(p + 18)},
                    .last_stable_offset = Offset{load_be<std::int64_t>(p + 26)}});
  }
  return txns;
}

Result<void> Segment::append_aborted(const AbortedTxn& txn) {
  ASSIGN_OR_RETURN(const auto file, files_.open_or_create(path(kTxnIndexSuffix)));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->size());
  std::array<std::uint8_t, kTxnEntryBytes> entry{};
  store_be<std::int64_t>(entry.data() + 2, txn.producer_id.value);
  store_be<std::int64_t>(entry.data() + 10, txn.first_offset.value);
  store_be<std::int64_t>(entry.data() + 18, txn.last_offset.value);
  store_be<std::int64_t>(entry.data() + 26, txn.last_stable_offset.value);
  has_txn_index_ = true;
  return file->write_at(size / kTxnEntryBytes * kTxnEntryBytes, entry);
}

Result<void> Segment::truncate_aborted(Offset end_offset) {
  ASSIGN_OR_RETURN(const auto txns, aborted_transactions());
  if (txns.empty()) return {};
  const auto kept = std::count_if(txns.begin(), txns.end(), [&](const AbortedTxn& txn) {
    return txn.last_offset < end_offset;
  });
  ASSIGN_OR_RETURN(const auto file, files_.open(path(kTxnIndexSuffix)));
  return file->truncate(static_cast<std::uint64_t>(kept) * kTxnEntryBytes);
}

}  // namespace broker::storage
