#include "operator/plan/pki_plan.h"

#include <algorithm>

namespace op::plan {

using broker::WallMs;
using pki::CertificateFacts;

namespace {

namespace reason = api::reason;

WallMs life_of(const CertificateFacts& facts) { return facts.not_after - facts.not_before; }

/// A CA signs as long as a full leaf fits into what is left of it, but for two thirds of its life
/// at least.
bool ca_is_ending(const CertificateFacts& ca, WallMs now, std::chrono::seconds leaf_validity) {
  const WallMs leaf = std::chrono::milliseconds(leaf_validity).count();
  return ca.not_after - now < std::min(leaf, life_of(ca) / 3);
}

}  // namespace

CaAction plan_ca(const std::optional<ObservedCa>& observed,
                 const std::optional<ObservedCa>& trusted_elsewhere, WallMs now,
                 std::chrono::seconds leaf_validity) {
  if (!observed) {
    if (!trusted_elsewhere || trusted_elsewhere->bundle.empty())
      return MakeCa{1, false, {reason::kCaMissing, "there is no CA yet"}};
    return MakeCa{trusted_elsewhere->generation + 1,
                  true,
                  {reason::kCaMissing, "the Secret of the CA is gone; its key is unknown"}};
  }
  const int next = observed->generation + 1;
  if (observed->bundle.empty())
    return MakeCa{next, false, {reason::kCaMissing, "the Secret holds no certificate"}};
  if (!observed->key_matches)
    return MakeCa{next, true, {reason::kCaChanged, "the key does not belong to the certificate"}};
  const CertificateFacts& signing = observed->bundle.front();
  if (!signing.is_ca || ca_is_ending(signing, now, leaf_validity))
    return MakeCa{next, true, {reason::kCaExpiring, signing.subject + " is about to end"}};
  TrimCa trim;
  for (std::size_t i = 1; i < observed->bundle.size(); ++i)
    if (observed->bundle[i].not_after <= now) trim.ended.push_back(i);
  if (!trim.ended.empty()) return trim;
  return KeepCa{};
}

std::optional<Verdict> leaf_is_outdated(const LeafInput& in) {
  if (!in.observed) return Verdict{reason::kCertificateMissing, "there is no usable certificate"};
  const CertificateFacts& leaf = *in.observed;
  if (leaf.issuer_key_id != in.ca.key_id)
    return Verdict{reason::kCaChanged, "was signed by " + leaf.issuer + ", wants " + in.ca.subject};
  if (leaf.subject != "CN=" + in.common_name)
    return Verdict{reason::kCertificateNamesChanged,
                   "is for " + leaf.subject + ", wants CN=" + in.common_name};
  if (leaf.dns_names != in.dns_names || leaf.ip_addresses != in.ip_addresses)
    return Verdict{reason::kCertificateNamesChanged, "does not name the addresses of today"};
  if (renew_at(leaf) <= in.now)
    return Verdict{reason::kCertificateExpiring, "ends " + to_timestamp(leaf.not_after)};
  return std::nullopt;
}

WallMs renew_at(const CertificateFacts& leaf) { return leaf.not_after - life_of(leaf) / 3; }

std::string ca_common_name(const std::string& secret_name, int generation) {
  return secret_name + "-" + std::to_string(generation);
}

}  // namespace op::plan
