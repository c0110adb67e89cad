#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/coordinator/group/harness_for_tests.h"
#include "broker/protocol/messages/consumer_group_heartbeat_request.h"

namespace broker::coordinator::group {

/// A shard that knows some topics. Partitions are told by number: of all topics together.
class ConsumerHarness : public Harness {
 public:
  using Topics = std::map<std::string, std::int32_t>;  // partitions by name

  explicit ConsumerHarness(const Topics& topics, GroupOptions options = {}) : Harness(options) {
    set_topics(topics);
  }

  void set_topics(const Topics& topics) {
    auto next = std::make_shared<metadata::MetadataImage>();
    for (const auto& [name, partitions] : topics) {
      metadata::TopicImage topic{.name = name, .id = id(name)};
      for (std::int32_t p = 0; p < partitions; ++p)
        topic.partitions.set(p, {.replicas = {BrokerId{1}}, .leader = BrokerId{1}});
      next->topics.ids.set(name, topic.id);
      next->topics.by_id.set(topic.id, std::move(topic));
    }
    next->provenance.offset = Offset{image->provenance.offset.value + 1};
    topics_created_at = next->provenance.offset;
    image = std::move(next);
  }

  static Uuid id(const std::string& topic) { return {7, std::hash<std::string>()(topic)}; }

  struct BeatArgs {
    std::string member;
    std::int32_t epoch = 0;
    std::optional<std::string> instance;
    std::optional<std::vector<std::string>> topics;
    std::optional<std::string> regex;
    std::string owned = "-";  // partitions of "orders"; "-": does not say
    bool joins = false;
  };
  protocol::ConsumerGroupHeartbeatResponse beat(const BeatArgs& args) {
    protocol::ConsumerGroupHeartbeatRequest request;
    request.group_id = "g";
    request.member_id = args.member;
    request.member_epoch = args.epoch;
    request.instance_id = args.instance;
    request.subscribed_topic_names = args.topics;
    request.subscribed_topic_regex = args.regex;
    if (args.joins) {
      request.rebalance_timeout_ms = 60'000;
      request.topic_partitions.emplace();
    }
    if (args.owned != "-") {
      auto& topic = request.topic_partitions.emplace().emplace_back();
      topic.topic_id = id("orders");
      for (const char c : args.owned)
        if (c != ',') topic.partitions.push_back(c - '0');
    }
    auto answer = promise<protocol::ConsumerGroupHeartbeatResponse>();
    carry_out(shard->consumer_heartbeat(
        {1, "client", "/127.0.0.1"}, request, [](const std::string&) { return true; }, now,
        keep(answer)));
    return **answer;
  }
  protocol::ConsumerGroupHeartbeatResponse join(const std::string& member) {
    return beat({.member = member, .topics = {{"orders"}}, .joins = true});
  }
  ErrorCode error(const BeatArgs& args) { return static_cast<ErrorCode>(beat(args).error_code); }

  static std::string text(const protocol::ConsumerGroupHeartbeatResponse& response) {
    std::string text;
    if (!response.assignment) return text;
    for (const auto& topic : response.assignment->topic_partitions)
      for (const std::int32_t p : topic.partitions)
        text += (text.empty() ? "" : ",") + std::to_string(p);
    return text;
  }

  void answer_regexes() {
    const auto jobs = std::exchange(regex_jobs, {});
    for (const RegexJob& job : jobs) carry_out(shard->apply_regexes(job.group, resolve(job)));
  }

  const ConsumerGroup& consumer() const { return *shard->find("g")->consumer; }
  std::string consumer_state() const { return std::string(consumer().state_name()); }
  std::int32_t epoch_of(const std::string& member) const { return consumer().find(member)->epoch; }
  std::string owned_by(const std::string& member) const {
    std::string text;
    for (const auto& [topic, partitions] : consumer().find(member)->assigned)
      for (const auto& [p, epoch] : partitions)
        text += (text.empty() ? "" : ",") + std::to_string(p);
    return text;
  }
};

}  // namespace broker::coordinator::group
