#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/persistent_map.h"
#include "broker/common/time.h"
#include "broker/config/config_def.h"
#include "broker/metadata/cluster_image.h"
#include "broker/metadata/features.h"
#include "broker/metadata/topics_image.h"
#include "broker/security/acl.h"
#include "broker/security/scram.h"

namespace broker::metadata {

/// The last record that an image contains.
struct MetadataProvenance {
  Offset offset{-1};
  LeaderEpoch epoch{-1};
  WallMs timestamp = -1;

  auto operator<=>(const MetadataProvenance&) const = default;
};

/// The numbers are those of ConfigRecord and the config APIs.
enum class ConfigResourceType : std::int8_t {
  kTopic = 2,
  kBroker = 4,
  kBrokerLogger = 8,
  kClientMetrics = 16,
  kGroup = 32,
};

struct ConfigResource {
  ConfigResourceType type = ConfigResourceType::kTopic;
  std::string name;  // broker: its id, or "" for the cluster-wide default

  auto operator<=>(const ConfigResource&) const = default;
};

struct ConfigsImage {
  PersistentMap<ConfigResource, config::ConfigMap> by_resource;

  /// The keys set on the resource itself; an empty map when there are none.
  const config::ConfigMap& of(const ConfigResource& resource) const;
  bool operator==(const ConfigsImage&) const = default;
};

/// {"user": "alice", "client-id": nullopt = default}, sorted by type.
using QuotaEntity = std::vector<std::pair<std::string, std::optional<std::string>>>;

struct ClientQuotasImage {
  PersistentMap<QuotaEntity, std::map<std::string, double>> by_entity;

  bool operator==(const ClientQuotasImage&) const = default;
};

struct ScramImage {
  PersistentMap<std::pair<std::string, security::ScramMechanism>, security::ScramCredential>
      credentials;

  const security::ScramCredential* find(const std::string& user,
                                        security::ScramMechanism mechanism) const {
    return credentials.find(std::pair(user, mechanism));
  }
  bool operator==(const ScramImage&) const = default;
};

struct DelegationTokenImage {
  std::string owner;
  std::string requester;
  std::vector<std::string> renewers;
  WallMs issued = 0;
  WallMs max = 0;
  WallMs expires = 0;

  bool operator==(const DelegationTokenImage&) const = default;
};

struct AclsImage {
  PersistentMap<Uuid, security::AclBinding> by_id;

  bool operator==(const AclsImage&) const = default;
};

/// The whole cluster's metadata at one offset. Immutable once published behind
/// `std::shared_ptr<const MetadataImage>`; a newer image shares all that did not change.
struct MetadataImage {
  MetadataProvenance provenance;
  FeaturesImage features;
  ClusterImage cluster;
  TopicsImage topics;
  ConfigsImage configs;
  ClientQuotasImage client_quotas;
  std::int64_t next_producer_id = 0;  // the first id not yet handed out
  AclsImage acls;
  ScramImage scram;
  PersistentMap<std::string, DelegationTokenImage> delegation_tokens;  // by token id
  std::int8_t zk_migration_state = 0;

  bool operator==(const MetadataImage&) const = default;

  static std::shared_ptr<const MetadataImage> empty();
};

using ImagePtr = std::shared_ptr<const MetadataImage>;

}  // namespace broker::metadata
