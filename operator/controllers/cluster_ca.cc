#include "operator/controllers/cluster_ca.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "broker/common/log.h"
#include "operator/controllers/listener_certificates.h"
#include "operator/controllers/provided_ca.h"
#include "operator/model/names.h"

namespace op::controllers {
namespace {

using model::CaPurpose;
using plan::CaEvidence;

// Only in SecretMemory; in the Secret they are annotations.
constexpr const char* kGeneration = "generation";
constexpr const char* kSeenAt = "seen-at";
constexpr const char* kRenewed = "renewed";
constexpr std::chrono::hours kProbeValidity{1};

ObjectKey ca_key(const api::Cluster& cluster, CaPurpose purpose) {
  return {cluster.metadata.namespace_, purpose == CaPurpose::kCluster
                                           ? model::cluster_ca_secret(cluster)
                                           : model::users_ca_secret(cluster)};
}

const api::CaSpec& ca_spec(const api::Cluster& cluster, CaPurpose purpose) {
  return purpose == CaPurpose::kCluster ? cluster.spec.certificates.cluster_ca
                                        : cluster.spec.certificates.users_ca;
}

std::string annotation_of(const api::Cluster& cluster, std::string_view name) {
  const std::string* value = cluster.metadata.annotation(name);
  return value ? *value : std::string();
}

/// The number at the end of "orders-cluster-ca-3".
int generation_of(const std::string& bundle_pem) {
  const auto facts = certificate_facts(bundle_pem);
  if (facts.empty()) return 0;
  const auto dash = facts.front().subject.rfind('-');
  return dash == std::string::npos ? 0 : std::atoi(facts.front().subject.c_str() + dash + 1);
}

/// The bundle as the brokers still have it, when the CA's own Secret is lost.
std::optional<CaMaterial> trusted_by_brokers(const Context& context, const api::Cluster& cluster,
                                             CaPurpose purpose) {
  for (const api::PoolSpec& pool : cluster.spec.pools) {
    const auto secret = context.store.get(
        kube::kSecret, {cluster.metadata.namespace_, model::broker_secret(cluster, pool)});
    if (!secret) continue;
    CaMaterial ca;
    ca.bundle_pem =
        value_of(secret_data(*secret), purpose == CaPurpose::kCluster ? model::kBrokerClusterCaKey
                                                                      : model::kBrokerUsersCaKey);
    if (ca.bundle_pem.empty()) continue;
    ca.generation = generation_of(ca.bundle_pem);
    return ca;
  }
  return std::nullopt;
}

std::string without(const std::string& bundle_pem, const std::vector<std::size_t>& indexes) {
  std::string kept;
  const auto pieces = pki::split_bundle(bundle_pem);
  if (!pieces.ok()) return bundle_pem;
  for (std::size_t i = 0; i < pieces->size(); ++i) {
    if (std::find(indexes.begin(), indexes.end(), i) == indexes.end()) kept += (*pieces)[i];
  }
  return kept;
}

/// The certificate moved to the front of the bundle that holds it.
std::string with_first(const std::string& first_pem, const std::string& bundle_pem) {
  std::string out = first_pem;
  const auto pieces = pki::split_bundle(bundle_pem);
  if (!pieces.ok()) return out;
  for (const std::string& piece : *pieces)
    if (piece != first_pem) out += piece;
  return out;
}

struct Question {
  std::int32_t node_id = 0;
  provider::Infrastructure::NodeName node;
  std::uint16_t port = 0;
  bool verify = true;
};

/// Where brokers show which CAs they trust, and what they serve.
std::vector<Question> questions(const api::Cluster& cluster, CaPurpose purpose) {
  std::vector<Question> out;
  for (const api::PoolSpec& pool : cluster.spec.pools) {
    for (const std::int32_t id : model::node_ids(pool)) {
      const provider::Infrastructure::NodeName node{
          {cluster.metadata.namespace_, cluster.metadata.name},
          model::pod_name(cluster, pool, id),
          model::pod_host(cluster, pool, id)};
      const auto ask = [&](std::int32_t port, bool verify) {
        out.push_back({id, node, static_cast<std::uint16_t>(port), verify});
      };
      const bool is_broker = pool.has_role(api::Role::kBroker);
      if (purpose == CaPurpose::kCluster) {
        if (pool.has_role(api::Role::kController)) ask(model::kControllerPort, true);
        if (is_broker) ask(model::kInternalPort, true);
        continue;
      }
      for (const api::ListenerSpec& listener : cluster.spec.listeners) {
        if (is_broker && listener.tls && listener.accepts(api::ListenerAuth::kMtls))
          ask(listener.port, !listener.tls->certificate_secret);
      }
    }
  }
  return out;
}

/// The certificates to be let in with: of the CA that is to be trusted first, so that the answer
/// is the proof.
broker::Result<std::vector<pki::KeyPair>> identities(const Context& context,
                                                     const api::Cluster& cluster,
                                                     const CaMaterial& ca, CaEvidence evidence) {
  std::vector<pki::KeyPair> out;
  const auto add = [&](const pki::KeyPair& signer) -> broker::Result<void> {
    const pki::LeafRequest request{.common_name = std::string(model::kOperatorCommonName),
                                   .client = true,
                                   .validity = std::min<std::chrono::seconds>(
                                       kProbeValidity, cluster.spec.certificates.leaf_validity)};
    ASSIGN_OR_RETURN(pki::KeyPair pair, pki::issue(signer, request, context.wall_now()));
    out.push_back(std::move(pair));
    return {};
  };
  if (evidence == CaEvidence::kTrustsNext) RETURN_IF_ERROR(add(ca.next));
  if (!ca.key_pem.empty()) RETURN_IF_ERROR(add({ca.key_pem, ca.bundle_pem}));
  return out;
}

/// Why not every broker has been seen with it; nullopt: each was. The first that was not is enough:
/// it is asked again soon.
std::optional<std::string> find_unseen(const Context& context, const api::Cluster& cluster,
                                       const std::vector<plan::ObservedPod>& pods,
                                       CaPurpose purpose, const CaMaterial& ca,
                                       CaEvidence evidence) {
  // What users show is looked at by brokers alone, which trust both.
  if (purpose == CaPurpose::kUsers && evidence == CaEvidence::kServesSigned) return std::nullopt;
  const auto cluster_ca =
      purpose == CaPurpose::kCluster ? ca : read_ca(context, cluster, CaPurpose::kCluster);
  const auto signing = pki::read_certificate(ca.bundle_pem);
  const auto shown = identities(context, cluster, ca, evidence);
  if (!cluster_ca || !signing.ok() || !shown.ok()) return "its certificates cannot be read";
  std::string next_key_id;
  if (evidence == CaEvidence::kTrustsNext) {
    const auto next = pki::read_certificate(ca.next.certificate_pem);
    if (!next.ok()) return "its certificate cannot be read";
    next_key_id = next->key_id;
  }
  for (const Question& question : questions(cluster, purpose)) {
    const std::string who = "node " + std::to_string(question.node_id);
    const bool is_ready = std::any_of(pods.begin(), pods.end(), [&](const auto& pod) {
      return pod.node_id == question.node_id && pod.ready && !pod.deleting;
    });
    if (!is_ready) return who + " is not ready";
    pki::ProbeOptions options;
    if (question.verify) options.trusted_pem = cluster_ca->bundle_pem;
    options.identities = *shown;
    const auto served = context.infrastructure.served_tls(question.node, question.port, options);
    if (!served.ok()) return who + " cannot be asked: " + served.error().detail;
    if (evidence == CaEvidence::kTrustsNext && served->accepted_issuer_key_id != next_key_id)
      return who + " does not trust it yet";
    if (evidence == CaEvidence::kServesSigned && served->leaf.issuer_key_id != signing->key_id)
      return who + " still has a certificate of " + served->leaf.issuer;
  }
  return std::nullopt;
}

/// Certificates that are not in it yet, at its end.
std::string with_more(std::string bundle_pem, const std::string& more_pem) {
  const auto pieces = pki::split_bundle(more_pem);
  if (!pieces.ok()) return bundle_pem;
  for (const std::string& piece : *pieces)
    if (bundle_pem.find(piece) == std::string::npos) bundle_pem += piece;
  return bundle_pem;
}

struct Step {
  const Context& context;
  const kube::Object& object;
  const api::Cluster& cluster;
  CaPurpose purpose;
  const plan::CaInput& input;
  ProvidedCaMaterial provided;
  CaMaterial ca;

