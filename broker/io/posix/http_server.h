#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "broker/common/result.h"
#include "broker/io/transport.h"

namespace broker::io::posix {

struct HttpRequest {
  std::string method;                          // "GET"
  std::string path;                            // without the query
  std::string query;                           // after '?', undecoded
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

/// Runs on the server's thread; while it runs nobody else is served. An exception becomes a 500.
using HttpHandler = std::function<HttpResponse(const HttpRequest&)>;

struct HttpServerOptions {
  Endpoint endpoint;                    // port 0: a free one
  std::optional<TlsServerOptions> tls;  // cipher_suites is not used
  std::size_t max_connections = 128;    // more are closed at once
  std::size_t max_body_bytes = 8 << 20;
  std::size_t max_header_bytes = 16 << 10;
  std::chrono::milliseconds timeout{
      10'000};  // to finish a request, to take an answer, to stay idle
};

/// A small HTTP/1.1 server with keep-alive for health, metrics and webhooks, on one thread.
class HttpServer {
 public:
  /// Listens and starts. Errors: kBrokerNotAvailable (address), kInvalidConfig (TLS files).
  static Result<std::unique_ptr<HttpServer>> start(HttpServerOptions options, HttpHandler handler);
  virtual ~HttpServer() = default;  // stops and joins

  virtual Endpoint local() const = 0;
  /// As TlsContext::reload_if_changed; false without TLS. Any thread.
  virtual Result<bool> reload_tls_if_changed() = 0;
};

}  // namespace broker::io::posix
