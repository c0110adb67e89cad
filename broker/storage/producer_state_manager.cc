#include "broker/storage/producer_state_manager.h"

#include <algorithm>

#include "broker/common/crc32c.h"
#include "broker/common/defect.h"
#include "broker/common/endian.h"

namespace broker::storage {
namespace {

// i16 version, u32 crc of what follows it, i32 count, then entries of
// i64 id, i16 epoch, i32 last sequence, i64 last offset, i32 offset delta, i64 timestamp,
// i32 coordinator epoch, i64 first offset of the open transaction or -1.
constexpr std::int16_t kVersion = 1;
constexpr std::size_t kCrcAt = 2;
constexpr std::size_t kCountAt = 6;
constexpr std::size_t kEntriesAt = 10;
constexpr std::size_t kEntryBytes = 46;

std::string who(const record::BatchHeader& header) {
  return "producer " + std::to_string(header.producer_id().value) + " epoch " +
         std::to_string(header.producer_epoch().value);
}

Error fenced(const std::string& producer, ProducerEpoch current) {
  return {ErrorCode::kInvalidProducerEpoch,
          producer + " is fenced by epoch " + std::to_string(current.value)};
}

Error out_of_order(const record::BatchHeader& header, std::int32_t last) {
  return {ErrorCode::kOutOfOrderSequenceNumber,
          who(header) + " sent sequence " + std::to_string(header.base_sequence()) +
              ", the last one here is " + std::to_string(last)};
}

bool is_expired(const ProducerState& state, WallMs now, std::int64_t expiration_ms) {
  return !state.current_txn_first_offset && now - state.last_timestamp >= expiration_ms;
}

}  // namespace

Result<std::optional<ProducerBatch>> ProducerStateManager::check(
    const record::BatchHeader& header, record::AppendOrigin origin) const {
  const std::optional<ProducerBatch> new_batch;
  if (!header.has_producer_id()) return new_batch;
  const auto it = producers_.find(header.producer_id());
  if (it == producers_.end()) return new_batch;  // expired or never seen: any sequence is good
  const ProducerState& state = it->second;
  if (header.producer_epoch() < state.epoch) return fenced(who(header), state.epoch);
  if (state.current_txn_first_offset && !header.is_transactional()) {
    return Error{ErrorCode::kInvalidTxnState, who(header) + " is in a transaction here"};
  }
  if (origin != record::AppendOrigin::kClient) return new_batch;

  if (header.producer_epoch() != state.epoch) {
    const bool first_epoch = state.epoch.value == record::kNoProducerEpoch;
    if (header.base_sequence() != 0 && !first_epoch) {
      return out_of_order(header, state.last_sequence());
    }
    return new_batch;
  }
  if (has_defect(Defect::kDuplicatesAppended)) return new_batch;
  for (const ProducerBatch& batch : state.batches) {
    if (batch.first_sequence() == header.base_sequence() &&
        batch.last_sequence == header.last_sequence()) {
      return std::optional<ProducerBatch>(batch);
    }
  }
  const std::int32_t last = state.last_sequence();
  const std::int32_t expected = last == record::kNoSequence ? 0 : record::add_sequence(last, 1);
  if (header.base_sequence() != expected) return out_of_order(header, last);
  return new_batch;
}

Result<void> ProducerStateManager::check_marker(const record::TxnMarker& marker,
                                                std::int16_t transaction_version) const {
  constexpr std::int16_t kEpochBumpVersion = 2;
  const auto it = producers_.find(marker.producer_id);
  if (it == producers_.end()) return {};
  const bool stale = transaction_version >= kEpochBumpVersion &&
                     marker.producer_epoch == it->second.epoch &&
                     it->second.current_txn_first_offset.has_value();
  if (marker.producer_epoch < it->second.epoch || stale) {
    return fenced("a marker of producer " + std::to_string(marker.producer_id.value) + " epoch " +
                      std::to_string(marker.producer_epoch.value),
                  it->second.epoch);
  }
  if (marker.coordinator_epoch < it->second.coordinator_epoch) {
    return Error{ErrorCode::kTransactionCoordinatorFenced,
                 "a marker of coordinator epoch " + std::to_string(marker.coordinator_epoch) +
                     " after one of " + std::to_string(it->second.coordinator_epoch)};
  }
  return {};
}

void ProducerStateManager::update(const record::BatchHeader& header) {
  if (!header.has_producer_id() || header.is_control()) return;
  ProducerState& state = producers_[header.producer_id()];
  if (state.epoch != header.producer_epoch()) {
    state.epoch = header.producer_epoch();
    state.batches.clear();
  }
  if (state.batches.size() == ProducerState::kWindow) state.batches.erase(state.batches.begin());
  state.batches.push_back({.last_sequence = header.last_sequence(),
                           .last_offset = header.last_offset(),
                           .offset_delta = header.last_offset_delta(),
                           .timestamp = header.max_timestamp()});
  state.last_timestamp = header.max_timestamp();
  if (header.is_transactional() && !state.current_txn_first_offset) {
    state.current_txn_first_offset = header.base_offset();
    open_.insert(header.base_offset());
  }
}

std::optional<AbortedTxn> ProducerStateManager::update_marker(const record::TxnMarker& marker,
                                                              Offset offset, WallMs timestamp) {
  ProducerState& state = producers_[marker.producer_id];
  if (state.epoch != marker.producer_epoch) {
    state.epoch = marker.producer_epoch;
    state.batches.clear();
  }
  state.coordinator_epoch = marker.coordinator_epoch;
  state.last_timestamp = timestamp;
  const auto first_offset = std::exchange(state.current_txn_first_offset, std::nullopt);
  if (!first_offset) return std::nullopt;
  open_.erase(*first_offset);
  closed_.emplace_back(*first_offset, offset);
  if (marker.type != record::ControlType::kAbort) return std::nullopt;
  return AbortedTxn{.producer_id = marker.producer_id,
                    .first_offset = *first_offset,
                    .last_offset = offset,
                    .last_stable_offset = open_.empty() ? offset + 1 : *open_.begin()};
}

bool ProducerStateManager::has_open_transaction(ProducerId producer, ProducerEpoch epoch) const {
  const auto it = producers_.find(producer);
  return it != producers_.end() && it->second.epoch == epoch &&
         it->second.current_txn_first_offset.has_value();
}

std::optional<Offset> ProducerStateManager::first_unstable_offset(Offset high_watermark) {
  while (!closed_.empty() && closed_.front().second < high_watermark) closed_.pop_front();
  std::optional<Offset> first;
  if (!open_.empty()) first = *open_.begin();
  for (const auto& [first_offset, marker] : closed_) {
    if (!first || first_offset < *first) first = first_offset;
  }
  return first;
}

void ProducerStateManager::expire(WallMs now, std::int64_t expiration_ms) {
  std::erase_if(producers_,
                [&](const auto& entry) { return is_expired(entry.second, now, expiration_ms); });
}

std::vector<std::uint8_t> ProducerStateManager::to_snapshot() const {
  std::vector<std::uint8_t> bytes(kEntriesAt + producers_.size() * kEntryBytes);
  store_be<std::int16_t>(bytes.data(), kVersion);
  store_be<std::int32_t>(bytes.data() + kCountAt, static_cast<std::int32_t>(producers_.size()));
  std::uint8_t* p = bytes.data() + kEntriesAt;
  for (const auto& [id, state] : producers_) {
    const ProducerBatch last = state.batches.empty() ? ProducerBatch{} : state.batches.back();
    store_be<std::int64_t>(p, id.value);
    store_be<std::int16_t>(p + 8, state.epoch.value);
    store_be<std::int32_t>(p + 10, last.last_sequence);
    store_be<std::int64_t>(p + 14, last.last_offset.value);
    store_be<std::int32_t>(p + 22, last.offset_delta);
    store_be<std::int64_t>(p + 26, state.last_timestamp);
    store_be<std::int32_t>(p + 34, state.coordinator_epoch);
    store_be<std::int64_t>(p + 38, state.current_txn_first_offset.value_or(Offset{-1}).value);
    p += kEntryBytes;
  }
  store_be<std::uint32_t>(bytes.data() + kCrcAt,
                          crc32c(std::span<const std::uint8_t>(bytes).subspan(kCountAt)));
  return bytes;
}

Result<ProducerStateManager> ProducerStateManager::from_snapshot(
    std::span<const std::uint8_t> bytes, WallMs now, std::int64_t expiration_ms) {
  const auto bad = [](const char* what) {
    return Error{ErrorCode::kKafkaStorageError, std::string("producer snapshot: ") + what};
  };
  if (bytes.size() < kEntriesAt) return bad("cut off");
  if (load_be<std::int16_t>(bytes.data()) != kVersion) return bad("unknown version");
  if (load_be<std::uint32_t>(bytes.data() + kCrcAt) != crc32c(bytes.subspan(kCountAt))) {
    return bad("wrong checksum");
  }
  const auto count = load_be<std::int32_t>(bytes.data() + kCountAt);
  if (count < 0 || bytes.size() != kEntriesAt + static_cast<std::size_t>(count) * kEntryBytes) {
    return bad("wrong size");
  }
  ProducerStateManager manager;
  for (const std::uint8_t* p = bytes.data() + kEntriesAt; p != bytes.data() + bytes.size();
       p += kEntryBytes) {
    ProducerState state;
    state.epoch = ProducerEpoch{load_be<std::int16_t>(p + 8)};
    state.last_timestamp = load_be<std::int64_t>(p + 26);
    state.coordinator_epoch = load_be<std::int32_t>(p + 34);
    const ProducerBatch last{.last_sequence = load_be<std::int32_t>(p + 10),
                             .last_offset = Offset{load_be<std::int64_t>(p + 14)},
                             .offset_delta = load_be<std::int32_t>(p + 22),
                             .timestamp = state.last_timestamp};
    if (last.last_offset.value >= 0) state.batches.push_back(last);
    if (const auto first = load_be<std::int64_t>(p + 38); first >= 0) {
      state.current_txn_first_offset = Offset{first};
    }
    if (is_expired(state, now, expiration_ms)) continue;
    if (state.current_txn_first_offset) manager.open_.insert(*state.current_txn_first_offset);
    manager.producers_[ProducerId{load_be<std::int64_t>(p)}] = std::move(state);
  }
  return manager;
}

}  // namespace broker::storage
