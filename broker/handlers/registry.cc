#include "broker/handlers/registry.h"

#include <algorithm>

#include "broker/handlers/services.h"
#include "broker/server/request_meter.h"

namespace broker::handlers {

Registry::Registry(Services& services, std::set<std::string> controller_listeners)
    : services_(services), controller_listeners_(std::move(controller_listeners)) {}

void Registry::insert(protocol::ApiKey key, Serves serves,
                      std::optional<protocol::VersionRange> versions, Handler handle) {
  const protocol::ApiInfo* info = protocol::find_api(static_cast<std::int16_t>(key));
  CHECK(info != nullptr);
  const auto [entry, inserted] = entries_.emplace(
      static_cast<std::int16_t>(key),
      Entry{serves, versions.value_or(info->versions), info->cluster_action, std::move(handle)});
  CHECK(inserted);
}

void Registry::advertise(protocol::ApiKey key, Serves serves) {
  insert(key, serves, std::nullopt,
         [](Services&, server::Request request, server::Responder responder) {
           responder.close_connection("API " +
                                      std::to_string(static_cast<int>(request.header.api_key)) +
                                      " belongs to the authentication of a connection");
         });
}

bool Registry::serves_on(const Entry& entry, const std::string& listener) const {
  const bool controller = controller_listeners_.contains(listener);
  return entry.serves == Serves::kBoth || (entry.serves == Serves::kController) == controller;
}

std::vector<Registry::Advertised> Registry::advertised(const std::string& listener) const {
  std::vector<Advertised> apis;
  for (const auto& [key, entry] : entries_) {
    if (serves_on(entry, listener)) {
      apis.push_back({static_cast<protocol::ApiKey>(key), entry.versions});
    }
  }
  return apis;
}

bool Registry::accepts(const std::string& listener, std::int16_t api_key,
                       std::int16_t version) const {
  const auto found = entries_.find(api_key);
  return found != entries_.end() && serves_on(found->second, listener) &&
         version >= found->second.versions.min && version <= found->second.versions.max;
}

void Registry::on_request(server::Request request, server::Responder responder) {
  const auto found = entries_.find(static_cast<std::int16_t>(request.header.api_key));
  if (found == entries_.end()) {
    return responder.close_connection(
        "API " + std::to_string(static_cast<int>(request.header.api_key)) + " is not served here");
  }
  const auto time = meter(found->second, *request.session);
  request.meter = time;
  found->second.handle(services_, std::move(request), std::move(responder));
  if (time != nullptr) time->pause();
}

/// Null for what no quota is kept of: the cluster's own business.
std::shared_ptr<server::RequestMeter> Registry::meter(const Entry& entry,
                                                      const server::Session& session) const {
  auto* quotas = services_.client_quotas;
  if (quotas == nullptr || !quotas->limits(server::QuotaKind::kRequest) || entry.cluster_action ||
      !session.authenticated || controller_listeners_.contains(session.listener))
    return nullptr;
  return std::make_shared<server::RequestMeter>(*quotas);
}

}  // namespace broker::handlers
