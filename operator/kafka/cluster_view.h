#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/ids.h"
#include "broker/common/result.h"
#include "broker/common/time.h"
#include "broker/io/transport.h"
#include "broker/security/acl.h"
#include "broker/security/scram.h"

namespace broker::metadata {
struct MetadataImage;
}

namespace op::kafka {

struct OffsetsSnapshot;

/// How to reach one cluster. Equal specs are the same connection.
struct ConnectionSpec {
  enum class Mode {
    kMetadataLog,  // observe __cluster_metadata over `controllers`, administer over `brokers`
    kDescribe,     // paced describes over `brokers`: for clusters that refuse the log to us
  };
  Mode mode = Mode::kMetadataLog;
  std::vector<broker::io::Endpoint> controllers;
  std::vector<broker::io::Endpoint> brokers;  // bootstrap
  std::vector<std::int32_t> broker_ids;       // beside `brokers`, where each is known; else empty
  bool tls = true;
  std::string ca_pem;           // "" with tls: the system's
  std::string certificate_pem;  // client certificate, leaf first; "" = none
  std::string private_key_pem;
  std::string tls_server_name;  // "" = the endpoint's host
  bool verify_hostname = true;  // false only where a user's client configuration says so
  std::string sasl_mechanism;   // "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"; "" = none
  std::string sasl_username;
  std::string sasl_password;

  bool operator==(const ConnectionSpec&) const = default;
};

/// What moved between two images, by name, so that only the resources concerned are reconciled.
struct Changes {
  bool everything = false;              // first image, or resynchronised from a snapshot
  std::vector<std::string> topics;      // created, deleted, partitions or configs changed
  std::vector<std::string> users;       // SCRAM credentials or quotas changed
  std::vector<std::string> principals;  // ACLs with this principal changed
  bool brokers = false;                 // registrations, fencing, features, broker configs
  bool state = false;                   // synced() flipped; the image need not have changed
  bool replication = false;  // a partition lost its last replica in sync, or one of them,
                             // or has them all again; or its replicas are moved; or another
                             // than its preferred replica leads, or no longer
  bool quorum = false;       // quorum() was asked for, or is another

  bool operator==(const Changes&) const = default;
};

/// The quorum as its leader described it. Offsets are left out: they are old when they arrive.
struct QuorumDescription {
  struct Replica {
    std::int32_t node_id = 0;
    broker::Uuid directory_id;  // zero where the quorum does not tell
    bool caught_up = false;

