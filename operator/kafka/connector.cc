#include "operator/kafka/connector.h"

#include <mutex>

#include "broker/common/log.h"
#include "broker/common/rng.h"
#include "operator/kafka/admin.h"
#include "operator/kafka/changes.h"
#include "operator/kafka/describe_watch.h"
#include "operator/kafka/log_dirs_client.h"
#include "operator/kafka/metadata_watch.h"
#include "operator/kafka/offsets_watch.h"
#include "operator/kafka/quorum_client.h"
#include "operator/kafka/tls_material.h"

namespace op::kafka {
namespace {

namespace metadata = broker::metadata;
using broker::Error;
using broker::ErrorCode;
using broker::Result;

/// No callback runs after close(), and close() waits for the one that does. A callback may close it
/// itself.
class Gate {
 public:
  template <class Callback>
  void run(Callback&& callback) {
    const std::lock_guard lock(mutex_);
    if (open_) callback();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    open_ = false;
  }

 private:
  std::recursive_mutex mutex_;
  bool open_ = true;
};

/// What the watch wrote last.
class View final : public ClusterView {
 public:
  metadata::ImagePtr image() const override { return locked(image_); }
  bool synced() const override { return locked(synced_); }
  std::string cluster_id() const override { return locked(cluster_id_); }
  std::string problem() const override { return locked(problem_); }
  std::shared_ptr<const QuorumDescription> quorum() const override { return locked(quorum_); }
  std::shared_ptr<const OffsetsSnapshot> offsets() const override { return locked(offsets_); }

  /// The image before; null for the first.
  metadata::ImagePtr set_image(metadata::ImagePtr image) {
    const std::lock_guard lock(mutex_);
    return std::exchange(image_, std::move(image));
  }
  /// Whether synced() flipped.
  bool set_state(bool synced, std::string problem) {
    const std::lock_guard lock(mutex_);
    problem_ = std::move(problem);
    return std::exchange(synced_, synced) != synced;
  }
  /// The one before; null for the first.
  std::shared_ptr<const QuorumDescription> set_quorum(QuorumDescription quorum) {
    auto shared = std::make_shared<const QuorumDescription>(std::move(quorum));
    const std::lock_guard lock(mutex_);
    return std::exchange(quorum_, std::move(shared));
  }
  void set_offsets(std::shared_ptr<const OffsetsSnapshot> offsets) {
    const std::lock_guard lock(mutex_);
    offsets_.swap(offsets);
  }
  void set_cluster_id(std::string cluster_id) {
    const std::lock_guard lock(mutex_);
    cluster_id_ = std::move(cluster_id);
  }

 private:
  template <class T>
  T locked(const T& value) const {
    const std::lock_guard lock(mutex_);
    return value;
  }

  mutable std::mutex mutex_;
  metadata::ImagePtr image_;
  bool synced_ = false;
  std::string cluster_id_;
  std::string problem_ = "not connected yet";
  std::shared_ptr<const QuorumDescription> quorum_;
  std::shared_ptr<const OffsetsSnapshot> offsets_;
};

bool same_members(const QuorumDescription& a, const QuorumDescription& b) {
  return a.leader_id == b.leader_id && a.voters == b.voters && a.observers == b.observers;
}

/// The part that lives on the strand.
class Link {
 public:
  Link(broker::io::Strand& strand, broker::io::Transport& transport,
       broker::client::ReconnectOptions controllers, broker::client::ReconnectOptions brokers,
       OffsetsOptions offsets, std::vector<std::int32_t> broker_ids, std::shared_ptr<View> view,
       std::shared_ptr<Gate> gate, Connector::ChangeCallback on_change)
      : view_(std::move(view)),
        gate_(std::move(gate)),
        on_change_(std::move(on_change)),
        admin_(strand, transport, brokers, {}),
        log_dirs_(strand, transport, brokers, std::move(broker_ids)),
        offsets_(
            strand, transport, brokers, offsets, [view = view_.get()] { return view->image(); },
            [view = view_.get()](std::shared_ptr<const OffsetsSnapshot> snapshot) {
              view->set_offsets(std::move(snapshot));
            }) {
    if (controllers.bootstrap.empty()) {
      describe_ = std::make_unique<DescribeWatch>(strand, transport, std::move(brokers),
                                                  DescribeOptions{}, describe_events());
      return;
    }
    watch_ =
        std::make_unique<MetadataWatch>(strand, transport, controllers, WatchOptions{}, events());
    quorum_ = std::make_unique<QuorumClient>(strand, transport, std::move(controllers));
  }

