#include "broker/sim/campaign.h"

#include <fmt/format.h>

#include "broker/common/log_sink.h"
#include "broker/sim/administrator.h"
#include "broker/sim/cluster.h"
#include "broker/sim/group_member.h"
#include "broker/sim/history.h"
#include "broker/sim/nemesis.h"
#include "broker/sim/replicas.h"
#include "broker/sim/transactor.h"
#include "broker/sim/watch.h"
#include "broker/sim/workload.h"

namespace broker::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kTopic = "orders";
constexpr const char* kTransactionalTopic = "payments";
constexpr std::int32_t kFirstTransactor = 100;  // producers' numbers below are not transactional
constexpr Duration kToStart = seconds(60);
constexpr Duration kToBecomeWhole = seconds(90);
constexpr Duration kBetweenLooks = milliseconds(500);

class Run {
 public:
  Run(const Plan& plan, const TraceSink& trace);
  ~Run() {
    cluster_.kill_clients();
    set_log_sink([](LogLevel, std::string_view, std::string_view) {});
  }
  Report execute();

 private:
  void start_clients();
  void start_transactors();
  void make_members();
  void look_again();
  void proceed(Duration time);
  bool wait_until_nothing_is_missing(Duration limit);
  std::string missing() const;
  std::string partitions() const;
  void on_log(std::string_view logger, std::string_view text);
  bool failed() const { return history_.first_violation().has_value(); }

  const Plan& plan_;
  // Until the last node is gone.
  const std::shared_ptr<void> log_sink_{nullptr, [](void*) { set_log_sink(nullptr); }};
  History history_;
  Cluster cluster_;
  Nemesis nemesis_;
  Watch watch_;
  Router router_;
  ClientContext context_;
  Transactions transactions_{history_};
  ClientContext transactional_;
  std::vector<std::unique_ptr<Producer>> producers_;
  std::vector<std::unique_ptr<Reader>> readers_;
  std::vector<std::unique_ptr<OffsetKeeper>> keepers_;
  Memberships memberships_{history_};
  std::vector<std::string> groups_with_members_;
  std::vector<std::unique_ptr<GroupMember>> members_;
  std::vector<std::unique_ptr<Transactor>> transactors_;
  std::unique_ptr<Reader> committed_reader_;           // null: there are no transactors
  std::unique_ptr<Administrator> administrator_;       // null: nobody changes anything
  std::map<std::string, std::string> quorum_leaders_;  // by epoch, which run of which node
  int topics_missing_ = 0;
};

Run::Run(const Plan& plan, const TraceSink& trace)
    : plan_(plan),
      cluster_(plan),
      nemesis_(cluster_, plan),
      watch_(cluster_, history_),
      router_(cluster_.clients().main(), cluster_.clients().transport(), "simulated",
              cluster_.bootstrap(), plan.seed + 5),
      context_{cluster_.clients().main(), router_, history_, kTopic},
      transactional_{cluster_.clients().main(), router_, history_, kTransactionalTopic,
                     &transactions_} {
  auto& scheduler = cluster_.scheduler();
  set_log_level(LogLevel::kInfo);
  if (trace != nullptr) {
    scheduler.set_trace([trace](Duration at, std::string_view line) {
      trace(fmt::format("{:12.6f} {}", std::chrono::duration<double>(at).count(), line));
    });
  }
  set_log_sink(
      [this](LogLevel, std::string_view logger, std::string_view text) { on_log(logger, text); });
}

void Run::on_log(std::string_view logger, std::string_view text) {
  auto& scheduler = cluster_.scheduler();
  const auto* life = io::sim::current_life();
  const std::string who = life != nullptr ? life->name : "world";
  if (scheduler.tracing()) scheduler.trace(fmt::format("{:<11} {}: {}", who, logger, text));
  if (text.starts_with("truncated below the high watermark"))
    history_.violation(fmt::format("{} lost what was committed: {}", who, text));
  constexpr std::string_view kLeads = "leads the metadata quorum epoch=";
  if (logger != "quorum" || !text.starts_with(kLeads)) return;
  const std::string epoch(
      text.substr(kLeads.size(), text.find(' ', kLeads.size()) - kLeads.size()));
  const auto [known, is_new] = quorum_leaders_.try_emplace(epoch, who);
  if (is_new || known->second == who) return;
  history_.violation("quorum epoch " + epoch + " has two leaders, " + known->second + " and " +
                     who);
}

