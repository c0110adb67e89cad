#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "broker/client/reconnecting_client.h"
#include "broker/metadata/image.h"
#include "operator/kafka/offsets.h"

namespace op::kafka {

/// Joins what groups have committed with where the logs end: both are known to different brokers,
/// and no broker knows all. A round asks each broker for its groups, their offsets, and then the
/// leaders for the ends of the logs, with a handful of requests per broker whatever the number of
/// partitions. There are rounds only while somebody follows; nobody does, and the connections are
/// closed. Lives on one strand.
class OffsetsWatch {
 public:
  using OnSnapshot = std::function<void(std::shared_ptr<const OffsetsSnapshot>)>;

  /// `image`: the cluster as it is known now, for leaders; may return null.
  OffsetsWatch(broker::io::Strand& strand, broker::io::Transport& transport,
               broker::client::ReconnectOptions brokers, OffsetsOptions options,
               std::function<broker::metadata::ImagePtr()> image, OnSnapshot on_snapshot);
  ~OffsetsWatch();
  OffsetsWatch(const OffsetsWatch&) = delete;
  OffsetsWatch& operator=(const OffsetsWatch&) = delete;

  /// Rounds from now on, until nobody has called this for `options.patience`.
  void follow();

 private:
  using Groups = std::map<broker::BrokerId, std::vector<std::string>>;  // by coordinator
  using Step = void (OffsetsWatch::*)();

  void begin_round();
  void ask_groups();
  void ask_committed();
  void ask_logs();
  void end_round();
  void rest();

  /// Issues the calls of a step; when all are answered `next` follows.
  template <class Issue>
  void run_step(Step next, Issue issue);
  template <class Request, class F>
  void ask(broker::BrokerId node, Request request, const char* what, F on_answer);
  void answered();
  void complain(const std::string& what);
  void ask_ends(broker::BrokerId leader, const std::vector<broker::TopicPartition>& partitions,
                bool of_start);

  broker::io::Strand& strand_;
  broker::io::Transport& transport_;
  const broker::client::ReconnectOptions brokers_;
  const OffsetsOptions options_;
  const std::function<broker::metadata::ImagePtr()> image_;
  const OnSnapshot on_snapshot_;
  broker::io::TimerId timer_ = broker::io::kNoTimer;
  broker::Instant wanted_until_{};
  std::unique_ptr<broker::client::ReconnectingClient> bootstrap_;
  struct Peer {
    broker::io::Endpoint endpoint;
    std::unique_ptr<broker::client::ReconnectingClient> client;
  };
  std::map<broker::BrokerId, Peer> peers_;
  // of the round under way
  bool round_ = false;
  std::size_t open_ = 0;
  Step next_ = nullptr;
  broker::Instant began_at_{};
  Groups groups_;
  std::set<broker::BrokerId> silent_;  // not asked again in this round
  OffsetsSnapshot snapshot_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // guards posted tasks
};

}  // namespace op::kafka
