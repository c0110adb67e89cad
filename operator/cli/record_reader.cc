#include "operator/cli/record_reader.h"

#include <nlohmann/json.hpp>

#include "broker/record/aborted_transactions.h"
#include "broker/record/batch.h"
#include "broker/record/record_iterator.h"
#include "operator/cli/text.h"

namespace op::cli {
namespace {

using broker::Result;
namespace record = broker::record;

std::optional<std::string> text_of(const std::optional<record::Bytes>& bytes) {
  if (!bytes) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

}  // namespace

Result<ReadResult> read_fetched(const broker::TopicPartition& partition, const broker::Slice& bytes,
                                std::int64_t from,
                                std::vector<record::AbortedTransaction> aborted) {
  ReadResult out;
  out.next_offset = from;
  record::AbortedTransactions transactions(std::move(aborted));
  record::BatchReader batches(bytes);
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<record::Batch> batch, batches.next());
    if (!batch) return out;
    const bool is_aborted = transactions.covers(*batch);
    const record::BatchHeader header = batch->header();
    if (header.last_offset().value < from) continue;
    out.next_offset = header.next_offset().value;
    if (header.is_control() || is_aborted) continue;
    RETURN_IF_ERROR(record::check_batch(batch->bytes.span()));
    ASSIGN_OR_RETURN(record::RecordIterator records, record::RecordIterator::open(*batch));
    while (true) {
      ASSIGN_OR_RETURN(const std::optional<record::RecordView> view, records.next());
      if (!view) break;
      if (view->offset.value < from) continue;
      ReadRecord read{partition,          view->offset.value,   view->timestamp,
                      text_of(view->key), text_of(view->value), {}};
      for (const record::HeaderView& h : view->headers())
        read.headers.emplace_back(std::string(h.key), text_of(h.value));
      out.records.push_back(std::move(read));
    }
  }
}

std::string record_json(const ReadRecord& read) {
  using json = nlohmann::ordered_json;
  const auto nullable = [](const std::optional<std::string>& text) {
    return text ? json(*text) : json(nullptr);
  };
  json out{{"topic", read.partition.topic}, {"partition", read.partition.partition},
           {"offset", read.offset},         {"timestamp", timestamp_text(read.timestamp)},
           {"key", nullable(read.key)},     {"value", nullable(read.value)}};
  if (!read.headers.empty()) {
    out["headers"] = json::array();
    for (const auto& [key, value] : read.headers)
      out["headers"].push_back({{"key", key}, {"value", nullable(value)}});
  }
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace op::cli
