#include "broker/record/record_iterator.h"

#include "broker/common/varint.h"

namespace broker::record {
namespace {

Error invalid(const char* what) { return {ErrorCode::kInvalidRecord, what}; }

/// A length of -1 (null) or of what is there. False otherwise.
bool read_bytes(Bytes& from, std::optional<Bytes>& out) {
  std::int32_t length = 0;
  if (!read_varint(from, length) || length < -1) return false;
  if (length == -1) {
    out.reset();
    return true;
  }
  if (static_cast<std::size_t>(length) > from.size()) return false;
  out = from.first(static_cast<std::size_t>(length));
  from = from.subspan(static_cast<std::size_t>(length));
  return true;
}

bool read_header(Bytes& from, HeaderView& header) {
  std::optional<Bytes> key;
  if (!read_bytes(from, key) || !key || !read_bytes(from, header.value)) return false;
  header.key = {reinterpret_cast<const char*>(key->data()), key->size()};
  return true;
}

}  // namespace

std::vector<HeaderView> RecordView::headers() const {
  std::vector<HeaderView> headers(static_cast<std::size_t>(header_count));
  Bytes rest = raw_headers;
  for (HeaderView& header : headers) CHECK(read_header(rest, header));
  return headers;
}

Result<RecordView> read_record(Bytes& bytes, Offset base_offset, WallMs base_timestamp) {
  const std::size_t before = bytes.size();
  std::int32_t length = 0;
  if (!read_varint(bytes, length) || length < 0 ||
      static_cast<std::size_t>(length) > bytes.size()) {
    return invalid("a record is longer than its batch");
  }
  Bytes body = bytes.first(static_cast<std::size_t>(length));
  bytes = bytes.subspan(static_cast<std::size_t>(length));

  RecordView record;
  record.size_bytes = before - bytes.size();
  if (body.empty()) return invalid("a record without attributes");
  body = body.subspan(1);  // attributes: none are defined
  std::int64_t timestamp_delta = 0;
  if (!read_varlong(body, timestamp_delta) || !read_varint(body, record.offset_delta)) {
    return invalid("malformed record");
  }
  // Foreign bytes: a sum out of range must wrap, not be undefined.
  record.timestamp = static_cast<WallMs>(static_cast<std::uint64_t>(base_timestamp) +
                                         static_cast<std::uint64_t>(timestamp_delta));
  record.offset = Offset{
      static_cast<std::int64_t>(static_cast<std::uint64_t>(base_offset.value) +
                                static_cast<std::uint64_t>(std::int64_t{record.offset_delta}))};
  if (!read_bytes(body, record.key) || !read_bytes(body, record.value) ||
      !read_varint(body, record.header_count) || record.header_count < 0) {
    return invalid("malformed record");
  }
  record.raw_headers = body;
  HeaderView header;
  for (std::int32_t i = 0; i < record.header_count; ++i) {
    if (!read_header(body, header)) return invalid("malformed record header");
  }
  if (!body.empty()) return invalid("a record has more bytes than its fields");
  return record;
}

RecordIterator::RecordIterator(const BatchHeader& header, Slice records)
    : records_(std::move(records)),
      rest_(records_.span()),
      base_offset_(header.base_offset()),
      base_timestamp_(header.base_timestamp()),
      left_(header.record_count()) {
  if (header.timestamp_type() == TimestampType::kLogAppendTime) {
    log_append_time_ = header.max_timestamp();
  }
}

Result<RecordIterator> RecordIterator::open(const Batch& batch, std::size_t max_bytes) {
  const BatchHeader header = batch.header();
  if (!header.is_compressed()) return RecordIterator(header, batch.records());
  ASSIGN_OR_RETURN(auto records,
                   decompress(header.compression(), batch.records().span(), max_bytes));
  return RecordIterator(header, Slice(std::move(records)));
}

Result<std::optional<RecordView>> RecordIterator::next() {
  if (left_ <= 0) {
    if (!rest_.empty()) return invalid("a batch has more bytes than its records");
    return std::optional<RecordView>{};
  }
  --left_;
  ASSIGN_OR_RETURN(RecordView record, read_record(rest_, base_offset_, base_timestamp_));
  if (log_append_time_) record.timestamp = *log_append_time_;
  return std::optional<RecordView>(std::move(record));
}

}  // namespace broker::record
