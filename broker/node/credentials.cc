#include "broker/node/credentials.h"

#include "broker/security/delegation_token.h"

namespace broker::node {
Credentials::Credentials(const config::BrokerConfig& config,
                         const io::Published<handlers::ClusterState>& state)
    : state_(state), token_secret_key_(config.delegation_token_secret_key) {
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

std::optional<Credentials::Token> Credentials::token(security::ScramMechanism mechanism,
                                                     std::string_view token_id) const {
  if (token_secret_key_.empty()) return std::nullopt;
  const auto state = state_.get();
  const auto& tokens = state->image->delegation_tokens;
  const std::string id(token_id);
  const auto* stored = tokens.find(id);
  if (stored == nullptr) return std::nullopt;
  const auto owner = security::parse_principal(stored->owner);
  if (!owner.ok()) return std::nullopt;
  const TokenKey key(id, mechanism);
  const auto known = tokens_.get();
  if (const auto* credential = known->find(key))
    return Token{owner->name, stored->expires, *credential};
  const auto hmac = security::delegation_token_hmac(token_secret_key_, id);
  auto credential = security::delegation_token_credential(mechanism, hmac);
  // Those of tokens that are gone are dropped when there are more of them than of others.
  TokenCredentials kept = *known;
  if (known->size() > 4 * tokens.size()) {
    kept = {};
    for (const auto& [other, theirs] : *known)
      if (tokens.contains(other.first)) kept.set(other, theirs);
  }
  kept.set(key, credential);
  tokens_.set(std::make_shared<const TokenCredentials>(std::move(kept)));
  return Token{owner->name, stored->expires, std::move(credential)};
}

std::optional<std::string> Credentials::plain_password(std::string_view user) const {
  const auto found = plain_users_.find(user);
  return found == plain_users_.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace broker::node
