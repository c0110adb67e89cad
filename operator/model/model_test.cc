#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "broker/common/base64.h"
#include "broker/config/broker_config.h"
#include "broker/config/properties.h"
#include "operator/api/acl.h"
#include "operator/api/json.h"
#include "operator/api/topic.h"
#include "operator/api/validate.h"
#include "operator/model/cluster_objects.h"
#include "operator/model/names.h"
#include "operator/model/secrets.h"

namespace op::model {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

json to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    json out = json::object();
    for (const auto& entry : node) out[entry.first.as<std::string>()] = to_json(entry.second);
    return out;
  }
  if (node.IsSequence()) {
    json out = json::array();
    for (const auto& element : node) out.push_back(to_json(element));
    return out;
  }
  if (!node.IsScalar()) return nullptr;
  const std::string text = node.Scalar();
  if (node.Tag() != "!") {  // plain
    if (text == "true" || text == "false") return text == "true";
    const json number = json::parse(text, nullptr, false);
    if (number.is_number()) return number;
  }
  return text;
}

void emit(YAML::Emitter& out, const json& value) {
  if (value.is_object()) {
    out << YAML::BeginMap;
    for (const auto& [key, element] : value.items()) {
      out << YAML::Key << key << YAML::Value;
      emit(out, element);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    out << YAML::BeginSeq;
    for (const json& element : value) emit(out, element);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    const auto text = value.get<std::string>();
    if (text.find('\n') != std::string::npos)
      out << YAML::Literal << text;
    else if (json::accept(text) || text == "yes" || text == "no" || text == "on" || text == "off")
      out << YAML::DoubleQuoted << text;
    else
      out << text;
  } else {
    out << value.dump();
  }
}

std::string read(const fs::path& path) {
  std::stringstream out;
  out << std::ifstream(path).rdbuf();
  return out.str();
}

api::Cluster load(const std::string& name) {
  const fs::path path = fs::path(TEST_SOURCE_DIR) / "testdata" / (name + ".in.yaml");
  auto cluster = api::parse_cluster(to_json(YAML::LoadFile(path)), api::Unknown::kRefused);
  EXPECT_TRUE(cluster.ok()) << cluster.error().detail;
  return *cluster;
}

std::string rendered(const api::Cluster& cluster) {
  std::string out;
  for (const json& object :
       render_cluster({cluster, "millrace", {{"app.kubernetes.io/name", "millrace-operator"}}})) {
    YAML::Emitter emitter;
    emit(emitter, object);
    out += std::string("---\n") + emitter.c_str() + "\n";
  }
  return out;
}

TEST(ModelGolden, RendersWhatIsWrittenDown) {
  for (const char* name : {"one_broker_nodeport", "one_broker_template", "three_combined",
                           "three_and_three", "five_combined"}) {
    SCOPED_TRACE(name);
    const fs::path path =
        fs::path(TEST_SOURCE_DIR) / "testdata" / (std::string(name) + ".out.yaml");
    const std::string out = rendered(load(name));
    if (std::getenv("REWRITE_GOLDEN")) std::ofstream(path) << out;
    EXPECT_EQ(out, read(path)) << "if intended: operator/model/testdata/rewrite";
  }
}

broker::config::BrokerConfig parsed_config(const api::Cluster& cluster) {
  const api::PoolSpec& pool = cluster.spec.pools[0];
  const std::string text =
      server_properties(cluster, pool) + node_properties(cluster, pool, pool.first_node_id);
  auto parsed = broker::config::parse_broker_config(text, "server.properties", {});
  EXPECT_TRUE(parsed.ok()) << parsed.error().detail << "\n" << text;
  EXPECT_EQ(parsed->warnings, std::vector<std::string>{}) << text;
  return parsed->config;
}

TEST(Model, BrokersAcceptTheConfigurationWithoutAWarning) {
  const auto config = parsed_config(load("one_broker_nodeport"));
  EXPECT_TRUE(config.is_broker && config.is_controller);
  EXPECT_EQ(config.listeners.inter_broker_listener, "INTERNAL");
  EXPECT_FALSE(config.auto_create_topics_enable);
  const auto* tls = config.find_listener("TLS");
  ASSERT_NE(tls, nullptr);
  EXPECT_EQ(tls->advertised.host, "10.201.0.10");
  EXPECT_EQ(tls->advertised.port, 31001);
  EXPECT_EQ(tls->sasl.enabled_mechanisms,
            (std::vector<std::string>{"SCRAM-SHA-512", "SCRAM-SHA-256"}));
  EXPECT_EQ(tls->tls.truststore_path, "");
  EXPECT_EQ(config.find_listener("INTERNAL")->tls.client_auth,
            broker::config::SslClientAuth::kRequired);
  const auto* mtls = config.find_listener("MTLS");
  ASSERT_NE(mtls, nullptr);
  EXPECT_EQ(mtls->tls.truststore_path, "/etc/millrace/certs/users-ca.crt");
  parsed_config(load("one_broker_template"));
}

TEST(Model, EveryNodeOfEveryRoleAcceptsItsConfiguration) {
  const api::Cluster cluster = load("three_and_three");
  EXPECT_EQ(to_string(api::validate(cluster)), "");
  for (const api::PoolSpec& pool : cluster.spec.pools) {
    for (const std::int32_t id : node_ids(pool)) {
      const std::string text =
          server_properties(cluster, pool) + node_properties(cluster, pool, id);
      const auto parsed = broker::config::parse_broker_config(text, "server.properties", {});
      ASSERT_TRUE(parsed.ok()) << parsed.error().detail << "\n" << text;
      EXPECT_EQ(parsed->config.node_id.value, id);
      EXPECT_EQ(parsed->config.is_controller, pool.name == "ctl");
      EXPECT_EQ(parsed->config.is_broker, pool.name == "brk");
    }
  }
}

TEST(Model, ABrokerGetsItsFileWhenItsRackIsKnown) {
  const api::Cluster cluster = load("three_combined");
  EXPECT_FALSE(awaits_rack(cluster, cluster.spec.pools[0], 1));  // its node has no zone
  EXPECT_TRUE(awaits_rack(cluster, cluster.spec.pools[0], 2));
  EXPECT_NE(node_properties(cluster, cluster.spec.pools[0], 0).find("broker.rack=z0"),
            std::string::npos);
}

class Example : public testing::TestWithParam<std::pair<const char*, std::size_t>> {};

TEST_P(Example, IsWhatThisVersionCanDo) {
  const auto [name, listeners] = GetParam();
  const fs::path folder = fs::path(TEST_SOURCE_DIR) / "../../examples" / name;
  const auto object = [&](const char* file) { return to_json(YAML::LoadFile(folder / file)); };
  auto cluster = api::parse_cluster(object("10-cluster.yaml"), api::Unknown::kRefused);
  ASSERT_TRUE(cluster.ok()) << cluster.error().detail;
  EXPECT_EQ(to_string(api::validate(*cluster)), "");
  cluster->status.image = "millrace/broker:1.0";
  parsed_config(*cluster);
  const auto topic = api::parse_topic(object("20-topic.yaml"), api::Unknown::kRefused);
  const auto user = api::parse_user(object("30-user.yaml"), api::Unknown::kRefused);
  const auto acl = api::parse_acl(object("40-acl.yaml"), api::Unknown::kRefused);
  ASSERT_TRUE(topic.ok() && user.ok() && acl.ok());
  EXPECT_EQ(to_string(api::validate(*topic)), "");
  EXPECT_EQ(to_string(api::validate(*user)), "");
  EXPECT_EQ(to_string(api::validate(*acl)), "");
  EXPECT_EQ(client_listeners(*cluster, user->spec.authentication.type).size(), listeners);
}

INSTANTIATE_TEST_SUITE_P(All, Example,
                         testing::Values(std::pair("quickstart", std::size_t{2}),
                                         std::pair("replicated", std::size_t{1})));

TEST(Model, KeepsRuntimeKeysOutOfTheFile) {
  const api::Cluster cluster = load("one_broker_nodeport");
  const std::string text = server_properties(cluster, cluster.spec.pools[0]);
  EXPECT_EQ(text.find("log.retention.ms"), std::string::npos);
  EXPECT_EQ(text.find("num.io.threads"), std::string::npos);
}

TEST(Model, CertificatesNameEveryAddressThatClientsDial) {
  const auto names = certificate_names(load("one_broker_nodeport"), 0);
  const auto has = [](const std::vector<std::string>& list, const std::string& name) {
    return std::find(list.begin(), list.end(), name) != list.end();
  };
  EXPECT_TRUE(has(names.dns_names, "orders-main-0.orders-brokers.kafka.svc"));
  EXPECT_TRUE(has(names.dns_names, "orders-bootstrap.kafka.svc.cluster.local"));
  EXPECT_TRUE(has(names.ip_addresses, "10.201.0.10"));
}

TEST(Model, AdvertisesByTemplate) {
  api::Cluster cluster = load("one_broker_nodeport");
  api::ListenerSpec& listener = cluster.spec.listeners[1];
  EXPECT_EQ(bootstrap_servers(cluster, listener), "10.201.0.10:31000");
  listener.expose.advertised_host = "b{id}.example.com";
  EXPECT_EQ(bootstrap_servers(cluster, listener), "b0.example.com:31001");
  listener.expose.advertised_port = "443{id}";
  EXPECT_EQ(to_string(advertised_address(cluster, listener, 0)), "b0.example.com:4430");
}

TEST(Model, DigestFollowsTheUserAndNotTheTemplate) {
  const api::Cluster cluster = load("one_broker_nodeport");
  const auto digest = [](const api::Cluster& c) { return declared_digest(c, c.spec.pools[0]); };
  api::Cluster changed = cluster;
  changed.spec.config["log.retention.ms"] = "1";  // taken up at run time
  changed.spec.deletion_protection = true;
  changed.spec.listeners[2].allow_from = "[]";
  changed.status.formatted = true;
  EXPECT_EQ(digest(changed), digest(cluster));
  changed.spec.config["auto.create.topics.enable"] = "true";
  EXPECT_NE(digest(changed), digest(cluster));
  changed = cluster;
  changed.spec.pools[0].resources.limits["memory"] = "1Gi";
  EXPECT_NE(digest(changed), digest(cluster));
  changed = cluster;
  changed.status.image = "millrace/broker:0.2.0";
  EXPECT_NE(digest(changed), digest(cluster));
}

// Every cluster restarts when this value changes: a change here needs a reason that is worth it.
TEST(Model, DigestOfAnUnchangedClusterStaysForEver) {
  const api::Cluster cluster = load("one_broker_nodeport");
  EXPECT_EQ(declared_digest(cluster, cluster.spec.pools[0]), "da5476e7b4cd9283");
}

TEST(Model, ImagePartsReplaceTheDefaults) {
  EXPECT_EQ(resolve_image({}, "millrace/broker:0.1.0"), "millrace/broker:0.1.0");
  EXPECT_EQ(resolve_image({.registry = "r:5000"}, "ghcr.io/millrace/broker:0.1.0"),
            "r:5000/millrace/broker:0.1.0");
  EXPECT_EQ(resolve_image({.tag = "x"}, "localhost:5000/millrace/broker@sha256:11"),
            "localhost:5000/millrace/broker:x");
  EXPECT_EQ(resolve_image({.repository = "a/b", .digest = "sha256:22"}, "millrace/broker:0.1.0"),
            "a/b@sha256:22");
}

std::string decoded(const json& secret, const std::string& key) {
  if (!secret["data"].contains(key)) return "(absent)";
  const auto bytes = broker::base64_decode(secret["data"][key].get<std::string>());
  return std::string(bytes->begin(), bytes->end());
}

api::User make_user(api::UserAuth type) {
  api::User user;
  user.metadata.name = "order-service";
  user.metadata.namespace_ = "shop";
  user.spec.cluster_ref.object = {"kafka", "orders"};
  user.spec.username = "order-service";
  user.spec.secret_name = "orders-binding";
  user.spec.authentication.type = type;
  return user;
}

TEST(Model, UserSecretHoldsAllThatAScramClientNeeds) {
  const auto listeners = client_listeners(load("one_broker_nodeport"), api::UserAuth::kScramSha512);
  ASSERT_EQ(listeners.size(), 2u);
  EXPECT_EQ(listeners[1].name, "tls");  // the exposed one last
  const json secret = user_secret(make_user(api::UserAuth::kScramSha512), listeners,
                                  {.password = "p\"w",
                                   .ca_bundle_pem = "CA\nLINE\n",
                                   .truststore_p12 = "t",
                                   .store_password = "s"});
  EXPECT_EQ(decoded(secret, "bootstrap.tls"), "10.201.0.10:31000");
  EXPECT_EQ(decoded(secret, "bootstrap.servers"), "orders-bootstrap.kafka.svc:9092");
  EXPECT_EQ(decoded(secret, "security.protocol"), "SASL_SSL");
  EXPECT_EQ(decoded(secret, "ca.crt"), "CA\nLINE\n");
  EXPECT_EQ(decoded(secret, "tls.key"), "(absent)");
  const auto properties = broker::config::parse_properties(decoded(secret, "client.properties"));
  ASSERT_TRUE(properties.ok());
  std::map<std::string, std::string> values;
  for (const auto& property : *properties) values[property.key] = property.value;
  EXPECT_EQ(values["ssl.truststore.certificates"], "CA\nLINE\n");
  EXPECT_EQ(values["sasl.jaas.config"],
            "org.apache.kafka.common.security.scram.ScramLoginModule required "
            "username=\"order-service\" password=\"p\\\"w\";");
}

TEST(Model, UserSecretOfACertificateHasNoPassword) {
  const auto listeners = client_listeners(load("one_broker_nodeport"), api::UserAuth::kMtls);
  ASSERT_EQ(listeners.size(), 1u);
  const json secret = user_secret(
      make_user(api::UserAuth::kMtls), listeners,
      {.key_pem = "KEY", .certificate_pem = "CERT", .ca_bundle_pem = "CA", .keystore_p12 = "k"});
  EXPECT_EQ(decoded(secret, "security.protocol"), "SSL");
  EXPECT_EQ(decoded(secret, "tls.crt"), "CERT");
  EXPECT_EQ(decoded(secret, "password"), "(absent)");
  EXPECT_EQ(decoded(secret, "sasl.jaas.config"), "(absent)");
}

}  // namespace
}  // namespace op::model
