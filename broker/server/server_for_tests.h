#pragma once

#include <gtest/gtest.h>

#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <thread>

#include "broker/io/posix/certificates_for_tests.h"
#include "broker/io/posix/event_loop.h"
#include "broker/io/posix/transport.h"
#include "broker/protocol/messages/api_versions_request.h"
#include "broker/protocol/messages/api_versions_response.h"
#include "broker/protocol/messages/heartbeat_request.h"
#include "broker/protocol/messages/heartbeat_response.h"
#include "broker/server/client_for_tests.h"
#include "broker/server/server.h"

namespace broker::server {

using namespace std::chrono_literals;
using protocol::ApiKey;
using protocol::ApiVersionsRequest;
using protocol::ApiVersionsResponse;
using protocol::HeartbeatRequest;
using protocol::HeartbeatResponse;

/// Answers Heartbeat and ApiVersions; a test may keep requests instead.
struct TestSink final : RequestSink {
  struct Kept {
    Request request;
    Responder responder;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::function<bool(const Request&)> keep;  // set before start
  std::size_t answer_padding = 0;
  std::vector<Kept> kept;
  std::vector<std::int32_t> started;
  std::shared_ptr<const Session> last_session;

  bool accepts(const std::string&, std::int16_t key, std::int16_t version) const override {
    if (key == static_cast<std::int16_t>(ApiKey::kApiVersions)) return version >= 0 && version <= 4;
    return key == static_cast<std::int16_t>(ApiKey::kHeartbeat) && version >= 0 && version <= 4;
  }
  void on_request(Request request, Responder responder) override {
    const std::lock_guard lock(mutex);
    request.strand->check_current();
    started.push_back(request.header.correlation_id);
    last_session = request.session;
    if (keep && keep(request))
      kept.push_back({std::move(request), std::move(responder)});
    else
      answer(request, std::move(responder));
    changed.notify_all();
  }
  void answer(const Request& request, Responder responder) const {
    const auto& header = request.header;
    Slices framed = header.api_key == ApiKey::kApiVersions
                        ? *protocol::encode_response(header.api_key, header.api_version,
                                                     header.correlation_id, ApiVersionsResponse())
                        : *protocol::encode_response(header.api_key, header.api_version,
                                                     header.correlation_id, HeartbeatResponse());
    if (answer_padding != 0) {
      // A frame of any size: only its size and correlation id matter to these tests.
      std::string bytes(8 + answer_padding, '\0');
      for (int i = 0; i < 4; ++i) {
        bytes[static_cast<std::size_t>(i)] = static_cast<char>((bytes.size() - 4) >> (24 - 8 * i));
        bytes[static_cast<std::size_t>(4 + i)] =
            static_cast<char>(header.correlation_id >> (24 - 8 * i));
      }
      framed = {Slice::copy_of(bytes)};
    }
    responder.send(std::move(framed));
  }
  bool wait(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, 10s, condition);
  }
  bool wait_kept(std::size_t n) {
    return wait([&] { return kept.size() >= n; });
  }
};

inline std::string heartbeat(std::int32_t correlation_id) {
  const Slices frame = *protocol::encode_request(4, correlation_id, "c", HeartbeatRequest());
  std::string bytes;
  for (const Slice& piece : frame) bytes += piece.view();
  return bytes;
}

struct Store final : CredentialStore {
  security::ScramCredential sha256 =
      *security::make_scram_credential("secret", security::ScramMechanism::kSha256);
  security::ScramCredential sha512 =
      *security::make_scram_credential("secret", security::ScramMechanism::kSha512);

  std::optional<security::ScramCredential> scram(security::ScramMechanism mechanism,
                                                 std::string_view user) const override {
    if (user != "alice") return std::nullopt;
    return mechanism == security::ScramMechanism::kSha256 ? sha256 : sha512;
  }
  std::optional<std::string> plain_password(std::string_view user) const override {
    return user == "alice" ? std::optional<std::string>("secret") : std::nullopt;
  }
};

struct ServerTest : ::testing::Test {
  io::posix::EventLoop loops[2];
  std::unique_ptr<io::Transport> transport = io::posix::make_posix_transport();
  TestSink sink;
  Store credentials;
  ServerOptions options;
  std::unique_ptr<Server> server;
  bool stopped = false;
  io::posix::TemporaryDirectory files;

  ServerTest() {
    for (auto& loop : loops) loop.start();
  }
  ~ServerTest() override {
    if (server != nullptr) stop(0ms);
    server.reset();
    sink.kept.clear();
  }
  /// Waits until it has stopped.
  void stop(std::chrono::milliseconds patience) {
    if (std::exchange(stopped, true)) return;
    std::promise<void> done;
    server->stop(patience, [&done] { done.set_value(); });
    done.get_future().wait();
  }

  ListenerOptions& add(const std::string& name,
                       SecurityProtocol protocol = SecurityProtocol::kPlaintext) {
    ListenerOptions listener;
    listener.name = name;
    listener.protocol = protocol;
    listener.bind = {"127.0.0.1", 0};
    if (security::uses_sasl(protocol))
      listener.sasl.mechanisms = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"};
    listener.limits.failed_authentication_delay = 20ms;
    options.listeners.push_back(listener);
    return options.listeners.back();
  }
  void use_tls(ListenerOptions& listener, io::ClientAuth client_auth) {
    const io::posix::TestCa ca("cluster");
    io::posix::write_text(files.file("ca.crt"), ca.pem());
    io::posix::write_pair(files, "server", ca.issue("server"));
    io::posix::write_pair(files, "client", ca.issue("orders-main-0", {.organization = "millrace"}));
    listener.tls = io::TlsServerOptions{.certificate_chain_path = files.file("server.crt"),
                                        .private_key_path = files.file("server.key"),
                                        .client_ca_path = files.file("ca.crt"),
                                        .client_auth = client_auth};
  }
  void start() {
    server = std::make_unique<Server>(
        Server::Ports{*transport, {&loops[0], &loops[1]}, sink, &credentials}, options);
    const auto started = server->start();
    ASSERT_TRUE(started.ok()) << to_string(started.error());
  }
  std::unique_ptr<TestClient> connect(const std::string& listener = "L") {
    return std::make_unique<TestClient>(server->bound_endpoints().at(listener));
  }
  /// A peer sees its connection end before the server has counted it: waits for the value.
  bool reaches(Counter ListenerMetrics::*counter, std::int64_t value,
               const std::string& listener = "L") {
    const auto give_up = std::chrono::steady_clock::now() + 10s;
    while (metric(counter, listener) != value && std::chrono::steady_clock::now() < give_up) {
      std::this_thread::yield();
    }
    return metric(counter, listener) == value;
  }
  std::int64_t metric(Counter ListenerMetrics::*counter, const std::string& listener = "L") {
    return (server->metrics(listener).*counter).value();
  }
};

}  // namespace broker::server
