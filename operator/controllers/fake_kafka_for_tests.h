#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "broker/common/rng.h"
#include "broker/metadata/image.h"
#include "broker/security/scram.h"
#include "operator/kafka/cluster_view.h"
#include "operator/reconcile/delayed_tasks.h"

namespace op::controllers {

/// Time for tests: what is delayed runs when asked.
class ManualScheduler final : public reconcile::Scheduler {
 public:
  void after(broker::Duration, broker::Task task) override { tasks_.push_back(std::move(task)); }
  bool run_all() {
    const bool any = !tasks_.empty();
    while (!tasks_.empty()) {
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      task();
    }
    return any;
  }

 private:
  std::deque<broker::Task> tasks_;
};

/// One Kafka cluster that does at once what it is asked, and shows it in its image. Survives
/// operators; counts requests.
class FakeKafka {
 public:
  FakeKafka() {
    image_ = broker::metadata::MetadataImage::empty();
    change([](broker::metadata::MetadataImage& image) {
      broker::metadata::BrokerRegistration broker;
      broker.fenced = false;
      image.cluster.brokers.set(broker.id, broker);
    });
  }

  template <class F>
  void change(F edit) {
    auto next = std::make_shared<broker::metadata::MetadataImage>(*image_);
    edit(*next);
    image_ = std::move(next);
  }
  void announce(const kafka::Changes& changes) {
    for (const auto& [id, callback] : listeners) callback(changes);
  }
  /// A broker starts: registered anew, unfenced.
  void register_broker(int id) {
    change([&](broker::metadata::MetadataImage& image) {
      broker::metadata::BrokerRegistration broker;
      broker.id = broker::BrokerId{id};
      broker.epoch = broker::BrokerEpoch{++epoch_};
      broker.fenced = false;
      if (const auto rack = racks.find(id); rack != racks.end()) broker.rack = rack->second;
      image.cluster.brokers.set(broker.id, broker);
    });
  }
  void fence_broker(int id) {
    change([&](broker::metadata::MetadataImage& image) {
      const auto* known = image.cluster.broker(broker::BrokerId{id});
      if (known == nullptr) return;
      auto broker = *known;
      broker.fenced = true;
      image.cluster.brokers.set(broker.id, broker);
    });
    announce({.brokers = true});
  }
  /// Voters whose directory ids are {1, node id}.
  static std::shared_ptr<kafka::QuorumDescription> quorum_of(const std::vector<int>& ids,
                                                             int leader) {
    auto out = std::make_shared<kafka::QuorumDescription>();
    out->leader_id = leader;
    for (const int id : ids)
      out->voters.push_back({id, broker::Uuid{1, static_cast<std::uint64_t>(id)}, true});
    return out;
  }
  std::shared_ptr<const broker::metadata::MetadataImage> image() const { return image_; }
  const broker::metadata::TopicImage* topic(const std::string& name) const {
    return image_->topics.find(name);
  }

  kafka::ItemResult create(const kafka::NewTopic& wanted) {
    if (topic(wanted.name) != nullptr) return {broker::ErrorCode::kTopicAlreadyExists, "", {}};
    if (refuse.contains(wanted.name)) return {refuse[wanted.name], "refused by the test", {}};
    broker::metadata::TopicImage made;
    made.name = wanted.name;
    made.id = broker::Uuid::random(rng_);
    for (std::int32_t i = 0; i < std::max(wanted.partitions, 1); ++i) {
      made.partitions.set(i, {.replicas = {broker::BrokerId{0}}, .isr = {broker::BrokerId{0}}});
    }
    change([&](broker::metadata::MetadataImage& image) {
      image.topics.by_id.set(made.id, made);
      image.topics.ids.set(made.name, made.id);
      broker::config::ConfigMap configs;
      for (const auto& [key, value] : wanted.configs) configs[key] = value;
      image.configs.by_resource.set({broker::metadata::ConfigResourceType::kTopic, made.name},
                                    configs);
    });
    return {broker::ErrorCode::kNone, "", made.id};
  }
  void erase(const std::string& name) {
    change([&](broker::metadata::MetadataImage& image) {
      if (const auto* id = image.topics.ids.find(name)) image.topics.by_id.erase(*id);
      image.topics.ids.erase(name);
      image.configs.by_resource.erase(
          broker::metadata::ConfigResource{broker::metadata::ConfigResourceType::kTopic, name});
    });
  }

