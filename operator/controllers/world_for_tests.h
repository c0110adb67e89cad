#pragma once

// All loops on an API server in memory and one Kafka, for tests only.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "operator/controllers/cluster_ca.h"
#include "operator/controllers/fake_kafka_for_tests.h"
#include "operator/controllers/operator.h"
#include "operator/model/names.h"
#include "operator/provider/kubernetes_infrastructure.h"
#include "operator/provider/local_store.h"

namespace op::controllers {

using kube::ObjectPtr;
using nlohmann::json;
using provider::LocalStore;

inline json cluster_spec() {
  return json::parse(R"({
    "version": "1.0",
    "pools": [{"name": "main", "roles": ["Controller", "Broker"], "replicas": 1,
               "storage": {"volumes": [{"name": "data", "size": "1Gi"}]}}],
    "tenants": [{"namespaceSelector": {"matchLabels": {"team": "shop"}}, "prefixes": ["shop."]}],
    "authorization": {"type": "Simple", "superUsers": ["User:admin"]}})");
}

inline std::string resource(const char* kind, const std::string& ns, const std::string& name,
                            const json& spec) {
  return json{{"apiVersion", "millrace.io/v1beta1"},
              {"kind", kind},
              {"metadata", {{"name", name}, {"namespace", ns}}},
              {"spec", spec}}
      .dump();
}

inline json in_orders(json spec) {
  spec["clusterRef"] = {{"name", "orders"}, {"namespace", "kafka"}};
  return spec;
}

/// Brokers whose files follow their Secret, or stay behind while they are held.
class FakeInfrastructure final : public provider::KubernetesInfrastructure {
 public:
  explicit FakeInfrastructure(LocalStore& store) : store_(store) {}

  broker::Result<pki::ServedTls> served_tls(const NodeName& node, std::uint16_t port,
                                            const pki::ProbeOptions& options) const override {
    const int id = std::stoi(node.pod.substr(node.pod.rfind('-') + 1));
    const SecretData files = files_of(id);
    pki::ServedTls out;
    const std::string keystore = value_of(files, std::to_string(id) + ".pem");
    ASSIGN_OR_RETURN(out.leaf, pki::read_certificate(keystore));
    const bool machinery = port == model::kControllerPort || port == model::kInternalPort;
    for (const pki::KeyPair& shown : options.identities) {
      const auto facts = pki::read_certificate(shown.certificate_pem);
      for (const auto& ca :
           certificate_facts(value_of(files, machinery ? "cluster-ca.crt" : "users-ca.crt"))) {
        if (ca.key_id == facts->issuer_key_id && out.accepted_issuer_key_id.empty())
          out.accepted_issuer_key_id = ca.key_id;
      }
    }
    ++probes;
    return out;
  }
  SecretData files_of(int id) const {
    if (const auto held = held_.find(id); held != held_.end()) return held->second;
    const auto secret = store_.get(kube::kSecret, {"kafka", "orders-main-certs"});
    return secret ? secret_data(*secret) : SecretData();
  }
  void hold(int id) { held_[id] = files_of(id); }
  void release(int id) { held_.erase(id); }
  mutable int probes = 0;

 private:
  LocalStore& store_;
  std::map<int, SecretData> held_;
};

/// An API server in memory and one Kafka; the operator can be killed and started anew.
class World {
 public:
  World() { start_operator(); }

