#include "broker/coordinator/transaction/transaction_coordinator.h"
#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/producer_ids.h"
#include "broker/handlers/services.h"
#include "broker/protocol/messages/init_producer_id_request.h"
#include "broker/protocol/messages/init_producer_id_response.h"

namespace broker::handlers {
namespace {

namespace txn = coordinator::transaction;

void init_transactional(Services& services, Call<protocol::InitProducerIdRequest> call) {
  const auto& request = call.request;
  protocol::InitProducerIdResponse response;
  if ((request.producer_id == record::kNoProducerId) !=
      (request.producer_epoch == record::kNoProducerEpoch)) {
    response.error_code = wire(ErrorCode::kInvalidRequest);
    return call.reply(response);
  }
  txn::InitProducer init{*request.transactional_id,
                         std::chrono::milliseconds(request.transaction_timeout_ms), std::nullopt};
  if (request.producer_id != record::kNoProducerId)
    init.expected = {ProducerId{request.producer_id}, ProducerEpoch{request.producer_epoch}};
  services.transactions->init_producer(
      std::move(init), [call = std::move(call), response](txn::ProducerAnswer answer) mutable {
        // Older clients know only this error of an older epoch.
        if (answer.error == ErrorCode::kProducerFenced && call.version() < 4)
          answer.error = ErrorCode::kInvalidProducerEpoch;
        response.error_code = wire(answer.error);
        response.producer_id = answer.producer.id.value;
        response.producer_epoch = answer.producer.epoch.value;
        call.reply(response);
      });
}

}  // namespace

void handle_init_producer_id(Services& services, Call<protocol::InitProducerIdRequest> call) {
  const Access access(services, call);
  protocol::InitProducerIdResponse response;
  if (const auto& id = call.request.transactional_id) {
    if (access.may(AclOperation::kWrite, ResourceType::kTransactionalId, *id))
      return init_transactional(services, std::move(call));
    response.error_code = wire(ErrorCode::kTransactionalIdAuthorizationFailed);
    return call.reply(response);
  }
  // Whoever may write to some topic may do so idempotently (KIP-679).
  if (!access.sees(AclOperation::kIdempotentWrite, ResourceType::kCluster,
                   std::string(security::kClusterName)) &&
      !access.may_on_any(AclOperation::kWrite, ResourceType::kTopic)) {
    access.may_on_cluster(AclOperation::kIdempotentWrite);  // for the audit line
    response.error_code = wire(ErrorCode::kClusterAuthorizationFailed);
    return call.reply(response);
  }
  io::Strand& strand = call.strand();
  services.producer_ids->next(strand,
                              [call = std::move(call), response](Result<ProducerId> id) mutable {
                                if (id.ok()) {
                                  response.producer_id = id->value;
                                  response.producer_epoch = 0;
                                } else {
                                  response.error_code = wire(id.error().code);
                                }
                                call.reply(response);
                              });
}

}  // namespace broker::handlers
