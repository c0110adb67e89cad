#include "operator/kube/client.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "broker/common/rfc3339.h"
#include "operator/kube/json_items.h"

namespace op::kube {
namespace {

using broker::Error;
using broker::ErrorCode;
using nlohmann::json;

constexpr int kPageSize = 500;

/// The sentence and the reason in the server's Status object; the raw text when it is none.
struct Refusal {
  std::string message;
  std::string reason;
};
Refusal read_refusal(const HttpResponse& response) {
  const json status = json::parse(response.body, nullptr, false);
  if (status.is_object()) return {status.value("message", ""), status.value("reason", "")};
  return {response.body.substr(0, 200), ""};
}

ErrorCode code_of(int status, const std::string& reason) {
  switch (status) {
    case 404:
      return ErrorCode::kResourceNotFound;
    case 409:
      return reason == "AlreadyExists" ? ErrorCode::kDuplicateResource
                                       : ErrorCode::kInvalidUpdateVersion;
    case 410:
      return ErrorCode::kOffsetOutOfRange;
    case 401:
    case 403:
      return ErrorCode::kClusterAuthorizationFailed;
    case 429:
      return ErrorCode::kThrottlingQuotaExceeded;
    default:
      return status >= 500 ? ErrorCode::kBrokerNotAvailable : ErrorCode::kInvalidRequest;
  }
}

std::string force_query(bool force) { return force ? "&force=true" : "&force=false"; }

}  // namespace

std::string escape_query(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) != 0 || c == '-' || c == '.' || c == '_' || c == '~') {
      out.push_back(c);
    } else {
      out += {'%', kHex[u >> 4], kHex[u & 15]};
    }
  }
  return out;
}

Error map_http_error(const HttpResponse& response, const std::string& what) {
  const Refusal refusal = read_refusal(response);
  return {code_of(response.status, refusal.reason),
          what + ": " + std::to_string(response.status) + " " + refusal.message};
}

std::string resource_path(const Kind& kind, const std::string& ns, const std::string& name,
                          std::string_view subresource) {
  std::string path =
      kind.group.empty() ? "/api/" + std::string(kind.version) : "/apis/" + kind.api_version();
  if (kind.namespaced && !ns.empty()) path += "/namespaces/" + escape_query(ns);
  path += "/" + std::string(kind.plural);
  if (!name.empty()) path += "/" + escape_query(name);
  if (!subresource.empty()) path += "/" + std::string(subresource);
  return path;
}

std::string rfc3339_now(bool micros) {
  return broker::to_rfc3339(std::chrono::duration_cast<std::chrono::microseconds>(
                                std::chrono::system_clock::now().time_since_epoch()),
                            micros ? broker::Fraction::kMicros : broker::Fraction::kNone);
}

void KubeClient::heed(const HttpResponse& response) {
  if (!response.retry_after || (response.status != 429 && response.status != 503)) return;
  const broker::Duration pause = std::min<broker::Duration>(*response.retry_after, kLongestPause);
  resume_at_ = (std::chrono::steady_clock::now() + pause).time_since_epoch().count();
}

broker::Duration KubeClient::pause_left() const {
  const std::chrono::steady_clock::time_point until{
      std::chrono::steady_clock::duration(resume_at_.load())};
  return std::max<broker::Duration>(until - std::chrono::steady_clock::now(),
                                    broker::Duration::zero());
}

broker::Result<HttpResponse> KubeClient::call(HttpRequest request, const std::string& what) {
  if (request.client != ClientClass::kLease && pause_left() > broker::Duration::zero()) {
    return Error{ErrorCode::kThrottlingQuotaExceeded,
                 what + ": not sent, the API server asked for a pause"};
  }
  ASSIGN_OR_RETURN(HttpResponse response, transport_.call(request));
  heed(response);
  if (response.status < 200 || response.status > 299) return map_http_error(response, what);
  return response;
}

