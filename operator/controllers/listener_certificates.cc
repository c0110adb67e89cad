#include "operator/controllers/listener_certificates.h"

#include "operator/model/names.h"
#include "operator/pki/certificates.h"
#include "operator/plan/pki_plan.h"

namespace op::controllers {
namespace {

/// What is in the Secret, if it can be used for the listener.
broker::Result<ListenerMaterial> use_certificate(const Context& context,
                                                 const api::Cluster& cluster,
                                                 const api::ListenerSpec& listener,
                                                 const SecretData& data) {
  const auto refuse = [](std::string why) {
    return broker::Error{broker::ErrorCode::kInvalidRequest, std::move(why)};
  };
  for (const char* key : {"tls.crt", "tls.key"})
    if (value_of(data, key).empty()) return refuse(std::string("it has no ") + key);
  const auto chain = pki::split_bundle(value_of(data, "tls.crt"));
  if (!chain.ok()) return refuse("tls.crt is " + chain.error().detail);
  ASSIGN_OR_RETURN(plan::ProvidedLeaf leaf, [&]() -> broker::Result<plan::ProvidedLeaf> {
    ASSIGN_OR_RETURN(const auto facts, pki::read_certificate(chain->front()));
    return plan::ProvidedLeaf{facts, pki::key_matches({value_of(data, "tls.key"), chain->front()}),
                              model::dialled_hosts(cluster, listener)};
  }());
  if (const auto why = plan::unfit(leaf, context.wall_now())) return refuse(*why);
  ListenerMaterial out;
  out.keystore_pem = value_of(data, "tls.key");
  if (out.keystore_pem.back() != '\n') out.keystore_pem += '\n';
  for (const std::string& one : *chain) out.keystore_pem += one;
  if (const std::string ca = value_of(data, "ca.crt"); !ca.empty()) {
    const auto trusted = pki::split_bundle(ca);
    if (!trusted.ok()) return refuse("ca.crt is " + trusted.error().detail);
    for (const std::string& one : *trusted) out.ca_pem += one;
  }
  return out;
}

}  // namespace

std::map<std::string, ListenerMaterial> read_listener_certificates(const Context& context,
                                                                   const api::Cluster& cluster) {
  std::map<std::string, ListenerMaterial> out;
  for (const api::ListenerSpec& listener : cluster.spec.listeners) {
    if (!listener.tls || !listener.tls->certificate_secret) continue;
    const ObjectKey key{cluster.metadata.namespace_, *listener.tls->certificate_secret};
    const std::string where = "listener " + listener.name + ": Secret " + to_string(key);
    ListenerMaterial& material = out[listener.name];
    const auto secret = context.store.read(kube::kSecret, key);
    if (!secret.ok()) {
      const bool absent = secret.code() == broker::ErrorCode::kResourceNotFound;
      material.problem = plan::Verdict{
          api::reason::kSecretNotFound,
          where + (absent ? " does not exist" : " cannot be read: " + secret.error().detail)};
      continue;
    }
    auto used = use_certificate(context, cluster, listener, secret_data(**secret));
    if (used.ok()) {
      material = std::move(*used);
    } else {
      material.problem =
          plan::Verdict{api::reason::kSecretInvalid,
                        where + ": " + used.error().detail + "; what was served before still is"};
    }
  }
  return out;
}

}  // namespace op::controllers
