#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/config/broker_config.h"
#include "broker/config/topic_config.h"

namespace broker::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Result<std::string> no_files(const std::string& path) {
  return Error{ErrorCode::kResourceNotFound, path + " does not exist"};
}

constexpr std::string_view kMinimal =
    "process.roles=broker,controller\n"
    "node.id=7\n"
    "listeners=PLAINTEXT://:9092,CONTROLLER://127.0.0.1:9090\n"
    "controller.listener.names=CONTROLLER\n"
    "controller.quorum.bootstrap.servers=127.0.0.1:9090\n"
    "log.dirs=/data/a,/data/b\n";

ParsedBrokerConfig parse_ok(const std::string& text) {
  auto parsed = parse_broker_config(text, "server.properties", no_files);
  EXPECT_TRUE(parsed.ok()) << parsed.error().detail;
  return *parsed;
}

std::string failure(const std::string& text) {
  const auto parsed = parse_broker_config(text, "server.properties", no_files);
  EXPECT_FALSE(parsed.ok());
  return parsed.ok() ? "" : parsed.error().detail;
}

TEST(Properties, FollowsJavasEscapesAndContinuations) {
  const auto parsed = parse_properties(
      "# comment\n! too\n\n  a = 1\\\n   2\nb\\ c:x\\ty\\u00e9\nd\\=e f=g\nempty\nuser=\\\\d \n");
  ASSERT_TRUE(parsed.ok());
  const std::vector<std::pair<std::string, std::string>> expected{
      {"a", "12"}, {"b c", "x\ty\xc3\xa9"}, {"d=e", "f=g"}, {"empty", ""}, {"user", "\\d "}};
  ASSERT_EQ(parsed->size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ((*parsed)[i].key, expected[i].first);
    EXPECT_EQ((*parsed)[i].value, expected[i].second);
  }
  EXPECT_EQ((*parsed)[0].line, 4);
  EXPECT_EQ((*parsed)[1].line, 6);
}

TEST(Properties, WhatWasFormattedParsesBack) {
  const std::string key = "a b=:#c";
  const std::string value = "  x\\y\n=z # !";
  const auto parsed = parse_properties(format_property(key, value));
  ASSERT_TRUE(parsed.ok());
  ASSERT_EQ(parsed->size(), 1u);
  EXPECT_EQ((*parsed)[0].key, key);
  EXPECT_EQ((*parsed)[0].value, value);
}

TEST(Properties, ProvidersTakeValuesFromFiles) {
  auto parsed = parse_properties(
      "config.providers=dir,file\nrack=${dir:/etc/node:rack}-x\np=${file:/etc/p:b}\nkeep=${a}\n");
  const auto reader = [](const std::string& path) -> Result<std::string> {
    return std::string(path == "/etc/node/rack" ? "zone-1" : "a=1\nb=2\n");
  };
  ASSERT_TRUE(resolve_providers(*parsed, reader).ok());
  EXPECT_EQ((*parsed)[1].value, "zone-1-x");
  EXPECT_EQ((*parsed)[2].value, "2");
  EXPECT_EQ((*parsed)[3].value, "${a}");
  const auto failed = resolve_providers(
      *(parsed = parse_properties("config.providers=dir\nr=${dir:/x:y}")), no_files);
  EXPECT_EQ(failed.error().detail, "r: /x/y does not exist");
}

