#pragma once

#include <atomic>
#include <set>
#include <string>

#include "broker/server/request.h"

namespace broker::node {

/// Between the listeners and the handlers: until the node is ready only ApiVersions (and
/// authentication, which is the server's) pass. Clients that come early are closed and come again;
/// they must not be told that topics do not exist. Controllers' listeners open before: without them
/// there is no quorum that could make a broker ready.
class StartingGate final : public server::RequestSink {
 public:
  StartingGate(server::RequestSink& next, std::set<std::string> controller_listeners)
      : next_(next), controller_listeners_(std::move(controller_listeners)) {}

  void open_controllers() { controllers_open_.store(true, std::memory_order_release); }
  void open() { open_.store(true, std::memory_order_release); }

  bool accepts(const std::string& listener, std::int16_t api_key,
               std::int16_t version) const override {
    return next_.accepts(listener, api_key, version);
  }
  void on_request(server::Request request, server::Responder responder) override {
    if (!is_open(request.session->listener) &&
        request.header.api_key != protocol::ApiKey::kApiVersions) {
      return responder.close_connection("this node is still starting");
    }
    next_.on_request(std::move(request), std::move(responder));
  }

 private:
  bool is_open(const std::string& listener) const {
    if (open_.load(std::memory_order_acquire)) return true;
    return controllers_open_.load(std::memory_order_acquire) &&
           controller_listeners_.contains(listener);
  }

  server::RequestSink& next_;
  const std::set<std::string> controller_listeners_;
  std::atomic<bool> controllers_open_{false};
  std::atomic<bool> open_{false};
};

}  // namespace broker::node
