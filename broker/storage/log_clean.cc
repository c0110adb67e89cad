// Log: compaction. What is read and written is in log_cleaning.cc; here is what is to be cleaned,
// and how the result gets its place.
//
// <base>.log.cleaned     being written; or on disk, nothing of the log has changed yet
// <base>.log.swap        with the indexes it has: on disk and decided, unless there is a .cleaned
// at
//                        or below its base. It stands for all segments from <base> up to its end.
#include <algorithm>

#include "broker/common/log.h"
#include "broker/storage/log.h"

namespace broker::storage {
namespace {

constexpr std::string_view kIndexSuffixes[] = {kIndexSuffix, kTimeIndexSuffix, kTxnIndexSuffix};
constexpr std::string_view kSuffixes[] = {kLogSuffix, kIndexSuffix, kTimeIndexSuffix,
                                          kTxnIndexSuffix};

/// The base offset of a segment file whose name goes on with `state`.
std::optional<Offset> parse_state_file_name(std::string_view name, std::string_view state) {
  if (!name.ends_with(state)) return std::nullopt;
  name.remove_suffix(state.size());
  for (const std::string_view suffix : kSuffixes) {
    if (const auto base = parse_segment_file_name(name, suffix)) return base;
  }
  return std::nullopt;
}

}  // namespace

void Log::note_cut(Offset offset) {
  first_dirty_offset_ = std::min(first_dirty_offset_, offset);
  if (cleaning_ && offset < cleaning_end_) abandon_cleaning();
}

// --- What is to be cleaned

Result<Offset> Log::first_uncleanable(Offset first_dirty, Offset last_stable_offset, WallMs now) {
  Offset bound = std::min(last_stable_offset, active().base_offset());
  if (options_.min_compaction_lag_ms > 0) {
    for (auto it = segment_for(first_dirty); it != segments_.end(); ++it) {
      if (it->first >= bound) break;
      ASSIGN_OR_RETURN(const TimePosition newest, it->second->max_timestamp());
      if (newest.timestamp > now - options_.min_compaction_lag_ms) bound = it->first;
    }
  }
  return segment_for(std::max(bound, first_dirty))->first;
}

Result<std::int64_t> Log::compaction_delay(Offset first_dirty, WallMs now) {
  if (options_.max_compaction_lag_ms == INT64_MAX) return std::int64_t{0};
  WallMs earliest = INT64_MAX;
  const auto end = std::prev(segments_.end());
  for (auto it = segment_for(first_dirty); it != segments_.end() && it != end; ++it) {
    if (it->second->empty()) continue;
    ASSIGN_OR_RETURN(const WallMs first, it->second->first_timestamp());
    if (first > 0) earliest = std::min(earliest, first);
  }
  const WallMs until = now - options_.max_compaction_lag_ms;
  return std::max<std::int64_t>(0, earliest == INT64_MAX ? 0 : until - earliest);
}

Result<std::optional<Cleanable>> Log::cleanable(Offset last_stable_offset, WallMs now) {
  RETURN_IF_ERROR(guard());
  if (!options_.cleanup_compact || cleaning_) return std::optional<Cleanable>{};
  // Deleted below, or cut off above: then nothing is known about what is left.
  if (first_dirty_offset_ < log_start_offset_ || first_dirty_offset_ > log_end_offset_) {
    first_dirty_offset_ = log_start_offset_;
  }
  Cleanable found{.first_dirty = first_dirty_offset_, .first_uncleanable = first_dirty_offset_};
  ASSIGN_OR_RETURN(found.first_uncleanable,
                   first_uncleanable(found.first_dirty, last_stable_offset, now));
  const Offset dirty_from =
      segment_for(std::min(found.first_dirty, found.first_uncleanable))->first;
  for (const auto& [base, segment] : segments_) {
    if (base < found.first_dirty) found.clean_bytes += segment->size_bytes();
    if (base >= dirty_from && base < found.first_uncleanable) {
      found.dirty_bytes += segment->size_bytes();
    }
  }
  ASSIGN_OR_RETURN(found.compaction_delay_ms, compaction_delay(found.first_dirty, now));
  found.due = found.dirty_bytes > 0 && (found.compaction_delay_ms > 0 ||
                                        found.dirty_ratio() > options_.min_cleanable_dirty_ratio);
  return std::optional<Cleanable>(found);
}

Result<std::unique_ptr<LogCleaning>> Log::begin_cleaning(const Cleanable& what,
                                                         const CleanerLimits& limits, WallMs now) {
  RETURN_IF_ERROR(guard());
  CHECK(!cleaning_);
  LogCleaning::Plan plan;
  plan.id = ++last_cleaning_;
  plan.partition = partition_;
  plan.directory = directory_;
  plan.options = options_;
  plan.limits = limits;
  plan.first_dirty = what.first_dirty;
  plan.first_uncleanable = what.first_uncleanable;
  plan.now = now;
  for (auto it = segments_.begin(); it->first < what.first_uncleanable; ++it) {
    ASSIGN_OR_RETURN(const std::size_t index_bytes, it->second->index_bytes());
    plan.segments.push_back({.base = it->first,
                             .end = std::next(it)->first,
                             .size_bytes = it->second->size_bytes(),
                             .index_bytes = index_bytes});
  }
  ASSIGN_OR_RETURN(plan.aborted,
                   aborted_transactions(segments_.begin()->first, what.first_uncleanable));
  for (const auto& [id, state] : producers_.producers()) {
    plan.last_of_producers[id] = {
        .last_data_offset =
            state.batches.empty() ? std::nullopt : std::optional(state.batches.back().last_offset),
        .epoch = state.epoch};
  }
  cleaning_ = plan.id;
  cleaning_end_ = what.first_uncleanable;
  return std::make_unique<LogCleaning>(files_, std::move(plan));
}

// --- Its result

Result<void> Log::swap_cleaned(const LogCleaning& cleaning, WallMs now) {
  RETURN_IF_ERROR(guard());
  CHECK(is_cleaning(cleaning));
  return poison_if_failed(replace_segments(cleaning.ready(), now));
}

/// The order is what a crash relies on, see finish_swaps(): the old segments go when the new one
/// has all its files under their second names, and its .log gets the last one at last.
Result<void> Log::replace_segments(const LogCleaning::Ready& ready, WallMs now) {
  const auto path = [&](std::string_view suffix, std::string_view state) {
    return directory_ + "/" + segment_file_name(ready.base, suffix) + std::string(state);
  };
  for (const std::string_view suffix : kSuffixes) {
    const auto renamed = fs_.rename(path(suffix, kCleanedSuffix), path(suffix, kSwapSuffix));
    if (!renamed.ok() &&
        (renamed.code() != ErrorCode::kResourceNotFound || suffix != kTxnIndexSuffix)) {
      return renamed;
    }
  }
  for (const Offset base : ready.replaced) {
    const auto old = segments_.find(base);
    CHECK(old != segments_.end() && std::next(old) != segments_.end());
    auto paths = old->second->paths();
    if (base != ready.base) paths.push_back(old->second->path(kSnapshotSuffix));
    RETURN_IF_ERROR(doom(paths, now));
    segments_.erase(old);
  }
  for (const std::string_view suffix : kIndexSuffixes) {
    const auto renamed = fs_.rename(path(suffix, kSwapSuffix), path(suffix, ""));
    if (!renamed.ok() &&
        (renamed.code() != ErrorCode::kResourceNotFound || suffix != kTxnIndexSuffix)) {
      return renamed;
    }
  }
  RETURN_IF_ERROR(fs_.rename(path(kLogSuffix, kSwapSuffix), path(kLogSuffix, "")));
  directory_dirty_ = true;
  ASSIGN_OR_RETURN(segments_[ready.base], Segment::open(files_, directory_, ready.base, now));
  return {};
}

void Log::end_cleaning(const LogCleaning& cleaning) {
  CHECK(is_cleaning(cleaning));
  first_dirty_offset_ = cleaning.cleaned_up_to();
  abandon_cleaning();
}

Result<void> Log::fail_cleaning(const LogCleaning& cleaning, const Error& error) {
  RETURN_IF_ERROR(guard());
  if (!is_cleaning(cleaning)) return {};
  abandon_cleaning();
  return cleaning.source_lost() ? poison_if_failed(error) : Result<void>{};
}

// --- After a crash

/// Removes the segments that the one at `base` stands for.
Result<void> Log::remove_replaced(Offset base, const std::vector<std::string>& names) {
  const std::string swap =
      directory_ + "/" + segment_file_name(base, kLogSuffix) + std::string(kSwapSuffix);
  ASSIGN_OR_RETURN(const auto file, fs_.open(swap, io::OpenMode::kRead));
  ASSIGN_OR_RETURN(const std::uint64_t size, file->size());
  Offset end = base;
  BatchScanner scanner(*file, 0, size);
  while (true) {
    ASSIGN_OR_RETURN(const auto batch, scanner.next());
    if (!batch) break;
    end = batch->header().next_offset();
  }
  if (scanner.position() != size) {
    return Error{ErrorCode::kKafkaStorageError,
                 swap + " is not whole, and cannot take the place of older segments"};
  }
  for (const std::string& name : names) {
    for (const auto suffix :
         {kLogSuffix, kIndexSuffix, kTimeIndexSuffix, kTxnIndexSuffix, kSnapshotSuffix}) {
      const auto old = parse_segment_file_name(name, suffix);
      // Its own files get new content by a rename, and some may have it already.
      if (old && *old > base && *old < end) RETURN_IF_ERROR(fs_.remove(directory_ + "/" + name));
    }
  }
  return {};
}

Result<void> Log::finish_swaps() {
  ASSIGN_OR_RETURN(auto names, fs_.list(directory_));
  std::optional<Offset> first_cleaned;
  for (const std::string& name : names) {
    const auto base = parse_state_file_name(name, kCleanedSuffix);
    if (base) first_cleaned = std::min(first_cleaned.value_or(*base), *base);
  }
  std::vector<std::string> logs;
  std::vector<std::string> swaps;  // indexes first
  for (const std::string& name : names) {
    const auto base = parse_state_file_name(name, kSwapSuffix);
    if (!base) continue;
    if (first_cleaned && *base >= *first_cleaned) {  // not decided yet: the old ones are all there
      RETURN_IF_ERROR(fs_.remove(directory_ + "/" + name));
      continue;
    }
    const bool is_log = name.ends_with(std::string(kLogSuffix) + std::string(kSwapSuffix));
    (is_log ? logs : swaps).push_back(name);
    if (is_log) RETURN_IF_ERROR(remove_replaced(*base, names));
  }
  if (logs.empty() && swaps.empty()) return {};
  log_info("storage", "finishing an interrupted compaction",
           {{"partition", to_string(partition_)}, {"segments", logs.size()}});
  swaps.insert(swaps.end(), logs.begin(), logs.end());
  for (const std::string& name : swaps) {
    const std::string path = directory_ + "/" + name;
    RETURN_IF_ERROR(fs_.rename(path, path.substr(0, path.size() - kSwapSuffix.size())));
  }
  return fs_.sync_directory(directory_);
}

}  // namespace broker::storage
