#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "broker/common/function.h"
#include "broker/common/result.h"
#include "broker/io/strand.h"
#include "broker/io/transport.h"

namespace broker::client {

struct Url {
  bool tls = false;  // https
  io::Endpoint endpoint;
  std::string target = "/";  // path and query
};
/// "https://host:port/path?query". Errors: kInvalidConfig.
Result<Url> parse_url(const std::string& text);

struct HttpGetOptions {
  std::chrono::milliseconds timeout{10'000};
  std::size_t max_bytes = 1 << 20;  // of the whole answer
};

/// One GET of HTTP/1.1, without redirects. Lives on a strand.
class HttpGet {
 public:
  using Done = UniqueFunction<void(Result<std::string>)>;

  /// `done` runs once, on `strand`, on a later turn: the body of an answer with status 200. Errors:
  /// kNetworkException with what was wrong. `tls`: for https.
  HttpGet(io::Transport& transport, io::Strand& strand, const Url& url,
          std::shared_ptr<io::TlsContext> tls, HttpGetOptions options, Done done);
  /// `done` is not called any more.
  ~HttpGet();

 private:
  class Exchange;
  std::shared_ptr<Exchange> exchange_;
};

/// The body of a complete answer. Errors: kNetworkException: no answer of HTTP, or another status
/// than 200.
Result<std::string> http_body(const std::string& answer);

}  // namespace broker::client
