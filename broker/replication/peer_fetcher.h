#pragma once

#include <memory>
#include <string>

#include "broker/io/strand.h"
#include "broker/metadata/cluster_image.h"
#include "broker/protocol/messages/list_offsets_request.h"
#include "broker/protocol/messages/list_offsets_response.h"
#include "broker/replication/fetcher_core.h"
#include "broker/replication/peers.h"

namespace broker::replication {

/// One line of fetches from this strand to one leader: keeps a connection, and a request under way
/// on it whenever there is something to ask. The next request leaves in the turn in which the last
/// answer was used. Lives on its strand.
class PeerFetcher final : public std::enable_shared_from_this<PeerFetcher> {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    /// Uses what the leader says of a partition, and tells core() where that stands now.
    virtual void on_answer(PeerFetcher& from, const PartitionKey& key,
                           protocol::FetchResponse::PartitionData& data) = 0;
    /// nullptr: unknown for now.
    virtual const metadata::BrokerRegistration* registration(BrokerId peer) const = 0;
    virtual BrokerEpoch broker_epoch() const = 0;
  };

  PeerFetcher(Owner& owner, io::Strand& strand, PeerConnector& connector, BrokerId peer,
              std::string client_id, FetcherCore::Options options);
  ~PeerFetcher();

  BrokerId peer() const { return peer_; }
  FetcherCore& core() { return core_; }
  /// Sends what there is to ask, behind what else this turn brings.
  void pump_soon();
  /// Behind the same connection. Errors too if there is none.
  void list_offsets(protocol::ListOffsetsRequest request,
                    UniqueFunction<void(Result<protocol::ListOffsetsResponse>)> done);
  /// Ends it: no callback runs any more.
  void close();

  static constexpr std::chrono::milliseconds kMinReconnect{20};
  static constexpr std::chrono::milliseconds kMaxReconnect{1'000};

 private:
  void pump();
  bool connect();
  void on_fetched(std::uint64_t line, std::uint64_t number,
                  Result<protocol::FetchResponse> response);
  void on_lost(std::uint64_t line, const Error& why);
  void back_off();
  void set_timer(Instant when);

  Owner& owner_;
  io::Strand& strand_;
  PeerConnector& connector_;
  const BrokerId peer_;
  const std::string client_id_;
  FetcherCore core_;
  std::unique_ptr<PeerConnection> connection_;
  std::uint64_t line_ = 0;  // of connection_: callbacks of earlier ones are ignored
  int failures_ = 0;        // in a row
  Instant not_before_{};    // for the next connection or session
  bool pump_posted_ = false;
  bool closed_ = false;
  io::TimerId timer_ = io::kNoTimer;
  Instant timer_at_{};
};

}  // namespace broker::replication
