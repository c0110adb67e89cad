#include "operator/kube/informer.h"

#include <malloc.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "broker/common/log.h"
#include "operator/kube/object_json.h"

namespace op::kube {
namespace {

constexpr std::chrono::seconds kHealthyWatch{5};

using broker::Error;
using broker::ErrorCode;
using nlohmann::json;

void sleep_for(std::stop_token stop, broker::Duration delay) {
  std::mutex mutex;
  std::condition_variable_any wake;
  std::unique_lock lock(mutex);
  wake.wait_for(lock, stop, delay, [] { return false; });
}

}  // namespace

Informer::Informer(KubeClient& client, Cache& cache, InformerOptions options,
                   ChangeHandler on_change)
    : client_(client),
      cache_(cache),
      options_(std::move(options)),
      on_change_(std::move(on_change)) {
  CHECK(options_.kind != nullptr);
}

Informer::~Informer() { stop(); }

void Informer::start() {
  thread_ = std::jthread([this](std::stop_token stop) { run(stop); });
}

void Informer::stop() {
  if (!thread_.joinable()) return;
  thread_.request_stop();
  thread_.join();
}

void Informer::run(std::stop_token stop) {
  broker::Rng rng(broker::Rng::os_seed());
  std::string version;  // "" = list first
  std::uint32_t failures = 0;
  while (!stop.stop_requested()) {
    std::optional<Error> problem;
    const auto began = std::chrono::steady_clock::now();
    if (version.empty()) {
      auto listed = relist();
      if (listed.ok()) {
        version = std::move(*listed);
        continue;
      }
      problem = listed.error();
    } else {
      const auto ended = watch(version, stop);
      if (!ended.ok()) problem = ended.error();
      if (ended.code() == ErrorCode::kOffsetOutOfRange) version.clear();
    }
    if (stop.stop_requested()) return;
    // A watch that lived is no failure however it ended; one that ends at once must not spin.
    if (std::chrono::steady_clock::now() - began > kHealthyWatch) {
      failures = 0;
      continue;
    }
    ++failures;
    if (problem && failures > 2) {
      broker::log_warn("kube", "list or watch failed, will retry",
                       {{"kind", options_.kind->kind},
                        {"namespace", options_.ns},
                        {"failures", failures},
                        {"error", problem->detail}});
    }
    const auto delay = reconcile::backoff_delay(options_.backoff, failures, rng);
    sleep_for(stop, std::max(delay, client_.pause_left()));
  }
}

std::string Informer::floor() {
  const auto now = std::chrono::steady_clock::now();
  if (!doubting_since_ || now - *doubting_since_ < options_.doubt) return newest_;
  broker::log_warn("kube", "the API server's data is older than what was seen and stays so: taken",
                   {{"kind", options_.kind->kind}, {"namespace", options_.ns}, {"seen", newest_}});
  restored_ = true;
  return {};
}

broker::Result<std::string> Informer::relist() {
  std::set<ObjectKey> present;
  const auto listed = client_.list(
      *options_.kind, options_.ns, options_.selector,
      [&](const ObjectPtr& object) {
        present.insert(object->key);
        store(object);
      },
      floor());
  if (listed.code() == ErrorCode::kOffsetNotAvailable && !doubting_since_) {
    doubting_since_ = std::chrono::steady_clock::now();
  }
  if (!listed.ok()) return listed.error();
  const ListPage& page = *listed;
  doubting_since_.reset();
  restored_ = false;
  newest_ = page.resource_version;
  for (const ObjectPtr& known : cache_.list()) {
    const bool ours = options_.ns.empty() || known->key.ns == options_.ns;
    if (ours && !present.contains(known->key)) drop(known->key);
  }
  lists_.fetch_add(1, std::memory_order_relaxed);
  synced_.store(true, std::memory_order_release);
  malloc_trim(0);  // the page texts: a process this small feels them for ever
  return page.resource_version;
}

broker::Result<void> Informer::watch(std::string& version, std::stop_token stop) {
  broker::Rng rng(broker::Rng::os_seed());
  const auto timeout = options_.watch_timeout.count() + static_cast<int>(rng.below(20));
  HttpRequest request{.path = resource_path(*options_.kind, options_.ns, "") +
                              "?watch=1&allowWatchBookmarks=true&resourceVersion=" + version +
                              "&timeoutSeconds=" + std::to_string(timeout),
                      .client = ClientClass::kWatch};
  if (!options_.selector.empty()) {
    request.path += "&labelSelector=" + escape_query(options_.selector);
  }
  watches_.fetch_add(1, std::memory_order_relaxed);
  broker::Result<void> handled;
  const auto response = client_.transport().stream(request, stop, [&](std::string_view line) {
    handled = on_event(line, version);
    return handled.ok();
  });
  if (!handled.ok()) return handled;
  if (!response.ok()) return response.error();
  client_.heed(*response);
  if (response->status < 200 || response->status > 299) {
    return map_http_error(*response, "watch " + std::string(options_.kind->plural));
  }
  return {};
}

broker::Result<void> Informer::on_event(std::string_view line, std::string& version) {
  try {
    json event = json::parse(line);
    const std::string type = event.at("type").get<std::string>();
    json& document = event.at("object");
    if (type == "ERROR") {
      return map_http_error({document.value("code", 500), document.dump(), {}},
                            "watch " + std::string(options_.kind->plural));
    }
    const std::string seen = document.at("metadata").value("resourceVersion", "");
    if (type != "BOOKMARK") {
      const ObjectPtr object = build_object(document, options_.kind);
      if (type == "DELETED") {
        drop(object->key);
      } else {
        store(object);
      }
    }
    version = newest_ = seen;
    return {};
  } catch (const json::exception& e) {
    return Error{ErrorCode::kInvalidRequest, std::string("a malformed watch event: ") + e.what()};
  }
}

void Informer::store(const ObjectPtr& object) {
  const auto [stored, old] = cache_.put_if(object->key, object, [&](const ObjectPtr& known) {
    // A write of ours may have put a newer state there already.
    return !known || restored_ || known->uid != object->uid ||
           is_newer(object->resource_version, known->resource_version);
  });
  if (stored) on_change_(old, object);
}

void Informer::drop(const ObjectKey& key) {
  if (const ObjectPtr old = cache_.erase(key)) on_change_(old, nullptr);
}

}  // namespace op::kube
