#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "operator/api/cluster.h"
#include "operator/api/user.h"

/// Secrets as JSON for server-side apply. PEM and store bytes come in finished: nothing here makes
/// or checks a key.
namespace op::model {

/// Keys of the CA Secrets.
inline constexpr const char* kCaCertKey = "ca.crt";  // all that is trusted: the signing CA first
inline constexpr const char* kCaKeyKey = "ca.key";
inline constexpr const char* kNextCaCertKey = "next.crt";  // trusted, and does not sign yet
inline constexpr const char* kNextCaKeyKey = "next.key";
inline constexpr const char* kCrossCertKey =
    "cross.crt";  // the signing CA, vouched for by the last
inline constexpr const char* kCaGenerationAnnotation = "millrace.io/ca-generation";
/// When every broker was seen with what the last step of a rotation brought; in milliseconds.
inline constexpr const char* kCaSeenAtAnnotation = "millrace.io/ca-seen-at";
inline constexpr const char* kCaRenewedAnnotation = "millrace.io/ca-renewed";

enum class CaPurpose { kCluster, kUsers };
struct CaContent {
  std::string bundle_pem;
  std::string key_pem;
  int generation = 1;
  std::string next_pem;
  std::string next_key_pem;
  std::string cross_pem;
  std::int64_t seen_at = 0;  // 0: not noted
  std::string renewed;
};
nlohmann::json ca_secret(const api::Cluster& cluster, CaPurpose purpose, const CaContent& content);

/// The pool's Secret, mounted into each of its pods at /etc/millrace/certs: "<id>.pem" with key
/// and certificate per node, "cluster-ca.crt" and "users-ca.crt" to trust.
/// Each listener for clients with TLS has a file of its own, so that a certificate given for it is
/// taken up without a restart; else it holds what "<id>.pem" does.
struct BrokerSecretContent {
  std::map<std::int32_t, std::string> keystore_pem;
  std::map<std::string, std::string> listener_keystore_pem;  // by listener_keystore_key
  std::string cluster_ca_pem;
  std::string users_ca_pem;
  std::string listeners_ca_pem;  // of certificates that users gave: for clients
};
inline constexpr const char* kListenersCaKey = "listeners-ca.crt";
inline constexpr const char* kBrokerClusterCaKey = "cluster-ca.crt";
inline constexpr const char* kBrokerUsersCaKey = "users-ca.crt";
std::string broker_keystore_key(std::int32_t node_id);  // "0.pem"
std::string listener_keystore_key(std::int32_t node_id,
                                  const std::string& listener);  // "0.tls.pem"
nlohmann::json broker_secret_object(const api::Cluster& cluster, const api::PoolSpec& pool,
                                    const BrokerSecretContent& content);

/// The operator's own client certificate for this cluster: tls.crt, tls.key.
nlohmann::json operator_secret_object(const api::Cluster& cluster, const std::string& key_pem,
                                      const std::string& certificate_pem);

/// Keys of a User's Secret that are read back, to keep what was made.
inline constexpr const char* kUserPasswordKey = "password";
inline constexpr const char* kUserKeyKey = "tls.key";
inline constexpr const char* kUserCertKey = "tls.crt";
inline constexpr const char* kUserTruststoreKey = "truststore.p12";
inline constexpr const char* kUserKeystoreKey = "keystore.p12";
inline constexpr const char* kUserStorePasswordKey = "store.password";

struct UserCredentials {
  std::string password;         // SCRAM
  std::string key_pem;          // Mtls
  std::string certificate_pem;  // Mtls
  std::string ca_bundle_pem;    // every CA that may have signed a broker's certificate
  std::string truststore_p12;   // of ca_bundle_pem
  std::string keystore_p12;     // Mtls
  std::string store_password;   // of both stores
};

/// One listener as a client of it needs to know.
struct ClientListener {
  std::string name;
  std::string bootstrap;
  std::string protocol;   // SASL_SSL …
  std::string mechanism;  // SCRAM-SHA-512 …; "" for Mtls and None
};
/// The listeners that this kind of credential opens, exposed ones last: a pod inside prefers the
/// first.
std::vector<ClientListener> client_listeners(const api::Cluster& cluster, api::UserAuth type);

/// All that a client needs. `listeners` empty: the cluster has none for this user (its plan says
/// so). Owned by the User, labelled millrace.io/user.
nlohmann::json user_secret(const api::User& user, const std::vector<ClientListener>& listeners,
                           const UserCredentials& credentials);

/// org.apache.kafka.common.security.scram.ScramLoginModule required username="…" password="…";
std::string jaas_line(const std::string& username, const std::string& password);

}  // namespace op::model
