#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/common/result.h"
#include "broker/common/security_protocol.h"
#include "broker/config/config_def.h"

namespace broker::config {

using broker::SecurityProtocol;

struct HostPort {
  std::string host;  // "" listens on all addresses
  std::uint16_t port = 0;

  auto operator<=>(const HostPort&) const = default;
};

enum class SslClientAuth { kNone, kRequested, kRequired };

/// From ssl.* and listener.name.<l>.ssl.*. Only PEM stores (ssl.keystore.type=PEM):
/// ssl.keystore.location is one file with the key and the chain (leaf first),
/// ssl.truststore.location a bundle of CAs.
struct TlsSettings {
  std::string keystore_path;
  std::string truststore_path;  // "" = none
  SslClientAuth client_auth = SslClientAuth::kNone;
  std::vector<std::string> protocols;
  std::vector<std::string> cipher_suites;
  bool verify_hostname = true;  // as a client: ssl.endpoint.identification.algorithm=https
  std::string principal_mapping_rules = "DEFAULT";

  bool operator==(const TlsSettings&) const = default;
};

/// sasl.oauthbearer.* of a listener that takes OAuth tokens.
struct OAuthSettings {
  std::string jwks_url;         // http, https or file
  std::string truststore_path;  // PEM, for https; "" trusts the system's CAs
  std::int64_t refresh_ms = 3600000;
  std::int64_t retry_backoff_ms = 100;
  std::int64_t retry_backoff_max_ms = 10000;
  std::vector<std::string> expected_audience;
  std::string expected_issuer;  // "" = any
  std::int64_t clock_skew_seconds = 30;
  std::string scope_claim_name = "scope";
  std::string sub_claim_name = "sub";

  bool operator==(const OAuthSettings&) const = default;
};

struct SaslSettings {
  std::vector<std::string> enabled_mechanisms;
  std::map<std::string, std::string> plain_users;  // from listener.name.<l>.plain.sasl.jaas.config
  /// connections.max.reauth.ms by mechanism, where it is above zero.
  std::map<std::string, std::int64_t> max_reauth_ms;
  std::int32_t max_receive_size = 524288;
  std::optional<OAuthSettings> oauth;  // when OAUTHBEARER is among the mechanisms

  bool operator==(const SaslSettings&) const = default;
};

struct Listener {
  std::string name;  // upper case
  SecurityProtocol protocol = SecurityProtocol::kPlaintext;
  HostPort bind;
  HostPort advertised;  // host "" = this machine's name, port 0 = the one that binding gave
  bool is_controller = false;
  TlsSettings tls;    // when uses_tls(protocol)
  SaslSettings sasl;  // when uses_sasl(protocol)
  std::int32_t max_connections = 2147483647;

  bool operator==(const Listener&) const = default;
};

/// How this node speaks to others on one of the cluster's listeners: with its own certificate or
/// its own user.
struct PeerSettings {
  std::string listener;
  SecurityProtocol protocol = SecurityProtocol::kPlaintext;
  TlsSettings tls;             // when uses_tls(protocol); the key store is the client certificate
  std::string sasl_mechanism;  // "" when SASL is not used, or no user is configured for it
  std::string username;
  std::string password;

  bool operator==(const PeerSettings&) const = default;
};

/// Everything that the listener keys say, from the values of server.properties. Errors:
/// kInvalidConfig; the detail begins with the key's name and ": ".
struct ListenerSet {
  std::vector<Listener> listeners;  // in the order of `listeners`
  std::string inter_broker_listener;
  std::vector<std::string> controller_listeners;  // controller.listener.names, may be remote only
  PeerSettings inter_broker;                      // only on brokers
  PeerSettings controller;                        // on the first of controller_listeners
};
Result<ListenerSet> parse_listeners(const ConfigMap& values, bool is_broker, bool is_controller);

/// `name="value"` options of the first login module in a JAAS line.
Result<std::map<std::string, std::string>> parse_jaas_options(std::string_view text);

}  // namespace broker::config
