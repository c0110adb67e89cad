#include "broker/config/listeners.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "broker/config/text.h"

namespace broker::config {
namespace {

std::string broker_value(const ConfigMap& values, std::string_view key) {
  if (const auto it = values.find(key); it != values.end()) return it->second;
  const ConfigKey* known = ConfigDef::broker().find(key);
  return known != nullptr ? known->default_value.value_or("") : "";
}

/// The listener's own value of a key, else the general one, else the default.
struct ListenerValues {
  const ConfigMap& values;
  std::string prefix;  // "listener.name.internal."

  std::string get(std::string_view key) const {
    if (const auto it = values.find(prefix + std::string(key)); it != values.end())
      return it->second;
    return broker_value(values, key);
  }
  std::string name_of(std::string_view key) const {
    return values.contains(prefix + std::string(key)) ? prefix + std::string(key)
                                                      : std::string(key);
  }
};

struct NamedEndpoint {
  std::string name;
  HostPort endpoint;
};

Result<NamedEndpoint> parse_endpoint(std::string_view key, const std::string& text,
                                     bool allow_port_zero) {
  const std::string shape = "'" + text + "' is not a listener (allowed: NAME://host:port)";
  const auto scheme = text.find("://");
  const auto colon = text.rfind(':');
  if (scheme == text.npos || scheme == 0 || colon < scheme + 3) return bad_value(key, shape);
  NamedEndpoint out;
  out.name = upper(trim(text.substr(0, scheme)));
  std::string host = text.substr(scheme + 3, colon - scheme - 3);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  else if (host.find(':') != host.npos)
    return bad_value(key, shape + "; IPv6 addresses need brackets");
  const std::string port = text.substr(colon + 1);
  const auto [end, error] =
      std::from_chars(port.data(), port.data() + port.size(), out.endpoint.port);
  if (error != std::errc() || end != port.data() + port.size())
    return bad_value(key, "'" + text + "' needs a port (allowed: 0..65535)");
  if (out.endpoint.port == 0 && !allow_port_zero)
    return bad_value(key, "'" + text + "' needs a port other than 0");
  out.endpoint.host = std::move(host);
  return out;
}

Result<std::vector<NamedEndpoint>> parse_endpoints(std::string_view key, std::string_view text,
                                                   bool allow_port_zero) {
  std::vector<NamedEndpoint> out;
  std::set<std::string> names;
  for (const std::string& element : to_list(text)) {
    ASSIGN_OR_RETURN(NamedEndpoint endpoint, parse_endpoint(key, element, allow_port_zero));
    if (!names.insert(endpoint.name).second)
      return bad_value(key, "Each listener must have a different name, but " + endpoint.name +
                                " is there twice: " + std::string(text));
    out.push_back(std::move(endpoint));
  }
  return out;
}

using ProtocolMap = std::map<std::string, SecurityProtocol>;

Result<ProtocolMap> parse_protocol_map(const ConfigMap& values,
                                       const std::vector<std::string>& controller_names) {
  constexpr std::string_view kKey = "listener.security.protocol.map";
  ProtocolMap map;
  for (const std::string& pair : to_list(broker_value(values, kKey))) {
    const auto colon = pair.find(':');
    const auto protocol =
        parse_security_protocol(colon == pair.npos ? "" : trim(pair.substr(colon + 1)));
    if (colon == pair.npos || !protocol.ok())
      return bad_value(kKey, "'" + pair +
                                 "' is not NAME:PROTOCOL (allowed: PLAINTEXT, SSL, "
                                 "SASL_PLAINTEXT, SASL_SSL)");
    map[upper(trim(pair.substr(0, colon)))] = *protocol;
  }
  // As Kafka: without a map of one's own the controller's listener is plaintext.
  if (!values.contains(kKey))
    for (const std::string& name : controller_names)
      map.emplace(name, SecurityProtocol::kPlaintext);
  return map;
}

Result<TlsSettings> parse_tls(const ListenerValues& of) {
  for (const std::string_view key : {"ssl.keystore.key", "ssl.keystore.certificate.chain",
                                     "ssl.truststore.certificates", "ssl.key.password"})
    if (!of.get(key).empty())
      return bad_value(
          of.name_of(key),
          "not supported; give a PEM file without a password in ssl.keystore.location and "
          "ssl.truststore.location");
  TlsSettings tls;
  tls.keystore_path = of.get("ssl.keystore.location");
  tls.truststore_path = of.get("ssl.truststore.location");
  if (tls.keystore_path.empty())
    return bad_value(of.name_of("ssl.keystore.location"),
                     "a TLS listener needs a PEM file that holds its key and certificate chain");
  for (const std::string_view store : {"keystore", "truststore"}) {
    const std::string type = "ssl." + std::string(store) + ".type";
    if (!of.get("ssl." + std::string(store) + ".location").empty() && upper(of.get(type)) != "PEM")
      return bad_value(of.name_of(type), "'" + of.get(type) + "' is not supported (allowed: PEM)");
  }
  const std::string auth = of.get("ssl.client.auth");
  if (auth == "required") {
    tls.client_auth = SslClientAuth::kRequired;
  } else if (auth == "requested") {
    tls.client_auth = SslClientAuth::kRequested;
  } else if (auth != "none") {
    return bad_value(of.name_of("ssl.client.auth"),
                     "'" + auth + "' is not known (allowed: required, requested, none)");
  }
  if (tls.client_auth != SslClientAuth::kNone && tls.truststore_path.empty())
    return bad_value(of.name_of("ssl.truststore.location"),
                     "ssl.client.auth=" + auth + " needs a PEM file with the CAs to trust");
  tls.protocols = to_list(of.get("ssl.enabled.protocols"));
  for (const std::string& protocol : tls.protocols)
    if (protocol != "TLSv1.2" && protocol != "TLSv1.3")
      return bad_value(of.name_of("ssl.enabled.protocols"),
                       "'" + protocol + "' is not supported (allowed: TLSv1.2, TLSv1.3)");
  tls.cipher_suites = to_list(of.get("ssl.cipher.suites"));
  tls.verify_hostname = !of.get("ssl.endpoint.identification.algorithm").empty();
  tls.principal_mapping_rules = of.get("ssl.principal.mapping.rules");
  return tls;
}

/// user_alice="secret" of the PLAIN login module.
Result<std::map<std::string, std::string>> parse_plain_users(const ListenerValues& of) {
  std::string key = "plain.sasl.jaas.config";
  std::string text = of.get(key);
  if (text.empty()) text = of.get(key = "sasl.jaas.config");
  std::map<std::string, std::string> users;
  if (text.empty()) return users;
  auto options = parse_jaas_options(text);
  if (!options.ok()) return bad_value(of.name_of(key), options.error().detail);
  constexpr std::string_view kUser = "user_";
  for (const auto& [name, password] : *options)
    if (name.rfind(kUser, 0) == 0) users[name.substr(kUser.size())] = password;
  return users;
}

constexpr std::string_view kOAuthBearer = "OAUTHBEARER";

/// A key of OAUTHBEARER: the mechanism's own value ("listener.name.l.oauthbearer.<key>"), else the
/// listener's, else the broker's.
struct OAuthValues {
  const ListenerValues& of;

