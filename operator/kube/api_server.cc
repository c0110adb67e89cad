#include "operator/kube/api_server.h"

#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "broker/common/base64.h"

namespace op::kube {
namespace {

using broker::Error;
using broker::ErrorCode;

constexpr const char* kServiceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

std::string read_line_of(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

std::string text(const YAML::Node& node, const char* key) {
  return node && node[key] && node[key].IsScalar() ? node[key].as<std::string>() : std::string();
}

/// The body of the list entry {name: <name>, <field>: {...}}.
YAML::Node named(const YAML::Node& list, const std::string& name, const char* field) {
  for (const auto& entry : list) {
    if (text(entry, "name") == name) return entry[field];
  }
  return {};
}

std::string decode(const std::string& base64) {
  const auto bytes = broker::base64_decode(base64);
  return bytes.ok() ? std::string(bytes->begin(), bytes->end()) : std::string();
}

std::string resolve(const std::string& path, const std::string& base) {
  return path.empty() || path.front() == '/' ? path : base + "/" + path;
}

broker::Result<ApiServer> read_context(const YAML::Node& root, const std::string& directory,
                                       const std::string& wanted) {
  const std::string name = wanted.empty() ? text(root, "current-context") : wanted;
  const YAML::Node context = named(root["contexts"], name, "context");
  if (!context.IsMap()) return Error{ErrorCode::kInvalidConfig, "no context '" + name + "'"};
  const YAML::Node cluster = named(root["clusters"], text(context, "cluster"), "cluster");
  if (!cluster.IsMap()) {
    return Error{ErrorCode::kInvalidConfig, "no cluster '" + text(context, "cluster") + "'"};
  }
  ApiServer server;
  server.url = text(cluster, "server");
  server.ca_path = resolve(text(cluster, "certificate-authority"), directory);
  server.ca_pem = decode(text(cluster, "certificate-authority-data"));
  server.insecure_skip_tls_verify = text(cluster, "insecure-skip-tls-verify") == "true";
  server.tls_server_name = text(cluster, "tls-server-name");
  server.ns = text(context, "namespace").empty() ? "default" : text(context, "namespace");
  const YAML::Node user = named(root["users"], text(context, "user"), "user");
  if (!user.IsMap()) return server;
  if (user["exec"] || user["auth-provider"]) {
    return Error{ErrorCode::kUnsupportedVersion,
                 "user '" + text(context, "user") +
                     "' uses an exec or auth-provider plug-in; give a token or a certificate"};
  }
  server.token = text(user, "token");
  server.token_path = resolve(text(user, "tokenFile"), directory);
  server.client_certificate_path = resolve(text(user, "client-certificate"), directory);
  server.client_certificate_pem = decode(text(user, "client-certificate-data"));
  server.client_key_path = resolve(text(user, "client-key"), directory);
  server.client_key_pem = decode(text(user, "client-key-data"));
  return server;
}

}  // namespace

broker::Result<ApiServer> in_cluster_config() {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || port == nullptr) {
    return Error{ErrorCode::kInvalidConfig,
                 "not in a pod (KUBERNETES_SERVICE_HOST is not set): give --kubeconfig"};
  }
  const std::string address = host;
  ApiServer server;
  server.url = "https://" +
               (address.find(':') == std::string::npos ? address : "[" + address + "]") + ":" +
               port;
  server.ca_path = std::string(kServiceAccountFolder) + "/ca.crt";
  server.token_path = std::string(kServiceAccountFolder) + "/token";
  server.ns = read_line_of(std::string(kServiceAccountFolder) + "/namespace");
  return server;
}

broker::Result<ApiServer> load_kubeconfig(const std::string& path, const std::string& context) {
  try {
    const auto slash = path.rfind('/');
    const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash);
    auto server = read_context(YAML::LoadFile(path), directory, context);
    if (!server.ok()) return Error{server.code(), path + ": " + server.error().detail};
    return server;
  } catch (const YAML::Exception& e) {
    return Error{ErrorCode::kInvalidConfig, path + ": " + e.what()};
  }
}

}  // namespace op::kube
