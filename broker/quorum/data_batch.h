#pragma once

#include <span>

#include "broker/common/result.h"
#include "broker/metadata/record.h"
#include "broker/quorum/control_records.h"
#include "broker/record/batch.h"

namespace broker::quorum {

/// One batch of metadata records, uncompressed and without a producer, as Kafka writes them.
/// Errors: kUnsupportedVersion when `metadata_version` cannot express a record.
Result<Slice> encode_data_batch(const BatchPosition& at,
                                std::span<const metadata::MetadataRecord> records,
                                std::int16_t metadata_version);

/// Adds the batch's records to `records`. Errors: as metadata::decode_record.
Result<void> decode_data_batch(const record::Batch& batch, metadata::MetadataRecords& records);

}  // namespace broker::quorum