    bool operator==(const Replica&) const = default;
  };
  std::int32_t leader_id = -1;
  std::int32_t leader_epoch = -1;
  std::vector<Replica> voters;
  std::vector<Replica> observers;
  broker::Instant asked_at{};  // everything before was known to whoever answered
};

/// What one cluster looks like now, kept current by the metadata watch. Thread-safe.
class ClusterView {
 public:
  virtual ~ClusterView() = default;
  /// Null until the first image is complete. Afterwards the last known one, also while
  /// disconnected.
  virtual std::shared_ptr<const broker::metadata::MetadataImage> image() const = 0;
  /// Connected, and the image is at the high watermark seen last.
  virtual bool synced() const = 0;
  /// "" until known. Of the cluster that answers, which need not be the one of yesterday.
  virtual std::string cluster_id() const = 0;
  /// Why it is not synced, for status; "" when it is.
  virtual std::string problem() const = 0;
  /// Null until it was described once.
  virtual std::shared_ptr<const QuorumDescription> quorum() const = 0;
  /// Of the last round; null until there was one, and when nobody has followed for a while.
  virtual std::shared_ptr<const OffsetsSnapshot> offsets() const = 0;
};

/// The answer for one item of a batch: kNone, or Kafka's code and message.
struct ItemResult {
  broker::ErrorCode code = broker::ErrorCode::kNone;
  std::string message;
  broker::Uuid topic_id;  // of a created topic
};
using ItemResults = std::vector<ItemResult>;  // in the order of the request's items

struct NewTopic {
  std::string name;
  std::int32_t partitions = -1;          // -1: the broker's default
  std::int16_t replication_factor = -1;  // -1: the broker's default
  std::vector<std::pair<std::string, std::string>> configs;
};

struct PartitionGrowth {
  std::string topic;
  std::int32_t total_count = 0;
};

/// Replicas for one partition, the preferred leader first (KIP-455).
struct Reassignment {
  std::string topic;
  std::int32_t partition = 0;
  std::optional<std::vector<std::int32_t>> replicas;  // nullopt: take back what is under way
};

/// The first replica of a partition is to lead it.
struct PreferredElection {
  std::string topic;
  std::int32_t partition = 0;
};

struct ConfigChange {
  std::string key;
  std::optional<std::string> value;  // nullopt: delete the key, back to the default
};
struct ConfigAlteration {
  enum class Type : std::int8_t { kTopic = 2, kBroker = 4 };
  Type type = Type::kTopic;
  std::string name;
  std::vector<ConfigChange> changes;
};

struct ScramChange {
  std::string username;
  broker::security::ScramMechanism mechanism = broker::security::ScramMechanism::kSha512;
  bool remove = false;
  std::int32_t iterations = 0;
  broker::security::Bytes salt;
  broker::security::Bytes salted_password;
};

/// Quotas of one user, whatever its client id; keys are Kafka's.
struct QuotaChange {
  std::string username;
  std::map<std::string, std::optional<double>> values;  // nullopt: the limit goes
};

/// One change of the voters (KIP-853).
struct VoterChange {
  bool remove = false;
  std::int32_t node_id = 0;
  broker::Uuid directory_id;
  broker::io::Endpoint endpoint;  // of the CONTROLLER listener, of one that is added
};

/// Administration, one request per call whatever the number of items (callers keep to 1,000).
/// Thread-safe; `done` runs once, on the client's strand or on the caller's thread, and must not
/// block. When the request as a whole fails, every item carries its code: kNetworkException and
/// kRequestTimedOut leave open whether it was carried out.
class AdminClient {
 public:
  using Done = std::function<void(ItemResults)>;
  virtual ~AdminClient() = default;
  virtual void create_topics(std::vector<NewTopic> topics, Done done) = 0;
  virtual void delete_topics(std::vector<std::string> names, Done done) = 0;
  virtual void create_partitions(std::vector<PartitionGrowth> growths, Done done) = 0;
  virtual void incremental_alter_configs(std::vector<ConfigAlteration> alterations, Done done) = 0;
  virtual void create_acls(std::vector<broker::security::AclBinding> bindings, Done done) = 0;
  /// Exactly these bindings. An item without a match is kNone.
  virtual void delete_acls(std::vector<broker::security::AclBinding> bindings, Done done) = 0;
  virtual void alter_scram_credentials(std::vector<ScramChange> changes, Done done) = 0;
  virtual void alter_client_quotas(std::vector<QuotaChange> changes, Done done) = 0;
  /// Taking back what is not under way (any more) is kNone.
  virtual void reassign_partitions(std::vector<Reassignment> reassignments, Done done) = 0;
  /// An election that is not needed is kNone.
  virtual void elect_preferred_leaders(std::vector<PreferredElection> elections, Done done) = 0;
  /// The controller forgets these brokers; one that it does not know is kNone. A request each.
  virtual void unregister_brokers(std::vector<std::int32_t> brokers, Done done) = 0;
  /// Through the leading controller; one result.
  virtual void change_voter(VoterChange change, Done done) = 0;
};

/// What the brokers' logs take, replica by replica.
struct LogSizes {
  struct Replica {
    std::int32_t partition = 0;
    std::int32_t broker = 0;
    std::int64_t bytes = 0;
  };
  std::map<std::string, std::vector<Replica>> topics;
};

/// One cluster's view and administration; disconnects when destroyed (no callback afterwards).
class ClusterConnection {
 public:
  virtual ~ClusterConnection() = default;
  virtual ClusterView& view() = 0;
  virtual AdminClient& admin() = 0;
  /// Has the quorum described anew; `Changes::quorum` says when it is there. It is also asked when
  /// the leader changes and when a node registers.
  virtual void refresh_quorum() = 0;
  /// Asks each broker for the sizes of its logs. `done` runs once, on the client's strand or on the
  /// caller's thread; not at all when the connection is destroyed before. Errors: of the first
  /// broker that does not tell; kUnsupportedVersion where the brokers' addresses are not known.
  virtual void describe_log_dirs(std::function<void(broker::Result<LogSizes>)> done) = 0;
  /// Has the offsets of logs and groups kept current for the next minutes (offsets_watch.h).
  virtual void follow_offsets() = 0;
  /// Connections made from now on use the certificates of `spec`, which differs in nothing else.
  /// Returns whether it could; if not, connect anew. One thread at a time.
  virtual bool renew_certificates(const ConnectionSpec& spec) = 0;
};

/// Makes connections; one per process. `on_change` is called after the view shows the change, on
/// the client's strand, and when synced() flips; it must not block.
class Connector {
 public:
  using ChangeCallback = std::function<void(const Changes&)>;
  virtual ~Connector() = default;
  virtual broker::Result<std::unique_ptr<ClusterConnection>> connect(const ConnectionSpec& spec,
                                                                     ChangeCallback on_change) = 0;
};

}  // namespace op::kafka