  std::string own_key(std::string_view key) const { return "oauthbearer." + std::string(key); }
  std::string name_of(std::string_view key) const {
    const std::string own = of.prefix + own_key(key);
    return of.values.contains(own) ? own : of.name_of(key);
  }
  Result<std::string> get(std::string_view key) const {
    const auto own = of.values.find(of.prefix + own_key(key));
    const std::string text(trim(own == of.values.end() ? of.get(key) : own->second));
    const ConfigKey* known = ConfigDef::broker().find(key);
    if (known != nullptr && !text.empty())
      if (const auto valid = validate(*known, text); !valid.ok())
        return bad_value(name_of(key), valid.error().detail);
    return text;
  }
  Result<std::int64_t> number(std::string_view key) const {
    ASSIGN_OR_RETURN(const std::string text, get(key));
    return to_integer(text);
  }
};

/// Java's names of what we do ourselves. Kafka's default would take unsigned tokens.
Result<void> check_oauth_classes(const OAuthValues& of) {
  constexpr std::string_view kPackage = "org.apache.kafka.common.security.oauthbearer.";
  const std::vector<std::pair<std::string_view, std::vector<std::string>>> allowed{
      {"sasl.server.callback.handler.class",
       {"OAuthBearerValidatorCallbackHandler", "secured.OAuthBearerValidatorCallbackHandler"}},
      {"sasl.oauthbearer.jwt.validator.class", {"DefaultJwtValidator", "BrokerJwtValidator"}}};
  for (const auto& [key, names] : allowed) {
    ASSIGN_OR_RETURN(const std::string given, of.get(key));
    if (given.empty()) continue;
    const bool known = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
      return given == std::string(kPackage) + name;
    });
    if (!known)
      return bad_value(of.name_of(key), "'" + given + "' is not supported (allowed: " +
                                            std::string(kPackage) + names.front() + ")");
  }
  return {};
}

