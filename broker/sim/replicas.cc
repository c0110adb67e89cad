#include "broker/sim/replicas.h"

#include <algorithm>

#include "broker/record/record_iterator.h"

namespace broker::sim {
namespace {

/// The batches of a partition as they are in its segments.
std::vector<record::Batch> read_log(io::sim::Disk& disk, const std::string& partition) {
  auto life = std::make_shared<io::sim::Life>();
  const auto files = disk.mount(life);
  std::vector<record::Batch> batches;
  for (const std::string& path : disk.files_below("/data/" + partition)) {
    if (!path.ends_with(".log")) continue;
    const auto content = io::read_file(*files, path);
    if (!content.ok()) continue;
    record::BatchReader reader(Slice::copy_of(*content));
    for (auto batch = reader.next(); batch.ok() && *batch; batch = reader.next()) {
      batches.push_back(**batch);
    }
  }
  return batches;
}

void check_replica(SimNode& node, const TopicPartition& tp, History& history) {
  const auto& committed = history.committed(tp);
  for (const auto& batch : read_log(node.machine().disk(), to_string(tp))) {
    auto records = record::RecordIterator::open(batch);
    while (records.ok()) {
      const auto record = records->next();
      if (!record.ok() || !*record) break;
      const auto index = static_cast<std::size_t>((*record)->offset.value);
      if (index >= committed.size() || !committed[index]) continue;
      const auto key = (*record)->key.value_or(record::Bytes{});
      const auto id = parse_record_id({reinterpret_cast<const char*>(key.data()), key.size()});
      if (id == committed[index]) continue;
      return history.violation(to_string(tp) + " at " + std::to_string(index) + ": n" +
                               std::to_string(node.id()) + " has record " +
                               (id ? to_string(*id) : "?") + ", read was " +
                               to_string(*committed[index]));
    }
  }
}

/// Two metadata logs hold the same batches where both have any.
void check_metadata(SimNode& a, SimNode& b, History& history) {
  constexpr const char* kLog = "__cluster_metadata-0";
  const auto of_a = read_log(a.machine().disk(), kLog);
  const auto of_b = read_log(b.machine().disk(), kLog);
  auto at_b = of_b.begin();
  for (const auto& batch : of_a) {
    const Offset base = batch.header().base_offset();
    while (at_b != of_b.end() && at_b->header().base_offset() < base) ++at_b;
    if (at_b == of_b.end()) return;
    if (at_b->header().base_offset() != base || at_b->bytes == batch.bytes) continue;
    return history.violation("metadata log at " + std::to_string(base.value) + ": n" +
                             std::to_string(a.id()) + " and n" + std::to_string(b.id()) +
                             " have different batches");
  }
}

}  // namespace

void check_replicas(Cluster& cluster, const std::string& topic, int partitions, History& history) {
  for (const auto& node : cluster.nodes()) {
    for (int p = 0; p < partitions; ++p) check_replica(*node, {topic, p}, history);
    check_metadata(*cluster.nodes().front(), *node, history);
  }
}

}  // namespace broker::sim
