#include "broker/storage/directory_health.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "broker/common/log.h"
#include "broker/common/rng.h"

namespace broker::storage {
namespace {

constexpr const char* kReserveName = "/.reserve";
constexpr const char* kRoomName = "/.room.tmp";
constexpr std::size_t kFillBytes = 64 << 10;
/// A directory is no longer full when so many reserves fit beside the first: else it would be full
/// again with the next batch, and its broker out of the ISRs and in again.
constexpr std::size_t kRoomFactor = 4;

}  // namespace

DirectoryHealth::DirectoryHealth(io::FileSystem& fs, std::string directory,
                                 std::size_t reserve_bytes)
    : fs_(fs), directory_(std::move(directory)), reserve_bytes_(reserve_bytes) {}

std::optional<Error> DirectoryHealth::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

bool DirectoryHealth::change(std::initializer_list<State> from, State to) {
  for (State expected : from) {
    if (state_.compare_exchange_strong(expected, to, std::memory_order_acq_rel)) return true;
  }
  return false;
}

void DirectoryHealth::fail(const Error& why) {
  {
    const std::lock_guard lock(mutex_);
    if (failure_) return;
    failure_ = why;
  }
  if (!change({State::kOnline, State::kFull}, State::kOffline)) return;
  log_error("storage", "a log directory failed and is offline until the next start",
            {{"directory", directory_}, {"reason", why.detail}});
  if (on_change_) on_change_();
}

void DirectoryHealth::note_full() {
  if (!change({State::kOnline}, State::kFull)) return;
  if (reserve_bytes_ > 0) (void)fs_.remove(directory_ + kReserveName);
  log_warn("storage", "a log directory is full: it takes no records until there is space again",
           {{"directory", directory_}, {"reason", io::kNoSpaceLeft}});
  if (on_change_) on_change_();
}

// No zeros: file systems that compress would set nothing aside.
Result<void> DirectoryHealth::fill(const std::string& path, std::size_t bytes) {
  ASSIGN_OR_RETURN(const auto file, fs_.open(path, io::OpenMode::kCreate));
  Rng rng(bytes);
  std::vector<std::uint8_t> chunk(std::min(bytes, kFillBytes));
  for (std::uint8_t& byte : chunk) byte = static_cast<std::uint8_t>(rng.next());
  for (std::size_t at = 0; at < bytes; at += chunk.size()) {
    chunk.resize(std::min(chunk.size(), bytes - at));
    RETURN_IF_ERROR(file->write_at(at, chunk));
  }
  return {};
}

void DirectoryHealth::set_reserve_aside() {
  const std::string reserve = directory_ + kReserveName;
  const std::string room = directory_ + kRoomName;
  if (fs_.exists(room)) (void)fs_.remove(room);  // of a process that was killed meanwhile
  const auto there = fs_.stat(reserve);
  if (there.ok() && there->size == reserve_bytes_ && !is_full()) return;
  Result<void> filled = reserve_bytes_ > 0 ? fill(reserve, reserve_bytes_) : Result<void>{};
  if (filled.ok() && is_full()) {
    filled = fill(room, std::max(kRoomFactor * reserve_bytes_, kFillBytes));
    (void)fs_.remove(room);
  }
  if (filled.ok()) {
    if (!change({State::kFull}, State::kOnline)) return;
    log_info("storage", "a log directory has space again", {{"directory", directory_}});
    if (on_change_) on_change_();
    return;
  }
  if (!io::is_no_space(filled.error())) return fail(filled.error());
  if (is_full()) {
    (void)fs_.remove(reserve);
  } else {
    note_full();
  }
}

}  // namespace broker::storage
