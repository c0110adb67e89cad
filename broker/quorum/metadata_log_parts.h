#pragma once

// What the files of MetadataLog share and nobody else needs.
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/common/error_code.h"
#include "broker/io/strand.h"
#include "broker/protocol/messages/fetch_request.h"
#include "broker/protocol/messages/fetch_response.h"
#include "broker/quorum/metadata_log.h"
#include "broker/quorum/peer_sender.h"

namespace broker::quorum {

inline constexpr std::string_view kLogger = "quorum";
inline constexpr std::string_view kTopicName = "__cluster_metadata";

inline std::int16_t wire(ErrorCode code) { return static_cast<std::int16_t>(code); }

/// A fetch at the end: answered when there is something to say, or when its time is over.
struct MetadataLog::ParkedFetch {
  protocol::FetchRequest request;
  std::int16_t version;
  UniqueFunction<void(protocol::FetchResponse)> done;
  io::TimerId timer = io::kNoTimer;
};

/// A snapshot on its way from the leader.
struct MetadataLog::Download {
  storage::SnapshotFileWriter file;
};

/// A voter set in the log that somebody waits for.
struct MetadataLog::VoterChange {
  Offset offset;
  ChangeDone done;
  io::TimerId timer = io::kNoTimer;
};

/// Gives the voter these listeners; returns whether they are news. None at all changes nothing.
bool correct_listeners(Voter& voter, std::vector<VoterListener> listeners);

/// Who leads, as an answer tells it: ids and epoch of -1 are nothing.
template <class Endpoints>
LeaderAndEpoch named_leader(std::int32_t leader, std::int32_t epoch, const Endpoints& endpoints) {
  LeaderAndEpoch named;
  named.epoch = LeaderEpoch{epoch};
  if (leader < 0) return named;
  named.leader = BrokerId{leader};
  for (const auto& endpoint : endpoints) {
    if (endpoint.node_id == leader) {
      named.endpoint = io::Endpoint{endpoint.host, static_cast<std::uint16_t>(endpoint.port)};
    }
  }
  return named;
}

/// The partition of a request that names exactly the metadata log; nullptr for any other.
template <class Request>
auto only_partition(const Request& request)
    -> decltype(&request.topics.front().partitions.front()) {
  if (request.topics.size() != 1 || request.topics.front().partitions.size() != 1) return nullptr;
  const auto& topic = request.topics.front();
  if (topic.topic_name != kTopicName) return nullptr;
  const auto& partition = topic.partitions.front();
  return partition.partition_index == 0 ? &partition : nullptr;
}

}  // namespace broker::quorum
