#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "broker/common/result.h"

namespace op::kube {

struct ApiServer;

/// Which connection pool and idle timeout a request uses: the timeout belongs to a client object.
enum class ClientClass {
  kRequest,  // CRUD and lists: 30 s
  kWatch,    // streams: a silent one ends after 90 s (bookmarks come every 60 s)
  kLease,    // 5 s: a leader that cannot renew must know soon
};

struct HttpRequest {
  std::string method = "GET";
  std::string path;  // with the query, e.g. "/api/v1/pods?limit=500"
  std::string body;
  std::string content_type = "application/json";
  ClientClass client = ClientClass::kRequest;
};

struct HttpResponse {
  int status = 0;
  std::string body;
  std::optional<std::chrono::seconds> retry_after;
};

/// The API server's HTTP side. Blocking and thread-safe. Errors: kNetworkException (a request may
/// still have been carried out: a stale pooled connection makes the library send even a POST
/// again), kRequestTimedOut, kOperationNotAttempted when stopped.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  virtual broker::Result<HttpResponse> call(const HttpRequest& request) = 0;

  /// Hands each line of the answer to `on_line` as it arrives, on the calling thread, until the
  /// server ends the stream (then the response without body), `on_line` returns false, or `stop` is
  /// requested. A status other than 2xx returns at once with its body. A line longer than 16 MiB is
  /// kRecordListTooLarge.
  using LineHandler = std::function<bool(std::string_view line)>;
  virtual broker::Result<HttpResponse> stream(const HttpRequest& request, std::stop_token stop,
                                              const LineHandler& on_line) = 0;
};

/// Over cpprestsdk; all of that library is in cpprest_transport.cc.
std::unique_ptr<HttpTransport> make_cpprest_transport(const ApiServer& server);

}  // namespace op::kube
