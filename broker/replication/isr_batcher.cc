#include "broker/replication/isr_batcher.h"

#include <algorithm>
#include <utility>

#include "broker/common/log.h"
#include "broker/protocol/messages/alter_partition_request.h"
#include "broker/protocol/messages/alter_partition_response.h"

namespace broker::replication {
namespace {

protocol::AlterPartitionRequest::PartitionData to_request(const PartitionKey& key,
                                                          const IsrChange& change) {
  protocol::AlterPartitionRequest::PartitionData data;
  data.partition_index = key.partition;
  data.leader_epoch = change.leader_epoch.value;
  data.partition_epoch = change.partition_epoch.value;
  data.leader_recovery_state = 0;  // whoever leads by now has recovered
  for (const auto& [id, epoch] : change.isr)
    data.new_isr_with_epochs.push_back({id.value, epoch.value});
  return data;
}

IsrDecision to_decision(const protocol::AlterPartitionResponse::PartitionData& data) {
  IsrDecision decision{static_cast<ErrorCode>(data.error_code),
                       LeaderEpoch{data.leader_epoch},
                       PartitionEpoch{data.partition_epoch},
                       {}};
  for (const std::int32_t id : data.isr) decision.isr.push_back(BrokerId{id});
  return decision;
}

}  // namespace

IsrBatcher::IsrBatcher(io::Strand& main, AlterPartitionSender& sender, BrokerId self)
    : main_(main), sender_(sender), self_(self) {}

IsrBatcher::~IsrBatcher() = default;

void IsrBatcher::set_broker_epoch(BrokerEpoch epoch) {
  broker_epoch_ = epoch;
  send_soon();
}

void IsrBatcher::submit(const PartitionKey& key, IsrChange change, Done done) {
  if (!alive_) return;
  waiting_[key] = {std::move(change), std::move(done)};
  send_soon();
}

void IsrBatcher::shut_down() {
  alive_.reset();
  if (timer_ != io::kNoTimer) main_.cancel(timer_);
  waiting_.clear();
  in_flight_.clear();
}

void IsrBatcher::send_soon() {
  if (posted_ || under_way_ || timer_ != io::kNoTimer || waiting_.empty() || !alive_) return;
  posted_ = true;
  main_.post([this, alive = std::weak_ptr(alive_)] {
    if (!alive.lock()) return;
    posted_ = false;
    send();
  });
}

void IsrBatcher::send() {
  if (under_way_ || timer_ != io::kNoTimer || waiting_.empty() || broker_epoch_.value < 0) return;
  under_way_ = true;
  in_flight_ = std::exchange(waiting_, {});
  protocol::AlterPartitionRequest request;
  request.broker_id = self_.value;
  request.broker_epoch = broker_epoch_.value;
  for (const auto& [key, item] : in_flight_) {
    if (request.topics.empty() || request.topics.back().topic_id != key.topic_id) {
      request.topics.emplace_back();
      request.topics.back().topic_id = key.topic_id;
    }
    request.topics.back().partitions.push_back(to_request(key, item.change));
  }
  sender_.alter_partition(
      std::move(request),
      [this, alive = std::weak_ptr(alive_)](Result<protocol::AlterPartitionResponse> response) {
        if (alive.lock()) on_response(std::move(response));
      });
}

void IsrBatcher::on_response(Result<protocol::AlterPartitionResponse> response) {
  under_way_ = false;
  Items asked = std::exchange(in_flight_, {});
  const ErrorCode error =
      response.ok() ? static_cast<ErrorCode>(response->error_code) : response.code();
  bool refused = error != ErrorCode::kNone;
  if (!refused) {
    for (const auto& topic : response->topics) {
      for (const auto& data : topic.partitions) {
        auto item = asked.extract({topic.topic_id, data.partition_index});
        if (item.empty()) continue;
        refused = refused || data.error_code != 0;
        if (!waiting_.contains(item.key())) item.mapped().done(to_decision(data));
      }
    }
  } else if (failures_ == 0) {
    log_warn("replication", "the controller did not take a change of in-sync replicas",
             {{"reason", to_string(response.ok() ? Error{error, {}} : response.error())}});
  }
  // What was not answered is asked again, unless something newer is.
  waiting_.merge(asked);
  if (refused) return send_again_later();
  failures_ = 0;
  send_soon();
}

void IsrBatcher::send_again_later() {
  const auto wait = std::min(kMaxBackoff, kMinBackoff * (1 << std::min(failures_++, 10)));
  timer_ = main_.call_after(wait, [this] {
    timer_ = io::kNoTimer;
    send_soon();
  });
}

}  // namespace broker::replication