broker::Result<ObjectPtr> KubeClient::call_for_object(HttpRequest request, const Kind& kind,
                                                      const std::string& what) {
  ASSIGN_OR_RETURN(const HttpResponse response, call(std::move(request), what));
  return parse_object(response.body, &kind);
}

broker::Result<ObjectPtr> KubeClient::get(const Kind& kind, const ObjectKey& key) {
  return call_for_object({.path = resource_path(kind, key.ns, key.name)}, kind,
                         "get " + std::string(kind.kind) + " " + to_string(key));
}

broker::Result<ListPage> KubeClient::list(const Kind& kind, const std::string& ns,
                                          const std::string& selector,
                                          const std::function<void(ObjectPtr)>& on_object,
                                          const std::string& not_older_than) {
  std::string token;
  ListPage page;
  do {
    std::string path = resource_path(kind, ns, "") + "?limit=" + std::to_string(kPageSize) +
                       (selector.empty() ? "" : "&labelSelector=" + escape_query(selector)) +
                       (token.empty() ? "" : "&continue=" + escape_query(token));
    ASSIGN_OR_RETURN(const HttpResponse response,
                     call({.path = std::move(path)}, "list " + std::string(kind.plural)));
    ASSIGN_OR_RETURN(const std::string metadata_text, split_items(response.body, [](auto) {}));
    const json metadata = json::parse(metadata_text, nullptr, false);
    if (!metadata.is_object()) {
      return Error{ErrorCode::kInvalidRequest, "a list without metadata"};
    }
    page.resource_version = metadata.value("resourceVersion", "");
    token = metadata.value("continue", "");
    if (!not_older_than.empty() && page.resource_version != not_older_than &&
        !is_newer(page.resource_version, not_older_than)) {
      return Error{ErrorCode::kOffsetNotAvailable,
                   "list " + std::string(kind.plural) + ": the answer (version " +
                       page.resource_version + ") is older than what was seen (version " +
                       not_older_than + ")"};
    }
    std::optional<Error> bad;
    RETURN_IF_ERROR(split_items(response.body, [&](std::string_view item) {
      auto object = parse_object(item, &kind);
      if (object.ok()) {
        on_object(std::move(*object));
      } else {
        bad = object.error();
      }
    }));
    if (bad) return *bad;
  } while (!token.empty());
  return page;
}

broker::Result<ObjectPtr> KubeClient::create(const Kind& kind, const ObjectKey& key,
                                             const std::string& body) {
  return call_for_object(
      {.method = "POST", .path = resource_path(kind, key.ns, "") + manager_query(), .body = body},
      kind, "create " + std::string(kind.kind) + " " + to_string(key));
}

broker::Result<ObjectPtr> KubeClient::apply(const Kind& kind, const ObjectKey& key,
                                            const std::string& body, bool force) {
  return call_for_object(
      {.method = "PATCH",
       .path = resource_path(kind, key.ns, key.name) + manager_query() + force_query(force),
       .body = body,
       .content_type = "application/apply-patch+yaml"},
      kind, "apply " + std::string(kind.kind) + " " + to_string(key));
}

broker::Result<ObjectPtr> KubeClient::apply_status(const Kind& kind, const ObjectKey& key,
                                                   const std::string& body) {
  return call_for_object({.method = "PATCH",
                          .path = resource_path(kind, key.ns, key.name, "status") +
                                  manager_query() + force_query(true),
                          .body = body,
                          .content_type = "application/apply-patch+yaml"},
                         kind, "write status of " + std::string(kind.kind) + " " + to_string(key));
}

broker::Result<ObjectPtr> KubeClient::merge_patch(const Kind& kind, const ObjectKey& key,
                                                  const std::string& body) {
  return call_for_object({.method = "PATCH",
                          .path = resource_path(kind, key.ns, key.name) + manager_query(),
                          .body = body,
                          .content_type = "application/merge-patch+json"},
                         kind, "patch " + std::string(kind.kind) + " " + to_string(key));
}

