#pragma once

// Several metadata logs in one thread, on one clock that moves when told, with real files and a
// network in memory.
#include <gtest/gtest.h>

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/io/posix/posix_file.h"
#include "broker/metadata/delta.h"
#include "broker/metadata/features.h"
#include "broker/quorum/format.h"
#include "broker/quorum/metadata_log.h"
#include "broker/quorum/peer_sender.h"
#include "broker/storage/log_manager.h"

namespace broker::quorum::testing {

using std::chrono::milliseconds;

inline const std::string kClusterId = "vlCBQGpBQF6bDlFpnKDZ0w";

class World final : public io::Strand, public io::WorkerPool {
 public:
  void post(Task task) override { posted_.push_back(std::move(task)); }
  bool is_current() const override { return true; }
  Instant now() const override { return now_; }
  WallMs wall_now() const override {
    return 1'790'000'000'000 +
           std::chrono::duration_cast<milliseconds>(now_.time_since_epoch()).count();
  }
  io::TimerId call_at(Instant when, Task task) override {
    timers_[{when, ++last_timer_}] = std::move(task);
    return last_timer_;
  }
  void cancel(io::TimerId timer) override {
    std::erase_if(timers_, [&](const auto& entry) { return entry.first.second == timer; });
  }
  /// A disk that takes two milliseconds.
  void run(io::Strand&, Task work, Task done) override {
    call_after(milliseconds(2), [work = std::move(work), done = std::move(done)]() mutable {
      work();
      done();
    });
  }

  void settle() {
    while (!posted_.empty()) {
      Task task = std::move(posted_.front());
      posted_.pop_front();
      task();
    }
  }
  /// Runs until `reached` says so; returns how long that took.
  template <class Reached>
  milliseconds run_until(Reached reached, milliseconds at_most) {
    const Instant begin = now_;
    settle();
    while (!reached() && now_ - begin < at_most && !timers_.empty()) {
      auto entry = timers_.extract(timers_.begin());
      now_ = std::max(now_, entry.key().first);
      entry.mapped()();
      settle();
    }
    EXPECT_TRUE(reached()) << "not within " << at_most.count() << " ms";
    return std::chrono::duration_cast<milliseconds>(now_ - begin);
  }
  void run_for(milliseconds time) {
    const Instant end = now_ + time;
    call_at(end, [] {});
    run_until([&] { return now_ >= end; }, time + milliseconds(1));
  }

 private:
  std::deque<Task> posted_;
  std::map<std::pair<Instant, io::TimerId>, Task> timers_;
  io::TimerId last_timer_ = 0;
  Instant now_{std::chrono::hours(1)};
};

/// Replays what the log hands over, and what it appended itself once that is committed.
class Listener final : public QuorumListener {
 public:
  void on_snapshot(const LoadedSnapshot& loaded) override {
    delta = metadata::MetadataDelta(metadata::MetadataImage::empty());
    replay(loaded.records, loaded.id.end_offset + -1, loaded.id.epoch);
    ++snapshots;
  }
  void on_committed(const CommittedRecords& records) override {
    EXPECT_FALSE(leads);
    replay(records.records, records.last_offset, records.epoch);
  }
  void on_leader_change(const LeaderAndEpoch& change) override { leader = change; }
  void on_leader(LeaderEpoch) override { leads = true; }
  void on_resigned() override {
    leads = false;
    appended.clear();
  }
  void on_high_watermark(Offset offset) override {
    EXPECT_GE(offset, high_watermark);
    high_watermark = offset;
    while (!appended.empty() && appended.front().first < offset) {
      replay(appended.front().second, appended.front().first, leader.epoch);
      appended.pop_front();
    }
  }
  void on_fatal(const Error& error) override { fatal = error; }
  metadata::ImagePtr committed_image() const override { return image; }

  void replay(const metadata::MetadataRecords& records, Offset last, LeaderEpoch epoch) {
    for (const auto& record : records) ASSERT_TRUE(delta.replay(record).ok());
    image = delta.apply({last, epoch, 0}).image;
  }
  bool has(const std::string& topic) const { return image->topics.find(topic) != nullptr; }

  metadata::MetadataDelta delta{metadata::MetadataImage::empty()};
  metadata::ImagePtr image = metadata::MetadataImage::empty();
  std::deque<std::pair<Offset, metadata::MetadataRecords>> appended;
  LeaderAndEpoch leader;
  Offset high_watermark{-1};
  int snapshots = 0;
  bool leads = false;
  std::optional<Error> fatal;
};

class Cluster;

struct Node final : PeerSender {
  Node(Cluster& cluster, int id) : cluster(cluster), id{id} {}
  void send(const io::Endpoint& to, PeerRequest request, Duration timeout, Done done) override;

