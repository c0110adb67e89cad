#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "broker/metadata/image.h"

namespace broker::metadata {

/// What of a client can be limited; a quota's key in metadata.
enum class QuotaKind : std::uint8_t { kProduce, kFetch, kRequest, kControllerMutation };
inline constexpr std::size_t kQuotaKinds = 4;

/// "producer_byte_rate" and so on.
std::string_view quota_key(QuotaKind kind);

/// The limit that binds a client, and who shares it: all connections of that user, of that client
/// id, or of both ("" stands for any).
struct QuotaMatch {
  double limit = 0;  // bytes, percent of a core or partitions per second
  std::string user;
  std::string client_id;
};

/// The strongest of Kafka's eight levels that sets this kind: (user, client id), (user, default
/// client id), user, (default user, client id), (default user, default client id), default user,
/// client id, default client id. A client without an id is bound by the levels of users alone.
std::optional<QuotaMatch> find_quota(const ClientQuotasImage& quotas, QuotaKind kind,
                                     const std::string& user, const std::string& client_id);

/// The connection_creation_rate of an address, or the default one's.
std::optional<double> find_ip_quota(const ClientQuotasImage& quotas, const std::string& address);

}  // namespace broker::metadata
