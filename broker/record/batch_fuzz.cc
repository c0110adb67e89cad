// libFuzzer target: foreign bytes through everything that a produced batch meets.
#include "broker/record/validate.h"

namespace record = broker::record;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const broker::Slice bytes = broker::Slice::borrowed({data, size});
  const auto batch = record::parse_produce_records(bytes, 13);
  if (!batch.ok()) return 0;
  // The checksum would stop nearly every input, so it is made right first.
  std::vector<std::uint8_t> fixed(batch->bytes.data(), batch->bytes.data() + batch->bytes.size());
  const std::span<std::uint8_t> all(fixed);
  record::update_crc(all.first(record::kBatchHeaderSize), all.subspan(record::kBatchHeaderSize));
  const record::Batch checked{broker::Slice(std::move(fixed))};
  const auto valid = record::validate_produce_batch(
      checked, {.compacted = true, .max_decompressed_bytes = 1 << 20}, 1700000000000);
  if (valid.ok()) {
    CHECK_EQ(valid->header().record_count(), valid->header().last_offset_delta() + 1);
    CHECK_EQ(valid->size_bytes(), checked.bytes.size());
  }
  return 0;
}
