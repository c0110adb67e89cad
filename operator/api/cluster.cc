#include "operator/api/cluster.h"

#include <algorithm>

namespace op::api {

bool PoolSpec::has_role(Role role) const {
  return std::find(roles.begin(), roles.end(), role) != roles.end();
}

bool ListenerSpec::accepts(ListenerAuth type) const {
  return std::any_of(authentication.begin(), authentication.end(),
                     [type](const auto& accepted) { return accepted.type == type; });
}

bool ListenerSpec::uses_sasl() const {
  return std::any_of(authentication.begin(), authentication.end(),
                     [](const auto& accepted) { return !sasl_mechanism(accepted.type).empty(); });
}

std::string_view security_protocol(const ListenerSpec& listener) {
  if (listener.uses_sasl()) return listener.tls ? "SASL_SSL" : "SASL_PLAINTEXT";
  return listener.tls ? "SSL" : "PLAINTEXT";
}

std::string_view sasl_mechanism(ListenerAuth type) {
  switch (type) {
    case ListenerAuth::kScramSha256:
      return "SCRAM-SHA-256";
    case ListenerAuth::kScramSha512:
      return "SCRAM-SHA-512";
    case ListenerAuth::kPlain:
      return "PLAIN";
    case ListenerAuth::kOAuthBearer:
      return "OAUTHBEARER";
    case ListenerAuth::kNone:
    case ListenerAuth::kMtls:
      return {};
  }
  return {};
}

ListenerSpec default_listener() {
  ListenerSpec listener;
  listener.name = "tls";
  listener.port = 9093;
  listener.tls = ListenerTls{};
  listener.authentication = {{ListenerAuth::kScramSha512, {}}};
  return listener;
}

}  // namespace op::api
