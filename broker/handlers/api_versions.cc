#include "broker/handlers/apis.h"
#include "broker/handlers/registry.h"
#include "broker/handlers/services.h"
#include "broker/metadata/features.h"
#include "broker/protocol/messages/api_versions_request.h"
#include "broker/protocol/messages/api_versions_response.h"

namespace broker::handlers {
namespace {

/// [a-zA-Z0-9](?:[a-zA-Z0-9\-.]*[a-zA-Z0-9])? (KIP-511)
bool is_software_name(const std::string& text) {
  const auto alphanumeric = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  if (text.empty() || !alphanumeric(text.front()) || !alphanumeric(text.back())) return false;
  for (const char c : text) {
    if (!alphanumeric(c) && c != '-' && c != '.') return false;
  }
  return true;
}

}  // namespace

void handle_api_versions(Services& services, Call<protocol::ApiVersionsRequest> call) {
  protocol::ApiVersionsResponse response;
  if (call.version() >= 3 && (!is_software_name(call.request.client_software_name) ||
                              !is_software_name(call.request.client_software_version))) {
    response.error_code = wire(ErrorCode::kInvalidRequest);
    return call.reply(response);
  }
  for (const auto& api : services.registry->advertised(call.session().listener)) {
    auto versions = api.versions;
    // librdkafka takes its compression and feature flags from Produce v0 being listed
    // (KAFKA-18659); v0 to v2 are refused.
    if (api.key == protocol::ApiKey::kProduce) versions.min = 0;
    response.api_keys.push_back({static_cast<std::int16_t>(api.key), versions.min, versions.max});
  }
  for (const auto& feature : metadata::supported_features()) {
    // Clients of version 3 reject a minimum of 0 (KAFKA-17011).
    if (call.version() < 4 && feature.min == 0) continue;
    response.supported_features.push_back({std::string(feature.name), feature.min, feature.max});
  }
  const auto state = services.state.get();
  response.finalized_features_epoch = state->image->provenance.offset.value;
  for (const auto& [name, level] : state->image->features.levels) {
    response.finalized_features.push_back({name, level, level});
  }
  call.reply(response);
}

}  // namespace broker::handlers
