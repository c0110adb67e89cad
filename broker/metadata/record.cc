#include "broker/metadata/record.h"

#include <string>
#include <type_traits>

#include "broker/metadata/features.h"
#include "broker/protocol/codec.h"
#include "broker/protocol/metadata_frame.h"

namespace broker::metadata {
namespace {

template <class Record>
Result<MetadataRecord> decode_as(const protocol::MetadataFrame& frame) {
  if (frame.version < Record::kVersions.min || frame.version > Record::kVersions.max)
    return Error{ErrorCode::kUnsupportedVersion, std::string(Record::kName) + " has version " +
                                                     std::to_string(frame.version) +
                                                     ", which this software does not know"};
  protocol::Reader reader(frame.body);
  Record record;
  if (const auto read = record.read(reader, frame.version); !read.ok())
    return Error{ErrorCode::kCorruptMessage,
                 std::string(Record::kName) + ": " + read.error().detail};
  if (reader.remaining() != 0)
    return Error{ErrorCode::kCorruptMessage, std::string(Record::kName) + ": " +
                                                 std::to_string(reader.remaining()) +
                                                 " bytes left over"};
  return MetadataRecord(std::move(record));
}

/// Tries the alternatives of the variant in turn; 26 comparisons of a small number.
template <std::size_t I = 0>
Result<MetadataRecord> decode_any(const protocol::MetadataFrame& frame) {
  if constexpr (I == std::variant_size_v<MetadataRecord>) {
    return Error{ErrorCode::kUnsupportedVersion, "metadata record type " +
                                                     std::to_string(frame.record_type) +
                                                     ", which this software does not know"};
  } else {
    using Record = std::variant_alternative_t<I, MetadataRecord>;
    if (frame.record_type == Record::kRecordType) return decode_as<Record>(frame);
    return decode_any<I + 1>(frame);
  }
}

template <class Record>
std::int16_t version_to_write(std::int16_t metadata_version) {
  if constexpr (std::is_same_v<Record, protocol::RegisterBrokerRecord>)
    return register_broker_record_version(metadata_version);
  else if constexpr (std::is_same_v<Record, protocol::BrokerRegistrationChangeRecord>)
    return broker_registration_change_record_version(metadata_version);
  else if constexpr (std::is_same_v<Record, protocol::PartitionRecord> ||
                     std::is_same_v<Record, protocol::PartitionChangeRecord>)
    return partition_record_version(metadata_version);
  else
    return Record::kVersions.max;
}

}  // namespace

Result<MetadataRecord> decode_record(Slice value) {
  ASSIGN_OR_RETURN(const protocol::MetadataFrame frame, protocol::peek_metadata_frame(value));
  return decode_any(frame);
}

Result<Slice> encode_record(const MetadataRecord& record, std::int16_t metadata_version) {
  return std::visit(
      [&](const auto& r) {
        using Record = std::decay_t<decltype(r)>;
        return protocol::encode_metadata_record(r, version_to_write<Record>(metadata_version));
      },
      record);
}

void restrict_to_version(MetadataRecord& record, std::int16_t metadata_version) {
  const bool directories = metadata_version >= kMetadataVersion3_7_IV2;
  const bool elr = metadata_version >= kMetadataVersion4_0_IV1;
  const bool cordoned = metadata_version >= kMetadataVersion4_3_IV0;
  if (auto* partition = std::get_if<protocol::PartitionRecord>(&record)) {
    if (!directories) partition->directories.clear();
    if (!elr) partition->eligible_leader_replicas = partition->last_known_elr = std::nullopt;
  } else if (auto* change = std::get_if<protocol::PartitionChangeRecord>(&record)) {
    if (!directories) change->directories = std::nullopt;
    if (!elr) change->eligible_leader_replicas = change->last_known_elr = std::nullopt;
  } else if (auto* broker = std::get_if<protocol::RegisterBrokerRecord>(&record)) {
    if (!directories) broker->log_dirs.clear();
    if (!cordoned) broker->cordoned_log_dirs = std::nullopt;
  } else if (auto* registration = std::get_if<protocol::BrokerRegistrationChangeRecord>(&record)) {
    if (!directories) registration->log_dirs.clear();
    if (!cordoned) registration->cordoned_log_dirs = std::nullopt;
  }
}

std::string_view record_name(const MetadataRecord& record) {
  return std::visit([](const auto& r) { return std::string_view(r.kName); }, record);
}

}  // namespace broker::metadata
