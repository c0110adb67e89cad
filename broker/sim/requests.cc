#include "broker/sim/requests.h"

#include "broker/protocol/messages/create_topics_request.h"
#include "broker/protocol/messages/create_topics_response.h"
#include "broker/protocol/messages/find_coordinator_request.h"
#include "broker/protocol/messages/find_coordinator_response.h"
#include "broker/protocol/messages/offset_fetch_request.h"
#include "broker/protocol/messages/offset_fetch_response.h"

namespace broker::sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;

Duration draw(Rng& rng, Duration max) {
  return microseconds(rng.below(
      static_cast<std::uint64_t>(std::chrono::duration_cast<microseconds>(max).count()) + 1));
}

void create_topic(ClientContext& context, int partitions, int replicas, int min_insync, Task done) {
  protocol::CreateTopicsRequest request;
  protocol::CreateTopicsRequest::CreatableTopic topic;
  topic.name = context.topic;
  topic.num_partitions = partitions;
  topic.replication_factor = static_cast<std::int16_t>(replicas);
  topic.configs.push_back({"min.insync.replicas", std::to_string(min_insync)});
  request.topics.push_back(std::move(topic));
  request.timeout_ms = 3000;
  const io::Endpoint node = context.router.any_node();
  context.router.call<protocol::CreateTopicsRequest>(
      node, std::move(request),
      [=, &context, done = std::move(done)](Result<protocol::CreateTopicsResponse> r) mutable {
        const auto error = r.ok() ? static_cast<ErrorCode>(r->topics.front().error_code) : r.code();
        if (error == ErrorCode::kNone || error == ErrorCode::kTopicAlreadyExists) return done();
        if (error == ErrorCode::kInvalidConfig) {
          return context.history.violation("the topic is refused: " +
                                           r->topics.front().error_message.value_or(""));
        }
        if (!r.ok()) context.router.forget(node);
        context.strand.call_after(
            milliseconds(300), [=, &context, done = std::move(done)]() mutable {
              create_topic(context, partitions, replicas, min_insync, std::move(done));
            });
      },
      kRequestTimeout);
}

void find_coordinator(ClientContext& context, CoordinatorType type, const std::string& key,
                      UniqueFunction<void(std::optional<io::Endpoint>)> done) {
  protocol::FindCoordinatorRequest request;
  request.key_type = static_cast<std::int8_t>(type);
  request.coordinator_keys = {key};
  const io::Endpoint node = context.router.any_node();
  context.router.call<protocol::FindCoordinatorRequest>(
      node, std::move(request),
      [&context, node,
       done = std::move(done)](Result<protocol::FindCoordinatorResponse> response) mutable {
        if (!response.ok()) context.router.forget(node);
        if (!response.ok() || response->coordinators.empty() ||
            response->coordinators.front().error_code != 0)
          return done(std::nullopt);
        const auto& found = response->coordinators.front();
        done(io::Endpoint{found.host, static_cast<std::uint16_t>(found.port)});
      },
      kRequestTimeout);
}

void fetch_group_offset(ClientContext& context, const io::Endpoint& coordinator,
                        const std::string& group,
                        UniqueFunction<void(std::optional<std::int64_t>)> done) {
  protocol::OffsetFetchRequest request;
  request.require_stable = true;
  protocol::OffsetFetchRequest::OffsetFetchRequestGroup asked;
  asked.group_id = group;
  const auto leader = context.router.leader({context.topic, 0});
  asked.topics->push_back({context.topic, leader ? leader->topic_id : Uuid{}, {0}});
  request.groups.push_back(std::move(asked));
  context.router.call<protocol::OffsetFetchRequest>(
      coordinator, std::move(request),
      [done = std::move(done)](Result<protocol::OffsetFetchResponse> response) mutable {
        if (!response.ok() || response->groups.empty() ||
            response->groups.front().error_code != 0 || response->groups.front().topics.empty())
          return done(std::nullopt);
        const auto& partition = response->groups.front().topics.front().partitions.front();
        if (partition.error_code != 0) return done(std::nullopt);
        done(partition.committed_offset);
      },
      kRequestTimeout);
}

}  // namespace broker::sim
