#pragma once

#include <optional>
#include <vector>

#include "broker/controller/types.h"
#include "broker/metadata/image.h"

namespace broker::controller {

enum class Election {
  kPreferred,  // the first replica, if it can
  kOnline,     // the leader stays if it can, else the first replica of the ISR that can
  kUnclean,    // as kOnline; with nobody left in the ISR, any replica that can, losing records
};

/// What is about to happen to a broker in the same decision, so that the image does not show it
/// yet.
struct Expected {
  std::optional<BrokerId> leaving;    // fenced, shutting down or gone after this
  std::optional<BrokerId> returning;  // unfenced after this
};

/// Builds the change of one partition: who leads, who is in sync. The ISR is never emptied: its
/// last member stays in it while nobody leads.
class PartitionChange {
 public:
  PartitionChange(const metadata::ClusterImage& cluster, const TopicId& topic, std::int32_t index,
                  const metadata::PartitionRegistration& partition);

  PartitionChange& expect(Expected expected);
  PartitionChange& elect(Election election);
  PartitionChange& set_isr(std::vector<BrokerId> isr);
  PartitionChange& remove_from_isr(BrokerId id);
  PartitionChange& set_recovery_state(metadata::LeaderRecoveryState state);

  /// nullopt when nothing changes.
  std::optional<protocol::PartitionChangeRecord> build();

 private:
  bool can_lead(BrokerId id) const;
  bool in_target_isr(BrokerId id) const;
  BrokerId choose_leader(bool& unclean) const;

  const metadata::ClusterImage& cluster_;
  const TopicId topic_;
  const std::int32_t index_;
  const metadata::PartitionRegistration& partition_;
  Expected expected_;
  Election election_ = Election::kOnline;
  std::vector<BrokerId> isr_;
  metadata::LeaderRecoveryState recovery_state_;
};

/// The changes that follow for all partitions when a broker leaves (out of the ISRs, leadership to
/// others) or returns (partitions without a leader get one).
void add_changes_for(const metadata::MetadataImage& image, const ControllerOptions& options,
                     Expected expected, metadata::MetadataRecords& records);

std::vector<std::int32_t> to_numbers(const std::vector<BrokerId>& ids);

}  // namespace broker::controller
