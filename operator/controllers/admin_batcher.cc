#include "operator/controllers/admin_batcher.h"

#include <algorithm>
#include <deque>
#include <mutex>

namespace op::controllers {
namespace {

struct Shared {
  reconcile::Scheduler& scheduler;
  const BatchOptions options;
  const std::function<bool()> may_write;
};

/// The operations of one kind.
template <class Item>
class Lane : public std::enable_shared_from_this<Lane<Item>> {
 public:
  using Send = std::function<void(std::vector<Item>, kafka::AdminClient::Done)>;
  Lane(const Shared& shared, Send send) : shared_(shared), send_(std::move(send)) {}

  void add(Item item, AdminBatcher::Done done) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(item), std::move(done)});
    if (busy_) return;  // the request under way takes them along when it is done
    busy_ = true;
    shared_.scheduler.after(shared_.options.linger,
                            [self = this->shared_from_this()] { self->flush(); });
  }

  /// Answers everything that still waits, and touches the client no more.
  void close() {
    // A send under way is finished first: the client is about to be destroyed.
    const std::lock_guard sending(sending_);
    std::vector<AdminBatcher::Done> unanswered;
    {
      const std::lock_guard lock(mutex_);
      send_ = nullptr;
      unanswered.swap(under_way_);
      for (Waiting& one : waiting_) unanswered.push_back(std::move(one.done));
      waiting_.clear();
    }
    for (const auto& done : unanswered) {
      done({broker::ErrorCode::kNetworkException, "the connection was closed", {}});
    }
  }

 private:
  struct Waiting {
    Item item;
    AdminBatcher::Done done;
  };

  void flush() {
    const std::lock_guard sending(sending_);
    std::vector<Item> items;
    Send send;
    {
      const std::lock_guard lock(mutex_);
      const std::size_t n = std::min(waiting_.size(), shared_.options.max_items);
      for (std::size_t i = 0; i < n; ++i) {
        items.push_back(std::move(waiting_.front().item));
        under_way_.push_back(std::move(waiting_.front().done));
        waiting_.pop_front();
      }
      busy_ = n > 0;
      send = send_;
    }
    if (items.empty() || !send) return;
    if (!shared_.may_write()) {
      finish(kafka::ItemResults(
          items.size(), {broker::ErrorCode::kNotController, "this operator does not lead", {}}));
      return;
    }
    send(std::move(items), [self = this->shared_from_this()](kafka::ItemResults results) {
      self->finish(std::move(results));
    });
  }

  void finish(const kafka::ItemResults& results) {
    std::vector<AdminBatcher::Done> dones;
    {
      const std::lock_guard lock(mutex_);
      dones.swap(under_way_);  // empty when closed
    }
    for (std::size_t i = 0; i < dones.size(); ++i) {
      dones[i](i < results.size()
                   ? results[i]
                   : kafka::ItemResult{
                         broker::ErrorCode::kUnknownServerError, "the answer lacks this item", {}});
    }
    flush();
  }

  const Shared shared_;
  std::recursive_mutex sending_;  // the client may answer from inside the call
  std::mutex mutex_;              // of what follows; never held while calling out
  Send send_;                     // empty once closed
  std::deque<Waiting> waiting_;
  std::vector<AdminBatcher::Done> under_way_;
  bool busy_ = false;  // a flush is scheduled or a request under way
};

}  // namespace

struct AdminBatcher::Lanes {
  std::shared_ptr<Lane<kafka::NewTopic>> create_topics;
  std::shared_ptr<Lane<std::string>> delete_topics;
  std::shared_ptr<Lane<kafka::PartitionGrowth>> create_partitions;
  std::shared_ptr<Lane<kafka::ConfigAlteration>> alter_configs;
  std::shared_ptr<Lane<broker::security::AclBinding>> create_acls;
  std::shared_ptr<Lane<broker::security::AclBinding>> delete_acls;
  std::shared_ptr<Lane<kafka::ScramChange>> alter_scram;
  std::shared_ptr<Lane<kafka::QuotaChange>> alter_quotas;
  std::shared_ptr<Lane<kafka::VoterChange>> change_voter;
  std::shared_ptr<Lane<kafka::Reassignment>> reassign;
  std::shared_ptr<Lane<kafka::PreferredElection>> elect;
  std::shared_ptr<Lane<std::int32_t>> unregister;
};

