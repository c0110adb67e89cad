#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "operator/pki/certificates.h"
#include "operator/pki/openssl.h"
#include "operator/pki/stores.h"

namespace op::pki {
namespace {

using namespace std::chrono_literals;

constexpr broker::WallMs kNow = 1'800'000'000'000;
constexpr std::chrono::seconds kYear = 365 * 24h;

KeyPair ca(std::string_view name = "orders-cluster-ca-1") {
  auto made = make_ca(name, kNow, 5 * kYear);
  EXPECT_TRUE(made.ok()) << made.error().detail;
  return *made;
}

KeyPair leaf(const KeyPair& issuer, std::vector<std::string> dns, std::vector<std::string> ips) {
  auto issued = issue(issuer,
                      {.common_name = "millrace-broker",
                       .dns_names = std::move(dns),
                       .ip_addresses = std::move(ips),
                       .server = true,
                       .client = true,
                       .validity = kYear},
                      kNow);
  EXPECT_TRUE(issued.ok()) << issued.error().detail;
  return *issued;
}

/// As a client does that trusts `trusted` and is sent `chain`, leaf first.
bool verifies(const std::string& chain, const std::string& trusted) {
  const auto sent = split_bundle(chain);
  X509_STORE* store = X509_STORE_new();
  const detail::CertPtr root = *detail::read_cert(trusted);
  X509_STORE_add_cert(store, root.get());
  STACK_OF(X509)* below = sk_X509_new_null();
  for (std::size_t i = 1; i < sent->size(); ++i)
    sk_X509_push(below, detail::read_cert((*sent)[i])->release());
  X509_STORE_CTX* context = X509_STORE_CTX_new();
  const detail::CertPtr leaf_cert = *detail::read_cert(sent->front());
  X509_STORE_CTX_init(context, store, leaf_cert.get(), below);
  X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context), kNow / 1000);
  const bool verified = X509_verify_cert(context) == 1;
  X509_STORE_CTX_free(context);
  sk_X509_pop_free(below, X509_free);
  X509_STORE_free(store);
  return verified;
}

TEST(Pki, LeafCarriesItsNamesAndPointsToItsIssuer) {
  const KeyPair issuer = ca();
  const KeyPair pair = leaf(issuer, {"b.kafka.svc", "*.kafka.svc"}, {"10.201.0.10", "fd00::1"});
  const auto facts = read_certificate(pair.certificate_pem);
  ASSERT_TRUE(facts.ok());
  EXPECT_EQ(facts->subject, "CN=millrace-broker");
  EXPECT_EQ(facts->issuer, "CN=orders-cluster-ca-1");
  EXPECT_EQ(facts->dns_names, (std::vector<std::string>{"*.kafka.svc", "b.kafka.svc"}));
  EXPECT_EQ(facts->ip_addresses, (std::vector<std::string>{"10.201.0.10", "fd00::1"}));
  EXPECT_EQ(facts->issuer_key_id, read_certificate(issuer.certificate_pem)->key_id);
  EXPECT_FALSE(facts->is_ca);
  EXPECT_TRUE(read_certificate(issuer.certificate_pem)->is_ca);
}

TEST(Pki, BeginsAnHourEarlierButNeverBeforeItsCa) {
  const KeyPair issuer = ca();
  const auto facts = read_certificate(leaf(issuer, {}, {}).certificate_pem);
  EXPECT_EQ(facts->not_before, kNow - 3'600'000);
  EXPECT_EQ(facts->not_after, kNow + std::chrono::milliseconds(kYear).count());
}

