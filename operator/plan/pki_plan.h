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

/// What is known of a CA's Secret. A CA is replaced in steps, so that nobody is ever shown what it
/// does not trust: the next CA is trusted by every broker (seen, not hoped) before it signs, and
/// the last one stays trusted until every broker was seen with a certificate of the new one, and
/// clients have had the time to take the new ca.crt.
struct ObservedCa {
  std::vector<pki::CertificateFacts> bundle;  // what is trusted: the signing CA first
  bool key_matches = false;
  int generation = 0;
  std::optional<pki::CertificateFacts> next;  // trusted, and signs once every broker trusts it
  bool next_key_matches = false;
  /// When every broker was seen to have what the last step brought; 0: not yet.
  broker::WallMs seen_at = 0;
  std::string renewed;  // CaInput::renew that was followed last
};

struct CaInput {
  /// nullopt: looked, and there is none.
  std::optional<ObservedCa> observed;
  /// A bundle that survived in another Secret; its generation is continued with overlap.
  std::optional<ObservedCa> trusted_elsewhere;
  /// Subjects of CAs that the operator makes begin so: "CN=orders-cluster-ca-".
  std::string own_prefix;
  bool wants_provided = false;  // the user gives the CA
  /// What he gives; nullopt: it cannot be used, and what signs goes on.
  std::optional<pki::CertificateFacts> provided;
  std::string renew;  // what the user's annotation says; another value than before: a new CA
  /// Why not every broker has been seen with what the last step brought; nullopt: each was.
  std::optional<std::string> unseen;
  bool signs_servers = false;  // else clients only, whom nobody but the brokers verifies
  bool end_overlap = false;    // the user does not want to wait for clients
  broker::WallMs now = 0;
  std::chrono::seconds leaf_validity{0};
};

/// `waiting`: a step is under way, and this is what it waits for.
struct KeepCa {
  std::optional<Verdict> waiting;
  broker::WallMs look_again_at = 0;  // when time alone brings the next step; 0: never

  bool operator==(const KeepCa&) const = default;
};
/// The same CA with another certificate or, again, with its key: taken from the user's Secret.
struct RefreshCa {
  Verdict why;

  bool operator==(const RefreshCa&) const = default;
};
/// Make a CA of this generation, or take the one that is given, that signs at once.
/// `keep_trusting`: what was trusted still is.
struct MakeCa {
  int generation = 1;
  bool keep_trusting = false;
  Verdict why;

  bool operator==(const MakeCa&) const = default;
};
/// Make or take the next CA, to be trusted and not yet to sign.
struct PrepareCa {
  int generation = 1;
  Verdict why;

  bool operator==(const PrepareCa&) const = default;
};
/// Every broker was seen with what the last step brought: note when.
struct ConfirmCa {
  Verdict why;

  bool operator==(const ConfirmCa&) const = default;
};
/// The next CA signs from now on.
struct SwitchCa {
  Verdict why;

  bool operator==(const SwitchCa&) const = default;
};
/// Certificates that are not to be trusted any more.
struct DropCas {
  std::vector<std::size_t> indexes;  // into the bundle
  Verdict why;

  bool operator==(const DropCas&) const = default;
};
using CaAction = std::variant<KeepCa, RefreshCa, MakeCa, PrepareCa, ConfirmCa, SwitchCa, DropCas>;

CaAction plan_ca(const CaInput& in);

/// What every broker has to be seen with before the next step.
enum class CaEvidence { kNone, kTrustsNext, kServesSigned };
CaEvidence awaited_evidence(const ObservedCa& ca, broker::WallMs now);

/// Where a CA stands, for status.
enum class CaPhase { kStable, kDistributing, kReissuing, kOverlap };
CaPhase phase_of(const ObservedCa& ca);

/// How long the CA before is trusted on: clients take the new ca.crt meanwhile.
std::chrono::seconds ca_overlap(std::chrono::seconds leaf_validity);

struct LeafInput {
  /// nullopt: there is no certificate, or it does not parse, or its key does not fit.
  std::optional<pki::CertificateFacts> observed;
  std::string common_name;
  std::vector<std::string> dns_names;  // sorted
  std::vector<std::string> ip_addresses;
  const pki::CertificateFacts& ca;
  broker::WallMs now = 0;
  /// Of the next CA, while it has to sign because the key of `ca` is lost; "" else.
  std::string other_issuer_key_id;
};
/// Why a certificate must be issued; nullopt: the one there is right. Renewed when a third of its
/// life is left.
std::optional<Verdict> leaf_is_outdated(const LeafInput& in);

/// When `leaf_is_outdated` will change its mind by time alone.
broker::WallMs renew_at(const pki::CertificateFacts& leaf);

/// A certificate that the user gave for a listener.
struct ProvidedLeaf {
  pki::CertificateFacts facts;
  bool key_matches = false;
  std::vector<std::string> hosts;  // what clients dial
};
/// A CA that the user gave.
struct ProvidedCa {
  pki::CertificateFacts facts;
  bool key_matches = false;
  std::vector<pki::CertificateFacts> others;  // certificates beside it: those above it
};
/// Why it cannot be used, for a person; nullopt: it can.
std::optional<std::string> unfit(const ProvidedCa& ca, broker::WallMs now);
std::optional<std::string> unfit(const ProvidedLeaf& leaf, broker::WallMs now);

/// "orders-cluster-ca-1".
std::string ca_common_name(const std::string& secret_name, int generation);

}  // namespace op::plan
