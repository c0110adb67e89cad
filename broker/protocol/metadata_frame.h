#pragma once

#include <cstdint>

#include "broker/common/result.h"
#include "broker/common/slice.h"
#include "broker/protocol/codec.h"

namespace broker::protocol {

/// The value of a data record of the metadata log: frame version 1, record type, record version
/// (uvarints), body.
struct MetadataFrame {
  std::int16_t record_type = 0;
  std::int16_t version = 0;
  Slice body;
};

/// Starts a frame; the record's body follows.
void begin_metadata_frame(Writer& writer, std::int16_t record_type, std::int16_t version);

template <class Record>
Result<Slice> encode_metadata_record(const Record& record, std::int16_t version) {
  Writer writer;
  begin_metadata_frame(writer, Record::kRecordType, version);
  record.write(writer, version);
  return writer.to_bytes();
}

/// Opens a frame without reading the record. The type may be one that nobody knows.
Result<MetadataFrame> peek_metadata_frame(const Slice& value);

/// The key of a record in a coordinator's log: its type, then the key message in version 0.
template <class Key>
Result<Slice> encode_coordinator_key(const Key& key) {
  Writer writer;
  writer.int16(Key::kRecordType);
  key.write(writer, 0);
  return writer.to_bytes();
}

/// Its value: the version, then the value message. A tombstone has no value.
template <class Value>
Result<Slice> encode_coordinator_value(const Value& value, std::int16_t version) {
  Writer writer;
  writer.int16(version);
  value.write(writer, version);
  return writer.to_bytes();
}

/// A number and what follows it: the type of a coordinator's key or the version of its value.
/// ConsumerProtocolSubscription and -Assignment carry their version in the same way.
struct Numbered {
  std::int16_t number = 0;
  Slice body;
};
Result<Numbered> peek_number(const Slice& bytes);

/// Kafka's ControlRecordType.
enum class ControlRecordType : std::int16_t {
  kAbort = 0,
  kCommit = 1,
  kLeaderChange = 2,
  kSnapshotHeader = 3,
  kSnapshotFooter = 4,
  kKraftVersion = 5,
  kKraftVoters = 6,
};

/// The key of a record in a control batch. `type` may be one that ControlRecordType does not name.
struct ControlRecordKey {
  std::int16_t version = 0;
  std::int16_t type = 0;

  bool operator==(const ControlRecordKey&) const = default;
};
Slice encode_control_key(ControlRecordType type);
Result<ControlRecordKey> decode_control_key(const Slice& key);

}  // namespace broker::protocol
