#pragma once

#include <string>

#include "broker/coordinator/runtime/types.h"
#include "broker/coordinator/transaction/types.h"

namespace broker::coordinator::transaction {

/// __transaction_state records as Kafka 4.3 writes them: values in version 1 from
/// transaction.version 1 on (`level`), else in version 0, which has no place for what KIP-890
/// added.
Record transaction_record(const std::string& transactional_id, const Transaction& transaction,
                          TransactionVersion level);
Record transaction_tombstone(const std::string& transactional_id);

/// A key of another type (of a newer version) has no id.
Result<std::optional<std::string>> parse_transaction_key(const Slice& key);
/// Errors: kUnsupportedVersion, kCorruptMessage and what the decoder says.
Result<Transaction> parse_transaction_value(const Slice& value);

}  // namespace broker::coordinator::transaction
