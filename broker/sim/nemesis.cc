#include "broker/sim/nemesis.h"

#include <algorithm>

namespace broker::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

Nemesis::Nemesis(Cluster& cluster, const Plan& plan) : cluster_(cluster), plan_(plan) {
  const auto add = [this](bool wanted, std::initializer_list<Fault> faults) {
    if (wanted) choices_.insert(choices_.end(), faults);
  };
  add(plan.kills,
      {&Nemesis::kill, &Nemesis::kill_in_operation, &Nemesis::kill_all, &Nemesis::contest_vote});
  add(plan.power_failures, {&Nemesis::lose_power});
  add(plan.freezes, {&Nemesis::freeze});
  add(plan.restarts, {&Nemesis::restart});
  add(plan.partitions_of_network,
      {&Nemesis::cut_off, &Nemesis::cut_one_way, &Nemesis::cut_clients_off});
  add(plan.resets, {&Nemesis::reset, &Nemesis::bad_links});
  add(plan.slow_disks, {&Nemesis::slow_disk});
  add(plan.disk_errors, {&Nemesis::disk_errors});
  add(plan.clock_skew, {&Nemesis::skew_clock});
  for (const auto& node : cluster.nodes()) {
    node->on_failure([this](SimNode& failed, const Error&) {
      note_death(failed, false);
      start_again(failed, milliseconds(500), seconds(5));
    });
  }
}

void Nemesis::start() { plan_next(); }

void Nemesis::plan_next() {
  auto& scheduler = cluster_.scheduler();
  scheduler.after(scheduler.between(milliseconds(100), 2 * plan_.calm), [this] {
    if (ended_ || choices_.empty()) return;
    strike();
    plan_next();
  });
}

void Nemesis::strike() {
  ++faults_;
  (this->*choices_[cluster_.scheduler().rng().below(choices_.size())])();
}

void Nemesis::note(const std::string& what) {
  if (cluster_.scheduler().tracing()) cluster_.scheduler().trace("nemesis: " + what);
}

SimNode* Nemesis::victim() {
  return cluster_.nodes()[cluster_.scheduler().rng().below(cluster_.nodes().size())].get();
}

SimNode* Nemesis::running_victim() {
  SimNode* node = victim();
  return node->state() == SimNode::State::kDown ? nullptr : node;
}

void Nemesis::start_again(SimNode& node, Duration min, Duration max) {
  auto& scheduler = cluster_.scheduler();
  scheduler.after(scheduler.between(min, max), [this, &node] {
    if (node.state() != SimNode::State::kDown || node.process() != nullptr) return;
    note("start n" + std::to_string(node.id()));
    node.start();
  });
}

namespace {

BrokerEpoch epoch_of(const metadata::ImagePtr& image, int id) {
  const auto* broker = image == nullptr ? nullptr : image->cluster.broker(BrokerId{id});
  return broker == nullptr ? BrokerEpoch{-1} : broker->epoch;
}

/// Registered again since it died, and in sync wherever it has a replica.
bool is_whole_again(const SimNode& node, const SimNode::Death& death,
                    const metadata::ImagePtr& image) {
  if (!node.up() || image == nullptr) return false;
  const BrokerId id{node.id()};
  if (epoch_of(image, node.id()) <= death.epoch || !image->cluster.is_active(id)) return false;
  for (const auto& [topic_id, topic] : image->topics.by_id) {
    for (const auto& [index, partition] : topic.partitions) {
      const auto& isr = partition.isr;
      if (partition.has_replica(id) && std::find(isr.begin(), isr.end(), id) == isr.end())
        return false;
    }
  }
  return true;
}

}  // namespace

void Nemesis::note_death(SimNode& node, bool power) {
  node.note_death({epoch_of(cluster_.newest_image(), node.id()), power});
}

/// What is acknowledged is on two replicas, and one of them may lose what it had not synced, at any
/// time: the other has it until that one is in sync again. Whoever died in whatever way counts as
/// one that lost it (KIP-966), hence a second death meanwhile may make a leader of the first. Kills
/// alone leave the page caches, so that any number of them loses nothing.
bool Nemesis::may_die(const SimNode& victim, bool power) {
  const auto image = cluster_.newest_image();
  bool may = true;
  for (const auto& node : cluster_.nodes()) {
    if (node->death() && is_whole_again(*node, *node->death(), image)) node->forget_death();
    if (node.get() == &victim || !node->death()) continue;
    if (power || node->death()->power) may = false;
  }
  return may;
}