TEST(Pki, BeginsATenthOfAShortLifeEarlier) {
  const auto pair = issue(ca(), {.common_name = "x", .validity = 30s}, kNow);
  const auto facts = read_certificate(pair->certificate_pem);
  EXPECT_EQ(facts->not_before, kNow - 3'000);
  EXPECT_EQ(facts->not_after, kNow + 30'000);
}

TEST(Pki, WhoTrustsTheOldCaOnlyAcceptsTheNewOnesLeavesThroughTheCrossCertificate) {
  const KeyPair older = ca("ca-1");
  const KeyPair newer = ca("ca-2");
  const auto cross = cross_sign(older, newer.certificate_pem, kNow);
  ASSERT_TRUE(cross.ok()) << cross.error().detail;
  const auto facts = read_certificate(*cross);
  EXPECT_EQ(facts->subject, "CN=ca-2");
  EXPECT_EQ(facts->issuer, "CN=ca-1");
  EXPECT_EQ(facts->key_id, read_certificate(newer.certificate_pem)->key_id);
  EXPECT_TRUE(is_signed_by(*cross, older.certificate_pem));
  const std::string chain = leaf(newer, {"a"}, {}).certificate_pem + *cross;
  EXPECT_TRUE(verifies(chain, older.certificate_pem));
  EXPECT_TRUE(verifies(chain, newer.certificate_pem));
  EXPECT_FALSE(verifies(chain, ca("ca-3").certificate_pem));
  EXPECT_FALSE(verifies(leaf(newer, {"a"}, {}).certificate_pem, older.certificate_pem));
}

TEST(Pki, LeafNeverOutlivesItsCa) {
  const KeyPair issuer = *make_ca("short", kNow, 24h);
  EXPECT_EQ(read_certificate(leaf(issuer, {}, {}).certificate_pem)->not_after,
            read_certificate(issuer.certificate_pem)->not_after);
  EXPECT_FALSE(issue(issuer, {.common_name = "x", .validity = 1h}, kNow + 90'000'000).ok());
}

TEST(Pki, TellsWhoSignedWhatAndWhichKeyFits) {
  const KeyPair one = ca("ca-1");
  const KeyPair two = ca("ca-2");
  const KeyPair pair = leaf(one, {"a"}, {});
  EXPECT_TRUE(is_signed_by(pair.certificate_pem, one.certificate_pem));
  EXPECT_FALSE(is_signed_by(pair.certificate_pem, two.certificate_pem));
  EXPECT_TRUE(key_matches(pair));
  EXPECT_FALSE(key_matches({one.key_pem, pair.certificate_pem}));
  EXPECT_FALSE(key_matches({"junk", pair.certificate_pem}));
}

TEST(Pki, NamesCannotSmuggleFurtherNames) {
  const KeyPair pair = leaf(ca(), {"a,DNS:evil"}, {});
  EXPECT_EQ(read_certificate(pair.certificate_pem)->dns_names,
            (std::vector<std::string>{"a,DNS:evil"}));
}

TEST(Pki, RefusesForeignBytes) {
  EXPECT_FALSE(read_certificate("").ok());
  EXPECT_FALSE(read_certificate("-----BEGIN CERTIFICATE-----\nAAAA\n").ok());
  EXPECT_FALSE(split_bundle("nothing here").ok());
  EXPECT_FALSE(issue({"", ""}, {.common_name = "x"}, kNow).ok());
  EXPECT_FALSE(issue(ca(), {.common_name = "x", .ip_addresses = {"ten"}}, kNow).ok());
}

TEST(Pki, SplitsABundleInItsOrder) {
  const KeyPair one = ca("ca-1");
  const KeyPair two = ca("ca-2");
  const auto split = split_bundle("# ours\n" + one.certificate_pem + "\n" + two.certificate_pem);
  ASSERT_TRUE(split.ok());
  EXPECT_EQ(*split, (std::vector<std::string>{one.certificate_pem, two.certificate_pem}));
}

TEST(Pki, PasswordsDifferAndHaveTheirLength) {
  EXPECT_EQ(random_password(40).size(), 40u);
  EXPECT_NE(random_password(), random_password());
}

std::string output_of(const std::string& command) {
  std::string out;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  char buffer[512];
  while (std::size_t n = fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, n);
  pclose(pipe);
  return out;
}

std::string saved(const std::string& bytes, const std::string& name) {
  const std::string path = ::testing::TempDir() + "/pki_test_" + name;
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

TEST(Pki, JavaReadsBothStores) {
  if (std::system("command -v keytool >/dev/null 2>&1") != 0) GTEST_SKIP() << "no keytool";
  const KeyPair one = ca("ca-1");
  const KeyPair two = ca("ca-2");
  const auto trust = make_truststore(one.certificate_pem + two.certificate_pem, "changeit");
  ASSERT_TRUE(trust.ok()) << trust.error().detail;
  const std::string trusted =
      output_of("keytool -list -storepass changeit -keystore " + saved(*trust, "trust.p12"));
  EXPECT_NE(trusted.find("2 entries"), std::string::npos) << trusted;
  EXPECT_NE(trusted.find("trustedCertEntry"), std::string::npos) << trusted;
  const auto keys = make_keystore(leaf(one, {"a"}, {}), one.certificate_pem, "changeit", "user");
  ASSERT_TRUE(keys.ok()) << keys.error().detail;
  const std::string listed =
      output_of("keytool -list -storepass changeit -keystore " + saved(*keys, "keys.p12"));
  EXPECT_NE(listed.find("PrivateKeyEntry"), std::string::npos) << listed;
}

}  // namespace
}  // namespace op::pki
