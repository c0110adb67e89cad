#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "broker/controller/types.h"
#include "broker/metadata/effective_configs.h"
#include "broker/metadata/image.h"

namespace broker::controller {

inline bool contains(const std::vector<BrokerId>& ids, BrokerId id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

enum class Election {
  kPreferred,  // the first replica, if it can
  kOnline,     // the leader stays if it can, else the first replica of the ISR that can
  kUnclean,    // as kOnline; with nobody left in ISR and ELR, any replica that can, losing records
};

/// What is about to happen to a broker in the same decision, so that the image does not show it
/// yet.
struct Expected {
  std::optional<BrokerId> leaving;    // fenced, shutting down or gone after this
  std::optional<BrokerId> returning;  // unfenced after this
  std::optional<BrokerId>
      unclean;  // as leaving, and what it had written may be lost: out of the ELR
};

/// What decides about the partitions of a topic besides their own state.
struct TopicRules {
  std::int16_t metadata_version = 0;
  bool elr = false;               // eligible leader replicas (KIP-966) are on
  std::size_t min_isr = 1;        // min.insync.replicas
  bool unclean_election = false;  // unclean.leader.election.enable
};

/// Works out the rules of one topic after the other; asking again for the same topic is cheap.
/// Lives no longer than the image.
class RulesLookup {
 public:
  RulesLookup(const metadata::MetadataImage& image, const ControllerOptions& options);
  const TopicRules& of(const metadata::TopicImage& topic);

 private:
  const metadata::EffectiveConfigs configs_;
  std::optional<TopicId> last_;
  TopicRules rules_;
};

/// Builds the change of one partition: who leads, who is in sync, which replicas there are. A
/// reassignment (KIP-455) whose target is in sync completes in whatever change comes next. Without
/// eligible leader replicas the ISR is never emptied: its last member stays in it while nobody
/// leads. With them, members that leave an ISR below min.insync.replicas become eligible (KIP-966).
class PartitionChange {
 public:
  PartitionChange(const metadata::ClusterImage& cluster, const TopicRules& rules,
                  const TopicId& topic, std::int32_t index,
                  const metadata::PartitionRegistration& partition);

  PartitionChange& expect(Expected expected);
  PartitionChange& elect(Election election);
  PartitionChange& set_isr(std::vector<BrokerId> isr);
  PartitionChange& set_recovery_state(metadata::LeaderRecoveryState state);
  /// New replicas start in the broker's only directory, or unassigned.
  PartitionChange& set_replicas(std::vector<BrokerId> replicas);
  PartitionChange& set_adding(std::vector<BrokerId> adding);
  PartitionChange& set_removing(std::vector<BrokerId> removing);
  PartitionChange& set_directory(BrokerId id, const DirectoryId& directory);

  /// nullopt when nothing changes. Once.
  std::optional<protocol::PartitionChangeRecord> build();

 private:
  struct Elected {
    BrokerId leader = metadata::kNoLeader;
    bool unclean = false;
  };

  bool can_lead(BrokerId id) const;
  bool can_lead_cleanly(BrokerId id) const;
  Elected choose_leader() const;
  std::optional<BrokerId> last_known_leader() const;
  void complete_reassignment();
  void update_elr();
  void apply_election(protocol::PartitionChangeRecord& record);
  void bump_leader_epoch(protocol::PartitionChangeRecord& record) const;
  void record_elr(protocol::PartitionChangeRecord& record, bool emptied) const;
  void record_assignment(protocol::PartitionChangeRecord& record) const;

  const metadata::ClusterImage& cluster_;
  const TopicRules rules_;
  const TopicId topic_;
  const std::int32_t index_;
  const metadata::PartitionRegistration& partition_;
  Expected expected_;
  Election election_ = Election::kOnline;
  std::vector<BrokerId> isr_;
  std::vector<BrokerId> elr_;
  std::vector<BrokerId> replicas_;
  std::vector<BrokerId> adding_;
  std::vector<BrokerId> removing_;
  std::vector<std::pair<BrokerId, DirectoryId>> directories_;  // other than the partition's own
  metadata::LeaderRecoveryState recovery_state_;
};

/// The changes that follow for all partitions when a broker leaves (out of the ISRs, leadership to
/// others) or returns (partitions without a leader get one).
void add_changes_for(const DecideContext& context, Expected expected,
                     metadata::MetadataRecords& records);

/// In a PartitionChangeRecord: the leader and its epoch stay.
inline constexpr std::int32_t kNoLeaderChange = -2;

std::vector<std::int32_t> to_numbers(const std::vector<BrokerId>& ids);
std::vector<BrokerId> to_broker_ids(const std::vector<std::int32_t>& numbers);
bool is_reassigning(const metadata::PartitionRegistration& partition);

}  // namespace broker::controller
