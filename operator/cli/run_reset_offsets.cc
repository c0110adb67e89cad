#include <unistd.h>

#include <algorithm>
#include <set>

#include "broker/protocol/frame.h"
#include "broker/protocol/messages/offset_commit_request.h"
#include "broker/protocol/messages/offset_commit_response.h"
#include "operator/cli/access.h"
#include "operator/cli/commands.h"
#include "operator/cli/gather.h"

namespace op::cli {
namespace {

using broker::Error;
using broker::ErrorCode;
using broker::Result;
using broker::TopicPartition;
namespace protocol = broker::protocol;

/// As Kafka's tool: the members would overwrite what is written, or work on without noticing.
Result<GroupView> inactive_group(Brokers& brokers, const std::string& id) {
  ASSIGN_OR_RETURN(std::vector<GroupView> groups, gather_groups(brokers, {id}));
  GroupView& group = groups.front();
  if (!group.problem.empty()) return Error{group.problem_code, group.problem};
  if (group.state != "Empty" && group.state != "Dead") {
    return Error{ErrorCode::kNonEmptyGroup,
                 "group " + id + " is active (" + group.state + ", " +
                     counted(static_cast<std::int64_t>(group.members.size()), "member") +
                     "): stop its members first"};
  }
  return std::move(group);
}

Result<std::vector<TopicPartition>> partitions_in_scope(
    const Options& options, const GroupView& group, const protocol::MetadataResponse& metadata) {
  std::set<TopicPartition> out;
  if (options.all_topics) {
    for (const PartitionLag& partition : group.partitions) out.insert(partition.partition);
    if (out.empty())
      return Error{ErrorCode::kGroupIdNotFound,
                   "group " + group.id + " has no offsets: name topics with --topic"};
  }
  std::map<std::string, std::int32_t> counts;
  for (const auto& topic : metadata.topics)
    counts[topic.name.value_or("")] = static_cast<std::int32_t>(topic.partitions.size());
  for (const TopicChoice& choice : options.topics) {
    const std::int32_t count = counts[choice.topic];
    if (choice.partitions.empty())
      for (std::int32_t number = 0; number < count; ++number) out.insert({choice.topic, number});
    for (const std::int32_t number : choice.partitions) {
      if (number >= count)
        return no_such_partition(choice.topic, number, static_cast<std::size_t>(count));
      out.insert({choice.topic, number});
    }
  }
  return std::vector<TopicPartition>(out.begin(), out.end());
}

Result<std::vector<ResetInput>> look_at(Brokers& brokers,
                                        const protocol::MetadataResponse& metadata,
                                        const GroupView& group, const ResetTo& to,
                                        const std::vector<TopicPartition>& partitions) {
  std::map<TopicPartition, std::optional<std::int64_t>> committed;
  for (const PartitionLag& partition : group.partitions)
    committed[partition.partition] = partition.committed;
  const auto* time = std::get_if<ToTime>(&to);
  const auto earliest = list_offsets(brokers, metadata, partitions, kEarliestTimestamp);
  const auto latest = list_offsets(brokers, metadata, partitions, kLatestTimestamp);
  const auto at_time =
      time ? list_offsets(brokers, metadata, partitions, time->time) : OffsetsByPartition();
  std::vector<ResetInput> out;
  for (const TopicPartition& name : partitions) {
    ResetInput& in = out.emplace_back();
    in.partition = name;
    in.committed = committed[name];
    for (const auto* offsets : {&earliest, &latest, &at_time}) {
      if (offsets == &at_time && !time) continue;
      if (!offsets->at(name).ok())
        return explain(offsets->at(name).error(), "partition " + to_string(name));
    }
    in.earliest = *earliest.at(name);
    in.latest = *latest.at(name);
    if (time) in.at_time = *at_time.at(name);
  }
  return out;
}

/// Writes all; what is refused is noted in its row.
Result<void> write_offsets(Brokers& brokers, const GroupView& group, std::vector<ResetRow>& rows) {
  OffsetCommitByName request;
  request.group_id = group.id;
  for (const ResetRow& row : rows) {
    auto& topics = request.topics;
    if (topics.empty() || topics.back().name != row.partition.topic)
      topics.emplace_back().name = row.partition.topic;
    auto& partition = topics.back().partitions.emplace_back();
    partition.partition_index = row.partition.partition;
    partition.committed_offset = row.after;
  }
  ASSIGN_OR_RETURN(const auto answer, brokers.ask(group.coordinator, std::move(request)));
  std::optional<Error> refused;
  for (const auto& topic : answer.topics) {
    for (const auto& partition : topic.partitions) {
      const ErrorCode code = protocol::error_from_wire(partition.error_code);
      if (code == ErrorCode::kNone) continue;
      const TopicPartition name{topic.name, partition.partition_index};
      if (!refused) refused = explain({code, {}}, "the offset of " + to_string(name));
      for (ResetRow& row : rows) {
        if (row.partition != name) continue;
        row.failed = true;
        row.note = "not written: " + std::string(error_name(code));
      }
    }
  }
  if (refused) return *refused;
  return {};
}

}  // namespace

int run_reset_offsets(const Options& options) {
  const auto brokers = open_kafka(options.target);
  if (!brokers.ok()) return fail(brokers.error());
  const auto group = inactive_group(**brokers, options.names.front());
  if (!group.ok()) return fail(group.error());
  std::vector<std::string> topics;
  for (const TopicChoice& choice : options.topics) topics.push_back(choice.topic);
  const auto metadata =
      describe_topics(**brokers, options.all_topics ? std::vector<std::string>() : topics);
  if (!metadata.ok()) return fail(metadata.error());
  const auto partitions = partitions_in_scope(options, *group, *metadata);
  if (!partitions.ok()) return fail(partitions.error());
  const auto inputs = look_at(**brokers, *metadata, *group, options.reset_to, *partitions);
  if (!inputs.ok()) return fail(inputs.error());
  auto rows = plan_reset(options.reset_to, *inputs);
  if (!rows.ok()) return fail(rows.error());
  const auto written = options.dry_run ? Result<void>() : write_offsets(**brokers, *group, *rows);
  const bool some_written =
      std::any_of(rows->begin(), rows->end(), [](const ResetRow& row) { return !row.failed; });
  if (!written.ok() && some_written == false) return fail(written.error());
  print(options.format == Format::kTable
            ? render_reset(group->id, *rows, options.dry_run, look_at_terminal(STDOUT_FILENO))
            : document_text(options.format, reset_json(group->id, *rows, options.dry_run)));
  return written.ok() ? kDone : fail(written.error());
}

}  // namespace op::cli
