#pragma once

#include <map>
#include <string>
#include <vector>

#include "operator/cli/brokers.h"
#include "operator/cli/views.h"

namespace broker::protocol {
struct OffsetCommitRequest;
struct OffsetFetchRequest;
}  // namespace broker::protocol

/// What the commands ask of Kafka, and what they make of the answers.
namespace op::cli {

/// Committed offsets are asked for and written by topic name.
using OffsetFetchByName = UpTo<broker::protocol::OffsetFetchRequest, 9>;
using OffsetCommitByName = UpTo<broker::protocol::OffsetCommitRequest, 9>;

/// `names` empty: all that the user may see. Errors: kUnknownTopicOrPartition,
/// kTopicAuthorizationFailed with the topic's name.
broker::Result<broker::protocol::MetadataResponse> describe_topics(
    Brokers& brokers, const std::vector<std::string>& names);

/// Topics with their partitions and, where the user may know them, sizes. `offsets`: also where
/// each log begins and ends.
broker::Result<TopicsView> gather_topics(Brokers& brokers, const std::vector<std::string>& names,
                                         bool offsets);
broker::Result<KafkaView> gather_cluster(Brokers& brokers);

inline constexpr std::int64_t kLatestTimestamp = -1;
inline constexpr std::int64_t kEarliestTimestamp = -2;
/// The offset of the first record at or after a time (or a constant above) per partition; -1 where
/// there is none. Each partition has its own result: its leader may be away.
using OffsetsByPartition = std::map<broker::TopicPartition, broker::Result<std::int64_t>>;
OffsetsByPartition list_offsets(Brokers& brokers,
                                const broker::protocol::MetadataResponse& metadata,
                                const std::vector<broker::TopicPartition>& partitions,
                                std::int64_t timestamp);

/// All groups that the user may see, with coordinators, not described.
broker::Result<std::vector<GroupView>> list_groups(Brokers& brokers);
/// Members, committed offsets and ends of logs of the named groups; what is wrong with one of them
/// stands in its `problem`.
broker::Result<std::vector<GroupView>> gather_groups(Brokers& brokers,
                                                     const std::vector<std::string>& ids);
/// The broker that coordinates a group. Waits a while for one that is just being elected.
broker::Result<std::int32_t> find_coordinator(Brokers& brokers, const std::string& group);

/// It may work at the next attempt, at another broker perhaps.
bool may_pass(broker::ErrorCode code);
/// kInvalidConfig: a topic with `count` partitions has no `partition`.
broker::Error no_such_partition(const std::string& topic, std::int32_t partition,
                                std::size_t count);
/// "TOPIC_AUTHORIZATION_FAILED" and the like in words: what was refused, and which right is
/// missing.
broker::Error explain(const broker::Error& error, const std::string& what);

}  // namespace op::cli