  bool up() const { return log != nullptr; }
  bool leads() const { return up() && listener->leads; }

  Cluster& cluster;
  BrokerId id;
  DirectoryId disk;
  std::string directory;
  MetadataLogOptions options;
  bool cut_off = false;  // nothing gets through, and nobody is told
  std::unique_ptr<storage::LogManager> logs;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<MetadataLog> log;
};

class Cluster {
 public:
  explicit Cluster(int voters, bool dynamic = true) : dynamic_(dynamic) {
    root_ = (std::filesystem::temp_directory_path() /
             ("metadata-cluster-" + std::to_string(Rng::os_seed())))
                .string();
    for (int id = 1; id <= voters; ++id) voters_.push_back(voter(id));
    for (int id = 1; id <= voters; ++id) add(id, true);
  }
  ~Cluster() {
    for (auto& [id, node] : nodes) kill(*node);
    std::filesystem::remove_all(root_);
  }

  static Voter voter(int id) {
    return {BrokerId{id}, Uuid{1, static_cast<std::uint64_t>(id)}, "CONTROLLER", endpoint(id)};
  }
  static io::Endpoint endpoint(int id) { return {"node" + std::to_string(id), 9090}; }

  /// A formatted disk, not started.
  Node& add(int id, bool initial_voter) {
    auto& node = nodes[id];
    node = std::make_unique<Node>(*this, id);
    node->disk = Uuid{1, static_cast<std::uint64_t>(id)};
    node->directory = root_ + "/" + std::to_string(id);
    node->options.listeners = {{"CONTROLLER", endpoint(id)}};
    node->options.seed = static_cast<std::uint64_t>(id) * 7919;
    for (const Voter& v : voters_) node->options.bootstrap_servers.push_back(v.endpoint);
    if (!dynamic_) {
      node->options.static_voters = voters_;
      for (Voter& v : node->options.static_voters) v.directory_id = kZeroUuid;
    }
    format(*node, initial_voter);
    return *node;
  }
  void format(Node& node, bool initial_voter) {
    Rng rng(static_cast<std::uint64_t>(node.id.value));
    std::filesystem::create_directories(node.directory);
    FormatOptions format;
    format.cluster_id = kClusterId;
    format.node_id = node.id;
    format.log_dirs = {node.directory};
    format.metadata_log_dir = node.directory;
    format.metadata_directory_id = node.disk;
    if (initial_voter && dynamic_) format.initial_voters = voters_;
    const auto formatted = format_storage(*files, format, rng, world.wall_now());
    ASSERT_TRUE(formatted.ok()) << formatted.error().detail;
  }

  void start(Node& node) {
    auto opened = storage::LogManager::open(*files, {node.directory});
    ASSERT_TRUE(opened.ok()) << opened.error().detail;
    node.logs = std::move(*opened);
    auto storage =
        node.logs->create(storage::kMetadataPartition, kMetadataTopicId, {}, world.wall_now());
    ASSERT_TRUE(storage.ok()) << storage.error().detail;
    node.options.cluster_id = kClusterId;
    node.options.node_id = node.id;
    node.options.directory_id = node.disk;
    node.listener = std::make_unique<Listener>();
    node.cut_off = false;
    const MetadataLog::Ports ports{world, world, *files, &node,
                                   [&node](const storage::LogPositions& positions) {
                                     return node.logs->checkpoint({&positions, 1});
                                   }};
    node.log = std::make_unique<MetadataLog>(ports, *storage, node.options);
    const auto started = node.log->start(*node.listener);
    ASSERT_TRUE(started.ok()) << started.error().detail;
  }
  void start_all() {
    for (auto& [id, node] : nodes) start(*node);
  }
  /// Gone without a word; its connections break.
  void kill(Node& node) {
    node.log.reset();
    node.logs.reset();
    std::vector<std::uint64_t> broken;
    for (const auto& [number, call] : calls_) {
      if (call.to == node.id || call.from == node.id) broken.push_back(number);
    }
    for (const std::uint64_t number : broken) {
      if (calls_[number].from == node.id) {
        calls_.erase(number);
      } else {
        finish(number, Error{ErrorCode::kNetworkException, "the connection broke"});
      }
    }
  }

