#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/controllers/context.h"
#include "operator/model/secrets.h"
#include "operator/pki/certificates.h"
#include "operator/plan/cluster_plan.h"
#include "operator/plan/pki_plan.h"

namespace op::controllers {

/// A CA as its Secret holds it.
struct CaMaterial {
  std::string bundle_pem;  // all that is trusted, the signing CA first
  std::string key_pem;     // "": lost
  int generation = 0;
  pki::KeyPair next;      // the CA that signs once every broker trusts it; empty: none
  std::string cross_pem;  // goes with the leaves: the signing CA, vouched for by the one before
  broker::WallMs seen_at = 0;
  std::string renewed;

  /// Who signs now. The next CA where the key of the first is lost.
  pki::KeyPair signer() const {
    return key_pem.empty() && !next.key_pem.empty() ? next : pki::KeyPair{key_pem, bundle_pem};
  }
  bool operator==(const CaMaterial&) const = default;
};
/// What goes along with a leaf: the signing CA where it is not a root, and what vouches for it.
std::string chain_pem(const CaMaterial& ca);

/// The CA as it is now; nullopt when there is none yet.
std::optional<CaMaterial> read_ca(const Context& context, const api::Cluster& cluster,
                                  model::CaPurpose purpose);
plan::ObservedCa observe_ca(const CaMaterial& ca);
std::vector<pki::CertificateFacts> certificate_facts(const std::string& bundle_pem);

struct CaRound {
  CaMaterial ca;
  std::optional<plan::Verdict> waiting;  // for what the next step of a rotation waits
  std::optional<plan::Verdict> problem;  // the CA that the user gives cannot be used
  broker::WallMs look_again_at = 0;      // 0: no step comes by time alone
  bool changed = false;
};
/// One step towards the CA that should be there: made when missing, followed by the next one in
/// steps (plan/pki_plan.h), its Secret written again with the same content when deleted by hand.
broker::Result<CaRound> ensure_ca(const Context& context, const kube::Object& object,
                                  const api::Cluster& cluster,
                                  const std::vector<plan::ObservedPod>& pods,
                                  model::CaPurpose purpose);

}  // namespace op::controllers