void Nemesis::kill() {
  SimNode* node = running_victim();
  if (node == nullptr || !may_die(*node, false)) return;
  note("kill n" + std::to_string(node->id()));
  note_death(*node, false);
  node->kill();
  start_again(*node, milliseconds(10), seconds(20));
}

void Nemesis::kill_in_operation() {
  SimNode* node = running_victim();
  if (node == nullptr || !may_die(*node, false)) return;
  const std::uint64_t operation = 1 + cluster_.scheduler().rng().below(100);
  note("kill n" + std::to_string(node->id()) + " in its disk operation " +
       std::to_string(operation));
  note_death(*node, false);
  node->kill_in_operation(operation);
}

void Nemesis::kill_all() {
  for (const auto& node : cluster_.nodes())
    if (!may_die(*node, false)) return;
  note("kill all");
  for (const auto& node : cluster_.nodes()) note_death(*node, false);
  for (const auto& node : cluster_.nodes()) {
    node->kill();
    start_again(*node, milliseconds(10), seconds(5));
  }
}

/// Two candidates that cannot hear each other, and a third node that decides between them and keeps
/// forgetting: what it has promised must be on its disk.
void Nemesis::contest_vote() {
  SimNode* judge = running_victim();
  if (judge == nullptr || plan_.nodes != 3 || !may_die(*judge, false)) return;
  note("n" + std::to_string(judge->id()) +
       " stumbles while the others are cut off from each other");
  auto& network = cluster_.network();
  for (const auto& from : cluster_.nodes())
    for (const auto& to : cluster_.nodes())
      if (from != to && from.get() != judge && to.get() != judge)
        network.cut(from->machine().id(), to->machine().id());
  io::sim::LinkBehaviour slow;
  slow.max_latency = milliseconds(60);
  network.set_all_links(slow);
  stumble(*judge, 16);
  cluster_.scheduler().after(seconds(10), [&network] {
    network.heal_all();
    network.set_all_links({});
  });
}

void Nemesis::stumble(SimNode& node, int times) {
  auto& scheduler = cluster_.scheduler();
  if (times == 0 || ended_) return;
  if (node.state() != SimNode::State::kDown && may_die(node, false)) {
    note_death(node, false);
    node.kill();
    start_again(node, milliseconds(1), milliseconds(30));
  }
  scheduler.after(scheduler.between(milliseconds(50), milliseconds(700)),
                  [this, &node, times] { stumble(node, times - 1); });
}

void Nemesis::lose_power() {
  SimNode* node = running_victim();
  if (node == nullptr || plan_.nodes < 3 || !may_die(*node, true)) return;
  note("power failure of n" + std::to_string(node->id()));
  note_death(*node, true);
  node->lose_power();
  start_again(*node, milliseconds(100), seconds(20));
}

void Nemesis::freeze() {
  SimNode* node = running_victim();
  if (node == nullptr) return;
  const Duration time = cluster_.scheduler().between(milliseconds(50), seconds(25));
  note("freeze n" + std::to_string(node->id()) + " for " +
       std::to_string(std::chrono::duration_cast<milliseconds>(time).count()) + " ms");
  node->machine().freeze(*node->process(), time);
}

void Nemesis::restart() {
  SimNode* node = running_victim();
  if (node == nullptr || !node->up()) return;
  note("restart n" + std::to_string(node->id()));
  node->stop();
  // It is down when it has handed over; then somebody starts it.
  struct Watch {
    static void run(Nemesis& nemesis, SimNode& node) {
      nemesis.cluster_.scheduler().after(milliseconds(200), [&nemesis, &node] {
        if (node.state() == SimNode::State::kStopping) return run(nemesis, node);
        nemesis.start_again(node, milliseconds(1), seconds(2));
      });
    }
  };
  Watch::run(*this, *node);
}

