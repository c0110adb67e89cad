#pragma once

#include <atomic>

#include "broker/server/request.h"

namespace broker::node {

/// Between the listeners and the handlers: until the broker is ready only ApiVersions (and
/// authentication, which is the server's) pass. Clients that come early are closed and come again;
/// they must not be told that topics do not exist.
class StartingGate final : public server::RequestSink {
 public:
  explicit StartingGate(server::RequestSink& next) : next_(next) {}

  void open() { open_.store(true, std::memory_order_release); }

  bool accepts(const std::string& listener, std::int16_t api_key,
               std::int16_t version) const override {
    return next_.accepts(listener, api_key, version);
  }
  void on_request(server::Request request, server::Responder responder) override {
    if (!open_.load(std::memory_order_acquire) &&
        request.header.api_key != protocol::ApiKey::kApiVersions) {
      return responder.close_connection("the broker is still starting");
    }
    next_.on_request(std::move(request), std::move(responder));
  }

 private:
  server::RequestSink& next_;
  std::atomic<bool> open_{false};
};

}  // namespace broker::node
