#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/result.h"
#include "operator/kube/http_transport.h"
#include "operator/kube/object.h"
#include "operator/reconcile/lease_rule.h"

namespace op::kube {

/// Errors of all calls, mapped once from HTTP: 404 kResourceNotFound, 409 AlreadyExists
/// kDuplicateResource, other 409 kInvalidUpdateVersion (read again), 410 kOffsetOutOfRange (list
/// again), 400/422 kInvalidRequest, 401/403 kClusterAuthorizationFailed, 429
/// kThrottlingQuotaExceeded, 5xx kBrokerNotAvailable, and the transport's own.
broker::Error map_http_error(const HttpResponse& response, const std::string& what);

struct ListPage {
  std::string resource_version;
};

struct DeleteOptions {
  std::string uid;               // precondition; "" = none
  std::string resource_version;  // precondition; "" = none
  std::string propagation = "Background";
};

struct LeaseSpec {
  ObjectKey key;
  std::string holder;
  std::int64_t duration_s = 15;
  std::int32_t transitions = 0;
  std::string acquire_time;  // RFC 3339 with microseconds
  std::string renew_time;
};

struct FoundLease {
  reconcile::LeaseRecord record;
  std::string acquire_time;
};

/// The calls the operator makes, text in and out. Blocking, thread-safe, no retries: the work queue
/// retries. Owns nothing but the transport's reference.
class KubeClient {
 public:
  static constexpr std::string_view kFieldManager = "millrace-operator";

  /// `field_manager`: who the API server says has written a field.
  explicit KubeClient(HttpTransport& transport, std::string_view field_manager = kFieldManager)
      : transport_(transport), field_manager_(field_manager) {}

  broker::Result<ObjectPtr> get(const Kind& kind, const ObjectKey& key);
  /// All objects of a namespace ("" = of all), read in pages of 500. `on_object` gets each in turn,
  /// so that no whole list is ever held. Errors: kOffsetOutOfRange when a page token expired,
  /// kOffsetNotAvailable when the answer is older than `not_older_than` (then no object is handed
  /// out): it is from a server that is behind.
  broker::Result<ListPage> list(const Kind& kind, const std::string& ns,
                                const std::string& selector,
                                const std::function<void(ObjectPtr)>& on_object,
                                const std::string& not_older_than = {});
  broker::Result<ObjectPtr> create(const Kind& kind, const ObjectKey& key, const std::string& json);
  /// Server-side apply of the fields in `json` (apiVersion, kind and name included). `force` takes
  /// fields over from other managers: right for objects that we own. With metadata.uid in `json` an
  /// object that was created anew under the same name is refused (kInvalidUpdateVersion).
  broker::Result<ObjectPtr> apply(const Kind& kind, const ObjectKey& key, const std::string& json,
                                  bool force = true);
  broker::Result<ObjectPtr> apply_status(const Kind& kind, const ObjectKey& key,
                                         const std::string& json);
  broker::Result<ObjectPtr> merge_patch(const Kind& kind, const ObjectKey& key,
                                        const std::string& json);
  broker::Result<ObjectPtr> json_patch(const Kind& kind, const ObjectKey& key,
                                       const std::string& json);
  /// kResourceNotFound when it is gone already.
  broker::Result<void> remove(const Kind& kind, const ObjectKey& key, const DeleteOptions& options);

  broker::Result<std::optional<FoundLease>> get_lease(const ObjectKey& key);
  /// Creates (`version` empty) or replaces it if it still has `version`. Returns the new version.
  /// Errors: kInvalidUpdateVersion or kDuplicateResource when somebody else was faster.
  broker::Result<std::string> put_lease(const LeaseSpec& lease, const std::string& version);

  /// The server's version, e.g. "v1.34.4": the first call of a start, to fail with a clear line.
  broker::Result<std::string> server_version();
  HttpTransport& transport() { return transport_; }

  /// Remembers a server's wish to be left alone (Retry-After of 429 and 503). Until then calls are
  /// refused here, but for those of the Lease: kThrottlingQuotaExceeded.
  void heed(const HttpResponse& response);
  /// How long that still lasts; zero for no such wish.
  broker::Duration pause_left() const;

 private:
  static constexpr std::chrono::seconds kLongestPause{60};

  broker::Result<HttpResponse> call(HttpRequest request, const std::string& what);
  broker::Result<ObjectPtr> call_for_object(HttpRequest request, const Kind& kind,
                                            const std::string& what);

  std::string manager_query() const { return "?fieldManager=" + field_manager_; }

  HttpTransport& transport_;
  const std::string field_manager_;
  std::atomic<std::chrono::steady_clock::rep> resume_at_{0};
};

/// "/apis/apps/v1/namespaces/kafka/statefulsets/x/status"; an empty `name` addresses the
/// collection, an empty `ns` all namespaces.
std::string resource_path(const Kind& kind, const std::string& ns, const std::string& name,
                          std::string_view subresource = {});

/// Percent-encodes everything but unreserved characters.
std::string escape_query(std::string_view text);

/// Now as RFC 3339: "2026-11-21T08:45:33Z", with microseconds for leases and events.
std::string rfc3339_now(bool micros = false);

}  // namespace op::kube
