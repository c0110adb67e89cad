#pragma once

#include <optional>

#include "broker/coordinator/runtime/types.h"

namespace broker::coordinator {

/// The state behind one partition of a coordinator's topic, made by replaying its log. Pure: time
/// comes in as an argument, wishes go out as Output. Runs on the partition's strand.
class Shard {
 public:
  virtual ~Shard() = default;

  /// Applies one record, from the log at load time or just written: the only way hard state
  /// changes. Record types of a newer version are skipped. An error means the log cannot be
  /// understood; the shard stays out of service.
  virtual Result<void> replay(const Record& record) = 0;
  /// A record of a transaction: nothing before replay_end() says that it was committed, nothing at
  /// all otherwise.
  virtual Result<void> replay_pending(TransactionalProducer, const Record&) {
    return Error{ErrorCode::kInvalidRecord, "a transaction in a log without transactions"};
  }
  virtual void replay_end(ProducerId, bool /*committed*/) {}
  /// The epoch that this broker leads the partition in, at first before anything is replayed.
  virtual void on_epoch(LeaderEpoch) {}
  /// After the last record of the log: arms session timers and the like.
  virtual void on_loaded(const Now& now) = 0;
  /// Does what is due. Called at or after wake_at().
  virtual Output tick(const Now& now) = 0;
  virtual std::optional<Instant> wake_at() const = 0;
  /// The shard ends: answers everything that waits inside it with `reason`.
  virtual void resign(ErrorCode reason) = 0;
};

}  // namespace broker::coordinator
