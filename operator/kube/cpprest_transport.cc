// All of cpprestsdk is in this file: it costs seconds and half a gigabyte to compile, it throws,
// and it may have to be replaced one day.
#include <cpprest/http_client.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pplx/threadpool.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <fstream>
#include <mutex>
#include <sstream>

#include "broker/common/log.h"
#include "operator/kube/api_server.h"
#include "operator/kube/http_transport.h"

namespace op::kube {
namespace {

using broker::Error;
using broker::ErrorCode;
using web::http::client::http_client;
using web::http::client::http_client_config;

constexpr std::size_t kMaxLine = 16 << 20;
constexpr std::size_t kReadPiece = 8 << 10;
constexpr int kPoolThreads = 4;  // the default of 40 costs memory and is slower
constexpr std::chrono::seconds kCheckFilesEvery{10};

/// The watch timeout must exceed the API server's bookmark interval of about a minute.
std::chrono::seconds idle_timeout(ClientClass client) {
  switch (client) {
    case ClientClass::kRequest:
      return std::chrono::seconds(30);
    case ClientClass::kWatch:
      return std::chrono::seconds(120);
    case ClientClass::kLease:
      return std::chrono::seconds(5);
  }
  return std::chrono::seconds(30);
}

std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

/// Identifies a file's content cheaply; follows the symlinks by which Kubernetes swaps volumes.
std::string file_stamp(const std::string& path) {
  struct stat info {};
  if (path.empty() || stat(path.c_str(), &info) != 0) return {};
  return std::to_string(info.st_ino) + ":" + std::to_string(info.st_mtim.tv_sec) + "." +
         std::to_string(info.st_mtim.tv_nsec);
}

struct BioFree {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using BioPtr = std::unique_ptr<BIO, BioFree>;

BioPtr bio_of(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

void trust_only(SSL_CTX* context, const std::string& pem) {
  X509_STORE* store = X509_STORE_new();
  const BioPtr bio = bio_of(pem);
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    X509_STORE_add_cert(store, certificate);
    X509_free(certificate);
  }
  SSL_CTX_set_cert_store(context, store);  // takes it over
}

void present(SSL_CTX* context, const std::string& certificate_pem, const std::string& key_pem) {
  const BioPtr certificates = bio_of(certificate_pem);
  bool leaf = true;
  while (X509* certificate = PEM_read_bio_X509(certificates.get(), nullptr, nullptr, nullptr)) {
    if (leaf) {
      SSL_CTX_use_certificate(context, certificate);
      X509_free(certificate);
    } else {
      SSL_CTX_add_extra_chain_cert(context, certificate);  // takes it over
    }
    leaf = false;
  }
  const BioPtr key = bio_of(key_pem);
  if (EVP_PKEY* private_key = PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr)) {
    SSL_CTX_use_PrivateKey(context, private_key);
    EVP_PKEY_free(private_key);
  }
}

void set_tcp_options(int fd) {
  const int on = 1;
  const int idle_s = 30;
  const int interval_s = 10;
  const int probes = 3;
  const unsigned user_timeout_ms = 60'000;
  // Without these a half-open watch hangs until the idle timeout.
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
  setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
  setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
}

/// Splits what arrives into lines; a line may come in any number of pieces.
class LineSplitter {
 public:
  explicit LineSplitter(const HttpTransport::LineHandler& on_line) : on_line_(on_line) {}

  enum class State { kGoOn, kStopped, kTooLong };
  State feed(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      if (end == std::string_view::npos) {
        rest_ += bytes;
        return rest_.size() > kMaxLine ? State::kTooLong : State::kGoOn;
      }
      std::string_view line = bytes.substr(0, end);
      bytes.remove_prefix(end + 1);
      if (!rest_.empty()) {
        rest_ += line;
        line = rest_;
      }
      const bool go_on = line.empty() || on_line_(line);
      rest_.clear();
      if (rest_.capacity() > kReadPiece) rest_.shrink_to_fit();
      if (!go_on) return State::kStopped;
    }
    return State::kGoOn;
  }

