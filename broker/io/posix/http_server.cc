#include "broker/io/posix/http_server.h"

// Boost.Asio 1.74 needs <utility> first.
#include <openssl/ssl.h>
#include <pthread.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <cctype>
#include <thread>
#include <utility>

#include "broker/common/log.h"
#include "broker/io/posix/socket.h"
#include "broker/io/posix/tls_context.h"

namespace broker::io::posix {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace net = boost::asio;
using tcp = net::ip::tcp;

/// What sessions share; outlives them.
struct Shared {
  HttpServerOptions options;
  HttpHandler handler;
  std::size_t connections = 0;
};

HttpRequest to_request(const http::request<http::string_body>& message) {
  HttpRequest request;
  request.method = std::string(message.method_string());
  const std::string target(message.target());
  const std::size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (question != target.npos) request.query = target.substr(question + 1);
  for (const auto& field : message) {
    std::string name(field.name_string());
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    request.headers[std::move(name)] = std::string(field.value());
  }
  request.body = message.body();
  return request;
}

HttpResponse call(const HttpHandler& handler, const HttpRequest& request) {
  try {
    return handler(request);
  } catch (const std::exception& error) {
    log_error("http", "handler failed", {{"path", request.path}, {"reason", error.what()}});
    return {500, "text/plain; charset=utf-8", "internal error\n"};
  }
}

using PlainStream = beast::tcp_stream;
using TlsStream = beast::ssl_stream<beast::tcp_stream>;

/// One connection: read, answer, again. Every step has the options' timeout.
template <class Stream>
class Session final : public std::enable_shared_from_this<Session<Stream>> {
 public:
  template <class... Args>
  explicit Session(Shared& shared, Args&&... args)
      : shared_(shared), stream_(std::forward<Args>(args)...) {
    ++shared_.connections;
  }
  ~Session() { --shared_.connections; }

  void start() {
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      arm();
      stream_.async_handshake(net::ssl::stream_base::server,
                              [self = this->shared_from_this()](beast::error_code error) {
                                if (!error) self->read();
                              });
    } else {
      read();
    }
  }

 private:
  void arm() { beast::get_lowest_layer(stream_).expires_after(shared_.options.timeout); }

  void read() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(shared_.options.max_header_bytes));
    parser_->body_limit(shared_.options.max_body_bytes);
    arm();
    http::async_read(stream_, buffer_, *parser_,
                     [self = this->shared_from_this()](beast::error_code error, std::size_t) {
                       self->on_read(error);
                     });
  }

  void on_read(beast::error_code error) {
    if (error == http::error::header_limit) return answer({431, "text/plain", ""}, false);
    if (error == http::error::body_limit) return answer({413, "text/plain", ""}, false);
    if (error.category() == http::make_error_code(http::error::bad_method).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message)
      return answer({400, "text/plain", "malformed request\n"}, false);
    if (error) return finish();
    const auto& message = parser_->get();
    head_ = message.method() == http::verb::head;
    answer(call(shared_.handler, to_request(message)), message.keep_alive());
  }

  void answer(HttpResponse response, bool keep_alive) {
    response_ = {};
    response_.version(11);
    response_.result(static_cast<unsigned>(response.status));
    response_.set(http::field::content_type, response.content_type);
    response_.keep_alive(keep_alive);
    response_.content_length(response.body.size());
    if (!head_) response_.body() = std::move(response.body);
    arm();
    http::async_write(
        stream_, response_,
        [self = this->shared_from_this(), keep_alive](beast::error_code error, std::size_t) {
          if (!error && keep_alive) return self->read();
          if (!error) self->finish();
        });
  }

  void finish() {
    beast::error_code ignored;
    if constexpr (std::is_same_v<Stream, TlsStream>) {
      arm();
      stream_.async_shutdown([self = this->shared_from_this()](beast::error_code) {});
    } else {
      stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    }
  }

  Shared& shared_;
  Stream stream_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  bool head_ = false;
};

class BeastServer final : public HttpServer {
 public:
  BeastServer(HttpServerOptions options, HttpHandler handler, UniqueFd fd,
              std::shared_ptr<PosixTlsContext> tls)
      : shared_{std::move(options), std::move(handler)}, tls_(std::move(tls)), acceptor_(context_) {
    local_ = {shared_.options.endpoint.host, local_endpoint(fd.get()).port};
    SocketAddress address;
    address.size = sizeof address.storage;
    ::getsockname(fd.get(), address.get(), &address.size);
    const bool v6 = address.storage.ss_family == AF_INET6;
    acceptor_.assign(v6 ? tcp::v6() : tcp::v4(), ::fcntl(fd.get(), F_DUPFD_CLOEXEC, 0));
    accept();
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "http");
      context_.run();
    });
  }

  ~BeastServer() override {
    context_.stop();
    thread_.join();
  }

  Endpoint local() const override { return local_; }
  Result<bool> reload_tls_if_changed() override {
    if (tls_ == nullptr) return false;
    return tls_->reload_if_changed();
  }

 private:
  void accept() {
    acceptor_.async_accept([this](beast::error_code error, tcp::socket socket) {
      if (error) return retry_later(error);
      serve(std::move(socket));
      accept();
    });
  }

  void retry_later(beast::error_code error) {
    log_warn("http", "cannot accept a connection", {{"reason", error.message()}});
    pause_.expires_after(std::chrono::milliseconds(100));
    pause_.async_wait([this](beast::error_code stopped) {
      if (!stopped) accept();
    });
  }

  void serve(tcp::socket socket) {
    if (shared_.connections >= shared_.options.max_connections) return;  // closes
    if (tls_ == nullptr) {
      std::make_shared<Session<PlainStream>>(shared_, std::move(socket))->start();
      return;
    }
    SSL_CTX* current = tls_->current().get();
    SSL_CTX_up_ref(current);
    net::ssl::context context(current);  // owns one reference, as the session's SSL does
    std::make_shared<Session<TlsStream>>(shared_, std::move(socket), context)->start();
  }

  Shared shared_;
  const std::shared_ptr<PosixTlsContext> tls_;
  Endpoint local_;
  net::io_context context_{1};  // destroyed before shared_: sessions end with it
  tcp::acceptor acceptor_;
  net::steady_timer pause_{context_};
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::start(HttpServerOptions options,
                                                      HttpHandler handler) {
  std::shared_ptr<PosixTlsContext> tls;
  if (options.tls) {
    ASSIGN_OR_RETURN(tls, PosixTlsContext::make(*options.tls));
  }
  ASSIGN_OR_RETURN(UniqueFd fd, listen_on(options.endpoint, 128));
  try {
    return std::unique_ptr<HttpServer>(std::make_unique<BeastServer>(
        std::move(options), std::move(handler), std::move(fd), std::move(tls)));
  } catch (const std::exception& error) {
    return Error{ErrorCode::kBrokerNotAvailable, std::string("HTTP server: ") + error.what()};
  }
}

}  // namespace broker::io::posix
