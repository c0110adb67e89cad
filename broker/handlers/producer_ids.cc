#include "broker/handlers/producer_ids.h"

#include <utility>

namespace broker::handlers {

ProducerIds::ProducerIds(io::Strand& home, controller::ControllerChannel& channel,
                         std::function<std::pair<BrokerId, BrokerEpoch>()> broker)
    : home_(home), channel_(channel), broker_(std::move(broker)) {}

void ProducerIds::next(io::Strand& caller, UniqueFunction<void(Result<ProducerId>)> done) {
  home_.post([this, waiter = Waiter{&caller, std::move(done)}]() mutable {
    waiters_.push_back(std::move(waiter));
    serve();
  });
}

void ProducerIds::serve() {
  while (!waiters_.empty() && next_ < end_) {
    Waiter waiter = std::move(waiters_.front());
    waiters_.pop_front();
    waiter.caller->post(
        [done = std::move(waiter.done), id = ProducerId{next_++}]() mutable { done(id); });
  }
  if (!waiters_.empty() && !requesting_) request_block();
}

void ProducerIds::request_block() {
  requesting_ = true;
  const auto [id, epoch] = broker_();
  protocol::AllocateProducerIdsRequest request;
  request.broker_id = id.value;
  request.broker_epoch = epoch.value;
  controller::call(channel_, std::move(request),
                   [this](Result<protocol::AllocateProducerIdsResponse> result) {
                     requesting_ = false;
                     if (result.ok() && result->error_code == 0) {
                       next_ = result->producer_id_start;
                       end_ = next_ + result->producer_id_len;
                       return serve();
                     }
                     auto waiters = std::move(waiters_);
                     waiters_.clear();
                     for (Waiter& waiter : waiters) {
                       waiter.caller->post([done = std::move(waiter.done)]() mutable {
                         done(ErrorCode::kCoordinatorLoadInProgress);
                       });
                     }
                   });
}

}  // namespace broker::handlers