 private:
  const HttpTransport::LineHandler& on_line_;
  std::string rest_;
};

Error map_exception(const std::exception& e, const HttpRequest& request) {
  const std::string what = request.method + " " + request.path.substr(0, request.path.find('?'));
  if (const auto* http = dynamic_cast<const web::http::http_exception*>(&e)) {
    const int code = http->error_code().value();
    // The library's text for a timeout lies; its number does not.
    if (code == ETIMEDOUT) return {ErrorCode::kRequestTimedOut, what + ": timed out"};
    return {ErrorCode::kNetworkException, what + ": " + e.what()};
  }
  return {ErrorCode::kNetworkException, what + ": " + e.what()};
}

class CpprestTransport final : public HttpTransport {
 public:
  explicit CpprestTransport(const ApiServer& server) : server_(server) {
    static std::once_flag once;
    std::call_once(once, [] { crossplat::threadpool::initialize_with_threads(kPoolThreads); });
  }

  broker::Result<HttpResponse> call(const HttpRequest& request) override {
    const auto client = client_for(request.client);
    try {
      auto answer = client->request(build(request)).get();
      HttpResponse response = head_of(answer);
      response.body = answer.extract_utf8string(true).get();
      return response;
    } catch (const std::exception& e) {
      forget(request.client, client);
      return map_exception(e, request);
    }
  }

  broker::Result<HttpResponse> stream(const HttpRequest& request, std::stop_token stop,
                                      const LineHandler& on_line) override {
    pplx::cancellation_token_source cancel;
    const std::stop_callback on_stop(stop, [&cancel] { cancel.cancel(); });
    const auto client = client_for(request.client);
    try {
      auto answer = client->request(build(request), cancel.get_token()).get();
      HttpResponse response = head_of(answer);
      if (response.status < 200 || response.status > 299) {
        response.body = answer.extract_utf8string(true).get();
        return response;
      }
      const auto state = read_lines(answer, on_line);
      if (state == LineSplitter::State::kGoOn) return response;
      cancel.cancel();  // or the library goes on buffering
      if (state == LineSplitter::State::kStopped) return response;
      return Error{ErrorCode::kRecordListTooLarge, request.path + ": a line above 16 MiB"};
    } catch (const std::exception& e) {
      if (stop.stop_requested()) return Error{ErrorCode::kOperationNotAttempted, "stopped"};
      forget(request.client, client);
      return map_exception(e, request);
    }
  }

 private:
  static HttpResponse head_of(const web::http::http_response& answer) {
    HttpResponse response;
    response.status = answer.status_code();
    std::string retry_after;
    if (answer.headers().match("Retry-After", retry_after)) {
      response.retry_after = std::chrono::seconds(std::atoi(retry_after.c_str()));
    }
    return response;
  }

  static LineSplitter::State read_lines(web::http::http_response& answer,
                                        const LineHandler& on_line) {
    LineSplitter splitter(on_line);
    auto source = answer.body().streambuf();
    std::string piece(kReadPiece, '\0');
    auto* data = reinterpret_cast<std::uint8_t*>(piece.data());
    for (;;) {
      std::size_t n = source.getn(data, 1).get();  // waits; throws on cancel and idle timeout
      if (n == 0) break;
      const std::size_t more = std::min(source.in_avail(), piece.size() - 1);
      if (more > 0) n += source.getn(data + 1, more).get();
      const auto state = splitter.feed({piece.data(), n});
      if (state != LineSplitter::State::kGoOn) return state;
    }
    answer.content_ready().get();  // throws when the body was cut off
    return LineSplitter::State::kGoOn;
  }

  web::http::http_request build(const HttpRequest& request) {
    web::http::http_request out(request.method);
    out.set_request_uri(web::uri(request.path));
    out.headers().add("Accept", "application/json");
    out.headers().add("User-Agent", "millrace-operator");
    if (!server_.tls_server_name.empty()) out.headers().add("Host", server_.tls_server_name);
    if (const std::string token = bearer(); !token.empty()) {
      out.headers().add("Authorization", "Bearer " + token);
    }
    if (!request.body.empty()) out.set_body(request.body, request.content_type);
    return out;
  }