  void start() {
    if (watch_) watch_->start();
    if (describe_) describe_->start();
  }
  /// An administration call was answered: what it did is looked at, where nothing tells of it.
  void changed() {
    if (describe_) describe_->look_soon();
  }
  void wrote(const std::vector<ScramChange>& changes) {
    if (!describe_) return;
    for (const ScramChange& change : changes) describe_->wrote(change);
  }
  Admin& admin() { return admin_; }
  LogDirsClient& log_dirs() { return log_dirs_; }
  void follow_offsets() { offsets_.follow(); }

  void refresh_quorum(bool wanted) {
    if (!quorum_) return;
    wanted_ = wanted_ || wanted;
    again_ = asking_;
    if (asking_) return;
    asking_ = true;
    quorum_->describe(watch_->endpoint(), [this](Result<QuorumDescription> described) {
      asking_ = false;
      on_quorum(std::move(described));
    });
  }
  void change_voter(const VoterChange& change, const AdminClient::Done& done) {
    if (!quorum_) {
      return done(
          {ItemResult{ErrorCode::kUnsupportedVersion, "not the cluster's own operator", {}}});
    }
    quorum_->change(change, view_->cluster_id(),
                    [done](ItemResult result) { done({std::move(result)}); });
  }

 private:
  void on_quorum(Result<QuorumDescription> described) {
    const bool again = std::exchange(again_, false);
    if (described.ok()) {
      const auto before = view_->set_quorum(*described);
      const bool news = !before || !same_members(*before, *described);
      if (news || std::exchange(wanted_, false)) tell({.quorum = true});
    } else {
      broker::log_debug("kafka", "the quorum was not described",
                        {{"error", to_string(described.error())}});
    }
    if (again) refresh_quorum(false);
  }

  WatchEvents events() {
    return {
        .on_image = [this](const metadata::MetadataUpdate& update,
                           bool resynchronised) { on_image(update, resynchronised); },
        .on_state =
            [this](bool synced, const std::string& problem) {
              if (!view_->set_state(synced, problem)) return;
              if (synced) refresh_quorum(false);  // perhaps by another leader
              tell({.state = true});
            },
        .on_cluster_id = [this](const std::string& id) { view_->set_cluster_id(id); },
    };
  }

  DescribeEvents describe_events() {
    return {
        .on_image =
            [this](metadata::ImagePtr image, const Changes& changes) {
              view_->set_image(std::move(image));
              tell(changes);
            },
        .on_state =
            [this](bool synced, const std::string& problem) {
              if (view_->set_state(synced, problem)) tell({.state = true});
            },
        .on_cluster_id = [this](const std::string& id) { view_->set_cluster_id(id); },
    };
  }

  void on_image(const metadata::MetadataUpdate& update, bool resynchronised) {
    const metadata::ImagePtr before = view_->set_image(update.image);
    if (resynchronised || before == nullptr) return tell({.everything = true});
    const Changes changes = name_changes(update.changes, *before, *update.image);
    if (changes.brokers) refresh_quorum(false);
    if (!empty(changes)) tell(changes);
  }

  void tell(const Changes& changes) {
    gate_->run([&] { on_change_(changes); });
  }

