#include "operator/kafka/offsets_watch.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "broker/protocol/frame.h"
#include "broker/protocol/messages/list_groups_request.h"
#include "broker/protocol/messages/list_groups_response.h"
#include "broker/protocol/messages/list_offsets_request.h"
#include "broker/protocol/messages/list_offsets_response.h"
#include "broker/protocol/messages/metadata_request.h"
#include "broker/protocol/messages/metadata_response.h"
#include "broker/protocol/messages/offset_fetch_request.h"
#include "broker/protocol/messages/offset_fetch_response.h"

namespace op::kafka {
namespace {

using broker::BrokerId;
using broker::ErrorCode;
using broker::Result;
using broker::TopicPartition;
namespace protocol = broker::protocol;

constexpr std::int64_t kLatest = -1;
constexpr std::int64_t kEarliest = -2;
constexpr std::int32_t kConsumer = -1;  // a replica id that no broker has

/// Many groups in a request, and topics by name.
struct OffsetFetchByName : protocol::OffsetFetchRequest {
  using Response = protocol::OffsetFetchResponse;
  static constexpr protocol::VersionRange kVersions{8, 9};
};

}  // namespace

std::int64_t OffsetsSnapshot::lag_of(const Committed& committed) const {
  const auto log = logs.find(committed.partition);
  if (log == logs.end() || log->second.end < 0) return -1;
  return std::max<std::int64_t>(0, log->second.end - committed.offset);
}

OffsetsWatch::OffsetsWatch(broker::io::Strand& strand, broker::io::Transport& transport,
                           broker::client::ReconnectOptions brokers, OffsetsOptions options,
                           std::function<broker::metadata::ImagePtr()> image,
                           OnSnapshot on_snapshot)
    : strand_(strand),
      transport_(transport),
      brokers_(std::move(brokers)),
      options_(options),
      image_(std::move(image)),
      on_snapshot_(std::move(on_snapshot)) {}

OffsetsWatch::~OffsetsWatch() {
  *alive_ = false;
  strand_.cancel(timer_);
}

void OffsetsWatch::follow() {
  wanted_until_ = strand_.now() + options_.patience;
  if (!round_ && timer_ == broker::io::kNoTimer) begin_round();
}

template <class Issue>
void OffsetsWatch::run_step(Step next, Issue issue) {
  next_ = next;
  open_ = 1;  // this function itself: calls may be answered before all are made
  issue();
  answered();
}

void OffsetsWatch::answered() {
  if (--open_ > 0) return;
  // From the loop: an answer comes from inside the client that the next step may drop.
  strand_.post([this, alive = alive_, next = next_] {
    if (*alive) (this->*next)();
  });
}

template <class Request, class F>
void OffsetsWatch::ask(BrokerId node, Request request, const char* what, F on_answer) {
  const auto peer = peers_.find(node);
  if (peer == peers_.end() || silent_.count(node) > 0) return;
  ++open_;
  peer->second.client->call(
      std::move(request),
      [this, node, what,
       on_answer = std::move(on_answer)](Result<typename Request::Response> response) mutable {
        if (response.ok()) {
          on_answer(*response);
        } else {
          silent_.insert(node);
          complain("broker " + std::to_string(node.value) + ", " + what + ": " +
                   to_string(response.error()));
        }
        answered();
      },
      options_.call_timeout);
}

/// The first is enough: the others mostly say the same of another request.
void OffsetsWatch::complain(const std::string& what) {
  if (snapshot_.problem.empty()) snapshot_.problem = what;
}

void OffsetsWatch::begin_round() {
  round_ = true;
  began_at_ = strand_.now();
  groups_.clear();
  silent_.clear();
  snapshot_ = {};
  if (!bootstrap_)
    bootstrap_ =
        std::make_unique<broker::client::ReconnectingClient>(strand_, transport_, brokers_);
  protocol::MetadataRequest request;  // of no topic: who the brokers are on this listener
  request.allow_auto_topic_creation = false;
  run_step(&OffsetsWatch::ask_groups, [&] {
    ++open_;
    bootstrap_->call(
        std::move(request),
        [this](Result<protocol::MetadataResponse> response) {
          if (!response.ok()) {
            // Frozen or talking nonsense: the next broker may do better.
            bootstrap_->move_on();
            complain("who the brokers are: " + to_string(response.error()));
          } else {
            std::map<BrokerId, Peer> peers;
            for (const auto& broker : response->brokers) {
              const BrokerId id{broker.node_id};
              const broker::io::Endpoint endpoint{broker.host,
                                                  static_cast<std::uint16_t>(broker.port)};
              const auto known = peers_.find(id);
              if (known != peers_.end() && known->second.endpoint == endpoint) {
                peers.emplace(id, std::move(known->second));
                continue;
              }
              broker::client::ReconnectOptions options = brokers_;
              options.bootstrap = {endpoint};
              peers.emplace(id, Peer{endpoint, std::make_unique<broker::client::ReconnectingClient>(
                                                   strand_, transport_, std::move(options))});
            }
            peers_ = std::move(peers);
          }
          answered();
        },
        options_.call_timeout);
  });
}

void OffsetsWatch::ask_groups() {
  run_step(&OffsetsWatch::ask_committed, [this] {
    for (const auto& [id, peer] : peers_) {
      ask(id, protocol::ListGroupsRequest{}, "its groups", [this, id = id](const auto& response) {
        if (response.error_code != 0)
          complain("broker " + std::to_string(id.value) + ", its groups: " +
                   std::string(error_name(protocol::error_from_wire(response.error_code))));
        for (const auto& group : response.groups)
          if (group.group_type != "share") groups_[id].push_back(group.group_id);
      });
    }
  });
}

void OffsetsWatch::ask_committed() {
  const auto take = [this](const protocol::OffsetFetchResponse& response) {
    for (const auto& group : response.groups) {
      if (group.error_code != 0) continue;  // not this broker's any more, or just being loaded
      if (snapshot_.committed.size() >= options_.max_committed) {
        snapshot_.groups_left_out = true;
        continue;
      }
      for (const auto& topic : group.topics)
        for (const auto& partition : topic.partitions)
          if (partition.error_code == 0 && partition.committed_offset >= 0)
            snapshot_.committed.push_back({group.group_id,
                                           {topic.name, partition.partition_index},
                                           partition.committed_offset});
    }
  };
  run_step(&OffsetsWatch::ask_logs, [&] {
    for (const auto& [id, names] : groups_) {
      for (std::size_t at = 0; at < names.size(); at += options_.groups_per_request) {
        OffsetFetchByName request;
        const std::size_t end = std::min(names.size(), at + options_.groups_per_request);
        for (std::size_t i = at; i < end; ++i) {
          auto& group = request.groups.emplace_back();
          group.group_id = names[i];
          group.topics.reset();  // all
        }
        ask(id, std::move(request), "offsets of groups", take);
      }
    }
  });
}

void OffsetsWatch::ask_logs() {
  std::map<BrokerId, std::vector<TopicPartition>> by_leader;
  if (const auto image = image_()) {
    std::size_t partitions = 0;
    for (const auto& [id, topic] : image->topics.by_id) partitions += topic.partitions.size();
    snapshot_.logs_left_out = partitions > options_.max_partitions;
    std::set<TopicPartition> read;
    if (snapshot_.logs_left_out)
      for (const auto& committed : snapshot_.committed) read.insert(committed.partition);
    for (const auto& [id, topic] : image->topics.by_id) {
      for (const auto& [index, partition] : topic.partitions) {
        if (partition.leader == broker::metadata::kNoLeader) continue;
        TopicPartition name{topic.name, index};
        if (snapshot_.logs_left_out && read.count(name) == 0) continue;
        by_leader[partition.leader].push_back(std::move(name));
      }
    }
  }
  run_step(&OffsetsWatch::end_round, [&] {
    for (const auto& [leader, partitions] : by_leader) {
      ask_ends(leader, partitions, false);
      ask_ends(leader, partitions, true);
    }
  });
}

/// A request names a partition once, so that both ends are two requests.
void OffsetsWatch::ask_ends(BrokerId leader, const std::vector<TopicPartition>& partitions,
                            bool of_start) {
  protocol::ListOffsetsRequest request;
  request.replica_id = kConsumer;
  for (const TopicPartition& partition : partitions) {
    if (request.topics.empty() || request.topics.back().name != partition.topic)
      request.topics.emplace_back().name = partition.topic;
    auto& wanted = request.topics.back().partitions.emplace_back();
    wanted.partition_index = partition.partition;
    wanted.timestamp = of_start ? kEarliest : kLatest;
  }
  ask(leader, std::move(request), "ends of logs", [this, of_start](const auto& response) {
    for (const auto& topic : response.topics) {
      for (const auto& partition : topic.partitions) {
        if (partition.error_code != 0 || partition.offset < 0) continue;  // leads it no more
        auto& log = snapshot_.logs[{topic.name, partition.partition_index}];
        (of_start ? log.start : log.end) = partition.offset;
      }
    }
  });
}

void OffsetsWatch::end_round() {
  std::sort(snapshot_.committed.begin(), snapshot_.committed.end(),
            [](const auto& a, const auto& b) {
              return std::tie(a.group, a.partition) < std::tie(b.group, b.partition);
            });
  snapshot_.finished_at = strand_.now();
  snapshot_.took = snapshot_.finished_at - began_at_;
  on_snapshot_(std::make_shared<const OffsetsSnapshot>(std::move(snapshot_)));
  round_ = false;
  rest();
}

void OffsetsWatch::rest() {
  const broker::Duration took = strand_.now() - began_at_;
  const broker::Duration pause = std::max(options_.interval - took, took);
  timer_ = strand_.call_after(pause, [this] {
    timer_ = broker::io::kNoTimer;
    if (strand_.now() < wanted_until_) return begin_round();
    peers_.clear();
    bootstrap_.reset();
    on_snapshot_(nullptr);  // nobody asked for so long, and it is old
  });
}

}  // namespace op::kafka