  void put(const broker::metadata::TopicImage& known, std::int32_t index,
           const broker::metadata::PartitionRegistration& partition) {
    broker::metadata::TopicImage topic = known;
    topic.partitions.set(index, partition);
    change([&](auto& image) { image.topics.by_id.set(topic.id, topic); });
  }
  /// At once, or with `hold_moves` when finish_moves() says so. The leader stays if it can.
  void reassign(const broker::metadata::TopicImage& topic,
                broker::metadata::PartitionRegistration partition, const kafka::Reassignment& r) {
    std::vector<broker::BrokerId> before;
    for (const broker::BrokerId id : partition.replicas)
      if (!holds(partition.adding_replicas, id)) before.push_back(id);
    std::vector<broker::BrokerId> after = before;
    if (r.replicas) {
      after.clear();
      for (const std::int32_t id : *r.replicas) after.push_back(broker::BrokerId{id});
    } else if (partition.adding_replicas.empty() && partition.removing_replicas.empty()) {
      return;
    }
    reassignments.push_back(r);
    partition.replicas = after;
    partition.adding_replicas.clear();
    partition.removing_replicas.clear();
    for (const broker::BrokerId id : after)
      if (!holds(before, id)) partition.adding_replicas.push_back(id);
    if (hold_moves && !partition.adding_replicas.empty()) {
      for (const broker::BrokerId id : before) {
        if (holds(after, id)) continue;
        partition.replicas.push_back(id);
        partition.removing_replicas.push_back(id);
      }
    } else {
      settle(partition);
    }
    put(topic, r.partition, partition);
  }
  /// What is under way is done.
  void finish_moves() {
    const auto topics = image_->topics.by_id;
    for (const auto& [id, topic] : topics) {
      for (const auto& [index, registration] : topic.partitions) {
        if (registration.adding_replicas.empty()) continue;
        auto partition = registration;
        settle(partition);
        put(*image_->topics.find(id), index, partition);
      }
    }
    announce({.replication = true});
  }
  static bool holds(const std::vector<broker::BrokerId>& ids, broker::BrokerId id) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
  }
  static void settle(broker::metadata::PartitionRegistration& partition) {
    std::erase_if(partition.replicas,
                  [&](broker::BrokerId id) { return holds(partition.removing_replicas, id); });
    partition.adding_replicas.clear();
    partition.removing_replicas.clear();
    partition.isr = partition.replicas;
    if (!holds(partition.replicas, partition.leader)) partition.leader = partition.replicas.front();
  }

  std::string cluster_id;
  bool up = false;
  bool hold_moves = false;
  std::shared_ptr<const kafka::QuorumDescription> quorum;  // null: it cannot be described
  std::vector<kafka::VoterChange> voter_changes;
  std::vector<kafka::Reassignment> reassignments;
  std::map<int, std::string> racks;
  std::map<std::string, std::int64_t> sizes;  // topic -> bytes of each replica
  int requests = 0;
  int items = 0;
  std::map<std::string, broker::ErrorCode> refuse;  // topic -> answer to its creation
  std::map<int, kafka::Connector::ChangeCallback> listeners;
  int next_listener = 0;
  std::shared_ptr<const kafka::OffsetsSnapshot> offsets;

 private:
  broker::Rng rng_{7};
  std::int64_t epoch_ = 0;
  std::shared_ptr<const broker::metadata::MetadataImage> image_;
};

