#include "operator/cli/access.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "broker/common/base64.h"
#include "operator/cli/client_config.h"
#include "operator/cli/resources.h"
#include "operator/cli/text.h"

namespace op::cli {
namespace {

using broker::Error;
using broker::ErrorCode;
using broker::Result;

Result<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  if (!in || !(out << in.rdbuf())) {
    return Error{ErrorCode::kInvalidConfig, "cannot read " + (path.empty() ? "''" : path)};
  }
  return out.str();
}

Result<kafka::ConnectionSpec> spec_of_options(const Target& target) {
  kafka::ConnectionSpec spec;
  spec.tls = false;
  if (!target.client_config.empty()) {
    ASSIGN_OR_RETURN(const std::string text, read_file(target.client_config));
    auto parsed = parse_client_config(text, read_file);
    if (!parsed.ok())
      return Error{parsed.code(), target.client_config + ": " + parsed.error().detail};
    spec = std::move(*parsed);
  }
  if (!target.bootstrap.empty()) {
    ASSIGN_OR_RETURN(spec.brokers, parse_bootstrap(target.bootstrap));
  }
  if (spec.brokers.empty()) {
    return Error{ErrorCode::kInvalidConfig, "no bootstrap.servers in " + target.client_config +
                                                ": give --bootstrap HOST:PORT"};
  }
  return spec;
}

Result<api::User> choose_user(Resources& resources, const api::Cluster& cluster,
                              const Target& target) {
  ASSIGN_OR_RETURN(std::vector<api::User> users, users_of(resources, cluster, target));
  std::vector<std::string> names;
  for (api::User& user : users) {
    if (user.metadata.name == target.user) return std::move(user);
    names.push_back(user.metadata.name);
  }
  const std::string of = " of Cluster " + to_string(cluster.metadata.object_name());
  if (!target.user.empty()) {
    return Error{ErrorCode::kResourceNotFound,
                 "there is no User " + target.user + of +
                     (names.empty() ? "" : "; there is " + enumerated(names))};
  }
  if (users.size() == 1) return std::move(users.front());
  if (users.empty()) {
    return Error{ErrorCode::kResourceNotFound,
                 "there is no User" + of +
                     " to connect as: declare one, or give --bootstrap and "
                     "--client-config"};
  }
  return Error{ErrorCode::kInvalidConfig,
               "as whom? Users" + of + " are " + enumerated(names) + ": use --user"};
}

Result<std::map<std::string, std::string>> read_secret(Resources& resources,
                                                       const kube::ObjectKey& key) {
  ASSIGN_OR_RETURN(const kube::ObjectPtr object, resources.get(kube::kSecret, key));
  const auto document = nlohmann::json::parse(object->json, nullptr, false);
  std::map<std::string, std::string> out;
  if (!document.is_object()) return out;
  const auto data = document.value("data", nlohmann::json::object());
  for (const auto& [name, value] : data.items()) {
    if (!value.is_string()) continue;
    const auto bytes = broker::base64_decode(value.get<std::string>());
    if (bytes.ok()) out[name] = std::string(bytes->begin(), bytes->end());
  }
  return out;
}

constexpr std::string_view kFilePrefix = "client.";
constexpr std::string_view kFileSuffix = ".properties";

std::string file_of_listener(const std::string& listener) {
  return std::string(kFilePrefix) + listener + std::string(kFileSuffix);
}

std::string why_not_ready(const api::User& user) {
  const api::Condition* ready = api::find_condition(user.status.conditions, api::condition::kReady);
  if (ready == nullptr || ready->status == api::ConditionStatus::kTrue) return {};
  return " (" + ready->reason + (ready->message.empty() ? "" : ": " + ready->message) + ")";
}

Result<kafka::ConnectionSpec> spec_of_user(Resources& resources, const api::Cluster& cluster,
                                           const api::User& user, const Target& target) {
  const kube::ObjectKey key{user.metadata.namespace_, user.spec.secret_name};
  const auto secret = read_secret(resources, key);
  if (secret.code() == ErrorCode::kResourceNotFound) {
    return Error{secret.code(), "Secret " + to_string(key) + " of User " + user.metadata.name +
                                    " is not there yet" + why_not_ready(user)};
  }
  if (!secret.ok()) return secret.error();
  std::vector<std::string> opened;
  for (const api::ListenerSpec& listener : cluster.spec.listeners)
    if (secret->contains(file_of_listener(listener.name))) opened.push_back(listener.name);
  ASSIGN_OR_RETURN(const std::string listener,
                   choose_listener(cluster, opened, resources.is_inside(), target.listener));
  auto spec = parse_client_config(secret->at(file_of_listener(listener)), read_file);
  if (!spec.ok()) {
    return Error{spec.code(), "Secret " + to_string(key) + ", " + file_of_listener(listener) +
                                  ": " + spec.error().detail};
  }
  return spec;
}

Result<std::unique_ptr<Brokers>> connect_with_hints(const kafka::ConnectionSpec& spec,
                                                    const std::string& hint) {
  auto brokers = Brokers::connect(spec);
  if (brokers.ok() || brokers.code() == ErrorCode::kInvalidConfig) return brokers;
  if (brokers.code() == ErrorCode::kSaslAuthenticationFailed) {
    return Error{brokers.code(),
                 "the user '" + spec.sasl_username + "' was not let in: " + brokers.error().detail};
  }
  return Error{brokers.code(), "Kafka does not answer: " + brokers.error().detail + hint};
}

}  // namespace

