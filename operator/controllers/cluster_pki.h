#pragma once

#include <map>
#include <optional>
#include <string>

#include "operator/controllers/context.h"
#include "operator/model/secrets.h"
#include "operator/pki/certificates.h"

namespace op::controllers {

/// A CA as its Secret holds it.
struct CaMaterial {
  std::string bundle_pem;  // the signing CA first
  std::string key_pem;
  int generation = 0;

  pki::KeyPair signer() const { return {key_pem, bundle_pem}; }
  bool operator==(const CaMaterial&) const = default;
};

/// The CA as it is now; nullopt when there is none yet.
std::optional<CaMaterial> read_ca(const Context& context, const api::Cluster& cluster,
                                  model::CaPurpose purpose);

struct ClusterPki {
  CaMaterial cluster_ca;
  CaMaterial users_ca;
  pki::KeyPair operator_client;
  broker::WallMs renew_at = 0;  // when something must be looked at again by time alone
  bool changed = false;         // a Secret was written: users' Secrets may follow
};

/// Brings both CAs, each pool's Secret and the operator's own certificate to what they should be:
/// made when missing, renewed in time, written again with the same content when deleted by hand.
broker::Result<ClusterPki> ensure_cluster_pki(const Context& context, const api::Cluster& cluster);

}  // namespace op::controllers