AdminBatcher::AdminBatcher(kafka::AdminClient& client, reconcile::Scheduler& scheduler,
                           BatchOptions options, std::function<bool()> may_write)
    : lanes_(std::make_shared<Lanes>()) {
  const Shared shared{scheduler, options, std::move(may_write)};
  using kafka::AdminClient;
  const auto lane =
      [&]<class Item>(void (AdminClient::*method)(std::vector<Item>, AdminClient::Done)) {
        return std::make_shared<Lane<Item>>(
            shared, [&client, method](std::vector<Item> items, AdminClient::Done done) {
              (client.*method)(std::move(items), std::move(done));
            });
      };
  lanes_->create_topics = lane(&AdminClient::create_topics);
  lanes_->delete_topics = lane(&AdminClient::delete_topics);
  lanes_->create_partitions = lane(&AdminClient::create_partitions);
  lanes_->alter_configs = lane(&AdminClient::incremental_alter_configs);
  lanes_->create_acls = lane(&AdminClient::create_acls);
  lanes_->delete_acls = lane(&AdminClient::delete_acls);
  lanes_->alter_scram = lane(&AdminClient::alter_scram_credentials);
  lanes_->alter_quotas = lane(&AdminClient::alter_client_quotas);
  lanes_->reassign = lane(&AdminClient::reassign_partitions);
  lanes_->elect = lane(&AdminClient::elect_preferred_leaders);
  lanes_->unregister = lane(&AdminClient::unregister_brokers);
  const Shared one_by_one{scheduler, {options.linger, 1}, shared.may_write};
  lanes_->change_voter = std::make_shared<Lane<kafka::VoterChange>>(
      one_by_one, [&client](std::vector<kafka::VoterChange> changes, AdminClient::Done done) {
        client.change_voter(std::move(changes.front()), std::move(done));
      });
}

AdminBatcher::~AdminBatcher() {
  lanes_->create_topics->close();
  lanes_->delete_topics->close();
  lanes_->create_partitions->close();
  lanes_->alter_configs->close();
  lanes_->create_acls->close();
  lanes_->delete_acls->close();
  lanes_->alter_scram->close();
  lanes_->alter_quotas->close();
  lanes_->change_voter->close();
  lanes_->reassign->close();
  lanes_->elect->close();
  lanes_->unregister->close();
}

void AdminBatcher::create_topic(kafka::NewTopic topic, Done done) {
  lanes_->create_topics->add(std::move(topic), std::move(done));
}
void AdminBatcher::delete_topic(std::string name, Done done) {
  lanes_->delete_topics->add(std::move(name), std::move(done));
}
void AdminBatcher::create_partitions(kafka::PartitionGrowth growth, Done done) {
  lanes_->create_partitions->add(std::move(growth), std::move(done));
}
void AdminBatcher::alter_configs(kafka::ConfigAlteration alteration, Done done) {
  lanes_->alter_configs->add(std::move(alteration), std::move(done));
}
void AdminBatcher::create_acl(broker::security::AclBinding binding, Done done) {
  lanes_->create_acls->add(std::move(binding), std::move(done));
}
void AdminBatcher::delete_acl(broker::security::AclBinding binding, Done done) {
  lanes_->delete_acls->add(std::move(binding), std::move(done));
}
void AdminBatcher::alter_scram(kafka::ScramChange change, Done done) {
  lanes_->alter_scram->add(std::move(change), std::move(done));
}
void AdminBatcher::alter_quotas(kafka::QuotaChange change, Done done) {
  lanes_->alter_quotas->add(std::move(change), std::move(done));
}
void AdminBatcher::change_voter(kafka::VoterChange change, Done done) {
  lanes_->change_voter->add(std::move(change), std::move(done));
}
void AdminBatcher::reassign(kafka::Reassignment reassignment, Done done) {
  lanes_->reassign->add(std::move(reassignment), std::move(done));
}
void AdminBatcher::elect_preferred_leader(kafka::PreferredElection election, Done done) {
  lanes_->elect->add(std::move(election), std::move(done));
}
void AdminBatcher::unregister_broker(std::int32_t broker, Done done) {
  lanes_->unregister->add(broker, std::move(done));
}

}  // namespace op::controllers