void Nemesis::cut_off() {
  auto& network = cluster_.network();
  SimNode* node = victim();
  note("cut n" + std::to_string(node->id()) + " off from the others");
  for (const auto& other : cluster_.nodes()) {
    if (other.get() == node) continue;
    network.cut(node->machine().id(), other->machine().id());
    network.cut(other->machine().id(), node->machine().id());
  }
  const Duration time = cluster_.scheduler().between(milliseconds(100), seconds(30));
  cluster_.scheduler().after(time, [&network] { network.heal_all(); });
}

void Nemesis::cut_one_way() {
  auto& network = cluster_.network();
  const auto from = victim()->machine().id(), to = victim()->machine().id();
  if (from == to) return;
  note("cut " + std::to_string(from) + " to " + std::to_string(to) + " one way");
  network.cut(from, to);
  const Duration time = cluster_.scheduler().between(milliseconds(100), seconds(30));
  cluster_.scheduler().after(time, [&network, from, to] { network.heal(from, to); });
}

void Nemesis::cut_clients_off() {
  auto& network = cluster_.network();
  const auto node = victim()->machine().id(), clients = cluster_.client_machine();
  note("cut clients off from " + std::to_string(node));
  network.cut(node, clients);
  if (cluster_.scheduler().chance(0.5)) network.cut(clients, node);
  cluster_.scheduler().after(cluster_.scheduler().between(milliseconds(100), seconds(15)),
                             [&network, node, clients] {
                               network.heal(node, clients);
                               network.heal(clients, node);
                             });
}

void Nemesis::reset() {
  const auto a = victim()->machine().id();
  const auto b =
      cluster_.scheduler().chance(0.5) ? victim()->machine().id() : cluster_.client_machine();
  note("reset connections between " + std::to_string(a) + " and " + std::to_string(b));
  cluster_.network().reset_connections(a, b);
}

void Nemesis::bad_links() {
  note("bad links");
  auto& scheduler = cluster_.scheduler();
  io::sim::LinkBehaviour bad;
  bad.max_latency = scheduler.between(milliseconds(1), milliseconds(80));
  bad.loss = 0.03;
  bad.reset = 0.001;
  cluster_.network().set_all_links(bad);
  const Duration time = scheduler.between(seconds(1), seconds(20));
  scheduler.after(time, [this] { cluster_.network().set_all_links({}); });
}

void Nemesis::slow_disk() {
  SimNode* node = victim();
  note("slow disk of n" + std::to_string(node->id()));
  auto& behaviour = node->machine().disk().behaviour();
  behaviour.min_sync_latency = milliseconds(20);
  behaviour.max_sync_latency = milliseconds(800);
  cluster_.scheduler().after(cluster_.scheduler().between(seconds(1), seconds(20)),
                             [node] { node->machine().disk().behaviour() = {}; });
}

void Nemesis::disk_errors() {
  SimNode* node = victim();
  note("disk errors of n" + std::to_string(node->id()));
  auto& behaviour = node->machine().disk().behaviour();
  switch (cluster_.scheduler().rng().below(3)) {
    case 0:
      behaviour.capacity_bytes = node->machine().disk().used_bytes() + 2000;
      break;
    case 1:
      behaviour.sync_failure = 0.05;
      break;
    default:
      behaviour.write_failure = 0.01;
  }
  cluster_.scheduler().after(cluster_.scheduler().between(seconds(1), seconds(10)),
                             [node] { node->machine().disk().behaviour() = {}; });
}

void Nemesis::skew_clock() {
  SimNode* node = victim();
  const auto skew = static_cast<WallMs>(cluster_.scheduler().rng().below(60'000)) - 30'000;
  note("clock of n" + std::to_string(node->id()) + " is wrong by " + std::to_string(skew) + " ms");
  node->machine().set_clock_skew(skew, node->process());
}

void Nemesis::end() {
  ended_ = true;
  note("the end: everything is healed");
  cluster_.network().heal_all();
  cluster_.network().set_all_links({});
  for (const auto& node : cluster_.nodes()) {
    node->machine().disk().behaviour() = {};
    if (node->process() != nullptr) node->machine().thaw(*node->process());
    if (node->state() == SimNode::State::kDown) start_again(*node, milliseconds(1), seconds(1));
  }
}

}  // namespace broker::sim
