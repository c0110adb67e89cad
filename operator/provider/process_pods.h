#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/time.h"
#include "operator/provider/child_process.h"
#include "operator/provider/local_store.h"

namespace op::provider {

/// Plays StatefulSet controller and kubelet for one machine: each pod of a StatefulSet is an object
/// in the store and a child process, with its ConfigMap and Secret as files that follow their
/// objects. A process that ends is started again, later each time. One thread calls turn().
class ProcessPods {
 public:
  struct Options {
    std::string data;            // directory for files, logs and volumes
    std::string broker_program;  // path or name
  };
  ProcessPods(LocalStore& store, Options options);
  ~ProcessPods();

  /// Starts, stops, probes and reports what is due. Returns when to call again at the latest.
  broker::Instant turn(broker::Instant now);
  /// Readable when a process has ended: turn() is due then.
  std::vector<int> watched() const;
  /// Ends all processes, and waits for them.
  void stop_all();

  /// Where the pod's machinery port is on loopback: the port itself if it was free when the pod was
  /// first seen, else another one; the same for ever. Thread-safe.
  std::uint16_t port_of(const std::string& ns, const std::string& pod, std::uint16_t port);
  /// The same for a listener of users: `wanted` if that was free, for ever.
  std::uint16_t claim_listener(const std::string& ns, const std::string& pod, std::uint16_t port,
                               std::uint16_t wanted);

 private:
  struct Pod {
    ObjectKey key;
    std::string uid;
    std::unique_ptr<ChildProcess> process;
    broker::Instant start_at{};
    broker::Instant probe_at{};
    broker::Instant kill_at{};  // while stopping
    bool stopping = false;
    bool ready = false;
    int failures = 0;
    std::string files_version;  // of the objects whose content the files have
    std::uint16_t http_port = 0;
    std::vector<std::string> doomed_volumes;  // go when the process has ended
  };
  struct Template;

  void reconcile_sets(broker::Instant now);
  /// Pods of a set that has become smaller: from node `end` on.
  void take_surplus(const Object& set, int end, bool deletes_volumes);
  void ensure_pod(const Object& set, int ordinal, broker::Instant now);
  /// Brings the files up to date; false while the objects they come from are missing.
  bool write_files(Pod& pod, const Template& wanted);
  void start(Pod& pod, const Template& wanted, broker::Instant now);
  void check(Pod& pod, broker::Instant now);
  void probe(Pod& pod, broker::Instant now);
  void report(const Pod& pod, const std::string& problem);
  std::string folder(const Pod& pod) const;
  std::uint16_t claim(const std::string& id, std::uint16_t wanted);

  LocalStore& store_;
  const Options options_;
  std::map<ObjectKey, Pod> pods_;  // only in turn()
  std::map<ObjectKey, std::shared_ptr<Template>> templates_;
  std::mutex mutex_;
  std::map<std::string, std::uint16_t> ports_;  // "ns/pod:9090"; kept in <data>/ports.json
};

}  // namespace op::provider
