#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/producer_ids.h"
#include "broker/handlers/services.h"
#include "broker/protocol/messages/init_producer_id_request.h"
#include "broker/protocol/messages/init_producer_id_response.h"

namespace broker::handlers {

void handle_init_producer_id(Services& services, Call<protocol::InitProducerIdRequest> call) {
  const Access access(services, call);
  protocol::InitProducerIdResponse response;
  if (const auto& id = call.request.transactional_id) {
    // Transactions are refused clearly: clients treat an unsupported version as fatal.
    response.error_code = wire(access.may(AclOperation::kWrite, ResourceType::kTransactionalId, *id)
                                   ? ErrorCode::kUnsupportedVersion
                                   : ErrorCode::kTransactionalIdAuthorizationFailed);
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