class FakeConnection final : public kafka::ClusterConnection,
                             public kafka::ClusterView,
                             public kafka::AdminClient {
 public:
  FakeConnection(FakeKafka& kafka, kafka::Connector::ChangeCallback on_change)
      : kafka_(kafka), id_(kafka.next_listener++) {
    kafka_.listeners[id_] = std::move(on_change);
  }
  ~FakeConnection() override { kafka_.listeners.erase(id_); }

  kafka::ClusterView& view() override { return *this; }
  kafka::AdminClient& admin() override { return *this; }
  std::shared_ptr<const broker::metadata::MetadataImage> image() const override {
    return kafka_.up ? kafka_.image() : nullptr;
  }
  bool synced() const override { return kafka_.up; }
  std::string cluster_id() const override { return kafka_.cluster_id; }
  std::string problem() const override { return kafka_.up ? "" : "connection refused"; }
  std::shared_ptr<const kafka::QuorumDescription> quorum() const override {
    return kafka_.up ? kafka_.quorum : nullptr;
  }
  std::shared_ptr<const kafka::OffsetsSnapshot> offsets() const override {
    return kafka_.up ? kafka_.offsets : nullptr;
  }
  void follow_offsets() override {}
  bool renew_certificates(const kafka::ConnectionSpec&) override { return true; }
  void refresh_quorum() override {
    if (!kafka_.quorum) return;
    auto again = std::make_shared<kafka::QuorumDescription>(*kafka_.quorum);
    again->asked_at = std::chrono::steady_clock::now();
    kafka_.quorum = std::move(again);
    kafka_.announce({.quorum = true});
  }
  /// Every replica takes what `sizes` says of its topic.
  void describe_log_dirs(std::function<void(broker::Result<kafka::LogSizes>)> done) override {
    kafka::LogSizes out;
    for (const auto& [id, topic] : kafka_.image()->topics.by_id) {
      for (const auto& [index, partition] : topic.partitions)
        for (const broker::BrokerId replica : partition.replicas)
          out.topics[topic.name].push_back({index, replica.value, kafka_.sizes[topic.name]});
    }
    done(std::move(out));
  }
  void change_voter(kafka::VoterChange change, Done done) override {
    kafka_.voter_changes.push_back(change);
    auto next = std::make_shared<kafka::QuorumDescription>(*kafka_.quorum);
    if (change.remove) {
      std::erase_if(next->voters,
                    [&](const auto& v) { return v.directory_id == change.directory_id; });
    } else {
      next->voters.push_back({change.node_id, change.directory_id, true});
      std::erase_if(next->observers,
                    [&](const auto& o) { return o.directory_id == change.directory_id; });
    }
    next->asked_at = std::chrono::steady_clock::now();
    kafka_.quorum = std::move(next);
    done({kafka::ItemResult{}});
  }

  void create_topics(std::vector<kafka::NewTopic> topics, Done done) override {
    kafka::Changes changes;
    answer(topics, done, [&](const kafka::NewTopic& t) {
      changes.topics.push_back(t.name);
      return kafka_.create(t);
    });
    kafka_.announce(changes);
  }
  void delete_topics(std::vector<std::string> names, Done done) override {
    kafka::Changes changes{.topics = names};
    answer(names, done, [&](const std::string& name) {
      kafka_.erase(name);
      return kafka::ItemResult{};
    });
    kafka_.announce(changes);
  }
  void create_partitions(std::vector<kafka::PartitionGrowth> growths, Done done) override {
    answer(growths, done, [](const auto&) { return kafka::ItemResult{}; });
  }
  void incremental_alter_configs(std::vector<kafka::ConfigAlteration> alterations,
                                 Done done) override {
    kafka::Changes changes;
    answer(alterations, done, [&](const kafka::ConfigAlteration& a) {
      changes.topics.push_back(a.name);
      kafka_.change([&](broker::metadata::MetadataImage& image) {
        const broker::metadata::ConfigResource resource{
            static_cast<broker::metadata::ConfigResourceType>(a.type), a.name};
        broker::config::ConfigMap configs = image.configs.of(resource);
        for (const auto& c : a.changes) {
          if (c.value) {
            configs[c.key] = *c.value;
          } else {
            configs.erase(c.key);
          }
        }
        image.configs.by_resource.set(resource, configs);
      });
      return kafka::ItemResult{};
    });
    kafka_.announce(changes);
  }
  void create_acls(std::vector<broker::security::AclBinding> bindings, Done done) override {
    kafka::Changes changes;
    answer(bindings, done, [&](const broker::security::AclBinding& b) {
      changes.principals.push_back(b.principal);
      for (const auto& [id, binding] : kafka_.image()->acls.by_id) {
        if (binding == b) return kafka::ItemResult{};
      }
      kafka_.change([&](auto& image) { image.acls.by_id.set(broker::Uuid::random(rng_), b); });
      return kafka::ItemResult{};
    });
    kafka_.announce(changes);
  }
  void delete_acls(std::vector<broker::security::AclBinding> bindings, Done done) override {
    kafka::Changes changes;
    answer(bindings, done, [&](const broker::security::AclBinding& b) {
      changes.principals.push_back(b.principal);
      kafka_.change([&](broker::metadata::MetadataImage& image) {
        const auto before = image.acls.by_id;
        for (const auto& [id, binding] : before) {
          if (binding == b) image.acls.by_id.erase(id);
        }
      });
      return kafka::ItemResult{};
    });
    kafka_.announce(changes);
  }
  void reassign_partitions(std::vector<kafka::Reassignment> wanted, Done done) override {
    answer(wanted, done, [&](const kafka::Reassignment& r) {
      const auto* known = kafka_.topic(r.topic);
      if (known == nullptr)
        return kafka::ItemResult{broker::ErrorCode::kUnknownTopicOrPartition, "", {}};
      broker::metadata::TopicImage topic = *known;
      broker::metadata::PartitionRegistration partition = *topic.partitions.find(r.partition);
      kafka_.reassign(topic, partition, r);
      return kafka::ItemResult{};
    });
    kafka_.announce({.replication = true});
  }
  void elect_preferred_leaders(std::vector<kafka::PreferredElection> elections,
                               Done done) override {
    answer(elections, done, [&](const kafka::PreferredElection& e) {
      const auto* known = kafka_.topic(e.topic);
      if (known == nullptr)
        return kafka::ItemResult{broker::ErrorCode::kUnknownTopicOrPartition, "", {}};
      broker::metadata::PartitionRegistration partition = *known->partitions.find(e.partition);
      partition.leader = partition.replicas.front();
      kafka_.put(*known, e.partition, partition);
      return kafka::ItemResult{};
    });
    kafka_.announce({.replication = true});
  }
  void unregister_brokers(std::vector<std::int32_t> brokers, Done done) override {
    answer(brokers, done, [&](std::int32_t id) {
      kafka_.change([&](auto& image) { image.cluster.brokers.erase(broker::BrokerId{id}); });
      return kafka::ItemResult{};
    });
    kafka_.announce({.brokers = true});
  }
  void alter_scram_credentials(std::vector<kafka::ScramChange> wanted, Done done) override {
    kafka::Changes changes;
    answer(wanted, done, [&](const kafka::ScramChange& c) {
      changes.users.push_back(c.username);
      kafka_.change([&](broker::metadata::MetadataImage& image) {
        const std::pair key(c.username, c.mechanism);
        if (c.remove) {
          image.scram.credentials.erase(key);
        } else {
          image.scram.credentials.set(
              key, *broker::security::scram_credential_from_salted(c.mechanism, c.salted_password,
                                                                   c.salt, c.iterations));
        }
      });
      return kafka::ItemResult{};
    });
    kafka_.announce(changes);
  }
  void alter_client_quotas(std::vector<kafka::QuotaChange> wanted, Done done) override {
    kafka::Changes changes;
    answer(wanted, done, [&](const kafka::QuotaChange& c) {
      changes.users.push_back(c.username);
      kafka_.change([&](broker::metadata::MetadataImage& image) {
        const broker::metadata::QuotaEntity entity{{"user", c.username}};
        const auto* before = image.client_quotas.by_entity.find(entity);
        std::map<std::string, double> values;
        if (before != nullptr) values = *before;
        for (const auto& [key, value] : c.values) {
          if (value)
            values[key] = *value;
          else
            values.erase(key);
        }
        if (values.empty())
          image.client_quotas.by_entity.erase(entity);
        else
          image.client_quotas.by_entity.set(entity, values);
      });
      return kafka::ItemResult{};
    });
    kafka_.announce(changes);
  }

 private:
  template <class Item, class F>
  void answer(const std::vector<Item>& items, const Done& done, F act) {
    ++kafka_.requests;
    kafka_.items += static_cast<int>(items.size());
    kafka::ItemResults results;
    for (const Item& item : items) results.push_back(act(item));
    done(std::move(results));
  }

  FakeKafka& kafka_;
  const int id_;
  broker::Rng rng_{11};
};

class FakeConnector final : public kafka::Connector {
 public:
  explicit FakeConnector(FakeKafka& kafka) : kafka_(kafka) {}
  broker::Result<std::unique_ptr<kafka::ClusterConnection>> connect(
      const kafka::ConnectionSpec& spec, ChangeCallback on_change) override {
    last = spec;
    return std::unique_ptr<kafka::ClusterConnection>(
        std::make_unique<FakeConnection>(kafka_, std::move(on_change)));
  }
  kafka::ConnectionSpec last;

 private:
  FakeKafka& kafka_;
};

}  // namespace op::controllers
