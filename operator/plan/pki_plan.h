#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "broker/common/time.h"
#include "operator/pki/certificates.h"
#include "operator/plan/types.h"

namespace op::plan {

/// What is known of a CA Secret.
struct ObservedCa {
  std::vector<pki::CertificateFacts> bundle;  // signing CA first
  bool key_matches = false;
  int generation = 0;
};

struct KeepCa {
  bool operator==(const KeepCa&) const = default;
};
/// Make a CA of this generation. `keep_trusting`: the certificates of the old bundle stay in it
/// behind the new one, so that what the lost or ending CA signed is still trusted.
struct MakeCa {
  int generation = 1;
  bool keep_trusting = false;
  Verdict why;

  bool operator==(const MakeCa&) const = default;
};
/// Certificates of the bundle that have ended and go.
struct TrimCa {
  std::vector<std::size_t> ended;  // indexes into the bundle

  bool operator==(const TrimCa&) const = default;
};
using CaAction = std::variant<KeepCa, MakeCa, TrimCa>;

/// `observed` nullopt: looked, and there is none. `trusted_elsewhere`: a bundle that survived in
/// another Secret; its generation is continued with overlap.
CaAction plan_ca(const std::optional<ObservedCa>& observed,
                 const std::optional<ObservedCa>& trusted_elsewhere, broker::WallMs now,
                 std::chrono::seconds leaf_validity);

struct LeafInput {
  /// nullopt: there is no certificate, or it does not parse, or its key does not fit.
  std::optional<pki::CertificateFacts> observed;
  std::string common_name;
  std::vector<std::string> dns_names;  // sorted
  std::vector<std::string> ip_addresses;
  const pki::CertificateFacts& ca;
  broker::WallMs now = 0;
};
/// Why a certificate must be issued; nullopt: the one there is right. Renewed when a third of its
/// life is left.
std::optional<Verdict> leaf_is_outdated(const LeafInput& in);

/// When `leaf_is_outdated` will change its mind by time alone.
broker::WallMs renew_at(const pki::CertificateFacts& leaf);

/// "orders-cluster-ca-1".
std::string ca_common_name(const std::string& secret_name, int generation);

}  // namespace op::plan