  void start_operator(OperatorSettings settings = {}) {
    op.reset();
    store.forget_subscribers();
    op = std::make_unique<Operator>(Operator::Ports{store, infrastructure, connector, scheduler},
                                    std::move(settings));
  }
  /// Until nothing is due: reconciles, lingering batches, pods that become ready.
  void settle() {
    for (int round = 0; round < 200; ++round) {
      int work = op->runner().run_until_idle(2000);
      work += scheduler.run_all() ? 1 : 0;
      work += run_pods() ? 1 : 0;
      if (work == 0) return;
    }
    FAIL() << "it never settles";
  }
  /// Plays StatefulSet controller and kubelet.
  bool run_pods() {
    bool changed = false;
    for (const ObjectPtr& set : store.list(kube::kStatefulSet, "", "")) {
      const json document = json::parse(set->json);
      const int first = document["spec"]["ordinals"]["start"];
      const int replicas = document["spec"]["replicas"];
      for (int id = first; id < first + replicas; ++id) {
        if (pods_held.contains(id)) continue;
        changed = run_pod(*set, document, id) || changed;
      }
      changed = stop_surplus(*set, first + replicas) || changed;
    }
    return changed;
  }
  bool stop_surplus(const kube::Object& set, int end) {
    bool changed = false;
    for (const ObjectPtr& pod : store.list(kube::kPod, set.key.ns, "")) {
      const std::string& name = pod->key.name;
      const int id = std::stoi(name.substr(name.rfind('-') + 1));
      if (!name.starts_with(set.key.name + "-") || id < end) continue;
      EXPECT_TRUE(store.remove_as_user(kube::kPod, pod->key).ok());
      kafka.fence_broker(id);
      changed = true;
    }
    return changed;
  }
  bool run_pod(const kube::Object& set, const json& document, int id) {
    const std::string name = set.key.name + "-" + std::to_string(id);
    if (store.get(kube::kPod, {set.key.ns, name})) return false;
    json meta = document["spec"]["template"]["metadata"];
    meta["name"] = name;
    meta["namespace"] = set.key.ns;
    meta["ownerReferences"] = {{{"uid", set.uid}}};
    const json spec{{"nodeName", "n" + std::to_string(id)}};
    EXPECT_TRUE(
        store
            .put(json{{"apiVersion", "v1"}, {"kind", "Pod"}, {"metadata", meta}, {"spec", spec}}
                     .dump())
            .ok());
    EXPECT_TRUE(store
                    .put_status(kube::kPod, {set.key.ns, name},
                                R"({"conditions":[{"type":"Ready","status":"True"}]})")
                    .ok());
    start_kafka(document["spec"]["template"]["spec"]["volumes"][0]["configMap"]["name"], id);
    ++pods_started[id];
    return true;
  }
  /// An empty disk is formatted with what cluster.json says; the broker registers.
  void start_kafka(const std::string& config_map, int id) {
    const json config = document(kube::kConfigMap, config_map);
    kafka.cluster_id = json::parse(config["data"]["cluster.json"].get<std::string>())["clusterId"];
    kafka.up = true;
    const std::string server = config["data"]["server.properties"];
    if (server.find("process.roles=broker") != std::string::npos) kafka.register_broker(id);
    kafka.announce({.everything = true});
  }
  void make_cluster() {
    put("Cluster", "kafka", "orders", cluster_spec());
    settle();
  }
  void put(const char* kind, const std::string& ns, const std::string& name, const json& spec) {
    const auto stored = store.put(resource(kind, ns, name, spec));
    ASSERT_TRUE(stored.ok()) << stored.error().detail;
  }
  json status(const kube::Kind& kind, const std::string& ns, const std::string& name) const {
    const auto object = store.get(kind, {ns, name});
    return object ? json::parse(object->json).value("status", json::object()) : json();
  }
  std::string ready(const kube::Kind& kind, const std::string& ns, const std::string& name) const {
    for (const json& c : status(kind, ns, name).value("conditions", json::array())) {
      if (c["type"] == "Ready") {
        return c["status"].get<std::string>() + " " + c["reason"].get<std::string>();
      }
    }
    return "none";
  }
  json document(const kube::Kind& kind, const std::string& name) const {
    const auto object = store.get(kind, {"kafka", name});
    return object ? json::parse(object->json) : json();
  }

  std::set<int> pods_held;  // nodes whose pods do not start
  std::map<int, int> pods_started;
  LocalStore store;
  FakeInfrastructure infrastructure{store};
  FakeKafka kafka;
  FakeConnector connector{kafka};
  ManualScheduler scheduler;
  std::unique_ptr<Operator> op;
};

}  // namespace op::controllers
