#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>

#include "broker/common/result.h"
#include "broker/metadata/image.h"
#include "broker/metadata/record.h"

namespace broker::metadata {

/// What differs between two images: publishers look only at what is named here. Deterministic
/// order.
struct MetadataChanges {
  /// A topic deleted and created again under its name appears in both.
  std::map<TopicId, std::string> topics_created;
  std::map<TopicId, std::string> topics_deleted;
  /// Of topics that exist in the new image, created ones included.
  std::map<TopicId, std::set<std::int32_t>> partitions;
  std::set<BrokerId> brokers;
  std::set<BrokerId> controllers;
  std::set<ConfigResource> configs;
  std::set<Uuid> acls;
  std::set<std::pair<std::string, security::ScramMechanism>> scram;
  std::set<QuotaEntity> client_quotas;
  bool features = false;
  bool producer_ids = false;
  bool delegation_tokens = false;

  bool empty() const;
  void merge(const MetadataChanges& later);
  bool operator==(const MetadataChanges&) const = default;
};

/// What differs between any two images, for when records are not at hand (a snapshot was loaded
/// over an older image). O(size) comparisons of pointers.
MetadataChanges diff(const MetadataImage& from, const MetadataImage& to);

struct MetadataUpdate {
  ImagePtr image;
  MetadataChanges changes;  // against the image of the update before
};

/// A member of the cluster must run with every finalised feature level; an observer only reads.
enum class ReplayAs { kMember, kObserver };

/// Replays records onto an image; the only code that gives a metadata record meaning. Long-lived:
/// after `apply` it goes on from there. Lives on one strand.
class MetadataDelta {
 public:
  explicit MetadataDelta(ImagePtr image, ReplayAs as = ReplayAs::kMember);

  /// Errors: kInconsistentTopicId, kUnknownTopicId, kBrokerIdNotRegistered, kStaleBrokerEpoch and
  /// so on, naming the record: it contradicts the image, which means that the log and this software
  /// disagree. Nothing has changed then; the caller stops.
  Result<void> replay(const MetadataRecord& record);

  /// Between BeginTransactionRecord and its end or abort.
  bool in_transaction() const { return before_transaction_.has_value(); }

  /// Everything replayed, records of an open transaction included: what a controller decides on.
  const MetadataImage& newest() const { return current_.image; }

  /// Everything replayed except an open transaction, whose records are withheld until they end.
  /// `provenance` is that of the last record replayed.
  MetadataUpdate apply(const MetadataProvenance& provenance);

 private:
  struct State {
    MetadataImage image;
    MetadataChanges changes;
  };
  struct Replayer;  // a method per record type

  ReplayAs as_;
  State current_;
  std::optional<State> before_transaction_;
};

}  // namespace broker::metadata