Result<std::optional<OAuthSettings>> parse_oauth(const ListenerValues& listener) {
  const OAuthValues of{listener};
  RETURN_IF_ERROR(check_oauth_classes(of));
  OAuthSettings oauth;
  constexpr std::string_view kUrl = "sasl.oauthbearer.jwks.endpoint.url";
  ASSIGN_OR_RETURN(oauth.jwks_url, of.get(kUrl));
  const std::string scheme = lower(oauth.jwks_url.substr(0, oauth.jwks_url.find(':')));
  if (scheme != "http" && scheme != "https" && scheme != "file")
    return bad_value(
        of.name_of(kUrl),
        oauth.jwks_url.empty()
            ? "must be set so that the signatures of tokens can be verified"
            : "'" + oauth.jwks_url + "' has no usable protocol (allowed: http, https, file)");
  if (scheme == "file") {  // file:/path and file:///path are the same
    std::string path = oauth.jwks_url.substr(scheme.size() + 1);
    if (path.starts_with("//")) path = path.substr(2);
    if (!path.starts_with("/"))
      return bad_value(of.name_of(kUrl), "'" + oauth.jwks_url + "' names no absolute path");
    oauth.jwks_url = "file://" + path;
  }
  ASSIGN_OR_RETURN(oauth.refresh_ms, of.number("sasl.oauthbearer.jwks.endpoint.refresh.ms"));
  ASSIGN_OR_RETURN(oauth.retry_backoff_ms,
                   of.number("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms"));
  ASSIGN_OR_RETURN(oauth.retry_backoff_max_ms,
                   of.number("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms"));
  for (const auto& [key, value] :
       {std::pair("sasl.oauthbearer.jwks.endpoint.refresh.ms", oauth.refresh_ms),
        std::pair("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", oauth.retry_backoff_ms),
        std::pair("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms",
                  oauth.retry_backoff_max_ms)})
    if (value <= 0) return bad_value(of.name_of(key), "must be positive");
  ASSIGN_OR_RETURN(oauth.clock_skew_seconds, of.number("sasl.oauthbearer.clock.skew.seconds"));
  if (oauth.clock_skew_seconds < 0)
    return bad_value(of.name_of("sasl.oauthbearer.clock.skew.seconds"), "must not be negative");
  ASSIGN_OR_RETURN(const std::string audience, of.get("sasl.oauthbearer.expected.audience"));
  oauth.expected_audience = to_list(audience);
  ASSIGN_OR_RETURN(oauth.expected_issuer, of.get("sasl.oauthbearer.expected.issuer"));
  ASSIGN_OR_RETURN(oauth.scope_claim_name, of.get("sasl.oauthbearer.scope.claim.name"));
  ASSIGN_OR_RETURN(oauth.sub_claim_name, of.get("sasl.oauthbearer.sub.claim.name"));
  for (const auto& [key, value] :
       {std::pair("sasl.oauthbearer.scope.claim.name", oauth.scope_claim_name),
        std::pair("sasl.oauthbearer.sub.claim.name", oauth.sub_claim_name)})
    if (value.empty()) return bad_value(of.name_of(key), "must not be empty");
  // As Kafka: the login module's options say whom to trust at the URL.
  ASSIGN_OR_RETURN(const std::string login, of.get("sasl.jaas.config"));
  if (!login.empty()) {
    const auto options = parse_jaas_options(login);
    if (!options.ok()) return bad_value(of.name_of("sasl.jaas.config"), options.error().detail);
    if (const auto path = options->find("ssl.truststore.location"); path != options->end())
      oauth.truststore_path = path->second;
    const auto type = options->find("ssl.truststore.type");
    if (!oauth.truststore_path.empty() && (type == options->end() || upper(type->second) != "PEM"))
      return bad_value(of.name_of("sasl.jaas.config"), "ssl.truststore.type must be PEM");
  }
  return std::optional(std::move(oauth));
}