void Run::start_clients() {
  Rng rng(plan_.seed + 99);
  for (int i = 0; i < plan_.producers; ++i) {
    producers_.push_back(std::make_unique<Producer>(context_, i, plan_.partitions,
                                                    plan_.pause_between_batches, rng.next()));
  }
  for (int i = 0; i < plan_.readers; ++i) {
    readers_.push_back(std::make_unique<Reader>(context_, plan_.partitions, rng.next()));
  }
  for (int i = 0; i < plan_.groups; ++i) {
    keepers_.push_back(
        std::make_unique<OffsetKeeper>(context_, "group-" + std::to_string(i), rng.next()));
  }
  make_members();
  if (plan_.administration)
    administrator_ = std::make_unique<Administrator>(context_, plan_, rng.next());
  if (plan_.transactors > 0) start_transactors();
  ++topics_missing_;
  cluster_.clients().main().post([this] {
    create_topic(context_, plan_.partitions, std::min(3, plan_.nodes), plan_.nodes >= 3 ? 2 : 1,
                 [this] {
                   --topics_missing_;
                   for (const auto& producer : producers_) producer->start();
                   for (const auto& reader : readers_) reader->start();
                   for (const auto& keeper : keepers_) keeper->start();
                   for (const auto& member : members_) member->start();
                   if (administrator_ != nullptr) administrator_->start();
                 });
  });
}

void Run::make_members() {
  Rng rng(plan_.seed + 55);
  const auto router = [&] {
    return std::make_unique<Router>(cluster_.clients().main(), cluster_.clients().transport(),
                                    "member", cluster_.bootstrap(), rng.next());
  };
  if (plan_.classic_members > 0) groups_with_members_.push_back("classic");
  for (int i = 0; i < plan_.classic_members; ++i)
    members_.push_back(make_classic_member(context_, router(), memberships_, "classic", i,
                                           plan_.partitions, rng.next()));
  if (plan_.consumer_members > 0) groups_with_members_.push_back("consumer");
  for (int i = 0; i < plan_.consumer_members; ++i)
    members_.push_back(
        make_consumer_member(context_, router(), memberships_, "consumer", i, rng.next()));
}

void Run::start_transactors() {
  Rng rng(plan_.seed + 77);
  for (int i = 0; i < plan_.transactors; ++i) {
    transactors_.push_back(std::make_unique<Transactor>(
        transactional_, kFirstTransactor + i, plan_.partitions, plan_.pause_between_batches,
        plan_.old_transactors, rng.next()));
  }
  committed_reader_ = std::make_unique<Reader>(transactional_, plan_.partitions, rng.next());
  ++topics_missing_;
  cluster_.clients().main().post([this] {
    create_topic(transactional_, plan_.partitions, std::min(3, plan_.nodes),
                 plan_.nodes >= 3 ? 2 : 1, [this] {
                   --topics_missing_;
                   for (const auto& transactor : transactors_) transactor->start();
                   committed_reader_->start();
                 });
  });
}

void Run::look_again() {
  cluster_.scheduler().after(kBetweenLooks, [this] {
    watch_.look();
    look_again();
  });
}

void Run::proceed(Duration time) {
  auto& scheduler = cluster_.scheduler();
  (void)scheduler.run_until_true([this] { return failed(); }, time);
}

bool Run::wait_until_nothing_is_missing(Duration limit) {
  const bool came =
      cluster_.scheduler().run_until_true([this] { return failed() || missing().empty(); }, limit);
  if (!came) {
    history_.violation(fmt::format("not within {} s:{} while{}",
                                   std::chrono::duration<double>(limit).count(), missing(),
                                   partitions()));
  }
  return !failed();
}

