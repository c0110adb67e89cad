#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/client/connection.h"
#include "broker/common/ids.h"
#include "broker/common/rng.h"

namespace broker::sim {

/// What every Kafka client has: bootstrap nodes, metadata, a connection per node. On one strand.
class Router {
 public:
  Router(io::Strand& strand, io::Transport& transport, std::string client_id,
         std::vector<io::Endpoint> bootstrap, std::uint64_t seed);

  struct Leader {
    io::Endpoint endpoint;
    TopicId topic_id;
    std::int32_t leader_epoch = -1;
  };
  /// As of the last metadata.
  std::optional<Leader> leader(const TopicPartition& partition) const;
  /// Any node.
  io::Endpoint any_node();
  /// Asks any node about `topic`; `done` whether or not that worked. Several at once become one.
  void refresh(const std::string& topic, Task done);

  template <class Request>
  void call(const io::Endpoint& to, Request request,
            UniqueFunction<void(Result<typename Request::Response>)> done, Duration timeout) {
    connection(to).call(std::move(request), std::move(done), timeout);
  }
  void forget(const io::Endpoint& node);

 private:
  client::Connection& connection(const io::Endpoint& to);

  io::Strand& strand_;
  io::Transport& transport_;
  const std::string client_id_;
  const std::vector<io::Endpoint> bootstrap_;
  Rng rng_;
  std::map<io::Endpoint, std::unique_ptr<client::Connection>> connections_;
  std::map<TopicPartition, Leader> leaders_;
  std::map<TopicPartition, std::int32_t> newest_epochs_;
  std::vector<io::Endpoint> nodes_;
  std::map<std::string, std::vector<Task>> refreshing_;
};

}  // namespace broker::sim
