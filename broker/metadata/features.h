#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "broker/common/persistent_map.h"
#include "broker/common/result.h"

namespace broker::metadata {

/// Levels of metadata.version that change what is written (kafka-4.3.1/features.tsv).
enum MetadataVersion : std::int16_t {
  kMetadataVersion3_3_IV3 = 7,   // floor: in-controlled-shutdown in broker records
  kMetadataVersion3_4_IV0 = 8,   // RegisterBrokerRecord v2
  kMetadataVersion3_5_IV2 = 11,  // SCRAM records
  kMetadataVersion3_6_IV0 = 12,  // a shrinking ISR keeps the leader epoch
  kMetadataVersion3_6_IV1 = 13,  // metadata transactions
  kMetadataVersion3_6_IV2 = 14,  // delegation tokens
  kMetadataVersion3_7_IV0 = 15,  // controller registration
  kMetadataVersion3_7_IV2 = 17,  // directories in partition and broker records
  kMetadataVersion4_0_IV1 = 23,  // ELR fields
  kMetadataVersion4_0_IV2 = 24,  // new clusters have transactions of version 2
  kMetadataVersion4_1_IV0 = 26,  // new clusters have ELR
  kMetadataVersion4_3_IV0 = 30,  // cordoned log dirs
};
inline constexpr std::int16_t kMinimumMetadataVersion = kMetadataVersion3_3_IV3;
inline constexpr std::int16_t kLatestMetadataVersion = kMetadataVersion4_3_IV0;

inline constexpr std::string_view kMetadataVersionFeature = "metadata.version";
inline constexpr std::string_view kKRaftVersionFeature = "kraft.version";
inline constexpr std::string_view kElrVersionFeature = "eligible.leader.replicas.version";

struct SupportedFeature {
  std::string_view name;
  std::int16_t min = 0;
  std::int16_t max = 0;
  /// What a new cluster finalises by default, from this level of metadata.version on; 0: nothing.
  std::int16_t initial = 0;
  std::int16_t initial_since = 0;
};

/// What this software can run with, sorted by name: what ApiVersions advertises and registrations
/// say. Features that are not implemented have max 0, so that nobody can finalise them.
std::span<const SupportedFeature> supported_features();
const SupportedFeature* find_supported_feature(std::string_view name);

/// Of a new cluster at that metadata.version, as Kafka's `kafka-storage format` chooses them where
/// nobody says otherwise: levels > 0 by name, without metadata.version.
std::map<std::string, std::int16_t> initial_feature_levels(std::int16_t metadata_version);
/// Why a new cluster at that metadata.version cannot have the feature at `level`.
Result<void> check_initial_feature(std::int16_t metadata_version, std::string_view name,
                                   std::int16_t level);

/// "4.3-IV0" for 30; nullopt for a level that Kafka has no name for.
std::optional<std::string_view> metadata_version_name(std::int16_t level);
/// Accepts "4.3-IV0" and the release's short form "4.3".
std::optional<std::int16_t> parse_metadata_version(std::string_view text);

// The version in which a record is written is a function of the finalised level, never of what the
// software knows.
std::int16_t register_broker_record_version(std::int16_t metadata_version);
std::int16_t broker_registration_change_record_version(std::int16_t metadata_version);
std::int16_t partition_record_version(std::int16_t metadata_version);

struct FeaturesImage {
  /// Finalised levels > 0, metadata.version included. kraft.version is no part: it is a control
  /// record of the quorum.
  PersistentMap<std::string, std::int16_t> levels;

  std::int16_t level(std::string_view name) const;  // 0 when not finalised
  /// The level of metadata.version; the minimum before the first record was replayed.
  std::int16_t metadata_version() const;
  bool operator==(const FeaturesImage&) const = default;
};

}  // namespace broker::metadata
