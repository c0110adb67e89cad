#include "operator/controllers/user_secret.h"

#include <nlohmann/json.hpp>

#include "operator/api/external_cluster.h"
#include "operator/api/json.h"
#include "operator/controllers/cluster_pki.h"
#include "operator/controllers/external_material.h"
#include "operator/model/names.h"
#include "operator/pki/stores.h"
#include "operator/plan/pki_plan.h"

namespace op::controllers {
namespace {

using api::UserAuth;
using broker::Error;
using broker::ErrorCode;

constexpr const char* kCaKey = "ca.crt";

ObjectKey secret_key(const api::User& user) {
  return {user.metadata.namespace_, user.spec.secret_name};
}

bool is_ours(const kube::Object& secret, const api::User& user) {
  return secret.json.find(user.metadata.uid) != std::string::npos;  // its owner reference
}

std::optional<plan::Verdict> find_conflict(const Context& context, const api::User& user,
                                           const kube::ObjectPtr& cached, bool known) {
  const plan::Verdict conflict{api::reason::kSecretConflict,
                               "Secret " + to_string(secret_key(user)) +
                                   " exists and does not belong to this User; choose another "
                                   "spec.secret.name"};
  if (cached) return is_ours(*cached, user) ? std::nullopt : std::optional(conflict);
  if (known) return std::nullopt;  // ours, deleted a moment ago
  // Not among the labelled ones that we watch: ask before a stranger's Secret is taken over.
  const auto there = context.store.read(kube::kSecret, secret_key(user));
  if (!there.ok()) return std::nullopt;
  return is_ours(**there, user) ? std::nullopt : std::optional(conflict);
}

void read_password_from(const Context& context, const api::User& user, UserMaterial& material) {
  const api::KeyRef& ref = *user.spec.authentication.password_from;
  const ObjectKey key{user.metadata.namespace_, ref.name};
  const auto secret = context.store.read(kube::kSecret, key);
  if (!secret.ok()) {
    const bool absent = secret.code() == ErrorCode::kResourceNotFound;
    material.password_problem = plan::Verdict{
        api::reason::kSecretNotFound,
        "Secret " + to_string(key) + (absent ? " does not exist" : " cannot be read")};
    return;
  }
  const std::string password = value_of(secret_data(**secret), ref.key);
  if (password.empty()) {
    material.password_problem = plan::Verdict{
        api::reason::kSecretInvalid, "Secret " + to_string(key) + " has no key " + ref.key};
    return;
  }
  material.password = password;
}

broker::Result<std::string> ca_bundle(const Context& context, const api::User& user,
                                      const Target& target) {
  if (!target.cluster) return external_ca_bundle(context, user.spec.cluster_ref);
  const auto ca = read_ca(context, *target.cluster, model::CaPurpose::kCluster);
  if (!ca) return Error{ErrorCode::kResourceNotFound, "the cluster's CA is not there yet"};
  std::string bundle = ca->bundle_pem;
  // Certificates that were given for listeners come from elsewhere.
  for (const api::PoolSpec& pool : target.cluster->spec.pools) {
    if (!pool.has_role(api::Role::kBroker)) continue;
    const auto secret = context.store.get(
        kube::kSecret,
        {target.cluster->metadata.namespace_, model::broker_secret(*target.cluster, pool)});
    if (secret) bundle += value_of(secret_data(*secret), model::kListenersCaKey);
    break;
  }
  return bundle;
}

broker::Result<void> fill_certificate(const Context& context, const api::User& user,
                                      const Target& target, const UserMaterial& material,
                                      model::UserCredentials& credentials, WrittenSecret& out) {
  if (!target.cluster) {
    return Error{ErrorCode::kInvalidRequest, "an ExternalCluster's CA is not ours to sign with"};
  }
  const auto ca = read_ca(context, *target.cluster, model::CaPurpose::kUsers);
  if (!ca) return Error{ErrorCode::kResourceNotFound, "the users' CA is not there yet"};
  ASSIGN_OR_RETURN(const pki::CertificateFacts ca_facts, pki::read_certificate(ca->bundle_pem));
  pki::KeyPair pair{value_of(material.have, model::kUserKeyKey),
                    value_of(material.have, model::kUserCertKey)};
  plan::LeafInput input{
      .common_name = user.spec.username, .ca = ca_facts, .now = context.wall_now()};
  if (ca->key_pem.empty()) {
    if (const auto next = pki::read_certificate(ca->next.certificate_pem); next.ok())
      input.other_issuer_key_id = next->key_id;
  }
  if (auto facts = pki::read_certificate(pair.certificate_pem);
      facts.ok() && pki::key_matches(pair)) {
    input.observed = std::move(*facts);
  }
  if (plan::leaf_is_outdated(input)) {
    ASSIGN_OR_RETURN(pair, pki::issue(ca->signer(),
                                      {.common_name = user.spec.username,
                                       .client = true,
                                       .validity = target.cluster->spec.certificates.leaf_validity},
                                      context.wall_now()));
    ASSIGN_OR_RETURN(input.observed, pki::read_certificate(pair.certificate_pem));
  }
  credentials.key_pem = pair.key_pem;
  credentials.certificate_pem = pair.certificate_pem;
  out.certificate_expires = plan::to_timestamp(input.observed->not_after);
  out.renew_at = plan::renew_at(*input.observed);
  return {};
}

/// PKCS#12 differs each time it is made, so what is there stays while its content is right.
broker::Result<void> fill_stores(const UserMaterial& material,
                                 model::UserCredentials& credentials) {
  const SecretData& have = material.have;
  credentials.store_password = value_of(have, model::kUserStorePasswordKey);
  const bool same_password = !credentials.store_password.empty();
  if (!same_password) credentials.store_password = pki::random_password();
  credentials.truststore_p12 = value_of(have, model::kUserTruststoreKey);
  if (!same_password || credentials.truststore_p12.empty() ||
      value_of(have, kCaKey) != credentials.ca_bundle_pem) {
    ASSIGN_OR_RETURN(credentials.truststore_p12,
                     pki::make_truststore(credentials.ca_bundle_pem, credentials.store_password));
  }
  if (credentials.key_pem.empty()) return {};
  credentials.keystore_p12 = value_of(have, model::kUserKeystoreKey);
  if (!same_password || credentials.keystore_p12.empty() ||
      value_of(have, model::kUserCertKey) != credentials.certificate_pem) {
    ASSIGN_OR_RETURN(
        credentials.keystore_p12,
        pki::make_keystore({credentials.key_pem, credentials.certificate_pem},
                           credentials.ca_bundle_pem, credentials.store_password, "user"));
  }
  return {};
}

}  // namespace

UserMaterial gather_user_material(const Context& context, const api::User& user,
                                  const Target& target) {
  UserMaterial material;
  const auto cached = context.store.get(kube::kSecret, secret_key(user));
  const bool mine = cached && is_ours(*cached, user);
  material.have = context.secrets.recall(secret_key(user), user.metadata.uid,
                                         mine ? cached : kube::ObjectPtr());
  material.conflict = find_conflict(context, user, cached, !material.have.empty());
  const UserAuth type = user.spec.authentication.type;
  material.listeners = target.cluster ? model::client_listeners(*target.cluster, type)
                                      : external_listeners(context, user.spec.cluster_ref, type);
  if (type == UserAuth::kMtls) return material;
  if (user.spec.authentication.password_from) {
    read_password_from(context, user, material);
    return material;
  }
  const std::string password = value_of(material.have, model::kUserPasswordKey);
  material.password = password.empty() ? pki::random_password() : password;
  return material;
}

broker::Result<WrittenSecret> ensure_user_secret(const Context& context, const api::User& user,
                                                 const Target& target,
                                                 const UserMaterial& material) {
  WrittenSecret out;
  model::UserCredentials credentials;
  credentials.password = material.password.value_or("");
  ASSIGN_OR_RETURN(credentials.ca_bundle_pem, ca_bundle(context, user, target));
  if (user.spec.authentication.type == UserAuth::kMtls) {
    RETURN_IF_ERROR(fill_certificate(context, user, target, material, credentials, out));
  }
  if (!credentials.ca_bundle_pem.empty()) RETURN_IF_ERROR(fill_stores(material, credentials));
  const nlohmann::json secret = model::user_secret(user, material.listeners, credentials);
  ASSIGN_OR_RETURN(out.wrote,
                   context.writer.ensure(kube::kSecret, secret_key(user), secret.dump()));
  context.secrets.remember(secret_key(user), user.metadata.uid,
                           {{model::kUserPasswordKey, credentials.password},
                            {model::kUserKeyKey, credentials.key_pem},
                            {model::kUserCertKey, credentials.certificate_pem},
                            {model::kUserTruststoreKey, credentials.truststore_p12},
                            {model::kUserKeystoreKey, credentials.keystore_p12},
                            {model::kUserStorePasswordKey, credentials.store_password},
                            {kCaKey, credentials.ca_bundle_pem}});
  return out;
}

}  // namespace op::controllers
