#include "broker/controller/partition_change.h"

#include <algorithm>

#include "broker/common/defect.h"
#include "broker/controller/partition_index.h"
#include "broker/controller/placement.h"
#include "broker/metadata/features.h"

namespace broker::controller {
namespace {

using metadata::kNoLeader;
using metadata::LeaderRecoveryState;
using protocol::PartitionChangeRecord;

bool contains_all(const std::vector<BrokerId>& ids, const std::vector<BrokerId>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](BrokerId id) { return contains(ids, id); });
}

std::vector<BrokerId> without(std::vector<BrokerId> ids, const std::vector<BrokerId>& gone) {
  std::erase_if(ids, [&](BrokerId id) { return contains(gone, id); });
  return ids;
}

bool says_something(const PartitionChangeRecord& record) {
  return record.isr || record.replicas || record.removing_replicas || record.adding_replicas ||
         record.eligible_leader_replicas || record.last_known_elr || record.directories ||
         record.leader != kNoLeaderChange || record.leader_recovery_state != -1;
}

}  // namespace

RulesLookup::RulesLookup(const metadata::MetadataImage& image, const ControllerOptions& options)
    : configs_(image.configs, options.node_id, options.static_values) {
  rules_.metadata_version = image.features.metadata_version();
  rules_.elr = image.features.level(metadata::kElrVersionFeature) >= 1;
}

const TopicRules& RulesLookup::of(const metadata::TopicImage& topic) {
  if (last_ == topic.id) return rules_;
  const config::TopicConfig config = configs_.topic(topic.name);
  rules_.min_isr = static_cast<std::size_t>(config.min_insync_replicas);
  rules_.unclean_election = config.unclean_leader_election_enable;
  last_ = topic.id;
  return rules_;
}

PartitionChange::PartitionChange(const metadata::ClusterImage& cluster, const TopicRules& rules,
                                 const TopicId& topic, std::int32_t index,
                                 const metadata::PartitionRegistration& partition)
    : cluster_(cluster),
      rules_(rules),
      topic_(topic),
      index_(index),
      partition_(partition),
      isr_(partition.isr),
      elr_(partition.elr),
      replicas_(partition.replicas),
      adding_(partition.adding_replicas),
      removing_(partition.removing_replicas),
      recovery_state_(partition.leader_recovery_state) {}

PartitionChange& PartitionChange::expect(Expected expected) {
  expected_ = expected;
  if (expected.leaving) std::erase(isr_, *expected.leaving);
  if (expected.unclean) std::erase(isr_, *expected.unclean);
  return *this;
}

PartitionChange& PartitionChange::elect(Election election) {
  election_ = election;
  return *this;
}

PartitionChange& PartitionChange::set_isr(std::vector<BrokerId> isr) {
  isr_ = std::move(isr);
  return *this;
}

PartitionChange& PartitionChange::set_recovery_state(LeaderRecoveryState state) {
  recovery_state_ = state;
  return *this;
}

PartitionChange& PartitionChange::set_replicas(std::vector<BrokerId> replicas) {
  replicas_ = std::move(replicas);
  return *this;
}

PartitionChange& PartitionChange::set_adding(std::vector<BrokerId> adding) {
  adding_ = std::move(adding);
  return *this;
}

PartitionChange& PartitionChange::set_removing(std::vector<BrokerId> removing) {
  removing_ = std::move(removing);
  return *this;
}

PartitionChange& PartitionChange::set_directory(BrokerId id, const DirectoryId& directory) {
  directories_.emplace_back(id, directory);
  return *this;
}

bool PartitionChange::can_lead(BrokerId id) const {
  if (id == kNoLeader || id == expected_.leaving || id == expected_.unclean) return false;
  const metadata::BrokerRegistration* broker = cluster_.broker(id);
  if (broker == nullptr || !broker->has_online_dir(partition_.directory_of(id))) return false;
  return !broker->in_controlled_shutdown && (id == expected_.returning || !broker->fenced);
}