TEST(ConfigDef, SaysWhatKafkaSaysAboutBadValues) {
  const auto message = [](std::string_view key, const char* value) {
    const auto* known = ConfigDef::topic().find(key);
    const auto valid = validate(*known, std::string(value));
    return valid.ok() ? "" : valid.error().detail;
  };
  EXPECT_EQ(message("retention.ms", "abc"),
            "Invalid value abc for configuration retention.ms: Not a number of type LONG");
  EXPECT_EQ(message("retention.ms", "-2"),
            "Invalid value -2 for configuration retention.ms: Value must be at least -1");
  EXPECT_EQ(message("segment.bytes", "2147483648"),
            "Invalid value 2147483648 for configuration segment.bytes: Not a number of type INT");
  EXPECT_EQ(message("cleanup.policy", "delete,shred"),
            "Invalid value shred for configuration cleanup.policy: String must be one of: compact, "
            "delete");
  EXPECT_EQ(message("preallocate", "yes"),
            "Invalid value yes for configuration preallocate: Expected value to be either true or "
            "false");
  EXPECT_EQ(message("compression.gzip.level", "-1"), "");
  EXPECT_THAT(message("compression.gzip.level", "0"), HasSubstr("between 1 and 9 or equal to -1"));
  EXPECT_EQ(message("leader.replication.throttled.replicas", "0:1,1:2"), "");
  EXPECT_NE(message("leader.replication.throttled.replicas", "0-1"), "");
}

TEST(ConfigDef, EveryDefaultIsValidAndEverySynonymExists) {
  for (const ConfigDef* def : {&ConfigDef::broker(), &ConfigDef::topic(), &ConfigDef::group()}) {
    for (const auto& [name, key] : def->keys()) {
      if (key.default_value) {
        EXPECT_TRUE(validate(key, key.default_value).ok()) << name;
      }
      for (const std::string& synonym : key.synonyms)
        EXPECT_NE(ConfigDef::broker().find(synonym), nullptr) << name;
    }
  }
  EXPECT_EQ(TopicConfig::from({}), TopicConfig());
  ConfigMap defaults;
  for (const auto& [name, key] : ConfigDef::topic().keys())
    if (key.default_value) defaults[name] = *key.default_value;
  EXPECT_EQ(TopicConfig::from(defaults), TopicConfig());
}

TEST(TopicConfig, RefusesUnknownAndContradictingKeys) {
  EXPECT_EQ(validate_topic_config({{"retention", "1"}}).error().detail,
            "Unknown topic config name: retention");
  EXPECT_THAT(
      validate_topic_config({{"min.compaction.lag.ms", "10"}, {"max.compaction.lag.ms", "5"}})
          .error()
          .detail,
      HasSubstr("conflict topic config setting"));
  EXPECT_TRUE(validate_topic_config({{"cleanup.policy", "compact, delete"}}).ok());
}

TEST(TopicConfig, DynamicBrokerKeysObeyTheirLevel) {
  EXPECT_TRUE(validate_dynamic_broker_config({{"log.retention.ms", "5"}}, "").ok());
  EXPECT_EQ(validate_dynamic_broker_config({{"node.id", "5"}}, "1").error().detail,
            "Cannot update these configs dynamically: [node.id]");
  EXPECT_THAT(validate_dynamic_broker_config({{"ssl.keystore.location", "/x"}}, "1").error().detail,
              HasSubstr("only per-listener"));
  EXPECT_THAT(
      validate_dynamic_broker_config({{"listener.name.internal.ssl.keystore.location", "/x"}}, "")
          .error()
          .detail,
      HasSubstr("at default cluster level"));
  EXPECT_TRUE(
      validate_dynamic_broker_config({{"listener.name.internal.ssl.keystore.location", "/x"}}, "1")
          .ok());
}

TEST(BrokerConfig, ReadsAMinimalNode) {
  const auto parsed = parse_ok(std::string(kMinimal));
  const BrokerConfig& config = parsed.config;
  EXPECT_THAT(parsed.warnings, IsEmpty());
  EXPECT_TRUE(config.is_broker && config.is_controller);
  EXPECT_EQ(config.node_id, BrokerId{7});
  EXPECT_THAT(config.log_dirs, ElementsAre("/data/a", "/data/b"));
  EXPECT_EQ(config.metadata_log_dir, "/data/a");
  ASSERT_EQ(config.listeners.listeners.size(), 2u);
  EXPECT_EQ(config.listeners.inter_broker_listener, "PLAINTEXT");
  EXPECT_TRUE(config.find_listener("CONTROLLER")->is_controller);
}

