#pragma once

#include <map>
#include <string>
#include <vector>

#include "operator/cli/brokers.h"

namespace op::cli {

using Positions = std::map<broker::TopicPartition, std::int64_t>;

/// A member of a consumer group by the new protocol (KIP-848): the broker assigns, a heartbeat
/// brings what changed. Blocking; the owner calls heartbeat() often enough.
class GroupMember {
 public:
  GroupMember(Brokers& brokers, std::string group, std::string topic, broker::Uuid topic_id,
              std::string member_id)
      : brokers_(brokers),
        group_(std::move(group)),
        topic_(std::move(topic)),
        topic_id_(topic_id),
        member_id_(std::move(member_id)) {}

  /// Joins at the first call; does nothing while none is due. True when the assignment is another:
  /// partitions that are no longer in it must be committed and left before the next call, which
  /// tells the group so. Errors: kUnsupportedVersion in words where the broker does not know the
  /// protocol, kGroupAuthorizationFailed; what passes is tried again at the next call.
  broker::Result<bool> heartbeat();
  /// When the next heartbeat is due.
  broker::Instant due() const { return due_; }
  /// Whether the group has said what this member gets, be it nothing.
  bool is_assigned() const { return assigned_once_; }
  const std::vector<broker::TopicPartition>& assignment() const { return assignment_; }

  /// Partitions without a committed offset are left out.
  broker::Result<Positions> committed(const std::vector<broker::TopicPartition>& partitions);
  broker::Result<void> commit(const Positions& positions);
  /// Best effort: a member that says nothing leaves after its session's time.
  void leave();

 private:
  broker::Result<bool> beat();
  void rejoin();

  Brokers& brokers_;
  const std::string group_;
  const std::string topic_;
  const broker::Uuid topic_id_;
  const std::string member_id_;
  std::int32_t coordinator_ = -1;
  std::int32_t epoch_ = 0;  // 0: joins
  bool tell_owned_ = true;
  bool assigned_once_ = false;
  std::vector<broker::TopicPartition> assignment_;
  broker::Instant due_{};
};

}  // namespace op::cli