Result<std::string> choose_listener(const api::Cluster& cluster,
                                    const std::vector<std::string>& opened, bool is_inside,
                                    const std::string& wanted) {
  const std::string name = to_string(cluster.metadata.object_name());
  if (opened.empty()) {
    return Error{ErrorCode::kBrokerNotAvailable,
                 "Cluster " + name + " has no listener that takes this user's credentials"};
  }
  if (!wanted.empty()) {
    if (std::find(opened.begin(), opened.end(), wanted) != opened.end()) return wanted;
    return Error{ErrorCode::kResourceNotFound, "Cluster " + name + " has no listener " + wanted +
                                                   " for this user; there is " +
                                                   enumerated(opened)};
  }
  if (is_inside) return opened.front();
  for (const api::ListenerSpec& listener : cluster.spec.listeners) {
    if (listener.expose.type != api::ExposeType::kClusterIp &&
        std::find(opened.begin(), opened.end(), listener.name) != opened.end())
      return listener.name;
  }
  return Error{ErrorCode::kBrokerNotAvailable,
               "no listener of Cluster " + name + " can be reached from outside of Kubernetes (" +
                   enumerated(opened) + (opened.size() == 1 ? " is" : " are") +
                   " for pods): give one `expose: {type: NodePort, advertisedHost: …}`, or run "
                   "this in a pod"};
}

Result<std::unique_ptr<Brokers>> open_kafka(const Target& target) {
  if (target.is_kafka_only()) {
    ASSIGN_OR_RETURN(const kafka::ConnectionSpec spec, spec_of_options(target));
    return connect_with_hints(spec, "");
  }
  ASSIGN_OR_RETURN(const auto resources, open_resources(target));
  ASSIGN_OR_RETURN(const api::Cluster cluster, find_cluster(*resources, target));
  ASSIGN_OR_RETURN(const api::User user, choose_user(*resources, cluster, target));
  ASSIGN_OR_RETURN(const kafka::ConnectionSpec spec,
                   spec_of_user(*resources, cluster, user, target));
  return connect_with_hints(
      spec, resources->is_inside()
                ? ""
                : ". An exposed listener is reached at the address that its `expose` declares "
                  "(advertisedHost); `millrace status` shows them");
}

}  // namespace op::cli
