#pragma once

#include "broker/common/function.h"
#include "broker/metadata/image.h"
#include "broker/protocol/messages/add_partitions_to_txn_request.h"
#include "broker/protocol/messages/add_partitions_to_txn_response.h"

namespace broker::coordinator::transaction {
class TransactionCoordinator;
}

namespace broker::handlers {

/// What a broker asks of this coordinator, itself perhaps (AddPartitionsToTxn version 4 and above).
/// `done` runs on the strand of the call.
void add_partitions_of_brokers(coordinator::transaction::TransactionCoordinator& coordinator,
                               const metadata::MetadataImage& image,
                               protocol::AddPartitionsToTxnRequest request,
                               UniqueFunction<void(protocol::AddPartitionsToTxnResponse)> done);

}  // namespace broker::handlers
