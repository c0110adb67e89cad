#include "broker/coordinator/transaction/records.h"

#include "broker/coordinator/runtime/record_bytes.h"
#include "broker/protocol/messages/transaction_log_key.h"
#include "broker/protocol/messages/transaction_log_value.h"

namespace broker::coordinator::transaction {

namespace {

using protocol::TransactionLogKey;
using protocol::TransactionLogValue;

Slice encode_key(const std::string& transactional_id) {
  TransactionLogKey key;
  key.transactional_id = transactional_id;
  return encode(TransactionLogKey::kRecordType, key, 0);
}

}  // namespace

Record transaction_record(const std::string& transactional_id, const Transaction& transaction,
                          TransactionVersion level) {
  const std::int16_t version = level >= 1 ? 1 : 0;
  TransactionLogValue value;
  value.producer_id = transaction.producer.id.value;
  value.producer_epoch = transaction.producer.epoch.value;
  value.transaction_timeout_ms = static_cast<std::int32_t>(transaction.timeout.count());
  value.transaction_status = static_cast<std::int8_t>(transaction.state);
  value.transaction_last_update_timestamp_ms = transaction.last_update;
  value.transaction_start_timestamp_ms = transaction.start;
  if (version >= 1) {
    value.previous_producer_id = transaction.previous_id.value;
    value.next_producer_id = transaction.next_id.value;
    value.client_transaction_version = transaction.client_version;
  }
  if (transaction.state == State::kEmpty) {
    value.transaction_partitions = std::nullopt;
  } else {
    auto& topics = value.transaction_partitions.emplace();
    for (const TopicPartition& at : transaction.partitions) {
      if (topics.empty() || topics.back().topic != at.topic) topics.push_back({at.topic, {}});
      topics.back().partition_ids.push_back(at.partition);
    }
  }
  return {.key = encode_key(transactional_id), .value = encode(version, value, version)};
}

Record transaction_tombstone(const std::string& transactional_id) {
  return {.key = encode_key(transactional_id), .value = std::nullopt};
}

Result<std::optional<std::string>> parse_transaction_key(const Slice& key) {
  protocol::Reader reader(key);
  const std::int16_t type = reader.int16();
  if (!reader.ok()) return reader.status().error();
  if (type != TransactionLogKey::kRecordType) return std::optional<std::string>();
  TransactionLogKey message;
  RETURN_IF_ERROR(message.read(reader, 0));
  return std::optional<std::string>(std::move(message.transactional_id));
}

Result<Transaction> parse_transaction_value(const Slice& bytes) {
  protocol::Reader reader(bytes);
  const std::int16_t version = reader.int16();
  if (!reader.ok()) return reader.status().error();
  if (!TransactionLogValue::kVersions.contains(version))
    return Error{ErrorCode::kUnsupportedVersion,
                 "__transaction_state value of version " + std::to_string(version)};
  TransactionLogValue value;
  RETURN_IF_ERROR(value.read(reader, version));
  const std::optional<State> state = parse_state(value.transaction_status);
  if (!state)
    return Error{ErrorCode::kCorruptMessage, "__transaction_state value with the unknown state " +
                                                 std::to_string(value.transaction_status)};
  Transaction transaction;
  transaction.producer = {ProducerId{value.producer_id}, ProducerEpoch{value.producer_epoch}};
  transaction.previous_id = ProducerId{value.previous_producer_id};
  transaction.next_id = ProducerId{value.next_producer_id};
  transaction.timeout = std::chrono::milliseconds(value.transaction_timeout_ms);
  transaction.state = *state;
  transaction.last_update = value.transaction_last_update_timestamp_ms;
  transaction.start = value.transaction_start_timestamp_ms;
  transaction.client_version = value.client_transaction_version;
  if (value.transaction_partitions)
    for (const auto& topic : *value.transaction_partitions)
      for (const std::int32_t partition : topic.partition_ids)
        transaction.partitions.insert({topic.topic, partition});
  return transaction;
}

}  // namespace broker::coordinator::transaction
