#include "operator/kafka/admin.h"

#include <algorithm>
#include <numeric>
#include <set>

namespace op::kafka {
namespace {

using broker::ErrorCode;
using broker::Result;

/// Whether the node said so before it did anything.
bool not_carried_out(ErrorCode code) {
  return code == ErrorCode::kNotController || code == ErrorCode::kBrokerNotAvailable ||
         code == ErrorCode::kThrottlingQuotaExceeded;
}

}  // namespace

Admin::Admin(broker::io::Strand& strand, broker::io::Transport& transport,
             broker::client::ReconnectOptions brokers, AdminOptions options)
    : strand_(strand), options_(options), client_(strand, transport, std::move(brokers)) {}

/// One call: request after request until every item has its result.
template <class Operation>
class Admin::Call : public std::enable_shared_from_this<Call<Operation>> {
 public:
  using Item = typename Operation::Item;
  using Response = typename Operation::Request::Response;

  Call(Admin& admin, std::vector<Item> items, Done done)
      : admin_(admin),
        alive_(admin.alive_),
        items_(std::move(items)),
        results_(items_.size()),
        open_(items_.size()),
        give_up_(admin.strand_.now() + admin.options_.deadline),
        done_(std::move(done)) {
    std::iota(open_.begin(), open_.end(), std::size_t{0});
  }

  void next() {
    if (open_.empty()) return done_(std::move(results_));
    choose();
    std::vector<Item> batch;
    for (const std::size_t i : sent_) batch.push_back(items_[i]);
    const auto left = give_up_ - admin_.strand_.now();
    const auto grant = std::min<broker::Duration>(admin_.options_.controller_timeout, left);
    const auto grant_ms = std::chrono::duration_cast<std::chrono::milliseconds>(grant).count();
    auto request =
        Operation::request(batch, static_cast<std::int32_t>(std::max<std::int64_t>(grant_ms, 1)));
    admin_.client_.call(
        std::move(request),
        [self = this->shared_from_this(), batch = std::move(batch)](Result<Response> response) {
          self->on_answer(batch, response);
        },
        left);
  }

 private:
  /// What goes with the next request: the first items, but none of them twice.
  void choose() {
    sent_.clear();
    std::set<std::string> keys;
    std::vector<std::size_t> later;
    for (const std::size_t i : open_) {
      const std::string key = Operation::key(items_[i]);
      const bool fits =
          sent_.size() < admin_.options_.max_items && (key.empty() || keys.insert(key).second);
      (fits ? sent_ : later).push_back(i);
    }
    open_ = std::move(later);
  }

  void on_answer(const std::vector<Item>& batch, const Result<Response>& response) {
    ItemResults answered;
    if (response.ok()) {
      answered = Operation::results(batch, *response);
    } else {
      // Frozen or talking nonsense: the next broker may do better.
      if (response.code() == ErrorCode::kRequestTimedOut ||
          response.code() == ErrorCode::kCorruptMessage) {
        admin_.client_.move_on();
      }
      answered.assign(batch.size(), {response.error().code, response.error().detail, {}});
    }
    const std::size_t open_before = open_.size();
    const bool time_left = admin_.strand_.now() + backoff() < give_up_;
    for (std::size_t i = 0; i < sent_.size(); ++i) {
      if (time_left && not_carried_out(answered[i].code)) {
        open_.push_back(sent_[i]);
      } else {
        results_[sent_[i]] = std::move(answered[i]);
      }
    }
    if (open_.size() == open_before) return next();
    retry();
  }

  void retry() {
    admin_.strand_.call_after(backoff(), [self = this->shared_from_this()] {
      if (*self->alive_) self->next();
    });
    ++attempts_;
  }

  broker::Duration backoff() const {
    return std::min<broker::Duration>(admin_.options_.max_backoff,
                                      admin_.options_.min_backoff * (1 << std::min(attempts_, 10)));
  }

  Admin& admin_;
  const std::shared_ptr<bool> alive_;
  const std::vector<Item> items_;
  ItemResults results_;
  std::vector<std::size_t> open_;  // items without a result, not on the wire
  std::vector<std::size_t> sent_;  // on the wire
  const broker::Instant give_up_;
  int attempts_ = 0;
  Done done_;
};

template <class Operation>
void Admin::run(std::vector<typename Operation::Item> items, Done done) {
  strand_.check_current();
  std::make_shared<Call<Operation>>(*this, std::move(items), std::move(done))->next();
}

template void Admin::run<CreateTopics>(std::vector<NewTopic>, Done);
template void Admin::run<DeleteTopics>(std::vector<std::string>, Done);
template void Admin::run<CreatePartitions>(std::vector<PartitionGrowth>, Done);
template void Admin::run<IncrementalAlterConfigs>(std::vector<ConfigAlteration>, Done);
template void Admin::run<CreateAcls>(std::vector<broker::security::AclBinding>, Done);
template void Admin::run<DeleteAcls>(std::vector<broker::security::AclBinding>, Done);
template void Admin::run<AlterScramCredentials>(std::vector<ScramChange>, Done);
template void Admin::run<AlterClientQuotas>(std::vector<QuotaChange>, Done);
template void Admin::run<ReassignPartitions>(std::vector<Reassignment>, Done);
template void Admin::run<ElectPreferredLeaders>(std::vector<PreferredElection>, Done);
template void Admin::run<UnregisterBroker>(std::vector<std::int32_t>, Done);

}  // namespace op::kafka