/// The mechanism's own value ("scram-sha-256.connections.max.reauth.ms") goes before the
/// listener's.
Result<std::map<std::string, std::int64_t>> parse_max_reauth(
    const ListenerValues& of, const std::vector<std::string>& mechanisms) {
  constexpr std::string_view kKey = "connections.max.reauth.ms";
  std::map<std::string, std::int64_t> by_mechanism;
  for (const std::string& mechanism : mechanisms) {
    const std::string own_key = lower(mechanism) + "." + std::string(kKey);
    const auto own = of.values.find(of.prefix + own_key);
    const std::string text = own == of.values.end() ? of.get(kKey) : own->second;
    if (const auto valid = validate(*ConfigDef::broker().find(kKey), text); !valid.ok())
      return bad_value(of.name_of(own_key), valid.error().detail);
    if (const std::int64_t ms = to_integer(text); ms > 0) by_mechanism[mechanism] = ms;
  }
  return by_mechanism;
}

Result<SaslSettings> parse_sasl(const ListenerValues& of) {
  SaslSettings sasl;
  for (const std::string& mechanism : to_list(of.get("sasl.enabled.mechanisms"))) {
    if (mechanism != "PLAIN" && mechanism != "SCRAM-SHA-256" && mechanism != "SCRAM-SHA-512" &&
        mechanism != kOAuthBearer)
      return bad_value(of.name_of("sasl.enabled.mechanisms"),
                       "'" + mechanism +
                           "' is not supported (allowed: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, "
                           "OAUTHBEARER)");
    if (mechanism == kOAuthBearer) {
      ASSIGN_OR_RETURN(sasl.oauth, parse_oauth(of));
    }
    sasl.enabled_mechanisms.push_back(mechanism);
  }
  ASSIGN_OR_RETURN(sasl.plain_users, parse_plain_users(of));
  for (const std::string_view key : {"connections.max.reauth.ms", "sasl.server.max.receive.size"})
    if (const auto valid = validate(*ConfigDef::broker().find(key), of.get(key)); !valid.ok())
      return bad_value(of.name_of(key), valid.error().detail);
  ASSIGN_OR_RETURN(sasl.max_reauth_ms, parse_max_reauth(of, sasl.enabled_mechanisms));
  sasl.max_receive_size =
      static_cast<std::int32_t>(to_integer(of.get("sasl.server.max.receive.size")));
  return sasl;
}

Result<void> fill_advertised(const ConfigMap& values, std::vector<Listener>& listeners) {
  constexpr std::string_view kKey = "advertised.listeners";
  for (Listener& listener : listeners) {
    listener.advertised = listener.bind;
    if (listener.bind.host == "0.0.0.0" || listener.bind.host == "::")
      listener.advertised.host = "";
  }
  const auto given = values.find(kKey);
  if (given == values.end()) return {};
  ASSIGN_OR_RETURN(const auto endpoints, parse_endpoints(kKey, given->second, true));
  for (const NamedEndpoint& named : endpoints) {
    const auto it = std::find_if(listeners.begin(), listeners.end(),
                                 [&](const Listener& l) { return l.name == named.name; });
    if (it == listeners.end())
      return bad_value(kKey,
                       named.name + " is not among the listeners (allowed: names in `listeners`)");
    if (named.endpoint.host == "0.0.0.0" || named.endpoint.host == "::")
      return bad_value(kKey, "cannot use the nonroutable meta-address " + named.endpoint.host +
                                 ". Use a routable IP address.");
    it->advertised = named.endpoint;
  }
  return {};
}

