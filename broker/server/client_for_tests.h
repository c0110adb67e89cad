#pragma once

// A blocking client of a few lines, for the server's tests only.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "broker/io/transport.h"
#include "broker/protocol/frame.h"
#include "broker/protocol/messages/sasl_authenticate_request.h"
#include "broker/protocol/messages/sasl_authenticate_response.h"
#include "broker/protocol/messages/sasl_handshake_request.h"
#include "broker/protocol/messages/sasl_handshake_response.h"
#include "broker/security/sasl.h"

namespace broker::server {

class TestClient {
 public:
  explicit TestClient(const io::Endpoint& endpoint) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    timeval limit{10, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  }
  ~TestClient() {
    ssl_.reset();
    ::close(fd_);
  }
  TestClient(const TestClient&) = delete;

  /// `certificate`, `key`: file names or "". `version`: the only one that it speaks, 0 any.
  bool start_tls(const std::string& ca, const std::string& certificate = {},
                 const std::string& key = {}, int version = 0) {
    context_.reset(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    SSL_CTX_set_min_proto_version(context_.get(), version);
    SSL_CTX_set_max_proto_version(context_.get(), version);
    SSL_CTX_load_verify_file(context_.get(), ca.c_str());
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    if (!certificate.empty()) {
      SSL_CTX_use_certificate_chain_file(context_.get(), certificate.c_str());
      SSL_CTX_use_PrivateKey_file(context_.get(), key.c_str(), SSL_FILETYPE_PEM);
    }
    ssl_.reset(SSL_new(context_.get()), SSL_free);
    SSL_set_fd(ssl_.get(), fd_);
    return SSL_connect(ssl_.get()) == 1;
  }

  /// Of the TLS connection, e.g. "TLS_AES_128_GCM_SHA256".
  std::string cipher() const { return SSL_get_cipher_name(ssl_.get()); }

  void send_bytes(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ssl_ ? SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()))
                          : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  void send_frame(const Slices& frame) {
    std::string bytes;
    for (const Slice& piece : frame) bytes += piece.view();
    send_bytes(bytes);
  }
  template <class Body>
  void send(std::int16_t version, std::int32_t correlation_id, const Body& body) {
    send_frame(*protocol::encode_request(version, correlation_id, "test", body));
  }

  /// nullopt at the end of the connection.
  std::optional<std::string> read_bytes(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t have = 0; have < size;) {
      const auto n = ssl_ ? SSL_read(ssl_.get(), bytes.data() + have, static_cast<int>(size - have))
                          : ::recv(fd_, bytes.data() + have, size - have, 0);
      if (n <= 0) return std::nullopt;
      have += static_cast<std::size_t>(n);
    }
    return bytes;
  }
  std::optional<std::string> read_frame() {
    const auto prefix = read_bytes(4);
    if (!prefix) return std::nullopt;
    std::uint32_t size = 0;
    for (const char c : *prefix) size = size << 8 | static_cast<std::uint8_t>(c);
    return read_bytes(size);
  }
  std::optional<std::int32_t> read_correlation_id() {
    const auto frame = read_frame();
    if (!frame) return std::nullopt;
    return static_cast<std::int32_t>(correlation_id_of(*frame));
  }
  bool is_closed() { return !read_bytes(1); }

  template <class Response>
  std::optional<Response> read(std::int16_t version) {
    const auto frame = read_frame();
    if (!frame) return std::nullopt;
    protocol::Reader reader(Slice::copy_of(*frame));
    EXPECT_TRUE(protocol::decode_response_header(reader, Response::kApiKey, version).ok());
    auto response = protocol::decode<Response>(reader.rest(), version);
    EXPECT_TRUE(response.ok());
    return *response;
  }

  /// The error code of the authentication, or nullopt if the connection ended.
  std::optional<std::int16_t> authenticate(const std::string& mechanism, const std::string& user,
                                           const std::string& password) {
    protocol::SaslHandshakeRequest handshake;
    handshake.mechanism = mechanism;
    send(1, 1, handshake);
    const auto answer = read<protocol::SaslHandshakeResponse>(1);
    if (!answer || answer->error_code != 0)
      return answer ? std::optional(answer->error_code) : std::nullopt;
    auto client = *security::make_sasl_client(mechanism, user, password);
    auto step = client->step({});
    while (true) {
      protocol::SaslAuthenticateRequest request;
      request.auth_bytes = Slice(step->token);
      send(2, 2, request);
      const auto response = read<protocol::SaslAuthenticateResponse>(2);
      if (!response) return std::nullopt;
      session_lifetime_ms = response->session_lifetime_ms;
      if (response->error_code != 0 || step->complete) return response->error_code;
      step = client->step(response->auth_bytes.span());
      EXPECT_TRUE(step.ok());
      if (step->complete) return 0;
    }
  }

  std::int64_t session_lifetime_ms = 0;  // of the last answer to a token

 private:
  static std::uint32_t correlation_id_of(const std::string& frame) {
    std::uint32_t id = 0;
    for (std::size_t i = 0; i < 4; ++i) id = id << 8 | static_cast<std::uint8_t>(frame.at(i));
    return id;
  }

  int fd_;
  std::shared_ptr<SSL_CTX> context_;
  std::shared_ptr<SSL> ssl_;
};

}  // namespace broker::server
