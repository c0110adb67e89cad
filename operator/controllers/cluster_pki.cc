#include "operator/controllers/cluster_pki.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "broker/common/log.h"
#include "operator/model/names.h"
#include "operator/plan/pki_plan.h"

namespace op::controllers {
namespace {

using broker::Error;
using broker::ErrorCode;

constexpr const char* kOperatorCert = "tls.crt";
constexpr const char* kOperatorKey = "tls.key";
constexpr const char* kGeneration = "generation";  // only in SecretMemory

ObjectKey ca_key(const api::Cluster& cluster, model::CaPurpose purpose) {
  return {cluster.metadata.namespace_, purpose == model::CaPurpose::kCluster
                                           ? model::cluster_ca_secret(cluster)
                                           : model::users_ca_secret(cluster)};
}

const api::CaSpec& ca_spec(const api::Cluster& cluster, model::CaPurpose purpose) {
  return purpose == model::CaPurpose::kCluster ? cluster.spec.certificates.cluster_ca
                                               : cluster.spec.certificates.users_ca;
}

broker::Result<bool> ensure_secret(const Context& context, const ObjectKey& key,
                                   const nlohmann::json& secret) {
  return context.writer.ensure(kube::kSecret, key, secret.dump());
}

std::vector<pki::CertificateFacts> facts_of(const std::string& bundle_pem) {
  std::vector<pki::CertificateFacts> facts;
  const auto pieces = pki::split_bundle(bundle_pem);
  if (!pieces.ok()) return facts;
  for (const std::string& pem : *pieces) {
    if (auto one = pki::read_certificate(pem); one.ok()) facts.push_back(std::move(*one));
  }
  return facts;
}

plan::ObservedCa observe(const CaMaterial& ca) {
  return {facts_of(ca.bundle_pem), pki::key_matches(ca.signer()), ca.generation};
}

/// The number at the end of "orders-cluster-ca-3".
int generation_of(const std::string& bundle_pem) {
  const auto facts = facts_of(bundle_pem);
  if (facts.empty()) return 0;
  const auto dash = facts.front().subject.rfind('-');
  return dash == std::string::npos ? 0 : std::atoi(facts.front().subject.c_str() + dash + 1);
}

/// The bundle as the brokers still have it, when the CA's own Secret is lost.
std::optional<plan::ObservedCa> trusted_by_brokers(const Context& context,
                                                   const api::Cluster& cluster,
                                                   model::CaPurpose purpose, std::string& bundle) {
  for (const api::PoolSpec& pool : cluster.spec.pools) {
    const auto secret = context.store.get(
        kube::kSecret, {cluster.metadata.namespace_, model::broker_secret(cluster, pool)});
    if (!secret) continue;
    bundle = value_of(secret_data(*secret), purpose == model::CaPurpose::kCluster
                                                ? model::kBrokerClusterCaKey
                                                : model::kBrokerUsersCaKey);
    if (bundle.empty()) continue;
    return plan::ObservedCa{facts_of(bundle), false, generation_of(bundle)};
  }
  return std::nullopt;
}

std::string without(const std::string& bundle_pem, const std::vector<std::size_t>& ended) {
  std::string kept;
  const auto pieces = pki::split_bundle(bundle_pem);
  if (!pieces.ok()) return bundle_pem;
  for (std::size_t i = 0; i < pieces->size(); ++i) {
    if (std::find(ended.begin(), ended.end(), i) == ended.end()) kept += (*pieces)[i];
  }
  return kept;
}

broker::Result<CaMaterial> ensure_ca(const Context& context, const api::Cluster& cluster,
                                     model::CaPurpose purpose, bool& changed) {
  const ObjectKey key = ca_key(cluster, purpose);
  std::optional<CaMaterial> ca = read_ca(context, cluster, purpose);
  std::optional<plan::ObservedCa> observed;
  if (ca) observed = observe(*ca);
  std::string elsewhere;
  const auto trusted = ca ? std::nullopt : trusted_by_brokers(context, cluster, purpose, elsewhere);
  const auto action =
      plan::plan_ca(observed, trusted, context.wall_now(), cluster.spec.certificates.leaf_validity);
  if (const auto* make = std::get_if<plan::MakeCa>(&action)) {
    ASSIGN_OR_RETURN(const pki::KeyPair pair,
                     pki::make_ca(plan::ca_common_name(key.name, make->generation),
                                  context.wall_now(), ca_spec(cluster, purpose).validity));
    const std::string old = ca ? ca->bundle_pem : elsewhere;
    ca = CaMaterial{pair.certificate_pem + (make->keep_trusting ? old : std::string()),
                    pair.key_pem, make->generation};
    broker::log_info("controllers", "certificate authority made",
                     {{"secret", to_string(key)}, {"reason", make->why.message}});
  } else if (const auto* trim = std::get_if<plan::TrimCa>(&action)) {
    ca->bundle_pem = without(ca->bundle_pem, trim->ended);
  }
  ASSIGN_OR_RETURN(const bool wrote,
                   ensure_secret(context, key,
                                 model::ca_secret(cluster, purpose,
                                                  {ca->bundle_pem, ca->key_pem, ca->generation})));
  context.secrets.remember(key, cluster.metadata.uid,
                           {{model::kCaCertKey, ca->bundle_pem},
                            {model::kCaKeyKey, ca->key_pem},
                            {kGeneration, std::to_string(ca->generation)}});
  changed = changed || wrote;
  return *ca;
}

struct WantedLeaf {
  std::string_view common_name;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  bool server = false;
};

/// `have` if it is still right, else a new one.
broker::Result<pki::KeyPair> ensure_leaf(const Context& context, const api::Cluster& cluster,
                                         const CaMaterial& ca, const pki::KeyPair& have,
                                         const WantedLeaf& wanted, broker::WallMs& renew_at) {
  ASSIGN_OR_RETURN(const pki::CertificateFacts ca_facts, pki::read_certificate(ca.bundle_pem));
  plan::LeafInput input{.common_name = std::string(wanted.common_name),
                        .dns_names = wanted.dns_names,
                        .ip_addresses = wanted.ip_addresses,
                        .ca = ca_facts,
                        .now = context.wall_now()};
  if (auto facts = pki::read_certificate(have.certificate_pem);
      facts.ok() && pki::key_matches(have)) {
    input.observed = std::move(*facts);
  }
  pki::KeyPair pair = have;
  if (const auto why = plan::leaf_is_outdated(input)) {
    ASSIGN_OR_RETURN(pair, pki::issue(ca.signer(),
                                      {.common_name = std::string(wanted.common_name),
                                       .dns_names = wanted.dns_names,
                                       .ip_addresses = wanted.ip_addresses,
                                       .server = wanted.server,
                                       .client = true,
                                       .validity = cluster.spec.certificates.leaf_validity},
                                      context.wall_now()));
    broker::log_info("controllers", "certificate issued",
                     {{"cluster", cluster.metadata.name},
                      {"subject", std::string(wanted.common_name)},
                      {"reason", why->message}});
    ASSIGN_OR_RETURN(input.observed, pki::read_certificate(pair.certificate_pem));
  }
  const broker::WallMs due = plan::renew_at(*input.observed);
  if (renew_at == 0 || due < renew_at) renew_at = due;
  return pair;
}

/// A keystore file holds the key, then the certificate.
pki::KeyPair split_keystore(const std::string& pem) {
  const auto at = pem.find("-----BEGIN CERTIFICATE-----");
  if (at == std::string::npos) return {};
  return {pem.substr(0, at), pem.substr(at)};
}

broker::Result<void> ensure_pool(const Context& context, const api::Cluster& cluster,
                                 const api::PoolSpec& pool, ClusterPki& pki) {
  const ObjectKey key{cluster.metadata.namespace_, model::broker_secret(cluster, pool)};
  const SecretData have =
      context.secrets.recall(key, cluster.metadata.uid, context.store.get(kube::kSecret, key));
  model::BrokerSecretContent content;
  content.cluster_ca_pem = pki.cluster_ca.bundle_pem;
  content.users_ca_pem = pki.users_ca.bundle_pem;
  SecretData remembered;
  for (const std::int32_t id : model::node_ids(pool)) {
    const model::CertificateNames names = model::certificate_names(cluster, id);
    const std::string entry = model::broker_keystore_key(id);
    ASSIGN_OR_RETURN(
        const pki::KeyPair pair,
        ensure_leaf(context, cluster, pki.cluster_ca, split_keystore(value_of(have, entry)),
                    {model::kBrokerCommonName, names.dns_names, names.ip_addresses, true},
                    pki.renew_at));
    content.keystore_pem[id] = pair.keystore_pem();
    remembered[entry] = content.keystore_pem[id];
  }
  ASSIGN_OR_RETURN(
      const bool wrote,
      ensure_secret(context, key, model::broker_secret_object(cluster, pool, content)));
  context.secrets.remember(key, cluster.metadata.uid, std::move(remembered));
  pki.changed = pki.changed || wrote;
  return {};
}

broker::Result<void> ensure_operator_client(const Context& context, const api::Cluster& cluster,
                                            ClusterPki& pki) {
  const ObjectKey key{cluster.metadata.namespace_, model::operator_secret(cluster)};
  const SecretData have =
      context.secrets.recall(key, cluster.metadata.uid, context.store.get(kube::kSecret, key));
  ASSIGN_OR_RETURN(pki.operator_client,
                   ensure_leaf(context, cluster, pki.cluster_ca,
                               {value_of(have, kOperatorKey), value_of(have, kOperatorCert)},
                               {model::kOperatorCommonName, {}, {}, false}, pki.renew_at));
  ASSIGN_OR_RETURN(const bool wrote, ensure_secret(context, key,
                                                   model::operator_secret_object(
                                                       cluster, pki.operator_client.key_pem,
                                                       pki.operator_client.certificate_pem)));
  context.secrets.remember(key, cluster.metadata.uid,
                           {{kOperatorKey, pki.operator_client.key_pem},
                            {kOperatorCert, pki.operator_client.certificate_pem}});
  pki.changed = pki.changed || wrote;
  return {};
}

}  // namespace

std::optional<CaMaterial> read_ca(const Context& context, const api::Cluster& cluster,
                                  model::CaPurpose purpose) {
  const ObjectKey key = ca_key(cluster, purpose);
  const auto live = context.store.get(kube::kSecret, key);
  const SecretData data = context.secrets.recall(key, cluster.metadata.uid, live);
  CaMaterial ca{value_of(data, model::kCaCertKey), value_of(data, model::kCaKeyKey), 0};
  if (ca.bundle_pem.empty()) return std::nullopt;
  std::string generation = value_of(data, kGeneration);
  if (generation.empty() && live) generation = live->annotation(model::kCaGenerationAnnotation);
  ca.generation = generation.empty() ? generation_of(ca.bundle_pem) : std::atoi(generation.c_str());
  return ca;
}

broker::Result<ClusterPki> ensure_cluster_pki(const Context& context, const api::Cluster& cluster) {
  ClusterPki pki;
  ASSIGN_OR_RETURN(pki.cluster_ca,
                   ensure_ca(context, cluster, model::CaPurpose::kCluster, pki.changed));
  ASSIGN_OR_RETURN(pki.users_ca,
                   ensure_ca(context, cluster, model::CaPurpose::kUsers, pki.changed));
  for (const api::PoolSpec& pool : cluster.spec.pools) {
    RETURN_IF_ERROR(ensure_pool(context, cluster, pool, pki));
  }
  RETURN_IF_ERROR(ensure_operator_client(context, cluster, pki));
  return pki;
}

}  // namespace op::controllers