  /// Service account tokens rotate: the file is looked at for each request.
  std::string bearer() {
    if (server_.token_path.empty()) return server_.token;
    const std::lock_guard lock(mutex_);
    const std::string stamp = file_stamp(server_.token_path);
    if (stamp != token_stamp_ || token_.empty()) {
      token_ = read_text(server_.token_path);
      while (!token_.empty() && std::isspace(static_cast<unsigned char>(token_.back())) != 0) {
        token_.pop_back();
      }
      token_stamp_ = stamp;
    }
    return token_;
  }

  std::shared_ptr<http_client> client_for(ClientClass client_class) {
    const std::lock_guard lock(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now - files_checked_ > kCheckFilesEvery) {
      files_checked_ = now;
      const std::string stamp = file_stamp(server_.ca_path) + "|" +
                                file_stamp(server_.client_certificate_path) + "|" +
                                file_stamp(server_.client_key_path);
      // Pooled connections keep the old certificates; new client objects have new pools.
      if (stamp != files_stamp_) {
        for (auto& client : clients_) client.reset();
      }
      files_stamp_ = stamp;
    }
    auto& client = clients_[static_cast<std::size_t>(client_class)];
    if (!client) client = make_client(client_class);
    return client;
  }

  /// Where one connection of a pool failed, the others lead to the same server of before: each
  /// would be found out by a request of its own, with a longer pause every time.
  void forget(ClientClass client_class, const std::shared_ptr<http_client>& failed) {
    const std::lock_guard lock(mutex_);
    auto& client = clients_[static_cast<std::size_t>(client_class)];
    if (client == failed) client.reset();
  }

  std::shared_ptr<http_client> make_client(ClientClass client_class) const {
    http_client_config config;
    config.set_timeout(idle_timeout(client_class));
    config.set_chunksize(16 << 10);
    config.set_validate_certificates(!server_.insecure_skip_tls_verify);
    const bool tls = server_.url.rfind("https:", 0) == 0;
    config.set_ssl_context_callback(
        [server = server_](boost::asio::ssl::context& context) { configure_tls(server, context); });
    config.set_nativehandle_options([tls](web::http::client::native_handle handle) {
      using Socket = boost::asio::ip::tcp::socket;
      auto* socket = tls ? &static_cast<boost::asio::ssl::stream<Socket&>*>(handle)->next_layer()
                         : static_cast<Socket*>(handle);
      set_tcp_options(socket->native_handle());
    });
    return std::make_shared<http_client>(web::uri(server_.url), config);
  }

  static void configure_tls(const ApiServer& server, boost::asio::ssl::context& context) {
    SSL_CTX* native = context.native_handle();
    SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
    SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);  // 34 KB less per idle watch
    const std::string ca = server.ca_path.empty() ? server.ca_pem : read_text(server.ca_path);
    // The library has read the system's bundle: a megabyte per connection, and not whom we trust.
    if (!ca.empty() || server.insecure_skip_tls_verify) trust_only(native, ca);
    const std::string certificate = server.client_certificate_path.empty()
                                        ? server.client_certificate_pem
                                        : read_text(server.client_certificate_path);
    const std::string key =
        server.client_key_path.empty() ? server.client_key_pem : read_text(server.client_key_path);
    if (!certificate.empty()) present(native, certificate, key);
  }

  const ApiServer server_;
  std::mutex mutex_;
  std::shared_ptr<http_client> clients_[3];
  std::chrono::steady_clock::time_point files_checked_{};
  std::string files_stamp_;
  std::string token_;
  std::string token_stamp_;
};

}  // namespace

std::unique_ptr<HttpTransport> make_cpprest_transport(const ApiServer& server) {
  return std::make_unique<CpprestTransport>(server);
}

}  // namespace op::kube