/// Without losing anything that was committed.
bool PartitionChange::can_lead_cleanly(BrokerId id) const {
  const bool complete = contains(isr_, id) || (isr_.empty() && contains(elr_, id));
  return (complete || has_defect(Defect::kAnyReplicaElected)) && can_lead(id);
}

/// When ISR and ELR are both gone, the one who led last has most (KIP-966): it may lead again, but
/// records may be missing.
std::optional<BrokerId> PartitionChange::last_known_leader() const {
  if (!rules_.elr || !isr_.empty() || !elr_.empty() || partition_.last_known_elr.size() != 1)
    return std::nullopt;
  const BrokerId id = partition_.last_known_elr.front();
  return can_lead(id) && contains(replicas_, id) ? std::optional(id) : std::nullopt;
}

PartitionChange::Elected PartitionChange::choose_leader() const {
  const auto clean = [&](BrokerId id) { return can_lead_cleanly(id); };
  if (election_ == Election::kPreferred && !replicas_.empty() && clean(replicas_.front()))
    return {replicas_.front()};
  if (clean(partition_.leader) && contains(replicas_, partition_.leader))
    return {partition_.leader};
  if (const auto it = std::find_if(replicas_.begin(), replicas_.end(), clean);
      it != replicas_.end())
    return {*it};
  if (const auto last = last_known_leader()) return {*last, true};
  if (election_ != Election::kUnclean) return {};
  const auto it =
      std::find_if(replicas_.begin(), replicas_.end(), [&](BrokerId id) { return can_lead(id); });
  return it == replicas_.end() ? Elected{} : Elected{*it, true};
}

void PartitionChange::complete_reassignment() {
  if (adding_.empty() && removing_.empty()) return;
  std::vector<BrokerId> isr = without(isr_, removing_);
  std::vector<BrokerId> replicas = without(replicas_, removing_);
  if (isr.empty() || replicas.empty() || !contains_all(isr, replicas)) return;
  isr_ = std::move(isr);
  replicas_ = std::move(replicas);
  adding_.clear();
  removing_.clear();
}

/// Whoever leaves an ISR below min.insync.replicas has everything that is committed, because
/// nothing more is committed until the ISR has grown again.
void PartitionChange::update_elr() {
  // Leaders count in the same way, by partition: what they commit must not be missing in the ELR.
  if (!rules_.elr || isr_.size() >= std::min(rules_.min_isr, replicas_.size())) {
    elr_.clear();
    return;
  }
  for (const BrokerId id : partition_.isr)
    if (!contains(elr_, id)) elr_.push_back(id);
  std::erase_if(elr_, [&](BrokerId id) {
    return contains(isr_, id) || id == expected_.unclean || !contains(replicas_, id);
  });
  std::sort(elr_.begin(), elr_.end());
}

void PartitionChange::apply_election(PartitionChangeRecord& record) {
  const Elected elected = choose_leader();
  if (elected.leader == partition_.leader) return;
  record.leader = elected.leader.value;
  if (elected.unclean) {
    isr_ = {elected.leader};
    elr_.clear();
    if (partition_.leader_recovery_state != LeaderRecoveryState::kRecovering)
      recovery_state_ = LeaderRecoveryState::kRecovering;
  } else if (contains(elr_, elected.leader)) {
    isr_ = {elected.leader};
    std::erase(elr_, elected.leader);
    // The minimum may be lower than when they became eligible: the new leader commits alone.
    if (isr_.size() >= std::min(rules_.min_isr, replicas_.size())) elr_.clear();
  }
}

/// Naming the leader again gives it a new epoch. Needed when replicas are dropped, so that they are
/// fenced off; and before 3.6 whenever the ISR shrank (KAFKA-15021).
void PartitionChange::bump_leader_epoch(PartitionChangeRecord& record) const {
  if (record.leader != kNoLeaderChange) return;
  const bool dropped = !contains_all(replicas_, partition_.replicas);
  const bool shrunk = record.isr && !contains_all(isr_, partition_.isr) &&
                      rules_.metadata_version < metadata::kMetadataVersion3_6_IV0;
  if (dropped || shrunk) record.leader = partition_.leader.value;
}

