#include "operator/cli/client_config.h"

#include <gtest/gtest.h>

#include "operator/pki/certificates.h"
#include "operator/pki/stores.h"

namespace op::cli {
namespace {

using broker::Error;
using broker::ErrorCode;
using broker::Result;

Result<std::string> no_files(const std::string& path) {
  return Error{ErrorCode::kInvalidConfig, "cannot read " + path};
}

TEST(ClientConfig, ReadsWhatAUsersSecretHolds) {
  const auto spec = parse_client_config(
      "bootstrap.servers=a:9093,[::1]:9094\n"
      "security.protocol=SASL_SSL\n"
      "sasl.mechanism=SCRAM-SHA-512\n"
      "sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required "
      "username=\"bob\" password=\"a\\\\\"b\\\\\\\\c\";\n"
      "ssl.truststore.type=PEM\n"
      "ssl.truststore.certificates=-----BEGIN CERTIFICATE-----\\nx\n",
      no_files);
  ASSERT_TRUE(spec.ok()) << spec.error().detail;
  EXPECT_EQ(spec->brokers, (std::vector<broker::io::Endpoint>{{"a", 9093}, {"::1", 9094}}));
  EXPECT_TRUE(spec->tls);
  EXPECT_EQ(spec->ca_pem, "-----BEGIN CERTIFICATE-----\nx");
  EXPECT_EQ(spec->sasl_mechanism, "SCRAM-SHA-512");
  EXPECT_EQ(spec->sasl_username, "bob");
  EXPECT_EQ(spec->sasl_password, "a\"b\\c");
  EXPECT_TRUE(spec->verify_hostname);
}

TEST(ClientConfig, ReadsAFileForLibrdkafka) {
  const auto spec = parse_client_config(
      "security.protocol=sasl_ssl\nsasl.mechanism=PLAIN\nsasl.username=u\nsasl.password=p\n"
      "ssl.ca.location=/ca\nssl.endpoint.identification.algorithm=none\n",
      [](const std::string& path) -> Result<std::string> {
        return std::string("content of " + path);
      });
  ASSERT_TRUE(spec.ok()) << spec.error().detail;
  EXPECT_EQ(spec->ca_pem, "content of /ca");
  EXPECT_EQ(spec->sasl_username + spec->sasl_password, "up");
  EXPECT_FALSE(spec->verify_hostname);
}

TEST(ClientConfig, WithoutAProtocolItIsPlaintext) {
  const auto spec = parse_client_config("acks=all\n", no_files);
  ASSERT_TRUE(spec.ok());
  EXPECT_FALSE(spec->tls);
  EXPECT_EQ(spec->sasl_mechanism, "");
}

TEST(ClientConfig, OpensPkcs12StoresWithTheirPassword) {
  const auto ca = pki::make_ca("test ca", 1'700'000'000'000, std::chrono::hours(24));
  ASSERT_TRUE(ca.ok());
  const auto trust = pki::make_truststore(ca->certificate_pem, "secret1");
  const auto keys = pki::make_keystore(*ca, "", "secret2", "user");
  ASSERT_TRUE(trust.ok() && keys.ok());
  const auto read = [&](const std::string& path) -> Result<std::string> {
    return path == "t.p12" ? *trust : *keys;
  };
  const std::string config =
      "security.protocol=SSL\nssl.truststore.location=t.p12\nssl.truststore.password=secret1\n"
      "ssl.keystore.location=k.p12\nssl.keystore.password=";
  const auto spec = parse_client_config(config + "secret2\n", read);
  ASSERT_TRUE(spec.ok()) << spec.error().detail;
  EXPECT_EQ(spec->ca_pem, ca->certificate_pem);
  EXPECT_EQ(spec->certificate_pem, ca->certificate_pem);
  EXPECT_TRUE(pki::key_matches({spec->private_key_pem, spec->certificate_pem}));

  const auto wrong = parse_client_config(config + "other\n", read);
  EXPECT_EQ(wrong.code(), ErrorCode::kInvalidConfig);
  EXPECT_EQ(wrong.error().detail,
            "ssl.keystore.location: the PKCS#12 store does not open with this password");
}

TEST(ClientConfig, WhatCannotWorkIsRefusedByItsKey) {
  const auto refusal = [](const std::string& text) {
    const auto spec = parse_client_config(text, [](const std::string&) -> Result<std::string> {
      return std::string("\xfe\xed\xfe\xed jks");
    });
    return spec.ok() ? "" : spec.error().detail;
  };
  EXPECT_EQ(refusal("bootstrap.servers=host\n"), "bootstrap.servers: 'host' is not HOST:PORT");
  EXPECT_EQ(refusal("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=GSSAPI\n"),
            "sasl.mechanism: GSSAPI is not supported here; PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 "
            "are");
  EXPECT_EQ(refusal("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n"),
            "sasl.jaas.config: has no username=\"…\" (nor is there a sasl.username)");
  EXPECT_EQ(refusal("security.protocol=SSL\nssl.truststore.location=x.jks\n"),
            "ssl.truststore.location: a JKS store is read by Java only; convert it: keytool "
            "-importkeystore -srckeystore OLD -destkeystore NEW.p12 -deststoretype PKCS12");
  EXPECT_NE(refusal("security.protocol=TLS\n").find("security.protocol: "), std::string::npos);
}

TEST(ClientConfig, JaasOptionsAreFoundByTheirWholeName) {
  EXPECT_EQ(jaas_option("X required my_username=no username='a b' password=plain;", "username"),
            "a b");
  EXPECT_EQ(jaas_option("X required username='a b' password=plain;", "password"), "plain");
  EXPECT_EQ(jaas_option("X required;", "password"), "");
}

}  // namespace
}  // namespace op::cli