broker::Result<ObjectPtr> KubeClient::json_patch(const Kind& kind, const ObjectKey& key,
                                                 const std::string& body) {
  return call_for_object({.method = "PATCH",
                          .path = resource_path(kind, key.ns, key.name) + manager_query(),
                          .body = body,
                          .content_type = "application/json-patch+json"},
                         kind, "patch " + std::string(kind.kind) + " " + to_string(key));
}

broker::Result<void> KubeClient::remove(const Kind& kind, const ObjectKey& key,
                                        const DeleteOptions& options) {
  json body{
      {"apiVersion", "v1"}, {"kind", "DeleteOptions"}, {"propagationPolicy", options.propagation}};
  if (!options.uid.empty()) body["preconditions"]["uid"] = options.uid;
  if (!options.resource_version.empty()) {
    body["preconditions"]["resourceVersion"] = options.resource_version;
  }
  const auto response =
      call({.method = "DELETE", .path = resource_path(kind, key.ns, key.name), .body = body.dump()},
           "delete " + std::string(kind.kind) + " " + to_string(key));
  if (!response.ok()) return response.error();
  return {};
}

broker::Result<std::optional<FoundLease>> KubeClient::get_lease(const ObjectKey& key) {
  auto response =
      call({.path = resource_path(kLease, key.ns, key.name), .client = ClientClass::kLease},
           "get Lease " + to_string(key));
  if (!response.ok()) {
    if (response.code() == ErrorCode::kResourceNotFound) return std::optional<FoundLease>();
    return response.error();
  }
  const json lease = json::parse(response->body, nullptr, false);
  if (!lease.is_object()) return Error{ErrorCode::kInvalidRequest, "a Lease that is not JSON"};
  const json spec = lease.value("spec", json::object());
  const auto text = [](const json& object, const char* field) {
    const auto found = object.find(field);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  FoundLease found;
  found.record.holder = text(spec, "holderIdentity");
  found.record.version = text(lease.value("metadata", json::object()), "resourceVersion");
  found.record.duration_s = spec.value("leaseDurationSeconds", std::int64_t{15});
  found.record.transitions = spec.value("leaseTransitions", 0);
  found.acquire_time = text(spec, "acquireTime");
  return std::optional<FoundLease>(std::move(found));
}

broker::Result<std::string> KubeClient::put_lease(const LeaseSpec& lease,
                                                  const std::string& version) {
  json body{{"apiVersion", kLease.api_version()},
            {"kind", "Lease"},
            {"metadata", {{"name", lease.key.name}, {"namespace", lease.key.ns}}},
            {"spec",
             {{"holderIdentity", lease.holder},
              {"leaseDurationSeconds", lease.duration_s},
              {"leaseTransitions", lease.transitions},
              {"renewTime", lease.renew_time}}}};
  if (!lease.acquire_time.empty()) body["spec"]["acquireTime"] = lease.acquire_time;
  const bool create = version.empty();
  if (!create) body["metadata"]["resourceVersion"] = version;
  ASSIGN_OR_RETURN(const HttpResponse response,
                   call({.method = create ? "POST" : "PUT",
                         .path = resource_path(kLease, lease.key.ns, create ? "" : lease.key.name),
                         .body = body.dump(),
                         .client = ClientClass::kLease},
                        "write Lease " + to_string(lease.key)));
  const json written = json::parse(response.body, nullptr, false);
  if (!written.is_object()) return Error{ErrorCode::kInvalidRequest, "a Lease that is not JSON"};
  return written.value("metadata", json::object()).value("resourceVersion", "");
}

broker::Result<std::string> KubeClient::server_version() {
  ASSIGN_OR_RETURN(const HttpResponse response, call({.path = "/version"}, "get the version"));
  const json version = json::parse(response.body, nullptr, false);
  return version.is_object() ? version.value("gitVersion", "unknown") : std::string("unknown");
}

}  // namespace op::kube