void PartitionChange::record_elr(PartitionChangeRecord& record, bool emptied) const {
  if (elr_ != partition_.elr) record.eligible_leader_replicas = to_numbers(elr_);
  const std::vector<BrokerId> old_leader{partition_.leader};
  const bool leads =
      record.leader >= 0 || (record.leader == kNoLeaderChange && partition_.leader != kNoLeader);
  if (rules_.elr && emptied && partition_.leader != kNoLeader &&
      partition_.last_known_elr != old_leader) {
    record.last_known_elr = to_numbers(old_leader);
  } else if (!partition_.last_known_elr.empty() && (leads || !rules_.elr)) {
    record.last_known_elr.emplace();
  }
}

void PartitionChange::record_assignment(PartitionChangeRecord& record) const {
  if (!replicas_.empty() && rules_.metadata_version >= metadata::kMetadataVersion3_7_IV2) {
    std::vector<DirectoryId> directories = directories_for(cluster_, replicas_);
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
      if (partition_.has_replica(replicas_[i]))
        directories[i] = partition_.directory_of(replicas_[i]);
      for (const auto& [id, directory] : directories_)
        if (id == replicas_[i]) directories[i] = directory;
    }
    if (directories != partition_.directories) record.directories = std::move(directories);
  }
  if (replicas_ != partition_.replicas) record.replicas = to_numbers(replicas_);
  if (removing_ != partition_.removing_replicas) record.removing_replicas = to_numbers(removing_);
  if (adding_ != partition_.adding_replicas) record.adding_replicas = to_numbers(adding_);
}

std::optional<PartitionChangeRecord> PartitionChange::build() {
  PartitionChangeRecord record;
  record.topic_id = topic_;
  record.partition_id = index_;
  complete_reassignment();
  update_elr();
  apply_election(record);
  if ((!isr_.empty() || rules_.elr) && isr_ != partition_.isr) record.isr = to_numbers(isr_);
  bump_leader_epoch(record);
  record_elr(record, record.isr && record.isr->empty());
  record_assignment(record);
  if (recovery_state_ != partition_.leader_recovery_state)
    record.leader_recovery_state = static_cast<std::int8_t>(recovery_state_);
  return says_something(record) ? std::optional(std::move(record)) : std::nullopt;
}

void add_changes_for(const DecideContext& context, Expected expected,
                     metadata::MetadataRecords& records) {
  const metadata::MetadataImage& image = context.image;
  RulesLookup rules(image, context.options);
  const auto change = [&](const PartitionIndex::Key& key) {
    const metadata::TopicImage* topic = image.topics.find(key.first);
    const auto* partition = topic == nullptr ? nullptr : topic->partitions.find(key.second);
    if (partition == nullptr) return;
    const TopicRules& of_topic = rules.of(*topic);
    auto record = PartitionChange(image.cluster, of_topic, key.first, key.second, *partition)
                      .expect(expected)
                      .elect(of_topic.unclean_election ? Election::kUnclean : Election::kOnline)
                      .build();
    if (record) records.emplace_back(std::move(*record));
  };
  for (const auto& leaving : {expected.leaving, expected.unclean})
    if (leaving)
      for (const auto& key : context.partitions.partitions_of(*leaving)) change(key);
  if (expected.returning)
    for (const auto& key : context.partitions.leaderless()) change(key);
}

std::vector<std::int32_t> to_numbers(const std::vector<BrokerId>& ids) {
  std::vector<std::int32_t> out;
  out.reserve(ids.size());
  for (const BrokerId id : ids) out.push_back(id.value);
  return out;
}

std::vector<BrokerId> to_broker_ids(const std::vector<std::int32_t>& numbers) {
  std::vector<BrokerId> out;
  out.reserve(numbers.size());
  for (const std::int32_t number : numbers) out.push_back(BrokerId{number});
  return out;
}

bool is_reassigning(const metadata::PartitionRegistration& partition) {
  return !partition.adding_replicas.empty() || !partition.removing_replicas.empty();
}

}  // namespace broker::controller
