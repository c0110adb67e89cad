#include "broker/metadata/client_quotas.h"

#include <utility>

namespace broker::metadata {
namespace {

using Name = std::optional<std::string>;

std::optional<double> value_of(const ClientQuotasImage& quotas, const QuotaEntity& entity,
                               std::string_view key) {
  const auto* values = quotas.by_entity.find(entity);
  if (values == nullptr) return std::nullopt;
  const auto found = values->find(std::string(key));
  return found == values->end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

std::string_view quota_key(QuotaKind kind) {
  switch (kind) {
    case QuotaKind::kProduce:
      return "producer_byte_rate";
    case QuotaKind::kFetch:
      return "consumer_byte_rate";
    case QuotaKind::kRequest:
      return "request_percentage";
    case QuotaKind::kControllerMutation:
      return "controller_mutation_rate";
  }
  return {};
}

std::optional<QuotaMatch> find_quota(const ClientQuotasImage& quotas, QuotaKind kind,
                                     const std::string& user, const std::string& client_id) {
  const std::string_view key = quota_key(kind);
  std::optional<QuotaMatch> match;
  // Types of an entity are in the order of their names.
  const auto both = [&](const Name& of_user, const Name& of_client) {
    if (match || client_id.empty()) return;
    if (const auto limit = value_of(quotas, {{"client-id", of_client}, {"user", of_user}}, key))
      match = QuotaMatch{*limit, user, client_id};
  };
  const auto user_alone = [&](const Name& name) {
    if (match) return;
    if (const auto limit = value_of(quotas, {{"user", name}}, key))
      match = QuotaMatch{*limit, user, ""};
  };
  const auto client_alone = [&](const Name& name) {
    if (match || client_id.empty()) return;
    if (const auto limit = value_of(quotas, {{"client-id", name}}, key))
      match = QuotaMatch{*limit, "", client_id};
  };
  both(user, client_id);
  both(user, std::nullopt);
  user_alone(user);
  both(std::nullopt, client_id);
  both(std::nullopt, std::nullopt);
  user_alone(std::nullopt);
  client_alone(client_id);
  client_alone(std::nullopt);
  return match;
}

std::optional<double> find_ip_quota(const ClientQuotasImage& quotas, const std::string& address) {
  constexpr std::string_view kKey = "connection_creation_rate";
  if (const auto own = value_of(quotas, {{"ip", address}}, kKey)) return own;
  return value_of(quotas, {{"ip", std::nullopt}}, kKey);
}

}  // namespace broker::metadata
