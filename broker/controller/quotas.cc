#include "broker/controller/quotas.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>
#include <map>
#include <set>

namespace broker::controller {
namespace {

using protocol::AlterClientQuotasRequest;
using protocol::AlterClientQuotasResponse;

Error invalid(std::string detail) { return {ErrorCode::kInvalidRequest, std::move(detail)}; }

/// An address, or a name that could be one of a host: resolving it is not a decision.
bool may_be_host(const std::string& name) {
  return name.size() <= 255 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '.' || c == ':' || c == '-' || c == '_' || c == '%';
         });
}

Result<metadata::QuotaEntity> entity_of(const AlterClientQuotasRequest::EntryData& entry) {
  if (entry.entity.empty()) return invalid("Invalid empty client quota entity");
  metadata::QuotaEntity entity;
  std::set<std::string> types;
  for (const auto& part : entry.entity) {
    if (!types.insert(part.entity_type).second)
      return invalid("Invalid client quota entity, duplicate entity entry " + part.entity_type);
    if (part.entity_type != "user" && part.entity_type != "client-id" && part.entity_type != "ip")
      return invalid("Unhandled client quota entity type: " + part.entity_type);
    if (part.entity_name && part.entity_name->empty())
      return invalid("Empty " + part.entity_type + " not supported");
    if (part.entity_type == "ip" && part.entity_name && !may_be_host(*part.entity_name))
      return invalid(*part.entity_name + " is not a valid IP or resolvable host.");
    entity.emplace_back(part.entity_type, part.entity_name);
  }
  if (types.contains("ip") && types.size() > 1)
    return invalid(
        "Invalid quota entity combination, IP entity should not be used with User or ClientId");
  std::sort(entity.begin(), entity.end());
  return entity;
}

/// A value that is no number passes, as in Kafka: it limits nothing.
Result<void> check_value(const metadata::QuotaEntity& entity, const std::string& key,
                         double value) {
  const bool ip = entity.front().first == "ip";
  const bool bytes = key == "producer_byte_rate" || key == "consumer_byte_rate";
  const bool share = key == "request_percentage" || key == "controller_mutation_rate";
  const bool connections = key == "connection_creation_rate";
  if (ip ? !connections : !(bytes || share)) return invalid("Invalid configuration key " + key);
  if (value <= 0) return invalid("Quota " + key + " must be greater than 0");
  if (bytes && value > static_cast<double>(std::numeric_limits<std::int64_t>::max()))
    return invalid("Proposed value for " + key + " is too large for a LONG.");
  if (connections && value > std::numeric_limits<std::int32_t>::max())
    return invalid("Proposed value for " + key + " is too large for an INT.");
  if (!share && std::abs(std::fmod(value, 1.0)) > 1e-6)
    return invalid(key + " cannot be a fractional value.");
  return {};
}

Result<metadata::MetadataRecords> alter(const DecideContext& context,
                                        const AlterClientQuotasRequest::EntryData& entry) {
  ASSIGN_OR_RETURN(const metadata::QuotaEntity entity, entity_of(entry));
  const auto* now = context.image.client_quotas.by_entity.find(entity);
  metadata::MetadataRecords records;
  std::set<std::string> keys;
  for (const auto& op : entry.ops) {
    if (!keys.insert(op.key).second) return invalid("Duplicate quota key " + op.key);
    if (!op.remove) RETURN_IF_ERROR(check_value(entity, op.key, op.value));
    const bool set = now != nullptr && now->contains(op.key);
    if (op.remove ? !set : set && now->at(op.key) == op.value) continue;
    protocol::ClientQuotaRecord record;
    for (const auto& [type, name] : entity) record.entity.push_back({type, name});
    record.key = op.key;
    record.value = op.remove ? 0 : op.value;
    record.remove = op.remove;
    records.emplace_back(std::move(record));
  }
  return records;
}

}  // namespace

ControllerResult<AlterClientQuotasResponse> decide(const DecideContext& context,
                                                   const AlterClientQuotasRequest& request) {
  ControllerResult<AlterClientQuotasResponse> out;
  std::set<metadata::QuotaEntity> seen;
  for (const auto& entry : request.entries) {
    AlterClientQuotasResponse::EntryData result;
    result.error_message = std::nullopt;
    metadata::QuotaEntity entity;
    for (const auto& part : entry.entity) {
      result.entity.push_back({part.entity_type, part.entity_name});
      entity.emplace_back(part.entity_type, part.entity_name);
    }
    std::sort(entity.begin(), entity.end());
    auto records =
        seen.insert(entity).second
            ? alter(context, entry)
            : Result<metadata::MetadataRecords>(invalid("Each entity must appear at most once."));
    if (!records.ok()) {
      result.error_code = static_cast<std::int16_t>(records.code());
      result.error_message = records.error().detail;
    } else if (!request.validate_only) {
      std::move(records->begin(), records->end(), std::back_inserter(out.records));
    }
    out.response.entries.push_back(std::move(result));
  }
  return out;
}

}  // namespace broker::controller
