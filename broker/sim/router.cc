#include "broker/sim/router.h"

#include "broker/protocol/messages/metadata_request.h"
#include "broker/protocol/messages/metadata_response.h"

namespace broker::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

Router::Router(io::Strand& strand, io::Transport& transport, std::string client_id,
               std::vector<io::Endpoint> bootstrap, std::uint64_t seed)
    : strand_(strand),
      transport_(transport),
      client_id_(std::move(client_id)),
      bootstrap_(std::move(bootstrap)),
      rng_(seed),
      nodes_(bootstrap_) {}

client::Connection& Router::connection(const io::Endpoint& to) {
  auto& connection = connections_[to];
  if (connection == nullptr) {
    client::ConnectionOptions options;
    options.endpoint = to;
    options.client_id = client_id_;
    options.connect_timeout = seconds(3);
    connection = std::make_unique<client::Connection>(strand_, transport_, std::move(options));
    connection->on_closed([this, to, which = connection.get()](const Error&) {
      const auto at = connections_.find(to);
      if (at == connections_.end() || at->second.get() != which) return;
      // Its other callbacks are still on their way.
      strand_.call_after(seconds(1),
                         [gone = std::shared_ptr<client::Connection>(std::move(at->second))] {});
      connections_.erase(at);
    });
  }
  return *connection;
}

void Router::forget(const io::Endpoint& node) {
  if (const auto at = connections_.find(node); at != connections_.end()) {
    at->second->close("the client gave up waiting");
  }
}

std::optional<Router::Leader> Router::leader(const TopicPartition& partition) const {
  const auto it = leaders_.find(partition);
  return it == leaders_.end() ? std::nullopt : std::optional(it->second);
}

io::Endpoint Router::any_node() {
  const auto& from = rng_.below(4) == 0 ? bootstrap_ : nodes_;
  return from[rng_.below(from.size())];
}

void Router::refresh(const std::string& topic, Task done) {
  auto& waiting = refreshing_[topic];
  waiting.push_back(std::move(done));
  if (waiting.size() > 1) return;
  protocol::MetadataRequest request;
  request.topics->push_back({Uuid{}, topic});
  request.allow_auto_topic_creation = false;
  const io::Endpoint node = any_node();
  call<protocol::MetadataRequest>(
      node, std::move(request),
      [this, topic, node](Result<protocol::MetadataResponse> response) {
        if (!response.ok()) forget(node);
        if (response.ok() && !response->brokers.empty()) {
          std::map<std::int32_t, io::Endpoint> by_id;
          nodes_.clear();
          for (const auto& broker : response->brokers) {
            by_id[broker.node_id] = {broker.host, static_cast<std::uint16_t>(broker.port)};
            nodes_.push_back(by_id[broker.node_id]);
          }
          for (const auto& found : response->topics) {
            for (const auto& partition : found.partitions) {
              const TopicPartition tp{topic, partition.partition_index};
              // A node that is cut off tells old news (KIP-320).
              std::int32_t& newest = newest_epochs_.try_emplace(tp, -1).first->second;
              if (partition.leader_epoch < newest) continue;
              newest = partition.leader_epoch;
              leaders_.erase(tp);
              const auto endpoint = by_id.find(partition.leader_id);
              if (endpoint == by_id.end()) continue;
              leaders_[tp] = {endpoint->second, found.topic_id, partition.leader_epoch};
            }
          }
        }
        for (Task& task : std::exchange(refreshing_[topic], {})) task();
      },
      seconds(3));
}

}  // namespace broker::sim
