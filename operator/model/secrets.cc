#include "operator/model/secrets.h"

#include "broker/common/base64.h"
#include "broker/config/properties.h"
#include "operator/model/render.h"

namespace op::model {

using broker::base64_encode;
using nlohmann::json;

namespace {

void put(json& secret, const std::string& key, const std::string& bytes) {
  if (!bytes.empty()) secret["data"][key] = base64_encode(bytes);
}

constexpr std::string_view kUserLabel = "millrace.io/user";

/// Names of objects may be longer than the value of a label.
std::string label_value(const std::string& name) { return name.size() <= 63 ? name : ""; }

}  // namespace

json ca_secret(const api::Cluster& cluster, CaPurpose purpose, const CaContent& content) {
  json out = detail::owned(
      cluster, "v1", "Secret",
      purpose == CaPurpose::kCluster ? cluster_ca_secret(cluster) : users_ca_secret(cluster),
      object_labels(cluster));
  out["metadata"]["annotations"] = {{kCaGenerationAnnotation, std::to_string(content.generation)}};
  json& annotations = out["metadata"]["annotations"];
  if (content.seen_at != 0) annotations[kCaSeenAtAnnotation] = std::to_string(content.seen_at);
  if (!content.renewed.empty()) annotations[kCaRenewedAnnotation] = content.renewed;
  out["type"] = "Opaque";
  put(out, kCaCertKey, content.bundle_pem);
  put(out, kCaKeyKey, content.key_pem);
  put(out, kNextCaCertKey, content.next_pem);
  put(out, kNextCaKeyKey, content.next_key_pem);
  put(out, kCrossCertKey, content.cross_pem);
  return out;
}

std::string broker_keystore_key(std::int32_t node_id) { return std::to_string(node_id) + ".pem"; }

std::string listener_keystore_key(std::int32_t node_id, const std::string& listener) {
  return std::to_string(node_id) + "." + listener + ".pem";
}

json broker_secret_object(const api::Cluster& cluster, const api::PoolSpec& pool,
                          const BrokerSecretContent& content) {
  json out = detail::owned(cluster, "v1", "Secret", broker_secret(cluster, pool),
                           pool_labels(cluster, pool));
  out["type"] = "Opaque";
  for (const auto& [node_id, pem] : content.keystore_pem)
    put(out, broker_keystore_key(node_id), pem);
  for (const auto& [key, pem] : content.listener_keystore_pem) put(out, key, pem);
  put(out, kListenersCaKey, content.listeners_ca_pem);
  put(out, kBrokerClusterCaKey, content.cluster_ca_pem);
  put(out, kBrokerUsersCaKey, content.users_ca_pem);
  return out;
}

json operator_secret_object(const api::Cluster& cluster, const std::string& key_pem,
                            const std::string& certificate_pem) {
  json out =
      detail::owned(cluster, "v1", "Secret", operator_secret(cluster), object_labels(cluster));
  out["type"] = "kubernetes.io/tls";
  put(out, "tls.key", key_pem);
  put(out, "tls.crt", certificate_pem);
  return out;
}

std::vector<ClientListener> client_listeners(const api::Cluster& cluster, api::UserAuth type) {
  std::vector<ClientListener> inside;
  std::vector<ClientListener> outside;
  api::ListenerAuth wanted = api::ListenerAuth::kMtls;
  if (type == api::UserAuth::kScramSha256) wanted = api::ListenerAuth::kScramSha256;
  if (type == api::UserAuth::kScramSha512) wanted = api::ListenerAuth::kScramSha512;
  for (const api::ListenerSpec& listener : cluster.spec.listeners) {
    if (!listener.accepts(wanted)) continue;
    const bool is_inside = listener.expose.type == api::ExposeType::kClusterIp;
    (is_inside ? inside : outside)
        .push_back({listener.name, bootstrap_servers(cluster, listener),
                    std::string(api::security_protocol(listener)),
                    std::string(api::sasl_mechanism(wanted))});
  }
  inside.insert(inside.end(), outside.begin(), outside.end());
  return inside;
}

std::string jaas_line(const std::string& username, const std::string& password) {
  const auto quoted = [](const std::string& text) {
    std::string out = "\"";
    for (char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out + "\"";
  };
  return "org.apache.kafka.common.security.scram.ScramLoginModule required username=" +
         quoted(username) + " password=" + quoted(password) + ";";
}

namespace {

/// What Kafka's Java client takes as it is: PEM inside, so that no file has to be mounted at a
/// certain place.
std::string client_properties(const api::User& user, const ClientListener& listener,
                              const UserCredentials& credentials) {
  std::string out;
  const auto add = [&out](std::string_view key, const std::string& value) {
    out += broker::config::format_property(key, value);
    if (out.back() != '\n') out += '\n';
  };
  add("bootstrap.servers", listener.bootstrap);
  add("security.protocol", listener.protocol);
  if (!listener.mechanism.empty()) {
    add("sasl.mechanism", listener.mechanism);
    add("sasl.jaas.config", jaas_line(user.spec.username, credentials.password));
  }
  const bool uses_tls = listener.protocol == "SSL" || listener.protocol == "SASL_SSL";
  if (uses_tls && !credentials.ca_bundle_pem.empty()) {
    add("ssl.truststore.type", "PEM");
    add("ssl.truststore.certificates", credentials.ca_bundle_pem);
  }
  if (uses_tls && !credentials.certificate_pem.empty()) {
    add("ssl.keystore.type", "PEM");
    add("ssl.keystore.key", credentials.key_pem);
    add("ssl.keystore.certificate.chain", credentials.certificate_pem);
  }
  return out;
}

}  // namespace

json user_secret(const api::User& user, const std::vector<ClientListener>& listeners,
                 const UserCredentials& credentials) {
  const bool is_scram = user.spec.authentication.type != api::UserAuth::kMtls;
  json out = {{"apiVersion", "v1"},
              {"kind", "Secret"},
              {"type", "Opaque"},
              {"metadata",
               {{"name", user.spec.secret_name},
                {"namespace", user.metadata.namespace_},
                {"labels",
                 {{"app.kubernetes.io/managed-by", "millrace-operator"},
                  {"app.kubernetes.io/part-of", "millrace"},
                  {std::string(kUserLabel), label_value(user.metadata.name)},
                  {std::string(kClusterLabel), label_value(user.spec.cluster_ref.object.name)}}},
                {"ownerReferences", json::array({{{"apiVersion", api::kApiVersion},
                                                  {"kind", api::User::kKind},
                                                  {"name", user.metadata.name},
                                                  {"uid", user.metadata.uid},
                                                  {"controller", true}}})}}}};
  put(out, "username", user.spec.username);
  if (is_scram) {
    put(out, kUserPasswordKey, credentials.password);
    put(out, "sasl.jaas.config", jaas_line(user.spec.username, credentials.password));
  } else {
    put(out, kUserKeyKey, credentials.key_pem);
    put(out, kUserCertKey, credentials.certificate_pem);
    put(out, kUserKeystoreKey, credentials.keystore_p12);
  }
  put(out, "ca.crt", credentials.ca_bundle_pem);
  put(out, kUserTruststoreKey, credentials.truststore_p12);
  put(out, kUserStorePasswordKey, credentials.store_password);
  for (const ClientListener& listener : listeners) {
    put(out, "bootstrap." + listener.name, listener.bootstrap);
    put(out, "client." + listener.name + ".properties",
        client_properties(user, listener, credentials));
  }
  if (!listeners.empty()) {
    const ClientListener& first = listeners.front();
    put(out, "bootstrap.servers", first.bootstrap);
    put(out, "security.protocol", first.protocol);
    put(out, "sasl.mechanism", first.mechanism);
    put(out, "client.properties", client_properties(user, first, credentials));
  }
  return out;
}

}  // namespace op::model