  const std::shared_ptr<View> view_;
  const std::shared_ptr<Gate> gate_;
  const Connector::ChangeCallback on_change_;
  Admin admin_;
  LogDirsClient log_dirs_;
  OffsetsWatch offsets_;
  std::unique_ptr<MetadataWatch> watch_;  // either these two
  std::unique_ptr<QuorumClient> quorum_;
  std::unique_ptr<DescribeWatch> describe_;  // or this one
  bool asking_ = false;
  bool again_ = false;   // asked for while the last question was under way
  bool wanted_ = false;  // somebody waits for the answer
};

class Connection final : public ClusterConnection, private AdminClient {
 public:
  Connection(broker::io::Strand& strand, broker::io::Transport& transport,
             broker::client::ReconnectOptions controllers, broker::client::ReconnectOptions brokers,
             OffsetsOptions offsets, std::vector<std::int32_t> broker_ids,
             std::unique_ptr<TlsMaterial> tls, Connector::ChangeCallback on_change)
      : strand_(strand),
        tls_(std::move(tls)),
        link_(std::make_shared<Link>(strand, transport, std::move(controllers), std::move(brokers),
                                     offsets, std::move(broker_ids), view_, gate_,
                                     std::move(on_change))) {
    strand_.post([link = link_] { link->start(); });
  }

  ~Connection() override {
    gate_->close();
    // The last one: the tasks before hold it only while they run.
    strand_.post([link = std::move(link_)]() mutable { link.reset(); });
  }

  ClusterView& view() override { return *view_; }
  AdminClient& admin() override { return *this; }
  void refresh_quorum() override {
    strand_.post([link = std::weak_ptr(link_)] {
      if (const auto alive = link.lock()) alive->refresh_quorum(true);
    });
  }
  void describe_log_dirs(std::function<void(Result<LogSizes>)> done) override {
    strand_.post([link = std::weak_ptr(link_), gate = gate_, done = std::move(done)]() mutable {
      const std::shared_ptr<Link> alive = link.lock();
      if (alive == nullptr) return;
      alive->log_dirs().ask(
          [gate = std::move(gate), done = std::move(done)](const Result<LogSizes>& sizes) {
            gate->run([&] { done(sizes); });
          });
    });
  }
  void follow_offsets() override {
    strand_.post([link = std::weak_ptr(link_)] {
      if (const auto alive = link.lock()) alive->follow_offsets();
    });
  }
  bool renew_certificates(const ConnectionSpec& spec) override {
    if (tls_ == nullptr) return false;
    const auto renewed = tls_->renew(spec);
    if (renewed.ok()) return true;
    broker::log_warn("kafka", "certificates not renewed, connecting anew",
                     {{"error", to_string(renewed.error())}});
    return false;
  }

 private:
  void create_topics(std::vector<NewTopic> topics, Done done) override {
    run<CreateTopics>(std::move(topics), std::move(done));
  }
  void delete_topics(std::vector<std::string> names, Done done) override {
    run<DeleteTopics>(std::move(names), std::move(done));
  }
  void create_partitions(std::vector<PartitionGrowth> growths, Done done) override {
    run<CreatePartitions>(std::move(growths), std::move(done));
  }
  void incremental_alter_configs(std::vector<ConfigAlteration> alterations, Done done) override {
    run<IncrementalAlterConfigs>(std::move(alterations), std::move(done));
  }
  void create_acls(std::vector<broker::security::AclBinding> bindings, Done done) override {
    run<CreateAcls>(std::move(bindings), std::move(done));
  }
  void delete_acls(std::vector<broker::security::AclBinding> bindings, Done done) override {
    run<DeleteAcls>(std::move(bindings), std::move(done));
  }
  void alter_scram_credentials(std::vector<ScramChange> changes, Done done) override {
    run<AlterScramCredentials>(std::move(changes), std::move(done));
  }
  void alter_client_quotas(std::vector<QuotaChange> changes, Done done) override {
    run<AlterClientQuotas>(std::move(changes), std::move(done));
  }

  void reassign_partitions(std::vector<Reassignment> reassignments, Done done) override {
    run<ReassignPartitions>(std::move(reassignments), std::move(done));
  }
  void elect_preferred_leaders(std::vector<PreferredElection> elections, Done done) override {
    run<ElectPreferredLeaders>(std::move(elections), std::move(done));
  }
  void unregister_brokers(std::vector<std::int32_t> brokers, Done done) override {
    run<UnregisterBroker>(std::move(brokers), std::move(done));
  }

