#include "operator/cli/resources.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "operator/api/json.h"
#include "operator/cli/text.h"
#include "operator/kube/api_server.h"
#include "operator/kube/client.h"
#include "operator/kube/http_transport.h"

namespace op::cli {
namespace {

using broker::Error;
using broker::ErrorCode;
using kube::Kind;
using kube::ObjectKey;
using kube::ObjectPtr;
using nlohmann::json;

std::string kind_and_name(const Kind& kind, const ObjectKey& key) {
  return std::string(kind.kind) + " " + to_string(key);
}

class KubernetesResources final : public Resources {
 public:
  KubernetesResources(kube::ApiServer server, bool inside)
      : server_(std::move(server)),
        inside_(inside),
        transport_(kube::make_cpprest_transport(server_)),
        client_(*transport_, "millrace") {}

  broker::Result<ObjectPtr> get(const Kind& kind, const ObjectKey& key) override {
    auto object = client_.get(kind, key);
    if (!object.ok()) return in_words(object.error(), kind);
    return object;
  }

  broker::Result<std::vector<ObjectPtr>> list(const Kind& kind, const std::string& ns) override {
    std::vector<ObjectPtr> out;
    const auto page =
        client_.list(kind, ns, "", [&](ObjectPtr object) { out.push_back(std::move(object)); });
    if (!page.ok()) return in_words(page.error(), kind);
    return out;
  }

  broker::Result<void> annotate(const Kind& kind, const ObjectKey& key, const std::string& name,
                                const std::string& value) override {
    const json patch{{"metadata", {{"annotations", {{name, value}}}}}};
    const auto written = client_.merge_patch(kind, key, patch.dump());
    if (!written.ok()) return in_words(written.error(), kind);
    return {};
  }

  std::string default_namespace() const override { return server_.ns; }
  bool is_inside() const override { return inside_; }

 private:
  Error in_words(const Error& error, const Kind& kind) const {
    switch (error.code) {
      case ErrorCode::kNetworkException:
      case ErrorCode::kRequestTimedOut:
        return {error.code,
                "the API server at " + server_.url + " does not answer: " + error.detail};
      case ErrorCode::kResourceNotFound:
        // Of a kind that is not served, not of an object of it.
        if (error.detail.find("could not find the requested resource") != std::string::npos)
          return {error.code, "the API server at " + server_.url + " knows no " +
                                  std::string(kind.plural) + "." + std::string(kind.group) +
                                  ": Millrace is not installed there"};
        return error;
      default:
        return error;
    }
  }

  const kube::ApiServer server_;
  const bool inside_;
  const std::unique_ptr<kube::HttpTransport> transport_;
  kube::KubeClient client_;
};

/// As StandaloneStore keeps it: objects/<Kind>/<namespace>_<name>.json.
class KeptResources final : public Resources {
 public:
  explicit KeptResources(std::string data) : data_(std::move(data)) {}

  broker::Result<ObjectPtr> get(const Kind& kind, const ObjectKey& key) override {
    return read(path_of(kind, key), kind_and_name(kind, key));
  }

  broker::Result<std::vector<ObjectPtr>> list(const Kind& kind, const std::string& ns) override {
    std::vector<ObjectPtr> out;
    std::error_code error;
    for (const auto& entry :
         std::filesystem::directory_iterator(data_ + "/objects/" + std::string(kind.kind), error)) {
      if (entry.path().extension() != ".json") continue;
      auto object = read(entry.path().string(), entry.path().string());
      if (object.code() == ErrorCode::kResourceNotFound) continue;  // deleted meanwhile
      if (!object.ok()) return object.error();
      if (ns.empty() || (*object)->key.ns == ns) out.push_back(std::move(*object));
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a->key < b->key; });
    return out;
  }

  broker::Result<void> annotate(const Kind& kind, const ObjectKey& key, const std::string& name,
                                const std::string& value) override {
    std::string file = "the file of " + kind_and_name(kind, key);
    if (const auto kept = parse(path_of(kind, key)); kept.ok())
      if (const std::string source = kept->value("source", ""); !source.empty()) file = source;
    return Error{ErrorCode::kUnsupportedVersion,
                 "without Kubernetes resources are changed in their files; put this into " + file +
                     ":  metadata: {annotations: {" + name + ": \"" + value + "\"}}"};
  }

  std::string default_namespace() const override { return ""; }
  bool is_inside() const override { return true; }

 private:
  std::string path_of(const Kind& kind, const ObjectKey& key) const {
    return data_ + "/objects/" + std::string(kind.kind) + "/" + key.ns + "_" + key.name + ".json";
  }

  static broker::Result<json> parse(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    std::ostringstream text;
    if (!in || !(text << in.rdbuf())) return Error{ErrorCode::kResourceNotFound, path};
    json kept = json::parse(text.str(), nullptr, false);
    if (!kept.is_object()) return Error{ErrorCode::kKafkaStorageError, path + " is damaged"};
    return kept;
  }

  static broker::Result<ObjectPtr> read(const std::string& path, const std::string& what) {
    const auto kept = parse(path);
    if (kept.code() == ErrorCode::kResourceNotFound)
      return Error{ErrorCode::kResourceNotFound, what + " does not exist"};
    if (!kept.ok()) return kept.error();
    return kube::parse_object(kept->value("object", ""), nullptr);
  }

