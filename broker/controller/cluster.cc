#include "broker/controller/cluster.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <limits>

#include "broker/controller/min_insync.h"
#include "broker/metadata/features.h"

namespace broker::controller {
namespace {

using protocol::UpdateFeaturesRequest;

/// Whether everyone registered can run `level`.
Result<void> check_nodes(const metadata::ClusterImage& cluster, const std::string& name,
                         std::int16_t level) {
  const auto check = [&](const char* kind, BrokerId id,
                         const std::vector<metadata::RegisteredFeature>& features) -> Result<void> {
    for (const auto& feature : features)
      if (feature.name == name && feature.min <= level && level <= feature.max) return {};
    return Error{
        ErrorCode::kInvalidUpdateVersion,
        std::string(kind) + " " + std::to_string(id.value) + " does not support this version."};
  };
  for (const auto& [id, broker] : cluster.brokers)
    RETURN_IF_ERROR(check("Broker", id, broker.features));
  for (const auto& [id, controller] : cluster.controllers)
    RETURN_IF_ERROR(check("Controller", id, controller.features));
  return {};
}

constexpr std::int8_t kUpgrade = 1;
constexpr std::int8_t kSafeDowngrade = 2;
constexpr std::int8_t kUnsafeDowngrade = 3;

/// Version 0 of the request only says whether a downgrade is allowed.
std::int8_t upgrade_type(const UpdateFeaturesRequest::FeatureUpdateKey& update) {
  return update.allow_downgrade ? kSafeDowngrade : update.upgrade_type;
}

/// Whether a downgrade loses what only the newer records can say.
bool formats_differ(std::int16_t from, std::int16_t to) {
  constexpr std::array<std::int16_t, 9> kNewFormats{
      metadata::kMetadataVersion3_3_IV3, metadata::kMetadataVersion3_4_IV0,
      metadata::kMetadataVersion3_5_IV2, metadata::kMetadataVersion3_6_IV1,
      metadata::kMetadataVersion3_6_IV2, metadata::kMetadataVersion3_7_IV0,
      metadata::kMetadataVersion3_7_IV2, metadata::kMetadataVersion4_0_IV1,
      metadata::kMetadataVersion4_3_IV0};
  return std::any_of(kNewFormats.begin(), kNewFormats.end(),
                     [&](std::int16_t level) { return to < level && level <= from; });
}

bool some_isr_is_empty(const metadata::TopicsImage& topics) {
  for (const auto& [id, topic] : topics.by_id)
    for (const auto& [index, partition] : topic.partitions)
      if (partition.isr.empty()) return true;
  return false;
}

template <class Invalid>
Result<void> check_direction(const metadata::MetadataImage& image,
                             const UpdateFeaturesRequest::FeatureUpdateKey& update,
                             std::int16_t now, const Invalid& invalid) {
  const std::int16_t wanted = update.max_version_level;
  const std::int8_t type = upgrade_type(update);
  if (wanted < now && type == kUpgrade)
    return invalid(
        "Can't downgrade the version of this feature without setting the upgrade type "
        "to either safe or unsafe downgrade.");
  if (wanted > now && type != kUpgrade) return invalid("Can't downgrade to a newer version.");
  const bool is_metadata_version = update.feature == metadata::kMetadataVersionFeature;
  if (is_metadata_version && wanted < now && formats_differ(now, wanted))
    return invalid(type == kUnsafeDowngrade
                       ? "Unsafe metadata downgrade is not supported in this version."
                       : "Refusing to perform the requested downgrade because it might delete "
                         "metadata information.");
  if (update.feature == metadata::kElrVersionFeature) {
    if (wanted > now && image.features.metadata_version() < metadata::kMetadataVersion4_0_IV1)
      return invalid("It depends on metadata.version level " +
                     std::to_string(metadata::kMetadataVersion4_0_IV1) + ".");
    // Only the ELR knows who may lead these without losing records.
    if (wanted < now && some_isr_is_empty(image.topics))
      return invalid("Some partitions have no in-sync replica; bring their brokers back first.");
  }
  return {};
}

Result<void> check_update(const DecideContext& context,
                          const UpdateFeaturesRequest::FeatureUpdateKey& update) {
  const metadata::MetadataImage& image = context.image;
  const auto invalid = [&](const std::string& why) {
    return Error{ErrorCode::kInvalidUpdateVersion,
                 "Invalid update version " + std::to_string(update.max_version_level) +
                     " for feature " + update.feature + ". " + why};
  };
  const metadata::SupportedFeature* supported = metadata::find_supported_feature(update.feature);
  if (supported == nullptr) return invalid("Local controller does not support this feature.");
  const std::int16_t now = image.features.level(update.feature);
  if (upgrade_type(update) < kUpgrade || upgrade_type(update) > kUnsafeDowngrade)
    return invalid("The controller does not support the given upgrade type.");
  if (update.max_version_level < 0) return invalid("A feature version cannot be less than 0.");
  if (update.feature == metadata::kKRaftVersionFeature)
    return invalid("kraft.version is fixed when the storage is formatted.");
  if (update.max_version_level < supported->min || update.max_version_level > supported->max)
    return invalid("Local controller " + std::to_string(context.options.node_id.value) +
                   " only supports versions " + std::to_string(supported->min) + "-" +
                   std::to_string(supported->max));
  RETURN_IF_ERROR(check_direction(image, update, now, invalid));
  return check_nodes(image.cluster, update.feature, update.max_version_level);
}

}  // namespace

ControllerResult<protocol::AllocateProducerIdsResponse> decide(
    const DecideContext& context, const protocol::AllocateProducerIdsRequest& request) {
  ControllerResult<protocol::AllocateProducerIdsResponse> out;
  const auto fail = [&](ErrorCode code) {
    out.response.error_code = static_cast<std::int16_t>(code);
    return out;
  };
  const metadata::BrokerRegistration* broker =
      context.image.cluster.broker(BrokerId{request.broker_id});
  if (broker == nullptr) return fail(ErrorCode::kBrokerIdNotRegistered);
  if (broker->epoch.value != request.broker_epoch) return fail(ErrorCode::kStaleBrokerEpoch);
  const std::int64_t first = context.image.next_producer_id;
  if (first > std::numeric_limits<std::int64_t>::max() - kProducerIdBlock)
    return fail(ErrorCode::kUnknownServerError);
  protocol::ProducerIdsRecord record;
  record.broker_id = request.broker_id;
  record.broker_epoch = request.broker_epoch;
  record.next_producer_id = first + kProducerIdBlock;
  out.records.emplace_back(record);
  out.response.producer_id_start = first;
  out.response.producer_id_len = kProducerIdBlock;
  return out;
}

ControllerResult<protocol::UpdateFeaturesResponse> decide(const DecideContext& context,
                                                          const UpdateFeaturesRequest& request) {
  ControllerResult<protocol::UpdateFeaturesResponse> out;
  out.response.error_message = std::nullopt;
  for (const auto& update : request.feature_updates) {
    protocol::UpdateFeaturesResponse::UpdatableFeatureResult result;
    result.feature = update.feature;
    result.error_message = std::nullopt;
    if (const auto ok = check_update(context, update); !ok.ok()) {
      out.response.error_code = static_cast<std::int16_t>(ok.code());
      out.response.error_message =
          "The update failed for all features since the following feature had an error: " +
          ok.error().detail;
      out.response.results.clear();
      out.records.clear();
      return out;
    }
    out.response.results.push_back(std::move(result));
    if (request.validate_only ||
        update.max_version_level == context.image.features.level(update.feature))
      continue;
    const bool elr = update.feature == metadata::kElrVersionFeature;
    if (elr && update.max_version_level > 0) {
      auto first = prepare_elr(context.image, context.options);
      std::move(first.begin(), first.end(), std::back_inserter(out.records));
    }
    if (elr && update.max_version_level == 0) out.records.emplace_back(protocol::ClearElrRecord());
    protocol::FeatureLevelRecord record;
    record.name = update.feature;
    record.feature_level = update.max_version_level;
    out.records.emplace_back(std::move(record));
  }
  return out;
}

metadata::MetadataRecords bootstrap_records(const DecideContext& context) {
  const metadata::MetadataRecords& from_checkpoint = context.options.bootstrap_records;
  std::int16_t version = metadata::kMinimumMetadataVersion;
  bool elr = false;
  for (const auto& record : from_checkpoint) {
    const auto* feature = std::get_if<protocol::FeatureLevelRecord>(&record);
    if (feature == nullptr) continue;
    if (feature->name == metadata::kMetadataVersionFeature) version = feature->feature_level;
    if (feature->name == metadata::kElrVersionFeature) elr = feature->feature_level > 0;
  }
  metadata::MetadataRecords out;
  const bool in_transaction = version >= metadata::kMetadataVersion3_6_IV1;
  if (in_transaction) {
    protocol::BeginTransactionRecord begin;
    begin.name = "Bootstrap records";
    out.emplace_back(std::move(begin));
  }
  out.insert(out.end(), from_checkpoint.begin(), from_checkpoint.end());
  if (elr) {
    auto pinned = prepare_elr(context.image, context.options);
    std::move(pinned.begin(), pinned.end(), std::back_inserter(out));
  }
  if (in_transaction) out.emplace_back(protocol::EndTransactionRecord());
  return out;
}

metadata::MetadataRecords register_controller(const DecideContext& context) {
  const ControllerOptions& options = context.options;
  if (options.endpoints.empty() ||
      context.image.features.metadata_version() < metadata::kMetadataVersion3_7_IV0)
    return {};
  std::vector<metadata::RegisteredFeature> features;
  for (const metadata::SupportedFeature& feature : metadata::supported_features())
    features.push_back({std::string(feature.name), feature.min, feature.max});
  const metadata::ControllerRegistration* known =
      context.image.cluster.controllers.find(options.node_id);
  if (known != nullptr && known->endpoints == options.endpoints && known->features == features)
    return {};
  protocol::RegisterControllerRecord record;
  record.controller_id = options.node_id.value;
  record.incarnation_id = Uuid::random(context.rng);
  record.zk_migration_ready = false;
  for (const auto& e : options.endpoints)
    record.end_points.push_back({e.name, e.host, e.port, e.security_protocol});
  for (const auto& f : features) record.features.push_back({f.name, f.min, f.max});
  return {std::move(record)};
}

}  // namespace broker::controller
