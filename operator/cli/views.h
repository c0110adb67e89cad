#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/error_code.h"
#include "broker/common/ids.h"

/// What the commands found out, before it is shown: gathered in one file, rendered in another.
namespace op::cli {

inline constexpr std::int32_t kNoLeader = -1;

struct PartitionView {
  std::int32_t id = 0;
  std::int32_t leader = kNoLeader;
  std::vector<std::int32_t> replicas;  // the preferred leader first
  std::vector<std::int32_t> isr;
  std::optional<std::int64_t> size_bytes;  // on the leader
  std::optional<std::int64_t> log_start_offset;
  std::optional<std::int64_t> end_offset;  // the high watermark

  bool is_offline() const { return leader == kNoLeader; }
  bool is_under_replicated() const { return isr.size() < replicas.size(); }
  std::vector<std::int32_t> out_of_sync() const;
};

struct TopicView {
  std::string name;
  std::string id;  // as Kafka's tools write it; "" in clusters of before topic ids
  bool internal = false;
  std::vector<PartitionView> partitions;  // by number

  std::size_t replication_factor() const;                // of the widest partition
  std::optional<std::int64_t> size_bytes() const;        // sum over leaders; nullopt: not all known
  std::map<std::int32_t, std::int32_t> leaders() const;  // broker -> partitions that it leads
};

struct TopicsView {
  std::vector<TopicView> topics;  // by name
  std::string sizes_unknown_why;  // "" when they are known
};

struct BrokerView {
  std::int32_t id = 0;
  std::string address;  // "host:port" of the listener that was asked
  std::string rack;
  bool fenced = false;
  bool controller = false;  // the one that Metadata names
  std::int32_t leaders = 0;
  std::int32_t replicas = 0;
  std::int32_t out_of_sync = 0;
};

struct VoterView {
  std::int32_t id = 0;
  std::int64_t lag_records = 0;  // behind the leader's log end
};

struct QuorumView {
  std::int32_t leader = kNoLeader;
  std::int32_t epoch = 0;
  std::vector<VoterView> voters;
  std::vector<std::int32_t> observers;
};

/// A cluster as it answers on Kafka's protocol.
struct KafkaView {
  std::string cluster_id;
  std::string bootstrap;
  std::vector<BrokerView> brokers;  // by id
  std::optional<QuorumView> quorum;
  std::string quorum_unknown_why;
  std::map<std::string, std::int16_t> features;  // finalised levels
  std::int32_t topics = 0;
  std::int32_t partitions = 0;
  std::vector<broker::TopicPartition> under_replicated;
  std::vector<broker::TopicPartition> offline;
};

struct MemberView {
  std::string id;
  std::string instance_id;  // "" for a dynamic member
  std::string client_id;
  std::string host;
  std::vector<broker::TopicPartition> partitions;
};

struct PartitionLag {
  broker::TopicPartition partition;
  std::optional<std::int64_t> committed;
  std::optional<std::int64_t> end_offset;
  std::string problem;                // why the end is unknown
  std::optional<std::size_t> member;  // index into the group's members

  std::optional<std::int64_t> lag() const;
};

struct GroupView {
  std::string id;
  std::string type;   // "Consumer", "Classic", …
  std::string state;  // Kafka's word: "Stable", "Empty", "Dead" …
  std::int32_t coordinator = -1;
  std::string assignor;
  std::vector<MemberView> members;
  std::vector<PartitionLag> partitions;  // by topic and number
  std::string problem;                   // why it is not described
  broker::ErrorCode problem_code = broker::ErrorCode::kNone;

  bool has_active_members() const { return !members.empty(); }
  /// Over the partitions whose lag is known; nullopt when none is.
  std::optional<std::int64_t> total_lag() const;
};

}  // namespace op::cli