/// Who leads what, as the newest image says.
std::string Run::partitions() const {
  std::string text;
  const auto image = cluster_.newest_image();
  if (image == nullptr) return text;
  const auto list = [](const std::vector<BrokerId>& ids) {
    std::string out;
    for (const BrokerId id : ids) out += (out.empty() ? "" : ",") + std::to_string(id.value);
    return out;
  };
  for (const auto& [id, topic] : image->topics.by_id) {
    for (const auto& [index, p] : topic.partitions) {
      text += fmt::format(" {}-{}: leader {} epoch {} replicas {} isr {} elr {} adding {};",
                          topic.name, index, p.leader.value, p.leader_epoch.value, list(p.replicas),
                          list(p.isr), list(p.elr), list(p.adding_replicas));
    }
  }
  return text;
}

/// What has to come before the run goes on; empty: nothing.
std::string Run::missing() const {
  std::string text;
  for (const auto& node : cluster_.nodes()) {
    if (!node->up()) text += fmt::format(" n{} serves;", node->id());
  }
  if (topics_missing_ > 0) text += " the topics are there;";
  if (!context_.stop) return text;
  for (std::size_t i = 0; i < producers_.size(); ++i) {
    if (!producers_[i]->idle()) text += fmt::format(" producer {} is acknowledged;", i);
  }
  for (std::size_t i = 0; i < keepers_.size(); ++i) {
    if (!keepers_[i]->idle()) text += fmt::format(" group {} sees its offset;", i);
  }
  for (std::size_t i = 0; i < transactors_.size(); ++i) {
    if (!transactors_[i]->idle()) text += fmt::format(" transactor {} is through;", i);
  }
  for (const std::string& group : groups_with_members_) {
    for (int p = 0; p < plan_.partitions; ++p) {
      const Offset end = history_.acknowledged_end({kTopic, p});
      const std::int64_t committed = memberships_.committed(group, p);
      if (committed < end.value)
        text += fmt::format(" group {} goes on with partition {} from {} to {};", group, p,
                            committed, end.value);
    }
  }
  const auto add_reader = [&](const Reader& reader, const ClientContext& context) {
    for (int p = 0; p < plan_.partitions; ++p) {
      if (reader.at_end(p)) continue;
      text += fmt::format(" {}-{} is read from {} to {} and no transaction is open;", context.topic,
                          p, reader.position(p).value,
                          history_.acknowledged_end({context.topic, p}).value);
    }
  };
  for (const auto& reader : readers_) add_reader(*reader, context_);
  if (committed_reader_ != nullptr) add_reader(*committed_reader_, transactional_);
  return text;
}

Report Run::execute() {
  for (const auto& node : cluster_.nodes()) node->start();
  start_clients();
  look_again();
  if (wait_until_nothing_is_missing(kToStart)) {
    nemesis_.start();
    proceed(plan_.storm);
    nemesis_.end();
    context_.stop = transactional_.stop = true;
    (void)wait_until_nothing_is_missing(kToBecomeWhole);
    if (!failed()) history_.check_all_was_read();
    if (!failed()) transactions_.check();
    if (!failed()) proceed(seconds(10));
    if (!failed()) check_replicas(cluster_, kTopic, plan_.partitions, history_);
    if (!failed() && plan_.transactors > 0)
      check_replicas(cluster_, kTransactionalTopic, plan_.partitions, history_);
  }
  Report report;
  report.seed = plan_.seed;
  report.simulated = cluster_.scheduler().elapsed();
  if (failed()) {
    report.violation =
        fmt::format("{:.3f} s: {}", std::chrono::duration<double>(report.simulated).count(),
                    *history_.first_violation());
  }
  report.trace_hash = cluster_.scheduler().trace_hash();
  report.events = cluster_.scheduler().events();
  report.faults = nemesis_.faults();
  report.acknowledged = history_.counts().acknowledged;
  report.read = history_.counts().read;
  report.commits = history_.counts().commits;
  report.handovers = memberships_.handovers();
  report.committed_transactions = transactions_.counts().committed;
  report.aborted_transactions = transactions_.counts().aborted;
  return report;
}

}  // namespace

Report run(const Plan& plan, const TraceSink& trace) { return Run(plan, trace).execute(); }

}  // namespace broker::sim