  void tell(const plan::Verdict& why, const std::string& message) const {
    broker::log_info("controllers", "certificate authority replaced in steps",
                     {{"secret", to_string(ca_key(cluster, purpose))}, {"step", message}});
    context.store.event(object, false, std::string(why.reason), message);
  }
  broker::Result<pki::KeyPair> make(int generation) const {
    if (input.wants_provided) return provided.pair;
    return pki::make_ca(plan::ca_common_name(ca_key(cluster, purpose).name, generation),
                        context.wall_now(), ca_spec(cluster, purpose).validity);
  }

  broker::Result<void> take(const plan::KeepCa&) { return {}; }
  broker::Result<void> take(const plan::MakeCa& action) {
    ASSIGN_OR_RETURN(const pki::KeyPair made, make(action.generation));
    const std::string old = action.keep_trusting ? ca.bundle_pem : std::string();
    ca = CaMaterial{.bundle_pem = with_more(made.certificate_pem, provided.above_pem + old),
                    .key_pem = made.key_pem,
                    .generation = action.generation,
                    .renewed = input.renew};
    broker::log_info(
        "controllers", "certificate authority made",
        {{"secret", to_string(ca_key(cluster, purpose))}, {"reason", action.why.message}});
    context.store.event(object, false, std::string(action.why.reason),
                        "a CA is made: " + action.why.message);
    return {};
  }
  broker::Result<void> take(const plan::PrepareCa& action) {
    ASSIGN_OR_RETURN(const pki::KeyPair made, make(action.generation));
    if (!pki::key_matches({ca.key_pem, ca.bundle_pem})) ca.key_pem.clear();
    if (!ca.next.certificate_pem.empty()) forget(ca.next.certificate_pem);
    const auto pieces = pki::split_bundle(ca.bundle_pem);
    if (!pieces.ok()) return pieces.error();
    ca.bundle_pem =
        with_first(pieces->front(), pieces->front() + made.certificate_pem + ca.bundle_pem);
    ca.bundle_pem = with_more(ca.bundle_pem, provided.above_pem);
    ca.next = made;
    ca.seen_at = 0;
    ca.renewed = input.renew;
    tell(action.why, "the next CA is made and goes to the brokers: " + action.why.message);
    return {};
  }
  broker::Result<void> take(const plan::RefreshCa& action) {
    const auto pieces = pki::split_bundle(ca.bundle_pem);
    if (!pieces.ok()) return pieces.error();
    forget(pieces->front());
    ca.bundle_pem = with_more(provided.pair.certificate_pem, provided.above_pem + ca.bundle_pem);
    ca.key_pem = provided.pair.key_pem;
    tell(action.why, action.why.message);
    return {};
  }
  broker::Result<void> take(const plan::ConfirmCa& action) {
    ca.seen_at = context.wall_now();
    tell(action.why, action.why.message);
    return {};
  }
  broker::Result<void> take(const plan::SwitchCa& action) {
    // Without the old key, or below a CA that allows it not, clients were given time instead.
    ca.cross_pem.clear();
    const auto before = pki::read_certificate(ca.bundle_pem);
    const bool is_own = before.ok() && before->subject.starts_with(input.own_prefix);
    if (purpose == CaPurpose::kCluster && !ca.key_pem.empty() && is_own) {
      auto cross =
          pki::cross_sign({ca.key_pem, ca.bundle_pem}, ca.next.certificate_pem, context.wall_now());
      if (cross.ok()) ca.cross_pem = std::move(*cross);
    }
    ca.bundle_pem = with_first(ca.next.certificate_pem, ca.bundle_pem);
    ca.key_pem = ca.next.key_pem;
    ca.next = {};
    ++ca.generation;
    ca.seen_at = 0;
    tell(action.why, action.why.message);
    return {};
  }
  broker::Result<void> take(const plan::DropCas& action) {
    ca.bundle_pem = without(ca.bundle_pem, action.indexes);
    if (plan::phase_of(observe_ca(ca)) == plan::CaPhase::kStable) {
      ca.cross_pem.clear();
      ca.seen_at = 0;
    }
    tell(action.why, action.why.message);
    return {};
  }
  void forget(const std::string& certificate_pem) {
    const auto pieces = pki::split_bundle(ca.bundle_pem);
    if (!pieces.ok()) return;
    ca.bundle_pem.clear();
    for (const std::string& piece : *pieces)
      if (piece != certificate_pem) ca.bundle_pem += piece;
  }
};

broker::Result<bool> write_ca(const Context& context, const api::Cluster& cluster,
                              CaPurpose purpose, const CaMaterial& ca) {
  const ObjectKey key = ca_key(cluster, purpose);
  const model::CaContent content{.bundle_pem = ca.bundle_pem,
                                 .key_pem = ca.key_pem,
                                 .generation = ca.generation,
                                 .next_pem = ca.next.certificate_pem,
                                 .next_key_pem = ca.next.key_pem,
                                 .cross_pem = ca.cross_pem,
                                 .seen_at = ca.seen_at,
                                 .renewed = ca.renewed};
  ASSIGN_OR_RETURN(const bool wrote,
                   context.writer.ensure(kube::kSecret, key,
                                         model::ca_secret(cluster, purpose, content).dump()));
  context.secrets.remember(key, cluster.metadata.uid,
                           {{model::kCaCertKey, ca.bundle_pem},
                            {model::kCaKeyKey, ca.key_pem},
                            {model::kNextCaCertKey, ca.next.certificate_pem},
                            {model::kNextCaKeyKey, ca.next.key_pem},
                            {model::kCrossCertKey, ca.cross_pem},
                            {kGeneration, std::to_string(ca.generation)},
                            {kSeenAt, std::to_string(ca.seen_at)},
                            {kRenewed, ca.renewed}});
  return wrote;
}

}  // namespace

std::vector<pki::CertificateFacts> certificate_facts(const std::string& bundle_pem) {
  std::vector<pki::CertificateFacts> facts;
  const auto pieces = pki::split_bundle(bundle_pem);
  if (!pieces.ok()) return facts;
  for (const std::string& pem : *pieces) {
    if (auto one = pki::read_certificate(pem); one.ok()) facts.push_back(std::move(*one));
  }
  return facts;
}

std::string chain_pem(const CaMaterial& ca) {
  const auto pieces = pki::split_bundle(ca.bundle_pem);
  const auto signing = pki::read_certificate(ca.bundle_pem);
  if (!pieces.ok() || !signing.ok() || signing->is_self_signed()) return ca.cross_pem;
  return pieces->front() + ca.cross_pem;
}

plan::ObservedCa observe_ca(const CaMaterial& ca) {
  plan::ObservedCa out{.bundle = certificate_facts(ca.bundle_pem),
                       .key_matches = pki::key_matches({ca.key_pem, ca.bundle_pem}),
                       .generation = ca.generation,
                       .seen_at = ca.seen_at,
                       .renewed = ca.renewed};
  if (auto next = pki::read_certificate(ca.next.certificate_pem); next.ok()) {
    out.next = std::move(*next);
    out.next_key_matches = pki::key_matches(ca.next);
  }
  return out;
}

std::optional<CaMaterial> read_ca(const Context& context, const api::Cluster& cluster,
                                  CaPurpose purpose) {
  const ObjectKey key = ca_key(cluster, purpose);
  const auto live = context.store.get(kube::kSecret, key);
  const SecretData data = context.secrets.recall(key, cluster.metadata.uid, live);
  const auto value = [&](const char* remembered, const char* annotation) {
    const auto found = data.find(remembered);
    if (found != data.end()) return found->second;
    return live ? std::string(live->annotation(annotation)) : std::string();
  };
  CaMaterial ca{
      .bundle_pem = value_of(data, model::kCaCertKey),
      .key_pem = value_of(data, model::kCaKeyKey),
      .next = {value_of(data, model::kNextCaKeyKey), value_of(data, model::kNextCaCertKey)},
      .cross_pem = value_of(data, model::kCrossCertKey)};
  if (ca.bundle_pem.empty()) return std::nullopt;
  const std::string generation = value(kGeneration, model::kCaGenerationAnnotation);
  ca.generation = generation.empty() ? generation_of(ca.bundle_pem) : std::atoi(generation.c_str());
  ca.seen_at = std::atoll(value(kSeenAt, model::kCaSeenAtAnnotation).c_str());
  ca.renewed = value(kRenewed, model::kCaRenewedAnnotation);
  return ca;
}

broker::Result<CaRound> ensure_ca(const Context& context, const kube::Object& object,
                                  const api::Cluster& cluster,
                                  const std::vector<plan::ObservedPod>& pods, CaPurpose purpose) {
  const std::optional<CaMaterial> known = read_ca(context, cluster, purpose);
  const auto elsewhere = known ? std::nullopt : trusted_by_brokers(context, cluster, purpose);
  plan::CaInput input;
  if (known) input.observed = observe_ca(*known);
  if (elsewhere) input.trusted_elsewhere = observe_ca(*elsewhere);
  input.renew =
      annotation_of(cluster, purpose == CaPurpose::kCluster ? model::kRenewClusterCaAnnotation
                                                            : model::kRenewUsersCaAnnotation);
  input.signs_servers = purpose == CaPurpose::kCluster;
  input.end_overlap = annotation_of(cluster, model::kEndCaOverlapAnnotation) == "true";
  input.own_prefix = "CN=" + ca_key(cluster, purpose).name + "-";
  ProvidedCaMaterial provided;
  if (ca_spec(cluster, purpose).type == api::CaType::kSecret) {
    input.wants_provided = true;
    provided = read_provided_ca(context, cluster, ca_spec(cluster, purpose).secret);
    if (auto facts = pki::read_certificate(provided.pair.certificate_pem); facts.ok())
      input.provided = std::move(*facts);
  }
  input.now = context.wall_now();
  input.leaf_validity = cluster.spec.certificates.leaf_validity;
  CaEvidence evidence = CaEvidence::kNone;
  if (known) evidence = plan::awaited_evidence(*input.observed, input.now);
  if (evidence != CaEvidence::kNone)
    input.unseen = find_unseen(context, cluster, pods, purpose, *known, evidence);

  Step step{context, object, cluster, purpose, input, std::move(provided), {}};
  if (known) step.ca = *known;
  if (elsewhere) step.ca = *elsewhere;
  const plan::CaAction action = plan::plan_ca(input);
  if (step.ca.bundle_pem.empty() && std::holds_alternative<plan::KeepCa>(action))
    return broker::Error{broker::ErrorCode::kResourceNotFound,
                         step.provided.problem ? step.provided.problem->message : "no CA"};
  RETURN_IF_ERROR(std::visit([&](const auto& one) { return step.take(one); }, action));
  CaRound round;
  ASSIGN_OR_RETURN(round.changed, write_ca(context, cluster, purpose, step.ca));
  round.ca = std::move(step.ca);
  round.problem = std::move(step.provided.problem);
  if (const auto* keep = std::get_if<plan::KeepCa>(&action)) {
    round.waiting = keep->waiting;
    round.look_again_at = keep->waiting ? input.now + 1000 : keep->look_again_at;
  } else if (plan::phase_of(observe_ca(round.ca)) != plan::CaPhase::kStable) {
    round.look_again_at = input.now + 1000;
  }
  if (input.wants_provided) {
    const broker::WallMs next_look =
        input.now + std::chrono::milliseconds(kLookAtProvidedCertificates).count();
    round.look_again_at =
        round.look_again_at == 0 ? next_look : std::min(round.look_again_at, next_look);
  }
  return round;
}

}  // namespace op::controllers