TEST(BrokerConfig, ReadsListenersWithTheirOwnTlsAndSasl) {
  const auto parsed = parse_ok(
      "process.roles=broker,controller\nnode.id=0\ncontroller.listener.names=CONTROLLER\n"
      "controller.quorum.bootstrap.servers=n0.x:9090\n"
      "listeners=CONTROLLER://:9090,INTERNAL://:9091,TLS://:9093\n"
      "advertised.listeners=CONTROLLER://n0.x:9090,INTERNAL://n0.x:9091,TLS://203.0.113.7:30093\n"
      "listener.security.protocol.map=CONTROLLER:SSL,INTERNAL:SSL,TLS:SASL_SSL\n"
      "inter.broker.listener.name=INTERNAL\n"
      "ssl.keystore.type=PEM\nssl.truststore.type=PEM\nssl.keystore.location=/c/node.pem\n"
      "ssl.truststore.location=/c/ca.pem\nssl.client.auth=required\n"
      "listener.name.tls.ssl.client.auth=none\n"
      "listener.name.tls.sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN\n"
      "listener.name.tls.plain.sasl.jaas.config=org.apache.kafka.common.security.plain."
      "PlainLoginModule required user_alice=\"a\\\\\"b;\" user_bob=c;\n"
      "super.users=User:CN=operator,O=millrace;User:root\n");
  const Listener& internal = *parsed.config.find_listener("INTERNAL");
  EXPECT_EQ(internal.tls.client_auth, SslClientAuth::kRequired);
  EXPECT_EQ(internal.advertised.host, "n0.x");
  const Listener& tls = *parsed.config.find_listener("TLS");
  EXPECT_EQ(tls.protocol, SecurityProtocol::kSaslSsl);
  EXPECT_EQ(tls.tls.client_auth, SslClientAuth::kNone);
  EXPECT_EQ(tls.tls.keystore_path, "/c/node.pem");
  EXPECT_EQ(tls.advertised.port, 30093);
  EXPECT_THAT(tls.sasl.enabled_mechanisms, ElementsAre("SCRAM-SHA-512", "PLAIN"));
  EXPECT_EQ(tls.sasl.plain_users.at("alice"), "a\"b;");
  EXPECT_EQ(tls.sasl.plain_users.at("bob"), "c");
  EXPECT_THAT(parsed.config.super_users, ElementsAre("User:CN=operator,O=millrace", "User:root"));
  EXPECT_EQ(parsed.config.listeners.inter_broker.listener, "INTERNAL");
  EXPECT_EQ(parsed.config.listeners.inter_broker.tls.keystore_path, "/c/node.pem");
  EXPECT_EQ(parsed.config.listeners.controller.protocol, SecurityProtocol::kSsl);
  EXPECT_THAT(parsed.warnings, IsEmpty());
}

TEST(BrokerConfig, TheReauthenticationLimitIsTheMechanismsElseTheListenersElseTheBrokers) {
  const auto limits = [](const std::string& lines) {
    const auto parsed = parse_ok(
        "process.roles=broker,controller\nnode.id=0\ncontroller.listener.names=CONTROLLER\n"
        "controller.quorum.bootstrap.servers=n0.x:9090\nlisteners=CONTROLLER://:9090,S://:9091\n"
        "listener.security.protocol.map=CONTROLLER:PLAINTEXT,S:SASL_PLAINTEXT\n"
        "inter.broker.listener.name=S\nsasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256\n" +
        lines);
    EXPECT_THAT(parsed.warnings, IsEmpty());
    return parsed.config.find_listener("S")->sasl.max_reauth_ms;
  };
  using Limits = std::map<std::string, std::int64_t>;
  EXPECT_EQ(limits(""), Limits());
  EXPECT_EQ(limits("connections.max.reauth.ms=5\n"), (Limits{{"PLAIN", 5}, {"SCRAM-SHA-256", 5}}));
  EXPECT_EQ(limits("connections.max.reauth.ms=5\nlistener.name.s.connections.max.reauth.ms=0\n"
                   "listener.name.s.scram-sha-256.connections.max.reauth.ms=7\n"),
            (Limits{{"SCRAM-SHA-256", 7}}));
}

