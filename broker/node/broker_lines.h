#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "broker/client/connection.h"
#include "broker/io/transport.h"
#include "broker/metadata/image.h"
#include "broker/node/peers.h"

namespace broker::node {

/// A line to each other broker for what coordinators ask of one another; made when somebody calls,
/// and anew after it was lost. Lives on one strand.
class BrokerLines {
 public:
  BrokerLines(io::Strand& strand, io::Transport& transport, const Peers& peers,
              std::function<metadata::ImagePtr()> image, Duration request_timeout)
      : strand_(strand),
        transport_(transport),
        peers_(peers),
        image_(std::move(image)),
        request_timeout_(request_timeout) {}
  ~BrokerLines() { close(); }

  /// `done` runs on the strand, on a later turn, unless close() came before. Errors: those of
  /// client::Connection; kBrokerNotAvailable for a broker that is not registered.
  template <class Request>
  void call(BrokerId broker, Request request,
            UniqueFunction<void(Result<typename Request::Response>)> done) {
    if (client::Connection* line = find(broker))
      return line->call(std::move(request), std::move(done));
    strand_.post([alive = alive_, done = std::move(done)]() mutable {
      if (*alive) done(ErrorCode::kBrokerNotAvailable);
    });
  }
  /// Drops what is under way; calls are not answered any more.
  void close();

 private:
  struct Line {
    io::Endpoint endpoint;
    std::unique_ptr<client::Connection> connection;
  };
  client::Connection* find(BrokerId broker);
  void retire(BrokerId broker);

  io::Strand& strand_;
  io::Transport& transport_;
  const Peers& peers_;
  const std::function<metadata::ImagePtr()> image_;
  const Duration request_timeout_;
  std::map<BrokerId, Line> lines_;
  bool closed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // guards posted tasks
};

}  // namespace broker::node
