#include "operator/plan/pki_plan.h"

#include <algorithm>

namespace op::plan {

using broker::WallMs;
using pki::CertificateFacts;

namespace {

namespace reason = api::reason;

constexpr std::chrono::hours kLongestOverlap{24 * 30};

WallMs life_of(const CertificateFacts& facts) { return facts.not_after - facts.not_before; }
WallMs in_ms(std::chrono::seconds duration) { return std::chrono::milliseconds(duration).count(); }

bool has_ended(const CertificateFacts& facts, WallMs now) { return facts.not_after <= now; }

/// A CA signs as long as a full leaf fits into what is left of it, but for two thirds of its life
/// at least.
bool ca_is_ending(const CertificateFacts& ca, WallMs now, std::chrono::seconds leaf_validity) {
  return ca.not_after - now < std::min(in_ms(leaf_validity), life_of(ca) / 3);
}

/// Why the signing CA must be replaced.
std::optional<Verdict> ca_is_outdated(const CaInput& in, const ObservedCa& ca) {
  const CertificateFacts& signing = ca.bundle.front();
  if (!in.observed)
    return Verdict{reason::kCaMissing,
                   "the Secret of " + signing.subject + " is gone, and its key"};
  if (!ca.key_matches)
    return Verdict{reason::kCaChanged, "the key does not belong to " + signing.subject};
  if (ca_is_ending(signing, in.now, in.leaf_validity))
    return Verdict{reason::kCaExpiring,
                   signing.subject + " ends " + to_timestamp(signing.not_after)};
  if (!in.renew.empty() && in.renew != ca.renewed)
    return Verdict{reason::kCaRenewalAsked, "a CA after " + signing.subject + " was asked for"};
  return std::nullopt;
}

/// Clients that trust the old CA only accept what the next one signs, because the old one vouches
/// for it. Where that cannot be, they take the new ca.crt first.
bool clients_come_first(const CaInput& in, const ObservedCa& ca) {
  return in.signs_servers && (!ca.key_matches || ca.bundle.front().path_length == 0);
}

CaAction plan_switch(const CaInput& in, const ObservedCa& ca) {
  const CertificateFacts& signing = ca.bundle.front();
  const std::string& next = ca.next->subject;
  if (has_ended(signing, in.now))
    return SwitchCa{{reason::kCaExpiring, signing.subject + " has ended; " + next + " signs"}};
  if (ca.seen_at == 0) {
    if (in.unseen)
      return KeepCa{
          Verdict{reason::kCaRotating, next + " signs when every broker trusts it; " + *in.unseen},
          0};
    if (clients_come_first(in, ca))
      return ConfirmCa{{reason::kCaRotating, "every broker trusts " + next}};
    return SwitchCa{{reason::kCaRotating, "every broker trusts " + next + ", which signs now"}};
  }
  const WallMs due = ca.seen_at + in_ms(ca_overlap(in.leaf_validity));
  if (in.now < due && !in.end_overlap) return KeepCa{std::nullopt, due};
  return SwitchCa{{reason::kCaRotating, next + " signs now"}};
}

/// Certificates of the bundle behind the signing one.
CaAction plan_drop(const CaInput& in, const ObservedCa& ca) {
  DropCas ended;
  DropCas all;
  for (std::size_t i = 1; i < ca.bundle.size(); ++i) {
    all.indexes.push_back(i);
    if (has_ended(ca.bundle[i], in.now)) ended.indexes.push_back(i);
  }
  if (all.indexes.empty()) return KeepCa{};
  if (!ended.indexes.empty()) {
    ended.why = {reason::kCaRotated, ca.bundle[ended.indexes.front()].subject + " has ended"};
    return ended;
  }
  const std::string& signing = ca.bundle.front().subject;
  const std::string& old = ca.bundle[1].subject;
  if (ca.seen_at == 0) {
    if (in.unseen)
      return KeepCa{Verdict{reason::kCaRotating, old +
                                                     " is trusted until every broker has a "
                                                     "certificate of " +
                                                     signing + "; " + *in.unseen},
                    0};
    return ConfirmCa{
        {reason::kCaRotating, "certificates are of " + signing + "; " + old + " is trusted until " +
                                  to_timestamp(in.now + in_ms(ca_overlap(in.leaf_validity)))}};
  }
  const WallMs due = ca.seen_at + in_ms(ca_overlap(in.leaf_validity));
  if (in.now < due && !in.end_overlap) {
    WallMs first = due;
    for (std::size_t i = 1; i < ca.bundle.size(); ++i)
      first = std::min(first, ca.bundle[i].not_after);
    return KeepCa{std::nullopt, first};
  }
  all.why = {reason::kCaRotated, old + " is not trusted any more"};
  return all;
}

}  // namespace

CaAction plan_ca(const CaInput& in) {
  const std::optional<ObservedCa>& ca = in.observed ? in.observed : in.trusted_elsewhere;
  if (!ca) return MakeCa{1, false, {reason::kCaMissing, "there is no CA yet"}};
  const int next = ca->generation + 1;
  if (ca->bundle.empty())
    return MakeCa{next, false, {reason::kCaMissing, "the Secret holds no certificate"}};
  const CertificateFacts& signing = ca->bundle.front();
  const bool is_useless = !signing.is_ca || has_ended(signing, in.now);
  const bool has_next =
      ca->next && ca->next_key_matches && ca->next->is_ca && !has_ended(*ca->next, in.now);
  if (has_next) return plan_switch(in, *ca);
  // Nothing that it signed is accepted anywhere: there is nobody to wait for.
  if (is_useless) return MakeCa{next, true, {reason::kCaExpiring, signing.subject + " has ended"}};
  if (ca->next) return PrepareCa{next, {reason::kCaChanged, ca->next->subject + " cannot be used"}};
  if (auto why = ca_is_outdated(in, *ca)) return PrepareCa{next, *std::move(why)};
  return plan_drop(in, *ca);
}

CaEvidence awaited_evidence(const ObservedCa& ca, WallMs now) {
  if (ca.bundle.empty() || ca.seen_at != 0 || has_ended(ca.bundle.front(), now))
    return CaEvidence::kNone;
  if (ca.next) return CaEvidence::kTrustsNext;
  return ca.bundle.size() > 1 ? CaEvidence::kServesSigned : CaEvidence::kNone;
}

CaPhase phase_of(const ObservedCa& ca) {
  if (ca.next) return CaPhase::kDistributing;
  if (ca.bundle.size() < 2) return CaPhase::kStable;
  return ca.seen_at == 0 ? CaPhase::kReissuing : CaPhase::kOverlap;
}

std::chrono::seconds ca_overlap(std::chrono::seconds leaf_validity) {
  return std::min<std::chrono::seconds>(leaf_validity, kLongestOverlap);
}

std::optional<Verdict> leaf_is_outdated(const LeafInput& in) {
  if (!in.observed) return Verdict{reason::kCertificateMissing, "there is no usable certificate"};
  const CertificateFacts& leaf = *in.observed;
  const bool is_of_other =
      !in.other_issuer_key_id.empty() && leaf.issuer_key_id == in.other_issuer_key_id;
  if (leaf.issuer_key_id != in.ca.key_id && !is_of_other)
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