Result<std::string> find_inter_broker_listener(const ConfigMap& values,
                                               const std::vector<Listener>& listeners) {
  constexpr std::string_view kKey = "inter.broker.listener.name";
  const std::string name = upper(trim(broker_value(values, kKey)));
  const auto serves = [&](const Listener& l) {
    return name.empty()
               ? !l.is_controller &&
                     to_string(l.protocol) == broker_value(values, "security.inter.broker.protocol")
               : l.name == name;
  };
  if (!name.empty() && values.contains("security.inter.broker.protocol"))
    return bad_value(kKey,
                     "Only one of inter.broker.listener.name and security.inter.broker.protocol "
                     "should be set.");
  const auto it = std::find_if(listeners.begin(), listeners.end(), serves);
  if (it == listeners.end())
    return bad_value(kKey, name.empty() ? "no listener has security.inter.broker.protocol=" +
                                              broker_value(values, "security.inter.broker.protocol")
                                        : "'" + name + "' is not among the listeners");
  if (it->is_controller) return bad_value(kKey, it->name + " is one of controller.listener.names");
  return it->name;
}

Result<void> check_roles(const ListenerSet& set, bool is_broker, bool is_controller) {
  if (set.controller_listeners.empty())
    return bad_value("controller.listener.names", "must contain at least one listener's name");
  const auto count = std::count_if(set.listeners.begin(), set.listeners.end(),
                                   [](const Listener& l) { return l.is_controller; });
  if (is_controller && count == 0)
    return bad_value("listeners", "must contain a listener of controller.listener.names (" +
                                      join(set.controller_listeners, ", ") +
                                      ") when process.roles contains controller");
  if (!is_controller && count > 0)
    return bad_value("listeners", "must not contain a listener of controller.listener.names (" +
                                      join(set.controller_listeners, ", ") +
                                      ") when process.roles is broker");
  if (is_broker && count == static_cast<std::ptrdiff_t>(set.listeners.size()))
    return bad_value("listeners",
                     "must contain a listener for clients when process.roles contains broker");
  return {};
}

Result<Listener> make_listener(const ConfigMap& values, const NamedEndpoint& named,
                               const ProtocolMap& protocols) {
  Listener listener;
  listener.name = named.name;
  listener.bind = named.endpoint;
  const auto protocol = protocols.find(named.name);
  if (protocol == protocols.end())
    return bad_value("listener.security.protocol.map",
                     "No security protocol defined for listener " + named.name);
  listener.protocol = protocol->second;
  const ListenerValues of{values, listener_prefix(named.name)};
  if (uses_tls(listener.protocol)) {
    ASSIGN_OR_RETURN(listener.tls, parse_tls(of));
  }
  if (uses_sasl(listener.protocol)) {
    ASSIGN_OR_RETURN(listener.sasl, parse_sasl(of));
  }
  if (const auto valid =
          validate(*ConfigDef::broker().find("max.connections"), of.get("max.connections"));
      !valid.ok())
    return bad_value(of.name_of("max.connections"), valid.error().detail);
  listener.max_connections = static_cast<std::int32_t>(to_integer(of.get("max.connections")));
  return listener;
}

/// The user of this node, from the options `username` and `password` of the mechanism's JAAS line.
Result<void> take_own_user(const ListenerValues& of, std::string_view mechanism_key,
                           PeerSettings& peer) {
  const std::string mechanism = broker_value(of.values, mechanism_key);
  if (mechanism != "PLAIN" && mechanism != "SCRAM-SHA-256" && mechanism != "SCRAM-SHA-512")
    return of.values.contains(mechanism_key)
               ? bad_value(mechanism_key, "'" + mechanism +
                                              "' is not supported (allowed: PLAIN, SCRAM-SHA-256, "
                                              "SCRAM-SHA-512)")
               : Result<void>();
  std::string key = lower(mechanism) + ".sasl.jaas.config";
  std::string text = of.get(key);
  if (text.empty()) text = of.get(key = "sasl.jaas.config");
  if (text.empty()) return {};
  auto options = parse_jaas_options(text);
  if (!options.ok()) return bad_value(of.name_of(key), options.error().detail);
  if (!options->contains("username") || !options->contains("password")) return {};
  peer.sasl_mechanism = mechanism;
  peer.username = (*options)["username"];
  peer.password = (*options)["password"];
  return {};
}