  const std::string data_;
};

template <class T>
broker::Result<T> parse_as(const kube::Object& object) {
  return api::parse<T>(json::parse(object.json, nullptr, false));
}

std::string environment_of(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// The first file that is there of those that kubectl would merge; "" when none is.
std::string default_kubeconfig() {
  std::string list = environment_of("KUBECONFIG");
  if (list.empty()) list = environment_of("HOME") + "/.kube/config";
  std::istringstream paths(list);
  for (std::string path; std::getline(paths, path, ':');) {
    std::error_code error;
    if (!path.empty() && std::filesystem::exists(path, error)) return path;
  }
  return {};
}

std::vector<std::string> names_of(const std::vector<api::Cluster>& clusters) {
  std::vector<std::string> out;
  for (const api::Cluster& cluster : clusters)
    out.push_back(to_string(cluster.metadata.object_name()));
  return out;
}

broker::Result<std::vector<api::Cluster>> list_clusters(Resources& resources,
                                                        const std::string& ns) {
  ASSIGN_OR_RETURN(const auto objects, resources.list(kube::kCluster, ns));
  std::vector<api::Cluster> out;
  for (const ObjectPtr& object : objects) {
    ASSIGN_OR_RETURN(api::Cluster cluster, parse_as<api::Cluster>(*object));
    out.push_back(std::move(cluster));
  }
  return out;
}

}  // namespace

broker::Result<std::unique_ptr<Resources>> open_data_directory(const std::string& data) {
  std::error_code error;
  if (!std::filesystem::is_directory(data + "/objects", error))
    return Error{ErrorCode::kResourceNotFound,
                 data + " is no data directory of a standalone operator (it has no objects/)"};
  return std::unique_ptr<Resources>(std::make_unique<KeptResources>(data));
}

broker::Result<std::unique_ptr<Resources>> open_resources(const Target& target) {
  if (!target.data.empty()) return open_data_directory(target.data);
  const bool in_pod = !environment_of("KUBERNETES_SERVICE_HOST").empty();
  const std::string file = target.kubeconfig.empty() ? default_kubeconfig() : target.kubeconfig;
  if (file.empty() && !in_pod) {
    return Error{ErrorCode::kInvalidConfig,
                 "which cluster? There is no kubeconfig ($KUBECONFIG, ~/.kube/config) and this is "
                 "no pod. Give --kubeconfig FILE, --data DIR of a standalone operator, or "
                 "--bootstrap HOST:PORT"};
  }
  ASSIGN_OR_RETURN(kube::ApiServer server, file.empty()
                                               ? kube::in_cluster_config()
                                               : kube::load_kubeconfig(file, target.context));
  return std::unique_ptr<Resources>(
      std::make_unique<KubernetesResources>(std::move(server), in_pod));
}

broker::Result<std::vector<api::Cluster>> find_clusters(Resources& resources,
                                                        const Target& target) {
  const std::string ns = target.ns.empty() ? resources.default_namespace() : target.ns;
  if (!target.cluster.empty() && !ns.empty()) {
    ASSIGN_OR_RETURN(const ObjectPtr object, resources.get(kube::kCluster, {ns, target.cluster}));
    ASSIGN_OR_RETURN(api::Cluster cluster, parse_as<api::Cluster>(*object));
    return std::vector<api::Cluster>{std::move(cluster)};
  }
  ASSIGN_OR_RETURN(std::vector<api::Cluster> clusters, list_clusters(resources, ns));
  if (!target.cluster.empty()) {
    std::erase_if(clusters, [&](const auto& c) { return c.metadata.name != target.cluster; });
  }
  if (!clusters.empty()) return clusters;
  std::string problem = "there is no Cluster";
  if (!target.cluster.empty()) problem += " " + target.cluster;
  if (!ns.empty()) {
    problem += " in namespace " + ns;
    // A courtesy: not everybody may look everywhere.
    const auto elsewhere = list_clusters(resources, "");
    if (elsewhere.ok() && !elsewhere->empty())
      problem += "; there is " + enumerated(names_of(*elsewhere)) + ": use --namespace";
  }
  return Error{ErrorCode::kResourceNotFound, problem};
}

broker::Result<api::Cluster> find_cluster(Resources& resources, const Target& target) {
  ASSIGN_OR_RETURN(std::vector<api::Cluster> clusters, find_clusters(resources, target));
  if (clusters.size() == 1) return std::move(clusters.front());
  return Error{ErrorCode::kInvalidConfig, "which Cluster? There is " +
                                              enumerated(names_of(clusters)) +
                                              ": use --cluster and --namespace"};
}

broker::Result<std::vector<api::User>> users_of(Resources& resources, const api::Cluster& cluster,
                                                const Target& target) {
  const std::string ns = target.ns.empty() ? cluster.metadata.namespace_ : target.ns;
  ASSIGN_OR_RETURN(const auto objects, resources.list(kube::kUser, ns));
  std::vector<api::User> out;
  for (const ObjectPtr& object : objects) {
    ASSIGN_OR_RETURN(api::User user, parse_as<api::User>(*object));
    if (user.spec.cluster_ref.kind == api::ClusterKind::kCluster &&
        user.spec.cluster_ref.object == cluster.metadata.object_name())
      out.push_back(std::move(user));
  }
  return out;
}

}  // namespace op::cli
