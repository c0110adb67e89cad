#include "broker/quorum/snapshot.h"

#include "broker/protocol/frame.h"
#include "broker/protocol/messages/snapshot_header_record.h"
#include "broker/quorum/control_records.h"
#include "broker/quorum/data_batch.h"
#include "broker/record/batch_builder.h"
#include "broker/record/control_batch.h"

namespace broker::quorum {
namespace {

constexpr std::size_t kRecordsPerBatch = 1000;

Result<void> apply_header(const record::Batch& batch, LoadedSnapshot& snapshot) {
  ASSIGN_OR_RETURN(auto records, record::RecordIterator::open(batch));
  for (;;) {
    ASSIGN_OR_RETURN(const auto record, records.next());
    if (!record) return {};
    ASSIGN_OR_RETURN(const auto type, record::parse_control_key(record->key));
    if (type != record::ControlType::kSnapshotHeader || !record->value) continue;
    ASSIGN_OR_RETURN(const auto header, protocol::decode<protocol::SnapshotHeaderRecord>(
                                            records.share(*record->value), 0));
    snapshot.last_contained_log_timestamp = header.last_contained_log_timestamp;
  }
}

Result<LoadedSnapshot> read_all(storage::SnapshotFileReader reader) {
  LoadedSnapshot snapshot;
  for (;;) {
    ASSIGN_OR_RETURN(const auto batch, reader.next_batch());
    if (!batch) return snapshot;
    if (batch->header().is_control()) {
      RETURN_IF_ERROR(apply_header(*batch, snapshot));
      ASSIGN_OR_RETURN([[maybe_unused]] const bool any,
                       apply_control_batch(*batch, snapshot.voters));
      continue;
    }
    RETURN_IF_ERROR(decode_data_batch(*batch, snapshot.records));
  }
}

}  // namespace

Result<LoadedSnapshot> read_snapshot(io::FileSystem& fs, const std::string& directory,
                                     storage::SnapshotId id) {
  ASSIGN_OR_RETURN(auto reader, storage::SnapshotFileReader::open(fs, directory, id));
  ASSIGN_OR_RETURN(auto snapshot, read_all(std::move(reader)));
  snapshot.id = id;
  return snapshot;
}

Result<metadata::MetadataRecords> read_records(io::FileSystem& fs, const std::string& path) {
  ASSIGN_OR_RETURN(auto reader, storage::SnapshotFileReader::open_path(fs, path));
  ASSIGN_OR_RETURN(auto snapshot, read_all(std::move(reader)));
  return std::move(snapshot.records);
}

Result<Slices> snapshot_bytes(storage::SnapshotId id, WallMs last_contained_log_timestamp,
                              const VoterSet& voters, const metadata::MetadataRecords& records,
                              std::int16_t metadata_version, WallMs now) {
  Slices bytes;
  // Batches of a snapshot are numbered from 0, whatever offset the snapshot stands for.
  BatchPosition at{Offset{0}, id.epoch, now};
  const auto add = [&](Slice batch) {
    at.offset = record::BatchHeader(batch.span()).next_offset();
    bytes.push_back(std::move(batch));
  };
  add(snapshot_header_batch(at, last_contained_log_timestamp));
  if (voters.kraft_version > 0) {
    add(kraft_version_batch(at, voters.kraft_version));
    add(voters_batch(at, voters));
  }
  for (std::size_t from = 0; from < records.size(); from += kRecordsPerBatch) {
    const std::size_t count = std::min(kRecordsPerBatch, records.size() - from);
    ASSIGN_OR_RETURN(auto batch, encode_data_batch(at, std::span(records).subspan(from, count),
                                                   metadata_version));
    add(std::move(batch));
  }
  add(snapshot_footer_batch(at));
  return bytes;
}

Result<void> write_snapshot(io::FileSystem& fs, const std::string& directory,
                            storage::SnapshotId id, WallMs last_contained_log_timestamp,
                            const VoterSet& voters, const metadata::MetadataRecords& records,
                            std::int16_t metadata_version, WallMs now) {
  ASSIGN_OR_RETURN(const Slices bytes, snapshot_bytes(id, last_contained_log_timestamp, voters,
                                                      records, metadata_version, now));
  ASSIGN_OR_RETURN(auto writer, storage::SnapshotFileWriter::create(fs, directory, id));
  for (const Slice& batch : bytes) RETURN_IF_ERROR(writer.append(batch));
  return writer.freeze();
}

}  // namespace broker::quorum
