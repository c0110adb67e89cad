#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "broker/common/result.h"
#include "broker/io/file.h"
#include "broker/io/no_space.h"

namespace broker::storage {

/// What can still be done in one log directory. Shared by its logs on all strands and by what runs
/// on the pool.
///
/// Offline is final: after a failed write or sync nobody knows what is on the disk (Kafka's log
/// directory failure). Full is not: what did not fit was taken back, nothing but the metadata log
/// is appended to, and a reserve that was set aside at the start is given up so that this one, the
/// checkpoints and truncations can go on.
class DirectoryHealth : public std::enable_shared_from_this<DirectoryHealth> {
 public:
  enum class State { kOnline, kFull, kOffline };

  /// `reserve_bytes` 0: nothing is set aside.
  DirectoryHealth(io::FileSystem& fs, std::string directory, std::size_t reserve_bytes);

  const std::string& directory() const { return directory_; }
  State state() const { return state_.load(std::memory_order_acquire); }
  bool is_offline() const { return state() == State::kOffline; }
  bool is_full() const { return state() == State::kFull; }
  /// Why it is offline.
  std::optional<Error> failure() const;

  /// Told of every change of state(), on the thread where it happens, with no lock held. To be set
  /// before the first log is opened.
  void on_change(std::function<void()> callback) { on_change_ = std::move(callback); }

  void fail(const Error& why);
  /// No space is left: gives up the reserve.
  void note_full();
  /// Sets the reserve aside. Blocks. A directory without the space is full from then on; a full one
  /// is online again when there is room beside the reserve, too.
  void set_reserve_aside();

 private:
  /// Moves from one of `from` to `to`.
  bool change(std::initializer_list<State> from, State to);
  Result<void> fill(const std::string& path, std::size_t bytes);

  io::FileSystem& fs_;
  const std::string directory_;
  const std::size_t reserve_bytes_;
  std::atomic<State> state_{State::kOnline};
  std::function<void()> on_change_;
  mutable std::mutex mutex_;
  std::optional<Error> failure_;
};

/// `write`, and once more with the reserve where no space was left. What then still does not fit is
/// a failure like any other. `health` may be null: then there is no second time.
template <class Write>
auto with_reserve(DirectoryHealth* health, Write&& write) -> decltype(write()) {
  auto outcome = write();
  if (outcome.ok() || health == nullptr || !io::is_no_space(outcome.error())) return outcome;
  health->note_full();
  outcome = write();
  if (outcome.ok() || !io::is_no_space(outcome.error())) return outcome;
  return Error{ErrorCode::kKafkaStorageError, outcome.error().detail + ", nor in the reserve"};
}

}  // namespace broker::storage