  void change_voter(VoterChange change, Done done) override {
    strand_.post([link = std::weak_ptr(link_), gate = gate_, change = std::move(change),
                  done = std::move(done)]() mutable {
      const std::shared_ptr<Link> alive = link.lock();
      if (alive == nullptr) return;
      alive->change_voter(change,
                          [gate = std::move(gate), done = std::move(done)](ItemResults results) {
                            gate->run([&] { done(std::move(results)); });
                          });
    });
  }

  template <class Operation>
  void run(std::vector<typename Operation::Item> items, Done done) {
    strand_.post([link = std::weak_ptr(link_), gate = gate_, items = std::move(items),
                  done = std::move(done)]() mutable {
      const std::shared_ptr<Link> alive = link.lock();
      if (alive == nullptr) return;
      if constexpr (std::is_same_v<Operation, AlterScramCredentials>) alive->wrote(items);
      alive->admin().run<Operation>(
          std::move(items),
          [link, gate = std::move(gate), done = std::move(done)](ItemResults results) {
            gate->run([&] { done(std::move(results)); });
            if (const auto still = link.lock()) still->changed();
          });
    });
  }

  broker::io::Strand& strand_;
  const std::unique_ptr<TlsMaterial> tls_;
  const std::shared_ptr<View> view_ = std::make_shared<View>();
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>();
  std::shared_ptr<Link> link_;
};

class NetworkConnector final : public Connector {
 public:
  NetworkConnector(broker::io::Strand& strand, broker::io::Transport& transport,
                   OffsetsOptions offsets)
      : strand_(strand), transport_(transport), offsets_(offsets) {}

  Result<std::unique_ptr<ClusterConnection>> connect(const ConnectionSpec& spec,
                                                     ChangeCallback on_change) override {
    const bool reads_log = spec.mode == ConnectionSpec::Mode::kMetadataLog;
    if (spec.brokers.empty() || (reads_log && spec.controllers.empty())) {
      return Error{ErrorCode::kInvalidRequest,
                   "the cluster needs the addresses of at least one broker, and of one controller "
                   "where its metadata log is read"};
    }
    std::unique_ptr<TlsMaterial> tls;
    if (spec.tls) {
      ASSIGN_OR_RETURN(tls, TlsMaterial::make(transport_, spec));
    }
    const broker::client::ConnectionOptions options =
        connection_options(spec, tls ? tls->context() : nullptr);
    return std::unique_ptr<ClusterConnection>(std::make_unique<Connection>(
        strand_, transport_,
        reconnect(options, reads_log ? spec.controllers : std::vector<broker::io::Endpoint>()),
        reconnect(options, spec.brokers), offsets_, spec.broker_ids, std::move(tls),
        std::move(on_change)));
  }

 private:
  static broker::client::ConnectionOptions connection_options(
      const ConnectionSpec& spec, std::shared_ptr<broker::io::TlsContext> tls) {
    broker::client::ConnectionOptions options;
    options.client_id = "millrace-operator";
    options.connect_timeout = std::chrono::seconds(5);
    options.request_timeout = std::chrono::seconds(10);
    options.server_name = spec.tls_server_name;
    options.tls = std::move(tls);
    if (!spec.sasl_mechanism.empty()) {
      options.sasl = {spec.sasl_mechanism, spec.sasl_username, spec.sasl_password};
    }
    return options;
  }

  static broker::client::ReconnectOptions reconnect(
      const broker::client::ConnectionOptions& options,
      const std::vector<broker::io::Endpoint>& bootstrap) {
    return {.connection = options, .bootstrap = bootstrap, .seed = broker::Rng::os_seed()};
  }

  broker::io::Strand& strand_;
  broker::io::Transport& transport_;
  const OffsetsOptions offsets_;
};

}  // namespace

std::unique_ptr<Connector> make_connector(broker::io::Strand& strand,
                                          broker::io::Transport& transport,
                                          OffsetsOptions offsets) {
  return std::make_unique<NetworkConnector>(strand, transport, offsets);
}

}  // namespace op::kafka
