#pragma once

#include <optional>
#include <string>

#include "operator/api/user.h"
#include "operator/controllers/context.h"
#include "operator/model/secrets.h"

namespace op::controllers {

/// What a User's Secret is made of, gathered or made anew.
struct UserMaterial {
  std::optional<std::string> password;            // SCRAM
  std::optional<plan::Verdict> password_problem;  // why there is none
  std::optional<plan::Verdict> conflict;          // the Secret's name is somebody else's
  std::vector<model::ClientListener> listeners;
  SecretData have;  // keys of the Secret as it is or was
};

/// Reads; generates a password only in memory (it counts once the Secret is written).
UserMaterial gather_user_material(const Context& context, const api::User& user,
                                  const Target& target);

struct WrittenSecret {
  bool wrote = false;
  std::optional<api::Timestamp> certificate_expires;
  broker::WallMs renew_at = 0;  // 0: nothing ends by time
};
/// Writes the Secret with everything that a client needs to run from it alone. Errors:
/// kResourceNotFound while the cluster's CA is not there yet.
broker::Result<WrittenSecret> ensure_user_secret(const Context& context, const api::User& user,
                                                 const Target& target,
                                                 const UserMaterial& material);

}  // namespace op::controllers
