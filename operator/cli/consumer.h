#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "operator/cli/group_member.h"
#include "operator/cli/record_reader.h"

namespace op::cli {

struct ConsumeOptions {
  std::string topic;
  std::string group;                      // "": reads by itself and keeps no offsets
  std::optional<std::int32_t> partition;  // only without a group
  bool from_beginning = false;            // where there is no committed offset: else from the end
  bool until_end = false;                 // ends where the log ended when it began
  bool read_committed = false;
  std::int64_t count = 0;  // 0: no limit
};

/// Reads one topic, in order within each partition. Blocking.
class Consumer {
 public:
  static constexpr auto kMaxWait = std::chrono::milliseconds(250);
  static constexpr auto kCommitEvery = std::chrono::seconds(5);
  static constexpr auto kPatience = std::chrono::seconds(30);  // without any answer

  /// `stop` is asked between requests; `on_record` returns false when it wants no more. `notice`
  /// gets what a person should know, such as an offset that is no longer there.
  using OnRecord = std::function<bool(const ReadRecord&)>;
  Consumer(Brokers& brokers, ConsumeOptions options, OnRecord on_record, std::function<bool()> stop,
           std::function<void(const std::string&)> notice);

  /// Until the count or end is reached, or stop. Commits what was handed over, and leaves.
  broker::Result<void> run();
  std::int64_t handed_over() const { return handed_over_; }

 private:
  broker::Result<void> begin();
  broker::Result<void> run_until_done();
  broker::Result<void> follow_group();
  broker::Result<void> start_at(const std::vector<broker::TopicPartition>& partitions,
                                const Positions& committed);
  broker::Result<void> learn_leaders();
  broker::Result<void> fetch_once();
  broker::Result<void> on_trouble(const broker::Error& error);
  template <class Partition>
  broker::Result<void> take(const broker::TopicPartition& name, const Partition& partition);
  broker::Result<void> move_into_range(const broker::TopicPartition& name);
  broker::Result<void> commit(bool now);
  bool is_done() const;

  Brokers& brokers_;
  const ConsumeOptions options_;
  const OnRecord on_record_;
  const std::function<bool()> stop_;
  const std::function<void(const std::string&)> notice_;
  broker::protocol::MetadataResponse metadata_;
  std::unique_ptr<GroupMember> member_;
  std::map<broker::TopicPartition, std::int32_t> leaders_;
  Positions positions_;  // next to hand over
  Positions ends_;       // of --until-end
  Positions committed_;  // as last written
  bool enough_ = false;
  bool stale_ = false;  // leaders are to be looked up again
  std::int64_t handed_over_ = 0;
  broker::Instant committed_at_{};
  broker::Instant heard_at_{};
  broker::Instant began_{};
};

}  // namespace op::cli
