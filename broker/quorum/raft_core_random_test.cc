// Several cores over a message bus that loses, delays and reorders, with disks that take their time
// and lose what was not synced, voters that come and go, and crashes. After every event: one leader
// per epoch, one committed log, and nothing of it ever lost.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>

#include "broker/quorum/raft_core.h"

namespace broker::quorum {
namespace {

using std::chrono::milliseconds;

struct Entry {
  LeaderEpoch epoch;
  std::uint64_t value = 0;
  std::optional<VoterSet> voters{};

  bool operator==(const Entry&) const = default;
  friend void PrintTo(const Entry& entry, std::ostream* out) {
    *out << entry.epoch.value << (entry.voters ? "v" : "") << ":" << entry.value % 1000;
  }
};
using Entries = std::vector<Entry>;

class Cluster;

/// A driver as dull as the real one: outputs wait for their election state to be durable.
struct RandomNode {
  Cluster& cluster;
  BrokerId id;
  std::unique_ptr<RaftCore> core;  // null while it is down
  int incarnation = 0;
  Entries log;
  std::size_t synced = 0;               // entries a crash leaves
  std::optional<ElectionState> stored;  // what a crash leaves of elections
  bool persisting = false;
  bool syncing = false;
  bool fetching = false;
  int fetches = 0;      // an answer to a fetch that was given up does not count
  Offset committed{0};  // as far as it ever knew
  struct Step {
    RaftOutput output;
    std::function<void()> then;
  };
  std::deque<Step> steps;
  Instant wake = Instant::max();

  ReplicaKey key() const { return {id, Uuid{1, static_cast<std::uint64_t>(id.value)}}; }
  Offset end() const { return Offset{static_cast<std::int64_t>(log.size())}; }
  LogEnd log_end() const { return {log.empty() ? LeaderEpoch{0} : log.back().epoch, end()}; }

  void boot();
  void crash();
  void run(std::function<void()> then = {});
  void drain();
  void execute(const RaftOutput& output);
  void append(Entry entry);
  void log_changed();
  void sync();
  void fetch();
  void on_fetch(RandomNode& from, int fetch, LogEnd at, LeaderEpoch epoch);
  void on_fetched(LeaderAndEpoch leader, ErrorCode error, std::optional<LogEnd> diverging,
                  Entries entries, Offset high_watermark);
  void truncate(std::size_t size);
  void change_voters();
  CurrentVoters current_voters() const;
  LogEnd end_of_epoch(LeaderEpoch epoch) const;
};

class Cluster {
 public:
  explicit Cluster(std::uint64_t seed) : rng(seed) {
    const int size = 1 + 2 * static_cast<int>(rng.below(3));
    for (int i = 1; i <= size; ++i) initial_.voters.push_back(voter(i));
    for (int i = 1; i <= size + 1; ++i) {
      nodes.push_back(std::make_unique<RandomNode>(RandomNode{*this, BrokerId{i}}));
    }
    initial_.kraft_version = 1;
    loss = rng.below(3) == 0 ? 0 : rng.below(20);
    batch = 1 + rng.below(3);
    for (auto& node : nodes) node->boot();
  }

  static Voter voter(int id) {
    return {BrokerId{id},
            Uuid{1, static_cast<std::uint64_t>(id)},
            "CONTROLLER",
            {std::to_string(id), 9090}};
  }

