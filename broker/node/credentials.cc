#include "broker/node/credentials.h"

namespace broker::node {
Credentials::Credentials(const config::BrokerConfig& config,
                         const io::Published<handlers::ClusterState>& state)
    : state_(state) {
  for (const auto& listener : config.listeners.listeners) {
    plain_users_.insert(listener.sasl.plain_users.begin(), listener.sasl.plain_users.end());
  }
}

std::optional<security::ScramCredential> Credentials::scram(security::ScramMechanism mechanism,
                                                            std::string_view user) const {
  const auto state = state_.get();
  const auto* stored = state->image->scram.find(std::string(user), mechanism);
  return stored == nullptr ? std::nullopt : std::optional(*stored);
}

std::optional<std::string> Credentials::plain_password(std::string_view user) const {
  const auto found = plain_users_.find(user);
  return found == plain_users_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace broker::node
