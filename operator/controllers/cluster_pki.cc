#include "operator/controllers/cluster_pki.h"

#include <nlohmann/json.hpp>

#include "broker/common/log.h"
#include "operator/controllers/listener_certificates.h"
#include "operator/model/names.h"
#include "operator/plan/pki_plan.h"

namespace op::controllers {
namespace {

using broker::Error;
using broker::ErrorCode;

constexpr const char* kOperatorCert = "tls.crt";
constexpr const char* kOperatorKey = "tls.key";

broker::Result<bool> ensure_secret(const Context& context, const ObjectKey& key,
                                   const nlohmann::json& secret) {
  return context.writer.ensure(kube::kSecret, key, secret.dump());
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
  if (ca.key_pem.empty()) {
    if (const auto next = pki::read_certificate(ca.next.certificate_pem); next.ok())
      input.other_issuer_key_id = next->key_id;
  }
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

/// A keystore file holds the key, then the certificate, then what goes along with it.
pki::KeyPair split_keystore(const std::string& pem) {
  const auto at = pem.find("-----BEGIN CERTIFICATE-----");
  if (at == std::string::npos) return {};
  const auto certificates = pki::split_bundle(pem.substr(at));
  if (!certificates.ok()) return {};
  return {pem.substr(0, at), certificates->front()};
}

using ListenerMaterials = std::map<std::string, ListenerMaterial>;

/// What the listener serves: what the user gave; where that cannot be used, what he gave before;
/// else the node's own.
std::string listener_keystore(const ClusterPki& pki, const api::ListenerSpec& listener,
                              const ListenerMaterials& provided, const std::string& have,
                              const std::string& own) {
  const auto given = provided.find(listener.name);
  if (given == provided.end()) return own;
  if (!given->second.problem) return given->second.keystore_pem;
  const auto facts = pki::read_certificate(split_keystore(have).certificate_pem);
  if (!facts.ok()) return own;
  for (const auto& ca : certificate_facts(pki.cluster_ca.bundle_pem))
    if (facts->issuer_key_id == ca.key_id) return own;
  return have;
}

std::string listeners_ca(const ListenerMaterials& provided, const std::string& have) {
  std::string out;
  for (const auto& [name, material] : provided) {
    if (material.problem) return have;
    out += material.ca_pem;
  }
  return out;
}

broker::Result<void> ensure_pool(const Context& context, const api::Cluster& cluster,
                                 const api::PoolSpec& pool, const ListenerMaterials& provided,
                                 ClusterPki& pki) {
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
    content.keystore_pem[id] = pair.keystore_pem() + chain_pem(pki.cluster_ca);
    remembered[entry] = content.keystore_pem[id];
    for (const api::ListenerSpec& listener : cluster.spec.listeners) {
      if (!listener.tls || !pool.has_role(api::Role::kBroker)) continue;
      const std::string file = model::listener_keystore_key(id, listener.name);
      remembered[file] = content.listener_keystore_pem[file] = listener_keystore(
          pki, listener, provided, value_of(have, file), content.keystore_pem[id]);
    }
  }
  remembered[model::kListenersCaKey] = content.listeners_ca_pem =
      listeners_ca(provided, value_of(have, model::kListenersCaKey));
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

api::CaStatus status_of(const CaMaterial& ca) {
  const plan::ObservedCa observed = observe_ca(ca);
  api::CaStatus out;
  out.generation = ca.generation;
  switch (plan::phase_of(observed)) {
    case plan::CaPhase::kStable:
      out.phase = "Stable";
      break;
    case plan::CaPhase::kDistributing:
      out.phase = "Distributing";
      break;
    case plan::CaPhase::kReissuing:
      out.phase = "Reissuing";
      break;
    case plan::CaPhase::kOverlap:
      out.phase = "Overlap";
      break;
  }
  for (const pki::CertificateFacts& one : observed.bundle) out.trusted.push_back(one.subject);
  if (!observed.bundle.empty()) out.expires = plan::to_timestamp(observed.bundle.front().not_after);
  return out;
}

void earlier(broker::WallMs& at, broker::WallMs other) {
  if (other != 0 && (at == 0 || other < at)) at = other;
}

broker::Result<CaMaterial> take_round(broker::Result<CaRound> round, ClusterPki& pki,
                                      api::CaStatus& status) {
  RETURN_IF_ERROR(round);
  pki.changed = pki.changed || round->changed;
  if (!pki.waiting) pki.waiting = round->waiting;
  if (!pki.problem) pki.problem = round->problem;
  earlier(pki.renew_at, round->look_again_at);
  status = status_of(round->ca);
  return std::move(round->ca);
}

}  // namespace

broker::Result<ClusterPki> ensure_cluster_pki(const Context& context, const kube::Object& object,
                                              const api::Cluster& cluster,
                                              const std::vector<plan::ObservedPod>& pods) {
  ClusterPki pki;
  const auto ensure = [&](model::CaPurpose purpose, api::CaStatus& status) {
    return take_round(ensure_ca(context, object, cluster, pods, purpose), pki, status);
  };
  ASSIGN_OR_RETURN(pki.cluster_ca, ensure(model::CaPurpose::kCluster, pki.status.cluster_ca));
  ASSIGN_OR_RETURN(pki.users_ca, ensure(model::CaPurpose::kUsers, pki.status.users_ca));
  const ListenerMaterials provided = read_listener_certificates(context, cluster);
  for (const auto& [name, material] : provided)
    if (material.problem && !pki.problem) pki.problem = material.problem;
  if (!provided.empty())
    earlier(pki.renew_at,
            context.wall_now() + std::chrono::milliseconds(kLookAtProvidedCertificates).count());
  for (const api::PoolSpec& pool : cluster.spec.pools) {
    RETURN_IF_ERROR(ensure_pool(context, cluster, pool, provided, pki));
  }
  RETURN_IF_ERROR(ensure_operator_client(context, cluster, pki));
  return pki;
}

}  // namespace op::controllers
