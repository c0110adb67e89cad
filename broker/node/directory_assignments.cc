#include "broker/node/directory_assignments.h"

#include <utility>

#include "broker/common/log.h"

namespace broker::node {
namespace {

constexpr auto kGather = std::chrono::milliseconds(10);  // the partitions of a new topic
constexpr auto kAssignAgain = std::chrono::milliseconds(500);
constexpr std::size_t kMaxReplicas = 2250;  // in a request, as Kafka's brokers do

protocol::AssignReplicasToDirsRequest to_request(
    const std::map<replication::PartitionKey, DirectoryId>& wanted) {
  using Request = protocol::AssignReplicasToDirsRequest;
  std::map<DirectoryId, std::map<TopicId, std::vector<std::int32_t>>> sorted;
  for (const auto& [replica, directory] : wanted)
    sorted[directory][replica.topic_id].push_back(replica.partition);
  Request request;
  for (const auto& [id, topics] : sorted) {
    Request::DirectoryData& directory = request.directories.emplace_back();
    directory.id = id;
    for (const auto& [topic_id, partitions] : topics) {
      Request::TopicData& topic = directory.topics.emplace_back();
      topic.topic_id = topic_id;
      for (const std::int32_t partition : partitions) topic.partitions.push_back({partition});
    }
  }
  return request;
}

}  // namespace

DirectoryAssignments::DirectoryAssignments(io::Strand& strand,
                                           controller::ControllerChannel& channel, BrokerId node,
                                           std::function<BrokerEpoch()> epoch)
    : strand_(strand), channel_(channel), node_(node), epoch_(std::move(epoch)) {}

DirectoryAssignments::~DirectoryAssignments() {
  *alive_ = false;
  strand_.cancel(timer_);
}

void DirectoryAssignments::on_placed(const replication::PartitionKey& replica,
                                     const DirectoryId& directory) {
  wanted_[replica] = directory;
  if (!in_flight_ && timer_ == io::kNoTimer) send_after(kGather);
}

void DirectoryAssignments::send_after(Duration delay) {
  timer_ = strand_.call_after(delay, [this, alive = alive_] {
    if (!*alive) return;
    timer_ = io::kNoTimer;
    send();
  });
}

void DirectoryAssignments::send() {
  if (in_flight_ || wanted_.empty()) return;
  Wanted asked;
  for (auto it = wanted_.begin(); it != wanted_.end() && asked.size() < kMaxReplicas; ++it)
    asked.insert(*it);
  auto request = to_request(asked);
  request.broker_id = node_.value;
  request.broker_epoch = epoch_().value;
  in_flight_ = true;
  controller::call(channel_, std::move(request),
                   [this, alive = alive_, asked = std::move(asked)](
                       const Result<protocol::AssignReplicasToDirsResponse>& answer) {
                     if (*alive) on_answer(asked, answer);
                   });
}

void DirectoryAssignments::on_answer(const Wanted& asked,
                                     const Result<protocol::AssignReplicasToDirsResponse>& answer) {
  in_flight_ = false;
  if (!answer.ok() || answer->error_code != 0) {
    log_warn(
        "node", "the controller does not know yet where replicas are",
        {{"replicas", wanted_.size()},
         {"error", answer.ok() ? std::string(error_name(static_cast<ErrorCode>(answer->error_code)))
                               : to_string(answer.error())}});
    return send_after(kAssignAgain);
  }
  // An error of one replica means that it is no longer here: metadata will tell.
  for (const auto& [replica, directory] : asked) forget(replica, directory);
  if (!wanted_.empty()) send_after(kGather);
}

void DirectoryAssignments::forget(const replication::PartitionKey& replica,
                                  const DirectoryId& directory) {
  const auto at = wanted_.find(replica);
  if (at != wanted_.end() && at->second == directory) wanted_.erase(at);
}

}  // namespace broker::node