  void at(Duration delay, std::function<void()> event) {
    events_.push({now + delay, sequence_++, std::move(event)});
  }
  Duration disk() { return std::chrono::microseconds(rng.below(faults ? 20000 : 2000)); }
  /// `deliver` runs at the node if it gets there; `lost` (may be null) at the sender if not.
  void send(RandomNode& from, RandomNode& to, std::function<void()> deliver,
            std::function<void()> lost = nullptr) {
    const bool cut = cut_off.contains(from.id) != cut_off.contains(to.id);
    if (cut || rng.below(100) < (faults ? loss : 0) || !to.core) {
      if (lost && !cut) at(milliseconds(1), std::move(lost));
      return;
    }
    at(std::chrono::microseconds(200 + rng.below(faults ? 30000 : 1000)),
       [&to, incarnation = to.incarnation, deliver = std::move(deliver)] {
         if (to.core && to.incarnation == incarnation) deliver();
       });
  }
  /// A crash at the worst time: a vote is given, and nothing else was written since.
  void maybe_restart(RandomNode& node) {
    if (!faults || rng.below(8) != 0) return;
    at(Duration(0), [&node, incarnation = node.incarnation] {
      if (!node.core || node.incarnation != incarnation) return;
      node.crash();
      node.boot();
    });
  }
  RandomNode& node(BrokerId id) { return *nodes[static_cast<std::size_t>(id.value - 1)]; }

  void misbehave() {
    RandomNode& node = *nodes[rng.below(nodes.size())];
    switch (rng.below(8)) {
      case 0:
        if (node.core) node.crash();
        break;
      case 1:
      case 2:
        if (!node.core) node.boot();
        break;
      case 3:
        cut_off.clear();
        break;
      case 4:
        cut_off = {node.id};
        break;
      case 5:
        if (node.core) {
          node.core->resign(now);
          node.run();
          at(milliseconds(100), [&node, incarnation = node.incarnation] {
            if (node.core && node.incarnation == incarnation) node.crash();
          });
        }
        break;
      case 6:
        if (node.core) node.change_voters();
        break;
      default:
        if (node.core && node.core->leads()) node.append({node.core->epoch(), rng.next()});
    }
  }

  void run_for(Duration time) {
    const Instant stop = now + time;
    while (!::testing::Test::HasFailure()) {
      Instant next = events_.empty() ? stop : events_.top().when;
      RandomNode* due = nullptr;
      for (auto& node : nodes) {
        if (node->core && node->wake < next) {
          next = node->wake;
          due = node.get();
        }
      }
      if (next >= stop) break;
      now = std::max(now, next);
      if (due != nullptr) {
        due->core->tick(now);
        due->run();
      } else {
        auto event = std::move(const_cast<Event&>(events_.top()).run);
        events_.pop();
        event();
      }
    }
    now = stop;
  }

  std::string describe() const {
    std::string text;
    for (const auto& node : nodes) {
      text += "node " + std::to_string(node->id.value);
      if (!node->core) {
        text += " down\n";
        continue;
      }
      const auto leader = node->core->leader().leader;
      text += " " + std::string(to_string(node->core->role())) + " epoch " +
              std::to_string(node->core->epoch().value) + " leader " +
              std::to_string(leader ? leader->value : -1) + " end " +
              std::to_string(node->log_end().epoch.value) + ":" +
              std::to_string(node->end().value) + " voters";
      for (const Voter& v : node->core->voters().voters) text += " " + std::to_string(v.id.value);
      text += "\n";
    }
    return text;
  }
  void check_leader(const RandomNode& node) {
    const auto [found, added] = leaders_.emplace(node.core->epoch(), node.id);
    ASSERT_EQ(found->second, node.id) << "two leaders in epoch " << node.core->epoch().value;
  }
  void check_committed(const RandomNode& node, Offset high_watermark) {
    ASSERT_LE(high_watermark, node.end());
    for (std::int64_t i = node.committed.value; i < high_watermark.value; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (at == committed.size()) committed.push_back(node.log[at]);
      ASSERT_EQ(committed[at], node.log[at])
          << "node " << node.id.value << " has another record at offset " << i;
    }
  }

  Rng rng;
  Instant now = Instant{} + std::chrono::hours(1);
  bool faults = true;
  std::uint64_t loss = 0;
  std::size_t batch = 1;  // entries per fetch
  std::set<BrokerId> cut_off;
  std::vector<std::unique_ptr<RandomNode>> nodes;
  Entries committed;
  const VoterSet& initial() const { return initial_; }