TEST(BrokerConfig, ReadsWhatAListenerAsksOfOAuthTokens) {
  const std::string base =
      "process.roles=broker,controller\nnode.id=0\ncontroller.listener.names=CONTROLLER\n"
      "controller.quorum.bootstrap.servers=n0.x:9090\nlisteners=CONTROLLER://:9090,S://:9091\n"
      "listener.security.protocol.map=CONTROLLER:PLAINTEXT,S:SASL_PLAINTEXT\n"
      "inter.broker.listener.name=S\nsasl.enabled.mechanisms=OAUTHBEARER\n";
  const auto parsed = parse_ok(
      base +
      "sasl.oauthbearer.expected.audience=kafka,other\nsasl.oauthbearer.clock.skew.seconds=5\n"
      "sasl.oauthbearer.jwks.endpoint.url=http://general/\n"
      "listener.name.s.sasl.oauthbearer.expected.issuer=https://i\n"
      "listener.name.s.oauthbearer.sasl.oauthbearer.jwks.endpoint.url=https://i/certs\n"
      "listener.name.s.oauthbearer.sasl.server.callback.handler.class=org.apache.kafka.common."
      "security.oauthbearer.OAuthBearerValidatorCallbackHandler\n"
      "listener.name.s.oauthbearer.sasl.jaas.config=OAuthBearerLoginModule required "
      "ssl.truststore.type=PEM ssl.truststore.location=\"/c/ca.pem\";\n");
  EXPECT_THAT(parsed.warnings, IsEmpty());
  const auto& oauth = parsed.config.find_listener("S")->sasl.oauth;
  ASSERT_TRUE(oauth.has_value());
  EXPECT_EQ(oauth->jwks_url, "https://i/certs");
  EXPECT_EQ(oauth->truststore_path, "/c/ca.pem");
  EXPECT_EQ(oauth->expected_issuer, "https://i");
  EXPECT_THAT(oauth->expected_audience, ElementsAre("kafka", "other"));
  EXPECT_EQ(oauth->clock_skew_seconds, 5);
  EXPECT_EQ(oauth->refresh_ms, 3600000);
  EXPECT_EQ(oauth->sub_claim_name, "sub");

  EXPECT_THAT(failure(base), HasSubstr("sasl.oauthbearer.jwks.endpoint.url: must be set"));
  EXPECT_THAT(failure(base + "sasl.oauthbearer.jwks.endpoint.url=keys.json\n"),
              HasSubstr("no usable protocol"));
  EXPECT_THAT(failure(base + "sasl.oauthbearer.jwks.endpoint.url=file:/k\n"
                             "listener.name.s.oauthbearer.sasl.server.callback.handler.class=x\n"),
              HasSubstr("'x' is not supported"));
}

TEST(BrokerConfig, ABrokerSpeaksToControllersItDoesNotListenFor) {
  const auto parsed = parse_ok(
      "process.roles=broker\nnode.id=4\ncontroller.listener.names=CONTROLLER\n"
      "controller.quorum.voters=1@c1:9090,2@c2:9090\nlisteners=SASL_PLAINTEXT://:9092\n"
      "security.inter.broker.protocol=SASL_PLAINTEXT\n"
      "sasl.mechanism.inter.broker.protocol=PLAIN\nsasl.enabled.mechanisms=PLAIN\n"
      "listener.name.sasl_plaintext.plain.sasl.jaas.config=PlainLoginModule required "
      "username=\"b\" password=\"s\" user_b=\"s\";\n"
      "listener.security.protocol.map=CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT\n");
  EXPECT_FALSE(parsed.config.is_controller);
  EXPECT_EQ(parsed.config.listeners.controller.listener, "CONTROLLER");
  EXPECT_EQ(parsed.config.listeners.controller.protocol, SecurityProtocol::kPlaintext);
  EXPECT_EQ(parsed.config.listeners.inter_broker.sasl_mechanism, "PLAIN");
  EXPECT_EQ(parsed.config.listeners.inter_broker.username, "b");
  EXPECT_EQ(parsed.config.listeners.inter_broker.password, "s");
}

