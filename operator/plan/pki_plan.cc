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

bool is_own(const CaInput& in, const CertificateFacts& ca) {
  return ca.subject.starts_with(in.own_prefix);
}

/// Whether it is the CA that was asked for, or nothing better is to be had.
bool is_wanted(const CaInput& in, const CertificateFacts& ca) {
  if (!in.wants_provided) return is_own(in, ca);
  return !in.provided || in.provided->key_id == ca.key_id;
}

bool is_root(const CertificateFacts& ca) {
  return ca.is_self_signed() && (ca.issuer_key_id.empty() || ca.issuer_key_id == ca.key_id);
}

bool has_signed(const CertificateFacts& above, const CertificateFacts& below) {
  return below.issuer_key_id.empty() ? above.subject == below.issuer
                                     : above.key_id == below.issuer_key_id;
}

/// Indexes of what is trusted only because it was before: not the signing CA, not the next one, and
/// none of those above them.
std::vector<std::size_t> old_ones(const ObservedCa& ca) {
  std::vector<bool> needed(ca.bundle.size(), false);
  const auto keep_above = [&](const CertificateFacts& from) {
    CertificateFacts at = from;
    for (std::size_t i = 0; i < ca.bundle.size() && !is_root(at); ++i) {
      if (needed[i] || ca.bundle[i].key_id == at.key_id || !has_signed(ca.bundle[i], at)) continue;
      needed[i] = true;
      at = ca.bundle[i];
      i = static_cast<std::size_t>(-1);  // its own issuer may stand before it
    }
  };
  if (!ca.bundle.empty()) {
    needed[0] = true;
    keep_above(ca.bundle[0]);
  }
  if (ca.next) {
    keep_above(*ca.next);
    for (std::size_t i = 0; i < ca.bundle.size(); ++i)
      if (ca.bundle[i].key_id == ca.next->key_id) needed[i] = true;
  }
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < needed.size(); ++i)
    if (!needed[i]) out.push_back(i);
  return out;
}

/// Why the signing CA must be replaced.
std::optional<Verdict> ca_is_outdated(const CaInput& in, const ObservedCa& ca) {
  const CertificateFacts& signing = ca.bundle.front();
  if (in.wants_provided) {
    if (is_wanted(in, signing)) return std::nullopt;
    return Verdict{reason::kCaChanged, "the user's Secret holds " + in.provided->subject};
  }
  if (!is_own(in, signing))
    return Verdict{reason::kCaChanged, "a managed CA was asked for after " + signing.subject};
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
  return in.signs_servers &&
         (!ca.key_matches || ca.bundle.front().path_length == 0 || !is_own(in, ca.bundle.front()));
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
  all.indexes = old_ones(ca);
  for (const std::size_t i : all.indexes)
    if (has_ended(ca.bundle[i], in.now)) ended.indexes.push_back(i);
  if (all.indexes.empty()) return KeepCa{};
  if (!ended.indexes.empty()) {
    ended.why = {reason::kCaRotated, ca.bundle[ended.indexes.front()].subject + " has ended"};
    return ended;
  }
  const std::string& signing = ca.bundle.front().subject;
  const std::string& old = ca.bundle[all.indexes.front()].subject;
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
    for (const std::size_t i : all.indexes) first = std::min(first, ca.bundle[i].not_after);
    return KeepCa{std::nullopt, first};
  }
  all.why = {reason::kCaRotated, old + " is not trusted any more"};
  return all;
}

std::optional<std::string> unfit_itself(const CertificateFacts& facts, bool key_matches,
                                        WallMs now) {
  if (!key_matches) return "its key does not belong to its certificate";
  if (has_ended(facts, now)) return "its certificate ended " + to_timestamp(facts.not_after);
  if (facts.not_before > now)
    return "its certificate is not valid before " + to_timestamp(facts.not_before);
  return std::nullopt;
}

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

/// As clients compare (RFC 6125): a wildcard is the whole leftmost label.
bool names_host(const std::string& pattern, const std::string& host) {
  const std::string name = lower_case(pattern);
  const std::string dialled = lower_case(host);
  if (!name.starts_with("*.")) return name == dialled;
  const auto dot = dialled.find('.');
  return dot != std::string::npos && dot > 0 && name.substr(1) == dialled.substr(dot);
}

}  // namespace

