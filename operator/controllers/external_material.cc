#include "operator/controllers/external_material.h"

#include <nlohmann/json.hpp>

#include "operator/api/external_cluster.h"
#include "operator/api/json.h"
#include "operator/plan/user_plan.h"

namespace op::controllers {
namespace {

using api::ExternalAuth;
using broker::Error;
using broker::ErrorCode;

broker::Result<std::string> read_key(const Context& context, const std::string& ns,
                                     const api::KeyRef& ref) {
  const auto secret = context.store.read(kube::kSecret, {ns, ref.name});
  if (!secret.ok()) {
    return Error{ErrorCode::kResourceNotFound, "Secret " + ns + "/" + ref.name + " cannot be read"};
  }
  const SecretData data = secret_data(**secret);
  const auto found = data.find(ref.key);
  if (found == data.end() || found->second.empty()) {
    return Error{ErrorCode::kInvalidRequest,
                 "Secret " + ns + "/" + ref.name + " has no key " + ref.key};
  }
  return found->second;
}

broker::Result<std::vector<broker::io::Endpoint>> parse_servers(const std::string& text) {
  std::vector<broker::io::Endpoint> out;
  std::size_t at = 0;
  while (at <= text.size()) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    std::string one = text.substr(at, comma - at);
    at = comma + 1;
    one.erase(0, one.find_first_not_of(' '));
    const std::size_t colon = one.rfind(':');
    const int port = colon == std::string::npos ? 0 : std::atoi(one.c_str() + colon + 1);
    if (port <= 0 || port > 65535) {
      return Error{ErrorCode::kInvalidRequest,
                   "spec.bootstrapServers: '" + one + "' is not host:port"};
    }
    std::string host = one.substr(0, colon);
    if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    out.push_back({host, static_cast<std::uint16_t>(port)});
  }
  return out;
}

std::string mechanism_name(ExternalAuth type) {
  switch (type) {
    case ExternalAuth::kScramSha256:
      return "SCRAM-SHA-256";
    case ExternalAuth::kScramSha512:
      return "SCRAM-SHA-512";
    case ExternalAuth::kPlain:
      return "PLAIN";
    case ExternalAuth::kNone:
    case ExternalAuth::kMtls:
      return "";
  }
  return "";
}

broker::Result<api::ExternalCluster> read_external(const Context& context,
                                                   const api::ClusterRef& ref) {
  const auto object =
      context.store.get(kube::kExternalCluster, {ref.object.namespace_, ref.object.name});
  if (!object) return Error{ErrorCode::kResourceNotFound, "no such ExternalCluster"};
  return api::parse_external_cluster(nlohmann::json::parse(object->json, nullptr, false));
}

}  // namespace

broker::Result<kafka::ConnectionSpec> external_connection(const Context& context,
                                                          const api::ExternalCluster& cluster) {
  const std::string& ns = cluster.metadata.namespace_;
  const auto& authentication = cluster.spec.authentication;
  kafka::ConnectionSpec spec;
  spec.mode = kafka::ConnectionSpec::Mode::kDescribe;
  ASSIGN_OR_RETURN(spec.brokers, parse_servers(cluster.spec.bootstrap_servers));
  spec.tls = cluster.spec.tls.has_value();
  if (spec.tls && cluster.spec.tls->ca) {
    ASSIGN_OR_RETURN(spec.ca_pem, read_key(context, ns, *cluster.spec.tls->ca));
  }
  spec.sasl_mechanism = mechanism_name(authentication.type);
  if (!spec.sasl_mechanism.empty()) {
    if (!authentication.password) {
      return Error{ErrorCode::kInvalidRequest, "spec.authentication: a password is needed"};
    }
    spec.sasl_username = authentication.username;
    ASSIGN_OR_RETURN(spec.sasl_password, read_key(context, ns, *authentication.password));
  }
  if (authentication.type == ExternalAuth::kMtls) {
    ASSIGN_OR_RETURN(spec.certificate_pem,
                     read_key(context, ns, {authentication.certificate_secret, "tls.crt"}));
    ASSIGN_OR_RETURN(spec.private_key_pem,
                     read_key(context, ns, {authentication.certificate_secret, "tls.key"}));
  }
  return spec;
}

broker::Result<std::string> external_ca_bundle(const Context& context, const api::ClusterRef& ref) {
  ASSIGN_OR_RETURN(const api::ExternalCluster cluster, read_external(context, ref));
  if (!cluster.spec.tls || !cluster.spec.tls->ca) return std::string();
  return read_key(context, cluster.metadata.namespace_, *cluster.spec.tls->ca);
}

std::vector<model::ClientListener> external_listeners(const Context& context,
                                                      const api::ClusterRef& ref,
                                                      api::UserAuth type) {
  const auto cluster = read_external(context, ref);
  if (!cluster.ok() || type == api::UserAuth::kMtls) return {};
  const std::string mechanism(broker::security::to_string(plan::mechanism_of(type)));
  return {{"external", cluster->spec.bootstrap_servers,
           cluster->spec.tls ? "SASL_SSL" : "SASL_PLAINTEXT", mechanism}};
}

}  // namespace op::controllers
