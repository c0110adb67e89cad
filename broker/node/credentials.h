#pragma once

#include <map>
#include <string>

#include "broker/common/persistent_map.h"
#include "broker/config/broker_config.h"
#include "broker/handlers/services.h"
#include "broker/io/published.h"
#include "broker/security/sasl.h"

namespace broker::node {

/// Users as the listeners authenticate them: SCRAM and delegation tokens from the newest image,
/// PLAIN from server.properties. Any strand.
class Credentials final : public security::CredentialStore {
 public:
  Credentials(const config::BrokerConfig& config,
              const io::Published<handlers::ClusterState>& state);

  std::optional<security::ScramCredential> scram(security::ScramMechanism mechanism,
                                                 std::string_view user) const override;
  std::optional<std::string> plain_password(std::string_view user) const override;
  /// Computed when a token is first used here (1 to 2 ms of the strand on which it logs in), and
  /// kept.
  std::optional<Token> token(security::ScramMechanism mechanism,
                             std::string_view token_id) const override;

 private:
  using TokenKey = std::pair<std::string, security::ScramMechanism>;
  using TokenCredentials = PersistentMap<TokenKey, security::ScramCredential>;

  const io::Published<handlers::ClusterState>& state_;
  std::map<std::string, std::string, std::less<>> plain_users_;
  const std::string token_secret_key_;
  /// Strands that add at the same time may undo each other's: then it is computed again.
  mutable io::Published<TokenCredentials> tokens_{std::make_shared<const TokenCredentials>()};
};

}  // namespace broker::node