TEST(BrokerConfig, RefusesRolesThatContradictTheVoters) {
  const std::string listeners = "node.id=7\ncontroller.listener.names=CONTROLLER\nlisteners=";
  EXPECT_THAT(failure("process.roles=controller\ncontroller.quorum.voters=1@c1:9090\n" + listeners +
                      "CONTROLLER://:9090\n"),
              HasSubstr("the node id 7 must be included in the set of voters 1@c1:9090"));
  EXPECT_THAT(failure("process.roles=broker\ncontroller.quorum.voters=7@c1:9090\n" + listeners +
                      "PLAINTEXT://:9092\n"),
              HasSubstr("the node id 7 must not be included in the set of voters 7@c1:9090"));
  EXPECT_THAT(failure("process.roles=controller\n" + listeners + "CONTROLLER://:9090\n"),
              HasSubstr("either controller.quorum.bootstrap.servers must contain"));
}

TEST(BrokerConfig, AnUnknownKeyWarnsAndABadValueNamesFileLineKeyAndWhatIsAllowed) {
  const auto parsed = parse_ok(std::string(kMinimal) + "frobnicate=1\n");
  EXPECT_THAT(parsed.warnings,
              ElementsAre("server.properties:7: unknown key frobnicate is ignored"));
  EXPECT_EQ(failure(std::string(kMinimal) + "num.partitions=0\n"),
            "server.properties:7: Invalid value 0 for configuration num.partitions: Value must be "
            "at least 1 (allowed: INT, 1..)");
  EXPECT_EQ(failure("node.id=1\n").substr(0, 18), "server.properties:");
  EXPECT_THAT(failure("node.id=1\n"), HasSubstr("controller.listener.names"));
}

TEST(BrokerConfig, RefusesListenersThatCannotWork) {
  const std::string base =
      "process.roles=broker,controller\nnode.id=7\ncontroller.listener.names=CONTROLLER\n";
  EXPECT_THAT(failure(base + "listeners=PLAINTEXT://:9092\n"),
              HasSubstr("server.properties:4: listeners: must contain a listener of "
                        "controller.listener.names"));
  EXPECT_THAT(failure(base + "listeners=A://:9092,CONTROLLER://:9090\n"),
              HasSubstr("No security protocol defined for listener A"));
  EXPECT_THAT(failure(base + "listeners=PLAINTEXT://:9092,CONTROLLER://:9092\n"),
              HasSubstr("different port"));
  EXPECT_THAT(failure(base + "listeners=PLAINTEXT://:9092,CONTROLLER://:1\n"
                             "advertised.listeners=PLAINTEXT://0.0.0.0:9092\n"),
              HasSubstr("nonroutable meta-address"));
  EXPECT_THAT(failure(base + "listeners=SSL://:9092,CONTROLLER://:1\n"),
              HasSubstr("ssl.keystore.location: a TLS listener needs a PEM file"));
  EXPECT_THAT(failure(base + "listeners=SASL_PLAINTEXT://:9092,CONTROLLER://:1\n"
                             "security.inter.broker.protocol=SASL_PLAINTEXT\n"),
              HasSubstr("'GSSAPI' is not supported (allowed: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, "
                        "OAUTHBEARER)"));
}

}  // namespace
}  // namespace broker::config
