#pragma once

// A scripted Kafka node on loopback, for tests only.
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "broker/common/endian.h"
#include "broker/io/transport.h"
#include "broker/protocol/frame.h"
#include "broker/protocol/messages/api_versions_request.h"
#include "broker/protocol/messages/api_versions_response.h"

namespace broker::client {

/// Answers the APIs that it was taught and advertises them. Lives on one strand.
class FakeNode {
 public:
  template <class Request>
  using Reply = std::function<void(const typename Request::Response&)>;

  FakeNode(io::Strand& strand, io::Transport& transport, std::uint16_t port = 0) {
    auto acceptor = transport.listen(strand, {"127.0.0.1", port}, nullptr, [this](auto stream) {
      ++connections_;
      peers_.push_back(std::make_unique<Peer>(*this, std::move(stream)));
      peers_.back()->stream->start(*peers_.back());
    });
    CHECK(acceptor.ok());
    acceptor_ = std::move(*acceptor);
  }

  io::Endpoint endpoint() const { return acceptor_->local(); }

  /// `handler` replies now, later or never.
  template <class Request>
  void on(std::function<void(const Request&, Reply<Request>)> handler,
          protocol::VersionRange versions = {Request::kVersions.min, Request::kVersions.max}) {
    apis_[Request::kApiKey] = {
        versions, [handler = std::move(handler)](Peer& peer, const protocol::RequestHeader& header,
                                                 const Slice& body) {
          auto request = protocol::decode<Request>(body, header.api_version);
          CHECK(request.ok());
          handler(*request, [weak = std::weak_ptr(peer.alive), header,
                             &peer](const typename Request::Response& response) {
            if (weak.expired()) return;
            auto frame = protocol::encode_response(header.api_key, header.api_version,
                                                   header.correlation_id, response);
            CHECK(frame.ok());
            peer.stream->write(std::move(*frame));
          });
        }};
  }

  /// Connections are accepted, but nobody is at home.
  void stay_silent() { silent_ = true; }
  /// As nodes before ApiVersions 3: a newer one is refused in version 0.
  void know_only_old_api_versions() { old_ = true; }
  /// Raw bytes instead of the answer to ApiVersions.
  void send_garbage() { garbage_ = true; }
  void drop_connections() { peers_.clear(); }
  void stop_listening() { acceptor_.reset(); }

  int connections() const { return connections_; }
  /// What was asked, ApiVersions left out, in order.
  std::vector<std::pair<protocol::ApiKey, std::int16_t>> seen;

 private:
  struct Peer : io::StreamHandler {
    Peer(FakeNode& n, std::unique_ptr<io::Stream> s) : node(n), stream(std::move(s)) {}
    void on_open() override {}
    std::span<std::uint8_t> read_buffer() override { return chunk; }
    void on_read(std::size_t n) override {
      input.insert(input.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(n));
      const std::weak_ptr<bool> still = alive;
      while (!still.expired() && input.size() >= 4) {
        const auto size = static_cast<std::size_t>(load_be<std::int32_t>(input.data()));
        if (input.size() < 4 + size) return;
        const Slice frame = Slice::copy_of(std::span(input).subspan(4, size));
        input.erase(input.begin(), input.begin() + static_cast<std::ptrdiff_t>(4 + size));
        node.on_frame(*this, frame);
      }
    }
    void on_drained() override {}
    void on_closed(const Error&) override {
      node.peers_.remove_if([this](const auto& peer) { return peer.get() == this; });
    }

    FakeNode& node;
    std::unique_ptr<io::Stream> stream;
    std::vector<std::uint8_t> chunk = std::vector<std::uint8_t>(16 << 10);
    std::vector<std::uint8_t> input;
    std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  };
  struct Api {
    protocol::VersionRange versions;
    std::function<void(Peer&, const protocol::RequestHeader&, const Slice&)> handle;
  };

  void on_frame(Peer& peer, const Slice& frame) {
    if (silent_) return;
    if (garbage_) return peer.stream->write({Slice::copy_of("HTTP/1.1 400 Bad Request\r\n")});
    protocol::Reader reader(frame);
    auto header = protocol::decode_request_header(reader);
    CHECK(header.ok());
    if (header->api_key == protocol::ApiKey::kApiVersions) return say_versions(peer, *header);
    seen.emplace_back(header->api_key, header->api_version);
    const auto api = apis_.find(header->api_key);
    CHECK(api != apis_.end());
    api->second.handle(peer, *header, reader.rest());
  }

  void say_versions(Peer& peer, const protocol::RequestHeader& header) {
    protocol::ApiVersionsResponse response;
    std::int16_t version = header.api_version;
    if (old_ && version > 2) {
      response.error_code = static_cast<std::int16_t>(ErrorCode::kUnsupportedVersion);
      version = 0;
    }
    for (const auto& [key, api] : apis_) {
      response.api_keys.push_back(
          {static_cast<std::int16_t>(key), api.versions.min, api.versions.max});
    }
    peer.stream->write(
        *protocol::encode_response(header.api_key, version, header.correlation_id, response));
  }

  std::map<protocol::ApiKey, Api> apis_;
  bool silent_ = false;
  bool old_ = false;
  bool garbage_ = false;
  int connections_ = 0;
  std::list<std::unique_ptr<Peer>> peers_;
  std::unique_ptr<io::Acceptor> acceptor_;
};

}  // namespace broker::client