Result<PeerSettings> parse_peer(const ConfigMap& values, const std::string& name,
                                std::string_view mechanism_key, const ProtocolMap& protocols) {
  PeerSettings peer;
  peer.listener = name;
  const auto protocol = protocols.find(name);
  if (protocol == protocols.end())
    return bad_value(
        "listener.security.protocol.map",
        "Controller listener with name " + name +
            " defined in controller.listener.names not found in "
            "listener.security.protocol.map  (an explicit security mapping for each "
            "controller listener is required if listener.security.protocol.map is "
            "non-empty, or if there are security protocols other than PLAINTEXT in use)");
  peer.protocol = protocol->second;
  const ListenerValues of{values, listener_prefix(name)};
  if (uses_tls(peer.protocol)) {
    ASSIGN_OR_RETURN(peer.tls, parse_tls(of));
  }
  if (uses_sasl(peer.protocol)) RETURN_IF_ERROR(take_own_user(of, mechanism_key, peer));
  return peer;
}

}  // namespace

Result<ListenerSet> parse_listeners(const ConfigMap& values, bool is_broker, bool is_controller) {
  ListenerSet set;
  for (const std::string& name : to_list(broker_value(values, "controller.listener.names")))
    set.controller_listeners.push_back(upper(name));
  ASSIGN_OR_RETURN(const auto endpoints,
                   parse_endpoints("listeners", broker_value(values, "listeners"), true));
  if (endpoints.empty()) return bad_value("listeners", "must name at least one listener");
  ASSIGN_OR_RETURN(const ProtocolMap protocols,
                   parse_protocol_map(values, set.controller_listeners));
  std::map<std::uint16_t, std::string> ports;
  for (const NamedEndpoint& named : endpoints) {
    ASSIGN_OR_RETURN(Listener listener, make_listener(values, named, protocols));
    listener.is_controller =
        std::find(set.controller_listeners.begin(), set.controller_listeners.end(),
                  listener.name) != set.controller_listeners.end();
    const auto [other, is_new] = ports.emplace(listener.bind.port, listener.name);
    if (!is_new && listener.bind.port != 0)
      return bad_value("listeners", "Each listener must have a different port, but " +
                                        other->second + " and " + listener.name + " share " +
                                        std::to_string(listener.bind.port));
    set.listeners.push_back(std::move(listener));
  }
  RETURN_IF_ERROR(fill_advertised(values, set.listeners));
  RETURN_IF_ERROR(check_roles(set, is_broker, is_controller));
  if (is_broker) {
    ASSIGN_OR_RETURN(set.inter_broker_listener, find_inter_broker_listener(values, set.listeners));
    ASSIGN_OR_RETURN(set.inter_broker,
                     parse_peer(values, set.inter_broker_listener,
                                "sasl.mechanism.inter.broker.protocol", protocols));
  }
  ASSIGN_OR_RETURN(set.controller, parse_peer(values, set.controller_listeners.front(),
                                              "sasl.mechanism.controller.protocol", protocols));
  return set;
}

Result<std::map<std::string, std::string>> parse_jaas_options(std::string_view text) {
  const Error wrong{ErrorCode::kInvalidConfig,
                    "not a JAAS line (allowed: <module> required name=\"value\" …;)"};
  std::map<std::string, std::string> out;
  text = trim(text);
  if (text.empty() || text.back() != ';') return wrong;
  const auto skip_word = [&text] {
    text.remove_prefix(std::min(text.find_first_of(" \t\r\n;"), text.size()));
    text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  };
  skip_word();  // the module's class
  skip_word();  // the control flag
  while (!text.empty() && text.front() != ';') {
    const auto equals = text.find('=');
    if (equals == text.npos) return wrong;
    std::string name(trim(text.substr(0, equals)));
    text.remove_prefix(equals + 1);
    if (!text.empty() && text.front() == '"') {
      std::string value;
      std::size_t i = 1;
      for (; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) ++i;
        value += text[i];
      }
      if (i >= text.size()) return wrong;
      text.remove_prefix(i + 1);
      out[std::move(name)] = std::move(value);
    } else {
      const auto end = std::min(text.find_first_of(" \t\r\n;"), text.size());
      out[std::move(name)] = std::string(text.substr(0, end));
      text.remove_prefix(end);
    }
    text.remove_prefix(std::min(text.find_first_not_of(" \t\r\n"), text.size()));
  }
  return out;
}

}  // namespace broker::config
