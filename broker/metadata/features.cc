#include "broker/metadata/features.h"

#include <array>
#include <iterator>

namespace broker::metadata {
namespace {

constexpr std::int16_t kMetadataVersion4_0_IV0 = 22;

constexpr std::array<SupportedFeature, 7> kFeatures{{
    {kElrVersionFeature, 0, 1, 1, kMetadataVersion4_1_IV0},
    {"group.version", 0, 1, 1, kMetadataVersion4_0_IV0},
    {kKRaftVersionFeature, 0, 1},
    {kMetadataVersionFeature, kMinimumMetadataVersion, kLatestMetadataVersion},
    {"share.version", 0, 0},
    {"streams.version", 0, 0},
    {"transaction.version", 0, 2, 2, kMetadataVersion4_0_IV2},
}};

// From level 7 on, without gaps.
constexpr std::array<std::string_view, 24> kNames{
    "3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2",
    "3.7-IV0", "3.7-IV1", "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0",
    "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0", "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0"};
static_assert(kNames.size() == kLatestMetadataVersion - kMinimumMetadataVersion + 1);

}  // namespace

std::span<const SupportedFeature> supported_features() { return kFeatures; }

const SupportedFeature* find_supported_feature(std::string_view name) {
  for (const SupportedFeature& feature : kFeatures)
    if (feature.name == name) return &feature;
  return nullptr;
}

std::map<std::string, std::int16_t> initial_feature_levels(std::int16_t metadata_version) {
  std::map<std::string, std::int16_t> levels;
  for (const SupportedFeature& feature : kFeatures) {
    if (feature.initial > 0 && metadata_version >= feature.initial_since)
      levels[std::string(feature.name)] = feature.initial;
  }
  return levels;
}

Result<void> check_initial_feature(std::int16_t metadata_version, std::string_view name,
                                   std::int16_t level) {
  const auto wrong = [&](std::string why) {
    return Error{ErrorCode::kInvalidConfig,
                 std::string(name) + "=" + std::to_string(level) + ": " + std::move(why)};
  };
  const SupportedFeature* feature = find_supported_feature(name);
  if (feature == nullptr) return wrong("there is no such feature");
  if (name == kKRaftVersionFeature) return wrong("follows from how the voters are given");
  if (level < feature->min || level > feature->max) {
    return wrong("this version supports " + std::to_string(feature->min) + " to " +
                 std::to_string(feature->max));
  }
  if (name == kElrVersionFeature && level > 0 && metadata_version < kMetadataVersion4_0_IV1)
    return wrong("needs metadata.version " + std::to_string(kMetadataVersion4_0_IV1));
  return {};
}

std::optional<std::string_view> metadata_version_name(std::int16_t level) {
  if (level < kMinimumMetadataVersion || level > kLatestMetadataVersion) return std::nullopt;
  return kNames[static_cast<std::size_t>(level - kMinimumMetadataVersion)];
}

std::optional<std::int16_t> parse_metadata_version(std::string_view text) {
  std::optional<std::int16_t> found;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    const auto level = static_cast<std::int16_t>(kMinimumMetadataVersion + i);
    if (kNames[i] == text) return level;
    // "4.0" means the last level of that release.
    if (kNames[i].substr(0, text.size()) == text && kNames[i].substr(text.size(), 3) == "-IV")
      found = level;
  }
  return found;
}

std::int16_t register_broker_record_version(std::int16_t metadata_version) {
  if (metadata_version >= kMetadataVersion4_3_IV0) return 4;
  if (metadata_version >= kMetadataVersion3_7_IV2) return 3;
  return metadata_version >= kMetadataVersion3_4_IV0 ? 2 : 1;
}

std::int16_t broker_registration_change_record_version(std::int16_t metadata_version) {
  if (metadata_version >= kMetadataVersion4_3_IV0) return 3;
  return metadata_version >= kMetadataVersion3_7_IV2 ? 2 : 1;
}

std::int16_t partition_record_version(std::int16_t metadata_version) {
  if (metadata_version >= kMetadataVersion4_0_IV1) return 2;
  return metadata_version >= kMetadataVersion3_7_IV2 ? 1 : 0;
}

std::int16_t FeaturesImage::level(std::string_view name) const {
  const std::int16_t* level = levels.find(name);
  return level == nullptr ? 0 : *level;
}

std::int16_t FeaturesImage::metadata_version() const {
  const std::int16_t finalised = level(kMetadataVersionFeature);
  return finalised == 0 ? static_cast<std::int16_t>(kMinimumMetadataVersion) : finalised;
}

}  // namespace broker::metadata