CaAction plan_ca(const CaInput& in) {
  const std::optional<ObservedCa>& ca = in.observed ? in.observed : in.trusted_elsewhere;
  const bool can_make = !in.wants_provided || in.provided;
  if (!ca || ca->bundle.empty()) {
    if (!can_make) return KeepCa{};
    return MakeCa{ca ? ca->generation + 1 : 1, false, {reason::kCaMissing, "there is no CA yet"}};
  }
  const int next = ca->generation + 1;
  const CertificateFacts& signing = ca->bundle.front();
  if (in.provided && in.provided->key_id == signing.key_id &&
      (in.provided->serial != signing.serial || !ca->key_matches))
    return RefreshCa{{reason::kCaChanged, "the user's Secret holds " + signing.subject + " anew"}};
  const bool is_useless = !signing.is_ca || has_ended(signing, in.now);
  const bool has_next = ca->next && ca->next_key_matches && ca->next->is_ca &&
                        !has_ended(*ca->next, in.now) && is_wanted(in, *ca->next);
  if (has_next) return plan_switch(in, *ca);
  if (is_useless && !can_make) return KeepCa{};
  // Nothing that it signed is accepted anywhere: there is nobody to wait for.
  if (is_useless) return MakeCa{next, true, {reason::kCaExpiring, signing.subject + " has ended"}};
  if (ca->next && !can_make) return KeepCa{};
  if (ca->next)
    return PrepareCa{next, {reason::kCaChanged, ca->next->subject + " is not to be used"}};
  if (auto why = ca_is_outdated(in, *ca)) return PrepareCa{next, *std::move(why)};
  return plan_drop(in, *ca);
}

CaEvidence awaited_evidence(const ObservedCa& ca, WallMs now) {
  if (ca.bundle.empty() || ca.seen_at != 0 || has_ended(ca.bundle.front(), now))
    return CaEvidence::kNone;
  if (ca.next) return CaEvidence::kTrustsNext;
  return old_ones(ca).empty() ? CaEvidence::kNone : CaEvidence::kServesSigned;
}

CaPhase phase_of(const ObservedCa& ca) {
  if (ca.next) return CaPhase::kDistributing;
  if (old_ones(ca).empty()) return CaPhase::kStable;
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

std::optional<std::string> unfit(const ProvidedCa& ca, WallMs now) {
  if (auto why = unfit_itself(ca.facts, ca.key_matches, now)) return why;
  if (!ca.facts.is_ca) return "its certificate is not one of a CA (basicConstraints)";
  if (ca.facts.key_id.empty()) return "its certificate has no subject key identifier";
  ObservedCa chain{.bundle = {ca.facts}};
  chain.bundle.insert(chain.bundle.end(), ca.others.begin(), ca.others.end());
  const std::vector<std::size_t> unneeded = old_ones(chain);
  const bool whole =
      is_root(ca.facts) || std::any_of(ca.others.begin(), ca.others.end(), [&](const auto& other) {
        const auto i = static_cast<std::size_t>(&other - ca.others.data()) + 1;
        return is_root(other) && std::find(unneeded.begin(), unneeded.end(), i) == unneeded.end();
      });
  if (!whole) return "ca.crt does not hold the root above " + ca.facts.subject;
  return std::nullopt;
}

std::optional<std::string> unfit(const ProvidedLeaf& leaf, WallMs now) {
  const CertificateFacts& facts = leaf.facts;
  if (auto why = unfit_itself(facts, leaf.key_matches, now)) return why;
  for (const std::string& host : leaf.hosts) {
    const auto names = [&host](const std::string& name) { return names_host(name, host); };
    const bool named = std::any_of(facts.dns_names.begin(), facts.dns_names.end(), names) ||
                       std::find(facts.ip_addresses.begin(), facts.ip_addresses.end(), host) !=
                           facts.ip_addresses.end();
    if (!named) return "its certificate does not name " + host + ", which clients dial";
  }
  return std::nullopt;
}

std::string ca_common_name(const std::string& secret_name, int generation) {
  return secret_name + "-" + std::to_string(generation);
}

}  // namespace op::plan
