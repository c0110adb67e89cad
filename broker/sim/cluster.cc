#include "broker/sim/cluster.h"

#include "broker/quorum/format.h"

namespace broker::sim {
namespace {

constexpr const char* kDirectory = "/data";
constexpr const char* kClusterId = "c2ltdWxhdGVkLWNsdXN0ZX";  // 22 characters of base64
constexpr std::uint16_t kClientPort = 9092;
constexpr std::uint16_t kControllerPort = 9090;

std::string host(int id) { return "n" + std::to_string(id); }

}  // namespace

SimNode::SimNode(io::sim::Scheduler& scheduler, io::sim::Network& network, const Plan& plan, int id,
                 std::vector<quorum::Voter> voters)
    : scheduler_(scheduler),
      plan_(plan),
      id_(id),
      voters_(std::move(voters)),
      machine_(scheduler, network, host(id)) {}

SimNode::~SimNode() {
  if (process_ != nullptr) machine_.kill(*process_);
  node_.reset();
}

io::Endpoint SimNode::endpoint() const { return {host(id_), kClientPort}; }

config::BrokerConfig SimNode::config() const {
  const std::string here = host(id_) + ":";
  std::string bootstrap;
  for (const auto& voter : voters_) {
    bootstrap += (bootstrap.empty() ? "" : ",") + io::to_string(voter.endpoint);
  }
  const std::string listeners = "PLAINTEXT://" + here + std::to_string(kClientPort) +
                                ",CONTROLLER://" + here + std::to_string(kControllerPort);
  const std::string replicas = std::to_string(std::min(3, plan_.nodes));
  auto parsed = config::make_broker_config(
      {{"process.roles", "broker,controller", 0},
       {"node.id", std::to_string(id_), 0},
       {"log.dirs", kDirectory, 0},
       {"listeners", listeners, 0},
       {"advertised.listeners", listeners, 0},
       {"listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT", 0},
       {"controller.listener.names", "CONTROLLER", 0},
       {"inter.broker.listener.name", "PLAINTEXT", 0},
       {"controller.quorum.bootstrap.servers", bootstrap, 0},
       {"offsets.topic.num.partitions", "2", 0},
       {"offsets.topic.replication.factor", replicas, 0},
       {"transaction.state.log.num.partitions", "2", 0},
       {"transaction.state.log.replication.factor", replicas, 0},
       {"transaction.state.log.min.isr", plan_.nodes >= 3 ? "2" : "1", 0},
       {"transaction.abort.timed.out.transaction.cleanup.interval.ms", "2000", 0},
       {"default.replication.factor", replicas, 0},
       {"min.insync.replicas", plan_.nodes >= 3 ? "2" : "1", 0},
       {"group.initial.rebalance.delay.ms", "0", 0},
       {"group.consumer.session.timeout.ms", "8000", 0},
       {"group.consumer.heartbeat.interval.ms", "1000", 0},
       {"replica.lag.time.max.ms", "5000", 0},
       // Snapshots and the truncation of the metadata log belong into every run.
       {"metadata.log.max.record.bytes.between.snapshots", "6000", 0},
       {"metadata.log.max.snapshot.interval.ms", "60000", 0}},
      "simulation");
  CHECK(parsed.ok());
  return std::move(parsed->config);
}

void SimNode::format() {
  quorum::FormatOptions options;
  options.cluster_id = kClusterId;
  options.node_id = BrokerId{id_};
  options.log_dirs = {kDirectory};
  options.metadata_log_dir = kDirectory;
  options.initial_voters = voters_;
  for (const auto& voter : voters_) {
    if (voter.id == options.node_id) options.metadata_directory_id = voter.directory_id;
  }
  Rng rng(plan_.seed * 31 + static_cast<std::uint64_t>(id_));
  const auto formatted =
      quorum::format_storage(process_->files(), options, rng, io::sim::wall_time(scheduler_));
  if (!formatted.ok()) {
    check_failed("an empty disk can be formatted", __FILE__, __LINE__,
                 to_string(formatted.error()));
  }
  CHECK(process_->files().sync_directory("/").ok());
  formatted_ = true;
}

void SimNode::start() {
  CHECK(state_ == State::kDown && process_ == nullptr);
  state_ = State::kStarting;
  ++boots_;
  machine_.disk().on_operation(nullptr);
  process_ = machine_.boot(plan_.cores);
  if (!formatted_) format();
  node_ = std::make_unique<node::Node>(
      node::Ports{
          process_->files(), process_->transport(), process_->strands(), process_->workers(),
          plan_.seed * 1'000'003 + static_cast<std::uint64_t>(id_ * 1000 + boots_), 8 << 20},
      config());
  node_->on_fatal([this](const Error& error) { fail(error); });
  process_->main().post([this] {
    node_->start([this](Result<void> result) {
      if (state_ != State::kStarting) return;
      if (!result.ok()) return fail(result.error());
      state_ = State::kUp;
    });
  });
}

/// As the process does that finds that it cannot go on.
void SimNode::fail(const Error& error) {
  if (scheduler_.tracing()) scheduler_.trace(host(id_) + " cannot go on: " + to_string(error));
  kill();
  if (on_failure_) on_failure_(*this, error);
}

void SimNode::stop() {
  if (state_ != State::kUp && state_ != State::kStarting) return;
  state_ = State::kStopping;
  process_->main().post([this] {
    node_->stop([this](Result<void>) {
      if (state_ == State::kStopping) kill();
    });
  });
}

void SimNode::kill() {
  if (state_ == State::kDown) return;
  machine_.kill(*process_);
  bury();
}

void SimNode::kill_in_operation(std::uint64_t n) {
  machine_.disk().on_operation([this, n](io::sim::DiskOperation, const std::string&) mutable {
    if (n > 0 && --n == 0) fail({ErrorCode::kNone, "killed in an operation on its disk"});
  });
}

void SimNode::lose_power() {
  if (state_ == State::kDown) return;
  machine_.lose_power(process_.get());
  bury();
}

/// Not from inside one of its own tasks.
void SimNode::bury() {
  state_ = State::kDown;
  scheduler_.at(scheduler_.now(), [this] {
    node_.reset();
    process_.reset();
  });
}

Cluster::Cluster(const Plan& plan)
    : scheduler_(plan.seed),
      network_(scheduler_),
      client_machine_(scheduler_, network_, "clients") {
  std::vector<quorum::Voter> voters;
  Rng rng(plan.seed + 17);
  for (int id = 1; id <= plan.nodes; ++id) {
    quorum::Voter voter;
    voter.id = BrokerId{id};
    voter.directory_id = Uuid::random(rng);
    voter.listener = "CONTROLLER";
    voter.endpoint = {host(id), kControllerPort};
    voters.push_back(std::move(voter));
  }
  for (int id = 1; id <= plan.nodes; ++id) {
    nodes_.push_back(std::make_unique<SimNode>(scheduler_, network_, plan, id, voters));
  }
  clients_ = client_machine_.boot(1);
}

Cluster::~Cluster() { kill_clients(); }

std::vector<io::Endpoint> Cluster::bootstrap() const {
  std::vector<io::Endpoint> endpoints;
  for (const auto& node : nodes_) endpoints.push_back(node->endpoint());
  return endpoints;
}

metadata::ImagePtr Cluster::newest_image() const {
  metadata::ImagePtr newest;
  for (const auto& node : nodes_) {
    if (node->node() == nullptr) continue;
    auto image = node->node()->image();
    if (newest == nullptr || newest->provenance.offset < image->provenance.offset)
      newest = std::move(image);
  }
  return newest;
}

bool Cluster::all_up() const {
  for (const auto& node : nodes_) {
    if (!node->up()) return false;
  }
  return true;
}

}  // namespace broker::sim