 private:
  struct Event {
    Instant when;
    std::uint64_t sequence;
    std::function<void()> run;
    bool operator<(const Event& other) const {
      return std::pair(when, sequence) > std::pair(other.when, other.sequence);
    }
  };
  std::priority_queue<Event> events_;
  std::uint64_t sequence_ = 0;
  VoterSet initial_;
  std::map<LeaderEpoch, BrokerId> leaders_;
};

CurrentVoters RandomNode::current_voters() const {
  CurrentVoters current{cluster.initial()};
  for (std::size_t i = 0; i < log.size(); ++i) {
    if (!log[i].voters) continue;
    current = {*log[i].voters, Offset{static_cast<std::int64_t>(i)}, std::move(current.set)};
  }
  return current;
}

LogEnd RandomNode::end_of_epoch(LeaderEpoch epoch) const {
  const auto behind =
      std::find_if(log.begin(), log.end(), [&](const Entry& entry) { return entry.epoch > epoch; });
  if (behind == log.begin()) return {LeaderEpoch{0}, Offset{0}};
  return {std::prev(behind)->epoch, Offset{behind - log.begin()}};
}

void RandomNode::boot() {
  log.resize(synced);
  ++incarnation;
  core = std::make_unique<RaftCore>(RaftOptions{.self = key(), .seed = cluster.rng.next()}, stored,
                                    current_voters(), log_end(), Offset{0});
  core->start(cluster.now);
  run();
}

void RandomNode::crash() {
  core.reset();
  steps.clear();
  persisting = syncing = fetching = false;
  wake = Instant::max();
  ++incarnation;
}

void RandomNode::run(std::function<void()> then) {
  steps.push_back({core->take_output(), std::move(then)});
  drain();
}

void RandomNode::drain() {
  while (!persisting && !steps.empty()) {
    Step& step = steps.front();
    if (step.output.persist) {
      persisting = true;
      cluster.at(cluster.disk(), [this, in = incarnation] {
        if (!core || incarnation != in) return;
        stored = std::exchange(steps.front().output.persist, std::nullopt);
        persisting = false;
        drain();
      });
      break;
    }
    const Step done = std::move(step);
    steps.pop_front();
    execute(done.output);
    if (done.then) done.then();
  }
  if (core) wake = core->next_wake().value_or(Instant::max());
}

void RandomNode::execute(const RaftOutput& output) {
  if (output.role) {
    fetching = false;
    if (core->leads() && output.role->role == RaftRole::kLeader &&
        output.role->leader.epoch == core->epoch()) {
      cluster.check_leader(*this);
      append({core->epoch(), 0});
    }
  }
  for (const RaftSend& send : output.sends) {
    std::visit(
        [&](const auto& message) {
          using Message = std::decay_t<decltype(message)>;
          RandomNode& to = cluster.node(message.to.id);
          if constexpr (std::is_same_v<Message, SendVote>) {
            const auto fail = [this, message] {
              core->on_vote_failure(cluster.now, message.to.id, message.round,
                                    ErrorCode::kNetworkException);
              run();
            };
            cluster.send(
                *this, to,
                [this, &to, message] {
                  const auto answer = to.core->on_vote(cluster.now, message.ask);
                  const auto leader = to.core->leader();
                  to.run([this, &to, message, answer, leader] {
                    cluster.send(to, *this, [this, message, answer, leader] {
                      core->on_leader_seen(cluster.now, leader);
                      core->on_vote_answer(cluster.now, message.to.id, message.round, answer);
                      run();
                    });
                    if (answer.granted && !message.ask.pre_vote) cluster.maybe_restart(to);
                  });
                },
                [this, fail, in = incarnation] {
                  if (core && incarnation == in) fail();
                });
          } else if constexpr (std::is_same_v<Message, SendBeginEpoch>) {
            cluster.send(*this, to, [this, &to, message] {
              to.core->on_begin_epoch(cluster.now, {id, message.epoch, std::nullopt});
              to.run();
            });
          } else {
            cluster.send(*this, to, [this, &to, message] {
              to.core->on_end_epoch(cluster.now, id, message.epoch, message.preferred);
              to.run();
            });
          }
        },
        send);
  }
  if (output.high_watermark) {
    cluster.check_committed(*this, *output.high_watermark);
    committed = std::max(committed, *output.high_watermark);
  }
  fetch();
}

void RandomNode::append(Entry entry) {
  const bool voters_changed = entry.voters.has_value();
  log.push_back(std::move(entry));
  core->on_log_end(log_end());
  if (voters_changed) log_changed();
  sync();
  run();
}

void RandomNode::log_changed() { core->set_voters(cluster.now, current_voters()); }

void RandomNode::sync() {
  if (syncing) return;
  syncing = true;
  cluster.at(cluster.disk(), [this, in = incarnation, size = log.size()] {
    if (!core || incarnation != in) return;
    syncing = false;
    synced = std::max(synced, std::min(size, log.size()));
    core->on_synced(cluster.now, Offset{static_cast<std::int64_t>(synced)});
    if (synced < log.size()) sync();
    run();
  });
}

void RandomNode::truncate(std::size_t size) {
  ASSERT_GE(size, static_cast<std::size_t>(committed.value)) << "truncates what is committed";
  log.resize(size);
  synced = std::min(synced, size);
  core->on_log_end(log_end());
  log_changed();
}

/// Fetches while it follows and everything it has is synced. A follower that is no voter and knows
/// no leader asks around.
void RandomNode::fetch() {
  if (!core || fetching || syncing || synced < log.size()) return;
  const bool asks_around = core->role() == RaftRole::kUnattached && !core->is_voter();
  if (core->role() != RaftRole::kFollower && !asks_around) return;
  const auto others = static_cast<std::int32_t>(cluster.nodes.size()) - 1;
  const auto any = static_cast<std::int32_t>(cluster.rng.below(static_cast<std::uint64_t>(others)));
  const BrokerId target =
      asks_around ? BrokerId{1 + (id.value + any) % (others + 1)} : *core->leader().leader;
  fetching = true;
  RandomNode& to = cluster.node(target);
  const LeaderEpoch epoch = core->epoch();
  const int number = ++fetches;
  const auto retry = [this, in = incarnation, number] {
    if (!core || incarnation != in || fetches != number || !fetching) return;
    fetching = false;
    fetch();
  };
  cluster.at(milliseconds(300), retry);
  cluster.send(
      *this, to,
      [this, &to, number, at = log_end(), epoch] { to.on_fetch(*this, number, at, epoch); },
      [this, in = incarnation, epoch] {
        if (!core || incarnation != in || core->epoch() != epoch) return;
        core->on_leader_unreachable(cluster.now);
        run();
      });
}

void RandomNode::on_fetch(RandomNode& from, int fetch, LogEnd at, LeaderEpoch epoch) {
  ErrorCode error = ErrorCode::kNone;
  std::optional<LogEnd> diverging;
  Entries entries;
  if (epoch < core->epoch()) {
    error = ErrorCode::kFencedLeaderEpoch;
  } else if (epoch > core->epoch()) {
    error = ErrorCode::kUnknownLeaderEpoch;
  } else if (!core->leads() || persisting || !steps.empty()) {
    error = ErrorCode::kNotLeaderOrFollower;
  } else {
    core->on_replica_contact(cluster.now, from.key());
    const LogEnd mine = end_of_epoch(at.epoch);
    if (mine.epoch != at.epoch || mine.offset < at.offset) {
      diverging = mine;
    } else {
      const bool votes = core->voter_of(from.key()) != nullptr;
      core->on_replica_fetched(cluster.now, from.key(), at.offset);
      const Offset to = votes ? end() : std::max(at.offset, core->high_watermark());
      entries.assign(log.begin() + at.offset.value, log.begin() + to.value);
      if (entries.size() > cluster.batch) entries.resize(cluster.batch);
    }
  }
  // What is uncommitted is waited for a while, as a real fetch is.
  const Duration wait = entries.empty() && error == ErrorCode::kNone && !diverging
                            ? Duration(milliseconds(20))
                            : Duration(0);
  run([this, &from, fetch, error, diverging, entries, wait] {
    cluster.at(wait, [this, in = incarnation, &from, fetch, error, diverging, entries] {
      if (!core || incarnation != in) return;
      const auto leader = core->leader();
      cluster.send(*this, from,
                   [this, &from, fetch, error, diverging, entries, leader,
                    high_watermark = core->high_watermark()] {
                     if (!from.fetching || from.fetches != fetch) return;
                     from.on_fetched(leader, error, diverging, entries, high_watermark);
                   });
    });
  });
}

void RandomNode::on_fetched(LeaderAndEpoch leader, ErrorCode error, std::optional<LogEnd> diverging,
                            Entries entries, Offset high_watermark) {
  const LeaderEpoch epoch = core->epoch();
  core->on_leader_seen(cluster.now, leader);
  const bool still = core->epoch() == epoch && core->role() == RaftRole::kFollower &&
                     core->leader().leader == leader.leader && error == ErrorCode::kNone;
  fetching = false;
  if (!still) return run();
  core->on_fetched(cluster.now);
  if (diverging) {
    const LogEnd mine = end_of_epoch(diverging->epoch);
    const Offset to =
        mine.epoch == diverging->epoch ? std::min(mine.offset, diverging->offset) : mine.offset;
    truncate(static_cast<std::size_t>(to.value));
    return run();
  }
  const bool any = !entries.empty();
  for (Entry& entry : entries) log.push_back(std::move(entry));
  if (any) {
    core->on_log_end(log_end());
    log_changed();
    sync();
  }
  core->on_leader_high_watermark(high_watermark);
  cluster.check_committed(*this, core->high_watermark());
  committed = std::max(committed, core->high_watermark());
  run();
}

/// One voter more or less, as KIP-853 allows it: nothing pending, and the leader's own epoch known
/// committed.
void RandomNode::change_voters() {
  const CurrentVoters current = current_voters();
  if (!core->high_watermark_known() || current.offset >= core->high_watermark()) return;
  VoterSet changed = current.set;
  const auto id = 1 + static_cast<int>(cluster.rng.below(cluster.nodes.size()));
  const auto found = std::find_if(changed.voters.begin(), changed.voters.end(),
                                  [&](const Voter& v) { return v.id == BrokerId{id}; });
  if (found == changed.voters.end()) {
    changed.voters.push_back(Cluster::voter(id));
  } else if (changed.voters.size() > 1) {
    changed.voters.erase(found);
  }
  append({core->epoch(), 0, std::move(changed)});
}

/// Everything up and connected: there is one leader soon, and everybody gets what it has.
void heal_and_check(Cluster& cluster) {
  cluster.faults = false;
  cluster.cut_off.clear();
  for (auto& node : cluster.nodes) {
    if (node->core) node->crash();  // those that resigned for good as well
    node->boot();
  }
  cluster.run_for(std::chrono::seconds(8));
  int leaders = 0;
  for (auto& node : cluster.nodes) {
    if (!node->core->leads()) continue;
    ++leaders;
    EXPECT_EQ(node->core->high_watermark(), node->end());
    for (auto& other : cluster.nodes) EXPECT_EQ(other->log, node->log);
  }
  EXPECT_EQ(leaders, 1) << cluster.describe();
}

TEST(RaftCoreRandom, SafeUnderFaultsAndWholeAfterwards) {
  constexpr std::uint64_t kSeeds = 3000;
  std::size_t records = 0;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Cluster cluster(seed);
    for (int round = 0; round < 60 && !HasFailure(); ++round) {
      cluster.run_for(milliseconds(cluster.rng.below(150)));
      cluster.misbehave();
    }
    if (!HasFailure()) heal_and_check(cluster);
    if (HasFailure()) break;
    records += cluster.committed.size();
  }
  EXPECT_GT(records, kSeeds * 5);  // the faults leave room for progress
}

}  // namespace
}  // namespace broker::quorum
