#pragma once

#include <map>
#include <string>

#include "broker/config/broker_config.h"
#include "broker/handlers/services.h"
#include "broker/io/published.h"
#include "broker/security/sasl.h"

namespace broker::node {

/// Users as the listeners authenticate them: SCRAM from the newest image, PLAIN from
/// server.properties. Any strand.
class Credentials final : public security::CredentialStore {
 public:
  Credentials(const config::BrokerConfig& config,
              const io::Published<handlers::ClusterState>& state);

  std::optional<security::ScramCredential> scram(security::ScramMechanism mechanism,
                                                 std::string_view user) const override;
  std::optional<std::string> plain_password(std::string_view user) const override;

 private:
  const io::Published<handlers::ClusterState>& state_;
  std::map<std::string, std::string, std::less<>> plain_users_;
};

}  // namespace broker::node
