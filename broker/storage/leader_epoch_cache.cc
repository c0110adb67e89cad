#include "broker/storage/leader_epoch_cache.h"

#include <algorithm>

#include "broker/storage/text.h"

namespace broker::storage {

bool LeaderEpochCache::assign(LeaderEpoch epoch, Offset start_offset) {
  if (!entries_.empty() && epoch <= entries_.back().epoch) return false;
  while (!entries_.empty() && entries_.back().start_offset >= start_offset) entries_.pop_back();
  entries_.push_back({epoch, start_offset});
  return true;
}

std::optional<LeaderEpoch> LeaderEpochCache::latest() const {
  if (entries_.empty()) return std::nullopt;
  return entries_.back().epoch;
}

std::optional<LeaderEpoch> LeaderEpochCache::epoch_for(Offset offset) const {
  const auto behind =
      std::upper_bound(entries_.begin(), entries_.end(), offset,
                       [](Offset o, const EpochStart& entry) { return o < entry.start_offset; });
  if (behind == entries_.begin()) return std::nullopt;
  return std::prev(behind)->epoch;
}

std::optional<EpochEnd> LeaderEpochCache::end_offset_for(LeaderEpoch epoch,
                                                         Offset log_end_offset) const {
  if (entries_.empty() || epoch > entries_.back().epoch) return std::nullopt;
  if (epoch == entries_.back().epoch) return EpochEnd{epoch, log_end_offset};
  const auto behind =
      std::upper_bound(entries_.begin(), entries_.end(), epoch,
                       [](LeaderEpoch e, const EpochStart& entry) { return e < entry.epoch; });
  if (behind == entries_.begin()) return EpochEnd{epoch, behind->start_offset};
  return EpochEnd{std::prev(behind)->epoch, behind->start_offset};
}

bool LeaderEpochCache::truncate_from_end(Offset end_offset) {
  const std::size_t before = entries_.size();
  while (!entries_.empty() && entries_.back().start_offset >= end_offset) entries_.pop_back();
  return entries_.size() != before;
}

bool LeaderEpochCache::truncate_from_start(Offset start_offset) {
  const auto behind =
      std::upper_bound(entries_.begin(), entries_.end(), start_offset,
                       [](Offset o, const EpochStart& entry) { return o < entry.start_offset; });
  if (behind == entries_.begin()) return false;
  const auto kept = std::prev(behind);
  if (kept == entries_.begin() && kept->start_offset == start_offset) return false;
  kept->start_offset = start_offset;
  entries_.erase(entries_.begin(), kept);
  return true;
}

std::string LeaderEpochCache::to_text() const {
  std::string text = "0\n" + std::to_string(entries_.size()) + "\n";
  for (const EpochStart& entry : entries_) {
    text +=
        std::to_string(entry.epoch.value) + " " + std::to_string(entry.start_offset.value) + "\n";
  }
  return text;
}

Result<LeaderEpochCache> LeaderEpochCache::parse(std::string_view text) {
  ASSIGN_OR_RETURN(const auto lines, checkpoint_lines(text));
  LeaderEpochCache cache;
  for (const std::string_view line : lines) {
    const auto words = split(line, ' ');
    std::int32_t epoch = 0;
    std::int64_t offset = 0;
    if (words.size() != 2 || !parse_number(words[0], epoch) || !parse_number(words[1], offset)) {
      return Error{ErrorCode::kKafkaStorageError,
                   "malformed line in an epoch checkpoint: " + std::string(line)};
    }
    if (!cache.entries_.empty() && (cache.entries_.back().epoch.value >= epoch ||
                                    cache.entries_.back().start_offset.value > offset)) {
      return Error{ErrorCode::kKafkaStorageError, "epochs do not increase in an epoch checkpoint"};
    }
    cache.entries_.push_back({LeaderEpoch{epoch}, Offset{offset}});
  }
  return cache;
}

}  // namespace broker::storage
