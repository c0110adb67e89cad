#include "operator/provider/process_pods.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <thread>

#include "broker/common/base64.h"
#include "broker/common/log.h"
#include "operator/provider/small_files.h"
#include "operator/provider/standalone_layout.h"

namespace op::provider {
namespace {

using broker::Instant;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::uint16_t kControllerPort = 9090;
constexpr std::uint16_t kInternalPort = 9091;
constexpr std::uint16_t kHttpPort = 9404;
constexpr auto kProbeStarting = 50ms;
constexpr auto kProbeRunning = 2s;
constexpr auto kGrace = 10s;
constexpr auto kProbeTimeout = 200ms;
constexpr auto kLongestPause = 10s;

/// The last line of a file; "" if there is none.
std::string last_line(const std::string& path) {
  constexpr std::streamoff kEnough = 2048;
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  in.seekg(std::max<std::streamoff>(0, static_cast<std::streamoff>(in.tellg()) - kEnough));
  std::string text(std::istreambuf_iterator<char>(in), {});
  text.erase(text.find_last_not_of('\n') + 1);
  return text.substr(text.rfind('\n') + 1);
}

bool is_free(std::uint16_t port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const bool free = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return free;
}

std::uint16_t any_free_port() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(fd, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(fd);
  return ntohs(address.sin_port);
}

/// GET http://127.0.0.1:port/path answers 200.
bool http_ok(std::uint16_t port, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval timeout{0, std::chrono::microseconds(kProbeTimeout).count()};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  const std::string request =
      "GET " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
  char answer[64] = {};
  const bool answered = connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
                        send(fd, request.data(), request.size(), MSG_NOSIGNAL) > 0 &&
                        recv(fd, answer, sizeof answer - 1, 0) > 0;
  close(fd);
  return answered && std::string_view(answer).find(" 200") != std::string_view::npos;
}

std::map<std::string, std::string> entries_of(const Object& object) {
  std::map<std::string, std::string> out;
  const json document = json::parse(object.json, nullptr, false);
  const json data = document.value("data", json::object());  // items() only refers to it
  for (const auto& [key, value] : data.items()) {
    const std::string text = value.get<std::string>();
    if (*object.kind == kube::kSecret) {
      const auto bytes = broker::base64_decode(text);
      if (bytes.ok()) out[key] = std::string(bytes->begin(), bytes->end());
    } else {
      out[key] = text;
    }
  }
  return out;
}

}  // namespace

/// What of a StatefulSet a process needs.
struct ProcessPods::Template {
  std::string set_uid;
  std::string node_id;
  std::string config_map;
  std::string secret;
  std::map<std::string, std::string> environment;
  std::vector<std::string> volumes;  // directories that outlive the pod
  ProcessLayout layout;
};

ProcessPods::ProcessPods(LocalStore& store, Options options)
    : store_(store), options_(std::move(options)) {
  if (const auto text = read_small_file(options_.data + "/ports.json"); text.ok()) {
    const json kept = json::parse(*text, nullptr, false);
    if (kept.is_object()) ports_ = kept.get<std::map<std::string, std::uint16_t>>();
  }
}

ProcessPods::~ProcessPods() { stop_all(); }

std::uint16_t ProcessPods::port_of(const std::string& ns, const std::string& pod,
                                   std::uint16_t port) {
  const std::string id = ns + "/" + pod + ":" + std::to_string(port);
  const std::lock_guard lock(mutex_);
  if (const auto found = ports_.find(id); found != ports_.end()) return found->second;
  // User listeners are where the user said, unless they were claimed elsewhere; ours may move.
  if (port != kControllerPort && port != kInternalPort) return port;
  return claim(id, port);
}

std::uint16_t ProcessPods::claim_listener(const std::string& ns, const std::string& pod,
                                          std::uint16_t port, std::uint16_t wanted) {
  const std::string id = ns + "/" + pod + ":" + std::to_string(port);
  const std::lock_guard lock(mutex_);
  if (const auto found = ports_.find(id); found != ports_.end()) return found->second;
  return claim(id, wanted);
}

std::uint16_t ProcessPods::claim(const std::string& id, std::uint16_t wanted) {
  const bool given = std::any_of(ports_.begin(), ports_.end(),
                                 [&](const auto& entry) { return entry.second == wanted; });
  const std::uint16_t chosen = !given && is_free(wanted) ? wanted : any_free_port();
  ports_[id] = chosen;
  const auto kept = replace_small_file(options_.data + "/ports.json", json(ports_).dump());
  if (!kept.ok()) {
    broker::log_warn("standalone", "ports not kept", {{"error", to_string(kept.error())}});
  }
  return chosen;
}

std::string ProcessPods::folder(const Pod& pod) const {
  return options_.data + "/pods/" + pod.key.ns + "_" + pod.key.name;
}

Instant ProcessPods::turn(Instant now) {
  reconcile_sets(now);
  Instant next = now + kProbeRunning;
  for (auto it = pods_.begin(); it != pods_.end();) {
    Pod& pod = it->second;
    check(pod, now);
    if (pod.stopping && !pod.process) {
      for (const std::string& volume : pod.doomed_volumes) {
        std::error_code ignored;
        std::filesystem::remove_all(volume, ignored);
      }
      it = pods_.erase(it);
      next = now;  // its successor may start
      continue;
    }
    if (!pod.stopping && !pod.process) next = std::min(next, std::max(pod.start_at, now + 20ms));
    if (pod.process) next = std::min(next, pod.stopping ? now + 20ms : pod.probe_at);
    ++it;
  }
  return next;
}

std::vector<int> ProcessPods::watched() const {
  std::vector<int> fds;
  for (const auto& [key, pod] : pods_)
    if (pod.process) fds.push_back(pod.process->pidfd());
  return fds;
}

void ProcessPods::reconcile_sets(Instant now) {
  for (const ObjectPtr& set : store_.list(kube::kStatefulSet, "", "")) {
    const json document = json::parse(set->json, nullptr, false);
    const json& spec = document["spec"];
    const int first = spec.value("ordinals", json::object()).value("start", 0);
    const int replicas = spec.value("replicas", 1);
    for (int i = 0; i < replicas; ++i) ensure_pod(*set, first + i, now);
    const bool deletes =
        document.value("/spec/persistentVolumeClaimRetentionPolicy/whenScaled"_json_pointer, "") ==
        "Delete";
    take_surplus(*set, first + replicas, deletes);
  }
  for (auto& [key, pod] : pods_) {
    const ObjectPtr object = store_.get(kube::kPod, key);
    if (pod.stopping || (object && object->uid == pod.uid)) continue;
    pod.stopping = true;  // deleted to be restarted, or its set is gone
    pod.kill_at = now + kGrace;
    if (pod.process) pod.process->terminate();
  }
}

void ProcessPods::take_surplus(const Object& set, int end, bool deletes_volumes) {
  for (auto& [key, pod] : pods_) {
    const Template& from = *templates_[key];
    if (pod.stopping || from.set_uid != set.uid || std::stoi(from.node_id) < end) continue;
    if (deletes_volumes) pod.doomed_volumes = from.volumes;
    const auto removed = store_.remove(kube::kPod, key, pod.uid);
    if (!removed.ok() && removed.code() != broker::ErrorCode::kResourceNotFound) {
      broker::log_warn("standalone", "pod not removed", {{"error", to_string(removed.error())}});
    }
  }
}

void ProcessPods::ensure_pod(const Object& set, int ordinal, Instant now) {
  const ObjectKey key{set.key.ns, set.key.name + "-" + std::to_string(ordinal)};
  if (const auto found = pods_.find(key); found != pods_.end()) {
    Pod& pod = found->second;
    if (pod.stopping) return;
    const Template& wanted = *templates_[key];
    const bool complete = write_files(pod, wanted);
    if (!pod.process && complete && now >= pod.start_at) start(pod, wanted, now);
    return;
  }
  const json document = json::parse(set.json, nullptr, false);
  const json& spec = document["spec"];
  json meta = spec["template"]["metadata"];
  meta["name"] = key.name;
  meta["namespace"] = key.ns;
  meta["ownerReferences"] = json::array({{{"apiVersion", "apps/v1"},
                                          {"kind", "StatefulSet"},
                                          {"name", set.key.name},
                                          {"uid", set.uid},
                                          {"controller", true}}});
  const json pod_object{{"apiVersion", "v1"},
                        {"kind", "Pod"},
                        {"metadata", meta},
                        {"spec", spec["template"]["spec"]}};
  const auto created = store_.put(pod_object.dump());
  if (!created.ok()) return;

  Pod pod;
  pod.key = key;
  pod.uid = (*created)->uid;
  auto wanted = std::make_shared<Template>();
  wanted->set_uid = set.uid;
  wanted->node_id = std::to_string(ordinal);
  ProcessLayout& layout = wanted->layout;
  layout.pod = key.name;
  layout.headless_suffix = "." + spec.value("serviceName", "") + "." + key.ns + ".svc";
  layout.port_of = [this, ns = key.ns](const std::string& name, std::uint16_t port) {
    return port_of(ns, name, port);
  };
  std::map<std::string, std::string> volume_paths;
  for (const json& volume : spec["template"]["spec"].value("volumes", json::array())) {
    const std::string name = volume.value("name", "");
    volume_paths[name] = folder(pod) + "/" + name;
    if (volume.contains("configMap")) wanted->config_map = volume["configMap"].value("name", "");
    if (volume.contains("secret") && wanted->secret.empty()) {
      wanted->secret = volume["secret"].value("secretName", "");
    }
  }
  const json& container = spec["template"]["spec"]["containers"][0];
  for (const json& mount : container.value("volumeMounts", json::array())) {
    const std::string name = mount.value("name", "");
    std::string path = volume_paths.contains(name)
                           ? volume_paths[name]
                           : options_.data + "/volumes/" + key.ns + "_" + key.name + "/" + name;
    if (!volume_paths.contains(name)) wanted->volumes.push_back(path);
    layout.mounts.emplace_back(mount.value("mountPath", ""), std::move(path));
  }
  for (const json& variable : container.value("env", json::array())) {
    if (variable.contains("value")) {
      wanted->environment[variable.value("name", "")] = variable.value("value", "");
    }
  }
  wanted->environment["POD_NAME"] = key.name;
  wanted->environment["POD_NAMESPACE"] = key.ns;
  templates_[key] = std::move(wanted);
  report(pod, "");
  pods_.emplace(key, std::move(pod));
}

bool ProcessPods::write_files(Pod& pod, const Template& wanted) {
  const ObjectPtr config = store_.get(kube::kConfigMap, {pod.key.ns, wanted.config_map});
  const ObjectPtr secret = store_.get(kube::kSecret, {pod.key.ns, wanted.secret});
  if (!config || !secret) return false;
  const std::string version = config->resource_version + "," + secret->resource_version;
  if (version == pod.files_version) return true;
  std::vector<std::pair<std::string, std::string>> files;
  for (const auto& [name, content] : entries_of(*secret)) {
    files.emplace_back(folder(pod) + "/certs/" + name, content);
  }
  auto entries = entries_of(*config);
  files.emplace_back(folder(pod) + "/config/server.properties",
                     process_properties(wanted.layout, entries["server.properties"],
                                        entries[wanted.node_id + ".properties"]));
  files.emplace_back(folder(pod) + "/config/cluster.json",
                     process_bootstrap(wanted.layout, entries["cluster.json"]));
  broker::Result<void> made = make_private_directory(folder(pod) + "/certs");
  if (made.ok()) made = make_private_directory(folder(pod) + "/config");
  for (const auto& mount : wanted.layout.mounts) {
    if (made.ok()) made = make_private_directory(mount.second);
  }
  for (const auto& [path, content] : files) {
    if (!made.ok()) break;
    const auto updated = update_small_file(path, content);
    if (!updated.ok()) made = updated.error();
  }
  if (!made.ok()) {
    report(pod, made.error().detail);
    return false;
  }
  pod.files_version = version;
  return true;
}

void ProcessPods::start(Pod& pod, const Template& wanted, Instant now) {
  // Nobody remembers this one: another cluster may have taken it in the meantime.
  const bool given = std::any_of(pods_.begin(), pods_.end(), [](const auto& entry) {
    return entry.second.process && entry.second.http_port == kHttpPort;
  });
  pod.http_port = !given && is_free(kHttpPort) ? kHttpPort : any_free_port();
  ChildProcess::Spec spec;
  spec.arguments = {options_.broker_program,
                    "run",
                    folder(pod) + "/config/server.properties",
                    "--bootstrap",
                    folder(pod) + "/config/cluster.json",
                    "--http",
                    "127.0.0.1:" + std::to_string(pod.http_port)};
  spec.environment = wanted.environment;
  spec.output_path = folder(pod) + "/log.json";
  auto started = ChildProcess::start(spec);
  if (!started.ok()) {
    report(pod, "CrashLoopBackOff: " + started.error().detail);
    pod.start_at = now + kLongestPause;
    return;
  }
  pod.process = std::make_unique<ChildProcess>(std::move(*started));
  pod.probe_at = now + kProbeStarting;
  broker::log_info("standalone", "broker started",
                   {{"pod", pod.key.name},
                    {"pid", static_cast<std::int64_t>(pod.process->pid())},
                    {"http", static_cast<std::int64_t>(pod.http_port)},
                    {"log", spec.output_path}});
}

void ProcessPods::check(Pod& pod, Instant now) {
  if (!pod.process) return;
  if (const auto how = pod.process->ended()) {
    pod.process.reset();
    const bool was_ready = std::exchange(pod.ready, false);
    if (pod.stopping) return;
    pod.failures = was_ready ? 1 : pod.failures + 1;
    const auto pause =
        std::min<broker::Duration>(100ms * (1 << std::min(pod.failures, 8)), kLongestPause);
    pod.start_at = now + pause;
    const std::string log = folder(pod) + "/log.json";
    const std::string words = last_line(log);
    broker::log_error("standalone", "broker ended",
                      {{"pod", pod.key.name}, {"how", *how}, {"said", words}, {"log", log}});
    report(pod, "CrashLoopBackOff: ended with " + *how + ", see " + log + ": " + words);
    return;
  }
  if (pod.stopping) {
    if (now >= pod.kill_at) pod.process->kill();
    return;
  }
  if (now >= pod.probe_at) probe(pod, now);
}

void ProcessPods::probe(Pod& pod, Instant now) {
  const bool ready = http_ok(pod.http_port, "/readyz");
  pod.probe_at = now + (ready ? broker::Duration(kProbeRunning) : broker::Duration(kProbeStarting));
  if (ready == pod.ready) return;
  pod.ready = ready;
  report(pod, "");
}

void ProcessPods::report(const Pod& pod, const std::string& problem) {
  json status{{"phase", pod.process ? "Running" : "Pending"},
              {"podIP", "127.0.0.1"},
              {"conditions",
               {{{"type", "PodScheduled"}, {"status", "True"}},
                {{"type", "Ready"}, {"status", pod.ready ? "True" : "False"}}}}};
  if (!problem.empty()) {
    const auto colon = problem.find(": ");
    status["containerStatuses"] = {
        {{"name", "kafka"},
         {"state",
          {{"waiting",
            {{"reason", problem.substr(0, colon)},
             {"message", colon == std::string::npos ? problem : problem.substr(colon + 2)}}}}}}};
  }
  const auto written = store_.put_status(kube::kPod, pod.key, status.dump());
  if (!written.ok() && written.code() != broker::ErrorCode::kResourceNotFound) {
    broker::log_warn("standalone", "pod status not kept", {{"error", to_string(written.error())}});
  }
}

void ProcessPods::stop_all() {
  for (auto& [key, pod] : pods_) {
    if (pod.process) pod.process->terminate();
  }
  const Instant deadline = std::chrono::steady_clock::now() + kGrace;
  for (auto& [key, pod] : pods_) {
    if (!pod.process) continue;
    pollfd wait{pod.process->pidfd(), POLLIN, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    poll(&wait, 1, static_cast<int>(std::max<std::int64_t>(left.count(), 0)));
    pod.process.reset();  // kills what is still there
  }
  pods_.clear();
}

}  // namespace op::provider
