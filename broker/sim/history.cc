#include "broker/sim/history.h"

#include <algorithm>
#include <charconv>

namespace broker::sim {
namespace {

std::string at(const TopicPartition& partition, Offset offset) {
  return to_string(partition) + " at " + std::to_string(offset.value);
}

std::optional<RecordId>& slot(std::vector<std::optional<RecordId>>& by_offset, Offset offset) {
  const auto index = static_cast<std::size_t>(offset.value);
  if (by_offset.size() <= index) by_offset.resize(index + 1);
  return by_offset[index];
}

}  // namespace

std::string to_string(RecordId id) {
  return std::to_string(id.producer) + "." + std::to_string(id.number);
}

std::optional<RecordId> parse_record_id(std::string_view key) {
  RecordId id;
  const char* end = key.data() + key.size();
  const auto first = std::from_chars(key.data(), end, id.producer);
  if (first.ec != std::errc{} || first.ptr == end || *first.ptr != '.') return std::nullopt;
  const auto second = std::from_chars(first.ptr + 1, end, id.number);
  if (second.ec != std::errc{} || second.ptr != end) return std::nullopt;
  return id;
}

void History::violation(std::string what) {
  if (!violation_) violation_ = std::move(what);
}

/// One offset, one record; one record, one offset.
bool History::place(Partition& partition, const TopicPartition& tp, Offset offset, RecordId id,
                    const char* who) {
  for (const auto* known : {&partition.acknowledged, &partition.read}) {
    const auto index = static_cast<std::size_t>(offset.value);
    if (index >= known->size() || !(*known)[index] || *(*known)[index] == id) continue;
    violation(at(tp, offset) + ": " + who + " record " + to_string(id) + ", but " +
              (known == &partition.acknowledged ? "acknowledged" : "read before") + " was " +
              to_string(*(*known)[index]));
    return false;
  }
  const auto [where, is_new] = partition.where.emplace(id, offset);
  if (!is_new && where->second != offset) {
    violation(at(tp, offset) + ": " + who + " record " + to_string(id) + ", which is at " +
              std::to_string(where->second.value) + " too");
    return false;
  }
  return true;
}

void History::acknowledged(const TopicPartition& tp, Offset base, RecordId first, int count) {
  Partition& partition = partitions_[tp];
  for (int i = 0; i < count; ++i) {
    const RecordId id{first.producer, first.number + i};
    if (!place(partition, tp, base + i, id, "acknowledged")) return;
    slot(partition.acknowledged, base + i) = id;
    ++counts_.acknowledged;
  }
}

void History::read(const TopicPartition& tp, Offset offset, Offset expected, RecordId id) {
  Partition& partition = partitions_[tp];
  if (offset != expected) {
    return violation(at(tp, offset) + ": a consumer was given this after " +
                     std::to_string(expected.value - 1));
  }
  if (!place(partition, tp, offset, id, "read")) return;
  ++counts_.read;
  auto& slot_of_read = slot(partition.read, offset);
  if (slot_of_read) return;
  slot_of_read = id;
  std::int64_t& last = partition.last_number.try_emplace(id.producer, -1).first->second;
  if (id.number <= last) {
    return violation(at(tp, offset) + ": record " + to_string(id) + " comes behind " +
                     std::to_string(last) + " of its producer");
  }
  last = id.number;
}

void History::never_falls(std::map<LeaderEpoch, Offset>& known_by_epoch, const char* what,
                          const TopicPartition& tp, LeaderEpoch epoch, Offset offset) {
  Offset& known = known_by_epoch.try_emplace(epoch, offset).first->second;
  if (offset < known)
    violation(std::string("the ") + what + " of " + at(tp, known) + " fell to " +
              std::to_string(offset.value) + " within leader epoch " + std::to_string(epoch.value));
  known = offset;
}

void History::high_watermark(const TopicPartition& partition, LeaderEpoch epoch, Offset offset) {
  never_falls(partitions_[partition].high_watermarks, "high watermark", partition, epoch, offset);
}

void History::last_stable_offset(const TopicPartition& partition, LeaderEpoch epoch,
                                 Offset offset) {
  never_falls(partitions_[partition].last_stable_offsets, "last stable offset", partition, epoch,
              offset);
}

void History::out_of_range(const TopicPartition& tp, Offset offset) {
  violation(at(tp, offset) + ": everything before was read, and now it is out of range");
}

void History::commit_started(const std::string& group, std::int64_t value) {
  groups_[group].open.push_back(value);
}

void History::commit_ended(const std::string& name, std::int64_t value, bool acknowledged,
                           bool may_have_happened, const std::string& node) {
  Group& group = groups_[name];
  if (acknowledged) {
    group.acknowledged.push_back(value);
    group.acknowledged_by[node] = value;
    ++counts_.commits;
  }
  if (acknowledged || !may_have_happened) std::erase(group.open, value);
}

bool History::offset_fetched(const std::string& name, std::int64_t value, const std::string& node) {
  const Group& group = groups_[name];
  const std::int64_t last = group.acknowledged.empty() ? -1 : group.acknowledged.back();
  if (value == last) return true;
  if (std::find(group.open.begin(), group.open.end(), value) != group.open.end()) return true;
  const bool was_acknowledged =
      std::binary_search(group.acknowledged.begin(), group.acknowledged.end(), value);
  const auto own = group.acknowledged_by.find(node);
  if (was_acknowledged && (own == group.acknowledged_by.end() || value >= own->second))
    return false;
  violation("group " + name + ": fetched offset " + std::to_string(value) +
            ", last acknowledged was " + std::to_string(last));
  return true;
}

Offset History::acknowledged_end(const TopicPartition& tp) const {
  const auto it = partitions_.find(tp);
  return Offset{
      it == partitions_.end() ? 0 : static_cast<std::int64_t>(it->second.acknowledged.size())};
}

const std::vector<std::optional<RecordId>>& History::committed(const TopicPartition& partition) {
  return partitions_[partition].read;
}

void History::check_all_was_read() {
  for (const auto& [tp, partition] : partitions_) {
    for (std::size_t i = 0; i < partition.acknowledged.size(); ++i) {
      if (!partition.acknowledged[i]) continue;
      if (i >= partition.read.size() || !partition.read[i]) {
        return violation(at(tp, Offset{static_cast<std::int64_t>(i)}) + ": record " +
                         to_string(*partition.acknowledged[i]) +
                         " was acknowledged and never read");
      }
    }
  }
}

}  // namespace broker::sim
