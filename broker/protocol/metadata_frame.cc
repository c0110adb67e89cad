#include "broker/protocol/metadata_frame.h"

#include <limits>

namespace broker::protocol {
namespace {

constexpr std::uint32_t kFrameVersion = 1;

}  // namespace

void begin_metadata_frame(Writer& writer, std::int16_t record_type, std::int16_t version) {
  writer.uvarint(kFrameVersion);
  writer.uvarint(static_cast<std::uint32_t>(record_type));
  writer.uvarint(static_cast<std::uint32_t>(version));
}

Result<MetadataFrame> peek_metadata_frame(const Slice& value) {
  constexpr std::uint32_t kMax = std::numeric_limits<std::int16_t>::max();
  Reader reader(value);
  const std::uint32_t frame_version = reader.uvarint();
  if (reader.ok() && frame_version != kFrameVersion) reader.fail("unknown frame version");
  const std::uint32_t type = reader.uvarint();
  const std::uint32_t version = reader.uvarint();
  if (type > kMax || version > kMax) reader.fail("record type or version out of range");
  RETURN_IF_ERROR(reader.status());
  return MetadataFrame{static_cast<std::int16_t>(type), static_cast<std::int16_t>(version),
                       reader.rest()};
}

Result<Numbered> peek_number(const Slice& bytes) {
  Reader reader(bytes);
  Numbered numbered;
  numbered.number = reader.int16();
  RETURN_IF_ERROR(reader.status());
  numbered.body = reader.rest();
  return numbered;
}

Slice encode_control_key(ControlRecordType type) {
  const auto number = static_cast<std::uint16_t>(type);
  return Slice({0, 0, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)});
}

Result<ControlRecordKey> decode_control_key(const Slice& key) {
  Reader reader(key);
  ControlRecordKey result;
  result.version = reader.int16();
  if (reader.ok() && result.version < 0) reader.fail("negative version of a control record");
  result.type = reader.int16();
  RETURN_IF_ERROR(reader.status());
  return result;
}

}  // namespace broker::protocol
