#include "operator/controllers/provided_ca.h"

#include <vector>

#include "operator/plan/pki_plan.h"

namespace op::controllers {
namespace {

broker::Error unusable(std::string why) {
  return broker::Error{broker::ErrorCode::kInvalidRequest, std::move(why)};
}

broker::Result<ProvidedCaMaterial> use_ca(const Context& context, const SecretData& data) {
  const bool is_tls = data.contains("tls.crt") || data.contains("tls.key");
  const std::string certificate_key = is_tls ? "tls.crt" : "ca.crt";
  const std::string private_key = is_tls ? "tls.key" : "ca.key";
  for (const std::string& key : {certificate_key, private_key})
    if (value_of(data, key).empty()) return unusable("it has no " + key);
  auto certificates = pki::split_bundle(value_of(data, certificate_key));
  if (!certificates.ok()) return unusable(certificate_key + " is " + certificates.error().detail);
  std::vector<std::string> above(certificates->begin() + 1, certificates->end());
  if (const std::string roots = value_of(data, "ca.crt"); is_tls && !roots.empty()) {
    const auto more = pki::split_bundle(roots);
    if (!more.ok()) return unusable("ca.crt is " + more.error().detail);
    for (const std::string& one : *more)
      if (one != certificates->front()) above.push_back(one);
  }
  ProvidedCaMaterial out;
  out.pair = {value_of(data, private_key), certificates->front()};
  plan::ProvidedCa judged{.key_matches = pki::key_matches(out.pair)};
  ASSIGN_OR_RETURN(judged.facts, pki::read_certificate(out.pair.certificate_pem));
  for (const std::string& one : above) {
    ASSIGN_OR_RETURN(auto facts, pki::read_certificate(one));
    judged.others.push_back(std::move(facts));
    out.above_pem += one;
  }
  if (const auto why = plan::unfit(judged, context.wall_now())) return unusable(*why);
  return out;
}

}  // namespace

ProvidedCaMaterial read_provided_ca(const Context& context, const api::Cluster& cluster,
                                    const std::string& secret) {
  const ObjectKey key{cluster.metadata.namespace_, secret};
  const auto found = context.store.read(kube::kSecret, key);
  ProvidedCaMaterial out;
  if (!found.ok()) {
    const bool absent = found.code() == broker::ErrorCode::kResourceNotFound;
    out.problem = plan::Verdict{
        api::reason::kSecretNotFound,
        "CA Secret " + to_string(key) +
            (absent ? " does not exist" : " cannot be read: " + found.error().detail)};
    return out;
  }
  auto used = use_ca(context, secret_data(**found));
  if (used.ok()) return std::move(*used);
  out.problem = plan::Verdict{
      api::reason::kSecretInvalid,
      "CA Secret " + to_string(key) + ": " + used.error().detail + "; the CA before still signs"};
  return out;
}

}  // namespace op::controllers
