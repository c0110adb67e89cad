// The part of Partition that lets transactions in, and closes them (KIP-890).
#include <utility>

#include "broker/common/defect.h"
#include "broker/record/batch.h"
#include "broker/record/control_batch.h"
#include "broker/replication/partition.h"

namespace broker::replication {
namespace {

/// The header of a transactional batch of data; nullopt for anything else.
std::optional<record::BatchHeader> transactional_header(const Slice& records) {
  if (records.size() < record::kBatchHeaderSize) return std::nullopt;
  const record::BatchHeader header(records.span());
  if (header.magic() != record::kMagic || !header.is_transactional() || header.is_control() ||
      !header.has_producer_id())
    return std::nullopt;
  return header;
}

/// What the coordinator's answer means to a client that produces. Clients from before KIP-890 do
/// not repeat everything that may be repeated; kNotEnoughReplicas they do, without new metadata.
ErrorCode to_produce_error(ErrorCode error) {
  switch (error) {
    case ErrorCode::kConcurrentTransactions:
    case ErrorCode::kNetworkException:
    case ErrorCode::kCoordinatorLoadInProgress:
    case ErrorCode::kCoordinatorNotAvailable:
    case ErrorCode::kNotCoordinator:
      return ErrorCode::kNotEnoughReplicas;
    default:
      return error;
  }
}

std::string why_unverified(ErrorCode error) {
  if (error == ErrorCode::kInvalidTxnState) return "Partition was not added to the transaction";
  return "Unable to verify the partition has been added to the transaction. Underlying error: " +
         std::string(error_name(error));
}

}  // namespace

void Partition::append_in_transaction(TransactionCheck check, const Slice& records, Acks acks,
                                      std::chrono::milliseconds timeout, AppendCallback callback) {
  const auto header = transactional_header(records);
  if (!header)
    return append(records, acks, AppendOrigin::kClient, timeout, host_.now(), host_.wall_now(),
                  std::move(callback));
  check.producer_id = header->producer_id();
  check.producer_epoch = header->producer_epoch();
  const bool starts_at_zero = check.add_partition;
  verify_transaction(std::move(check),
                     [self = shared_from_this(), starts_at_zero, records, acks, timeout,
                      callback = std::move(callback)](ErrorCode error) mutable {
                       const auto fail = [&](ErrorCode code, std::string why) {
                         ++self->counters_->produce_requests;
                         ++self->counters_->failed_produce_requests;
                         callback(self->refuse(code, std::move(why)));
                       };
                       if (error != ErrorCode::kNone)
                         return fail(to_produce_error(error), why_unverified(error));
                       // Every epoch of such a producer begins with sequence 0, so nothing was
                       // forgotten here.
                       const record::BatchHeader batch(records.span());
                       if (starts_at_zero && batch.base_sequence() != 0 &&
                           !self->log_->producers().producers().contains(batch.producer_id()))
                         return fail(ErrorCode::kOutOfOrderSequenceNumber,
                                     "the first batch of an epoch must have the sequence 0");
                       self->append(records, acks, AppendOrigin::kClient, timeout,
                                    self->host_.now(), self->host_.wall_now(), std::move(callback));
                     });
}

void Partition::verify_transaction(TransactionCheck check, PartitionHost::Verified done) {
  const Result<void> leads = check_leader(std::nullopt);
  if (!leads.ok()) return done(leads.code());
  if (log_->producers().has_open_transaction(check.producer_id, check.producer_epoch) ||
      ((!settings_.verify_transactions || has_defect(Defect::kTransactionUnverified)) &&
       !check.add_partition))
    return done(ErrorCode::kNone);
  const auto known = verifications_.find(check.producer_id);
  if (known != verifications_.end()) {
    if (known->second.check.producer_epoch == check.producer_epoch) {
      // In the middle of answering the others: in front of none of them.
      known->second.waiters.push_back(std::move(done));
      return;
    }
    if (check.producer_epoch < known->second.check.producer_epoch)
      return done(ErrorCode::kInvalidProducerEpoch);
    end_verification(check.producer_id, ErrorCode::kInvalidProducerEpoch);
  }
  const ProducerId producer = check.producer_id;
  Verification& verification = verifications_[producer];
  verification.check = std::move(check);
  verification.waiters.push_back(std::move(done));
  ask_about(producer);
}

/// An answer to an earlier question is worth nothing from now on.
void Partition::ask_about(ProducerId producer) {
  Verification& verification = verifications_.at(producer);
  verification.ticket = ++verification_tickets_;
  host_.verify_transaction(
      *this, verification.check,
      [weak = weak_from_this(), producer, ticket = verification.ticket](ErrorCode error) {
        if (const auto self = weak.lock()) self->on_verified(producer, ticket, error);
      });
}

void Partition::on_verified(ProducerId producer, std::uint64_t ticket, ErrorCode error) {
  const auto mine = [&]() -> Verification* {
    const auto at = verifications_.find(producer);
    return at != verifications_.end() && at->second.ticket == ticket ? &at->second : nullptr;
  };
  if (!mine()) return;  // a marker, or another leader, was faster
  if (error != ErrorCode::kNone) return end_verification(producer, error);
  mine()->verified = true;
  // Whoever comes in meanwhile stands behind.
  for (std::size_t i = 0; mine() && i < mine()->waiters.size(); ++i) {
    PartitionHost::Verified waiter = std::move(mine()->waiters[i]);
    waiter(ErrorCode::kNone);
  }
  if (mine()) verifications_.erase(producer);
}

void Partition::end_verification(ProducerId producer, ErrorCode reason) {
  auto ended = verifications_.extract(producer);
  if (!ended) return;
  for (PartitionHost::Verified& waiter : ended.mapped().waiters)
    if (waiter) waiter(reason);
}

void Partition::end_verifications(ErrorCode reason) {
  while (!verifications_.empty()) end_verification(verifications_.begin()->first, reason);
}

/// Records of a transaction get in only with the coordinator's knowledge: it will close what it
/// knows, and nothing else.
bool Partition::is_verified(const Slice& records) const {
  const auto header = transactional_header(records);
  if (!header || !settings_.verify_transactions) return true;
  if (log_->producers().has_open_transaction(header->producer_id(), header->producer_epoch()) ||
      has_defect(Defect::kTransactionUnverified))
    return true;
  const auto at = verifications_.find(header->producer_id());
  return at != verifications_.end() && at->second.verified &&
         at->second.check.producer_epoch == header->producer_epoch();
}

void Partition::append_marker(const record::TxnMarker& marker, std::int16_t transaction_version,
                              std::chrono::milliseconds timeout, Instant now, WallMs wall,
                              AppendCallback callback) {
  const Result<void> leads = check_leader(std::nullopt);
  if (!leads.ok()) return callback(refuse(leads.code()));
  const Result<void> valid = log_->producers().check_marker(marker, transaction_version);
  if (!valid.ok()) return callback(refuse(valid.code(), valid.error().detail));
  append(record::make_txn_marker(marker, wall), Acks::kAll, AppendOrigin::kCoordinator, timeout,
         now, wall, std::move(callback));
  // The answer on its way may be of the transaction that is over now; who waits for it wants to
  // write to the next one.
  const auto asked = verifications_.find(marker.producer_id);
  if (asked != verifications_.end() && !asked->second.verified) ask_about(marker.producer_id);
}

Partition::ActiveProducers Partition::active_producers() const {
  ActiveProducers active;
  active.error = check_leader(std::nullopt).code();
  if (active.error == ErrorCode::kNone) active.producers = log_->producers().producers();
  return active;
}

}  // namespace broker::replication
