#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/common/log.h"
#include "broker/handlers/call.h"
#include "broker/protocol/api.h"

namespace broker::handlers {

struct Services;

/// Where an API is served: clients' listeners, controllers' listeners, or both.
enum class Serves { kBroker, kController, kBoth };

/// The APIs of this node. What is registered is what ApiVersions advertises; nothing else is
/// accepted.
class Registry final : public server::RequestSink {
 public:
  /// `controller_listeners`: names of the listeners that only quorum members and observers use.
  Registry(Services& services, std::set<std::string> controller_listeners);

  /// Serves all versions that Kafka 4.3 accepts (`protocol/api.h`), unless `versions` narrows them.
  template <class Request>
  void add(Serves serves, void (*handle)(Services&, Call<Request>),
           std::optional<protocol::VersionRange> versions = std::nullopt) {
    insert(Request::kApiKey, serves, versions,
           [handle](Services& services, server::Request context, server::Responder responder) {
             protocol::Reader reader(context.body);
             Call<Request> call{{}, std::move(context), std::move(responder)};
             auto read = call.request.read(reader, call.version());
             if (!read.ok()) {
               return call.responder.close_connection(std::string("malformed ") + Request::kName +
                                                      ": " + read.error().detail);
             }
             handle(services, std::move(call));
           });
  }

  /// An API that the connection itself answers (SASL): advertised, never handed to on_request.
  void advertise(protocol::ApiKey key, Serves serves);

  struct Advertised {
    protocol::ApiKey key;
    protocol::VersionRange versions;
  };
  /// In ascending order of keys.
  std::vector<Advertised> advertised(const std::string& listener) const;

  bool accepts(const std::string& listener, std::int16_t api_key,
               std::int16_t version) const override;
  void on_request(server::Request request, server::Responder responder) override;

 private:
  using Handler = std::function<void(Services&, server::Request, server::Responder)>;
  struct Entry {
    Serves serves;
    protocol::VersionRange versions;
    bool cluster_action;
    Handler handle;
  };
  void insert(protocol::ApiKey key, Serves serves, std::optional<protocol::VersionRange> versions,
              Handler handle);
  std::shared_ptr<server::RequestMeter> meter(const Entry& entry,
                                              const server::Session& session) const;
  bool serves_on(const Entry& entry, const std::string& listener) const;

  Services& services_;
  const std::set<std::string> controller_listeners_;
  std::map<std::int16_t, Entry> entries_;
};

}  // namespace broker::handlers