  Node& node(int id) { return *nodes.at(id); }
  Node* leader() {
    Node* found = nullptr;
    for (auto& [id, node] : nodes) {
      const bool newest = node->leads() && !node->cut_off &&
                          (found == nullptr || node->log->epoch() > found->log->epoch());
      if (newest) found = node.get();
    }
    return found;
  }
  milliseconds elect(milliseconds at_most = milliseconds(3000)) {
    return world.run_until([&] { return leader() != nullptr; }, at_most);
  }
  /// Appends at a leader, not waiting for anything.
  Offset append(Node& node, const std::string& topic) {
    protocol::TopicRecord record;
    record.name = topic;
    record.topic_id = Uuid{7, ++topics_};
    const auto offset = node.log->append({record}, metadata::kLatestMetadataVersion);
    EXPECT_TRUE(offset.ok());
    if (!offset.ok()) return Offset{-1};
    node.listener->appended.push_back({*offset, {record}});
    return *offset;
  }
  bool everybody_has(const std::string& topic) {
    bool all = true;
    for (auto& [id, node] : nodes) all = all && (!node->up() || node->listener->has(topic));
    return all;
  }
  void create_topic(const std::string& topic, milliseconds at_most = milliseconds(3000)) {
    append(*leader(), topic);
    world.run_until([&] { return everybody_has(topic); }, at_most);
  }

  void call(Node& from, const io::Endpoint& to, PeerRequest request, Duration timeout,
            PeerSender::Done done);

  World world;
  std::unique_ptr<io::FileSystem> files = io::posix::make_posix_file_system();
  std::map<int, std::unique_ptr<Node>> nodes;

 private:
  struct Call {
    BrokerId from, to;
    PeerSender::Done done;
    io::TimerId timer;
  };
  void finish(std::uint64_t number, Result<PeerResponse> answer) {
    const auto found = calls_.find(number);
    if (found == calls_.end()) return;
    world.cancel(found->second.timer);
    world.call_after(milliseconds(1),
                     [done = std::move(found->second.done), answer = std::move(answer)]() mutable {
                       done(std::move(answer));
                     });
    calls_.erase(found);
  }
  void deliver(Node& node, PeerRequest request, std::uint64_t number);

  const bool dynamic_;
  std::string root_;
  std::vector<Voter> voters_;
  std::map<std::uint64_t, Call> calls_;
  std::uint64_t last_call_ = 0;
  std::uint64_t topics_ = 0;
};

inline void Node::send(const io::Endpoint& to, PeerRequest request, Duration timeout, Done done) {
  cluster.call(*this, to, std::move(request), timeout, std::move(done));
}

inline void Cluster::call(Node& from, const io::Endpoint& to, PeerRequest request, Duration timeout,
                          PeerSender::Done done) {
  const std::uint64_t number = ++last_call_;
  Node* target = nullptr;
  for (auto& [id, node] : nodes) {
    if (node->options.listeners.front().endpoint == to) target = node.get();
  }
  const BrokerId to_id = target != nullptr ? target->id : BrokerId{-1};
  const io::TimerId timer = world.call_after(timeout, [this, number] {
    finish(number, Error{ErrorCode::kRequestTimedOut, "no answer"});
  });
  calls_[number] = {from.id, to_id, std::move(done), timer};
  if (target == nullptr || !target->up()) {
    return finish(number, Error{ErrorCode::kBrokerNotAvailable, "connection refused"});
  }
  if (from.cut_off || target->cut_off) return;
  world.call_after(milliseconds(1), [this, target, number, request = std::move(request)]() mutable {
    if (calls_.contains(number) && target->up()) deliver(*target, std::move(request), number);
  });
}

inline void Cluster::deliver(Node& node, PeerRequest request, std::uint64_t number) {
  const auto answer = [this, &node, number](auto response) {
    if (!node.cut_off) finish(number, PeerResponse(std::move(response)));
  };
  std::visit(
      [&](auto& message) {
        using Request = std::decay_t<decltype(message)>;
        MetadataLog& log = *node.log;
        if constexpr (std::is_same_v<Request, protocol::VoteRequest>) {
          log.vote(message, 2, answer);
        } else if constexpr (std::is_same_v<Request, protocol::BeginQuorumEpochRequest>) {
          log.begin_quorum_epoch(message, 1, answer);
        } else if constexpr (std::is_same_v<Request, protocol::EndQuorumEpochRequest>) {
          log.end_quorum_epoch(message, 1, answer);
        } else if constexpr (std::is_same_v<Request, protocol::FetchRequest>) {
          log.fetch(message, 18, answer);
        } else if constexpr (std::is_same_v<Request, protocol::FetchSnapshotRequest>) {
          answer(log.fetch_snapshot(message, 1));
        } else if constexpr (std::is_same_v<Request, protocol::AddRaftVoterRequest>) {
          log.add_raft_voter(message, answer);
        } else if constexpr (std::is_same_v<Request, protocol::RemoveRaftVoterRequest>) {
          log.remove_raft_voter(message, answer);
        } else if constexpr (std::is_same_v<Request, protocol::UpdateRaftVoterRequest>) {
          log.update_raft_voter(message, answer);
        } else {
          protocol::ApiVersionsResponse versions;
          versions.supported_features.push_back({"kraft.version", 0, 1});
          answer(std::move(versions));
        }
      },
      request);
}

}  // namespace broker::quorum::testing
