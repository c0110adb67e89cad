#include "broker/quorum/data_batch.h"

#include "broker/record/batch_builder.h"
#include "broker/record/record_iterator.h"

namespace broker::quorum {

Result<Slice> encode_data_batch(const BatchPosition& at,
                                std::span<const metadata::MetadataRecord> records,
                                std::int16_t metadata_version) {
  record::BatchOptions options;
  options.base_offset = at.offset;
  options.leader_epoch = at.epoch;
  record::BatchBuilder batch(options);
  for (const auto& record : records) {
    ASSIGN_OR_RETURN(const Slice value, metadata::encode_record(record, metadata_version));
    batch.add(at.timestamp, std::nullopt, value.span());
  }
  return batch.build();
}

Result<void> decode_data_batch(const record::Batch& batch, metadata::MetadataRecords& records) {
  ASSIGN_OR_RETURN(auto iterator, record::RecordIterator::open(batch));
  for (;;) {
    ASSIGN_OR_RETURN(const auto record, iterator.next());
    if (!record) return {};
    if (!record->value) {
      return Error{
          ErrorCode::kCorruptMessage,
          "metadata record at offset " + std::to_string(record->offset.value) + " has no value"};
    }
    ASSIGN_OR_RETURN(auto decoded, metadata::decode_record(iterator.share(*record->value)));
    records.push_back(std::move(decoded));
  }
}

}  // namespace broker::quorum
