#pragma once

#include <optional>
#include <string>
#include <vector>

#include "operator/controllers/cluster_ca.h"
#include "operator/controllers/context.h"

namespace op::controllers {

struct ClusterPki {
  CaMaterial cluster_ca;
  CaMaterial users_ca;
  pki::KeyPair operator_client;
  broker::WallMs renew_at = 0;  // when something must be looked at again by time alone
  bool changed = false;         // a Secret was written: users' Secrets may follow
  api::CertificatesStatus status;
  std::optional<plan::Verdict> problem;  // a certificate of the user's that cannot be used
  std::optional<plan::Verdict> waiting;  // for what the rotation of a CA waits
};

/// Brings both CAs, each pool's Secret and the operator's own certificate to what they should be:
/// made when missing, renewed in time, written again with the same content when deleted by hand.
broker::Result<ClusterPki> ensure_cluster_pki(const Context& context, const kube::Object& object,
                                              const api::Cluster& cluster,
                                              const std::vector<plan::ObservedPod>& pods);

}  // namespace op::controllers
