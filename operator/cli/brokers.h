#pragma once

#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/client/connection.h"
#include "broker/io/posix/event_loop.h"
#include "broker/protocol/messages/metadata_response.h"
#include "operator/kafka/cluster_view.h"

namespace op::cli {

/// `Request` at the versions up to `kMax`: where later ones name topics by id only.
template <class Request, std::int16_t kMax>
struct UpTo : Request {
  using Response = typename Request::Response;
  static constexpr broker::protocol::VersionRange kVersions{Request::kVersions.min, kMax};
};

/// The brokers of one cluster for a command that asks and waits. Calls block the calling thread;
/// connections live on a loop of their own, are made when they are needed and again after a loss.
/// Nothing is sent twice by itself. Errors of all calls: those of client::Connection.
class Brokers {
 public:
  static constexpr broker::Duration kConnectTimeout = std::chrono::seconds(5);

  /// Asks the bootstrap addresses, one after the other, who the brokers are. Errors: kInvalidConfig
  /// (TLS material), kSaslAuthenticationFailed, kBrokerNotAvailable with every address and why not.
  static broker::Result<std::unique_ptr<Brokers>> connect(const kafka::ConnectionSpec& spec);
  ~Brokers();
  Brokers(const Brokers&) = delete;
  Brokers& operator=(const Brokers&) = delete;

  /// Of the last answer: brokers, controller and cluster id; no topics.
  const broker::protocol::MetadataResponse& metadata() const { return metadata_; }
  /// Sorted.
  std::vector<std::int32_t> ids() const;
  const std::string& bootstrap() const { return bootstrap_text_; }
  /// Where brokers are is taken from `metadata` from now on.
  void learn(const broker::protocol::MetadataResponse& metadata);

  /// To the broker that answered first.
  template <class Request>
  broker::Result<typename Request::Response> ask(Request request) {
    return start(std::nullopt, std::move(request)).get();
  }
  /// Errors also: kBrokerNotAvailable for a node that Metadata does not name.
  template <class Request>
  broker::Result<typename Request::Response> ask(std::int32_t node, Request request) {
    return start(node, std::move(request)).get();
  }
  /// All at once.
  template <class Request>
  std::map<std::int32_t, broker::Result<typename Request::Response>> ask_each(
      std::map<std::int32_t, Request> requests) {
    std::map<std::int32_t, std::future<broker::Result<typename Request::Response>>> pending;
    for (auto& [node, request] : requests) pending.emplace(node, start(node, std::move(request)));
    std::map<std::int32_t, broker::Result<typename Request::Response>> out;
    for (auto& [node, future] : pending) out.emplace(node, future.get());
    return out;
  }

 private:
  struct Link {
    std::unique_ptr<broker::client::Connection> connection;
    std::shared_ptr<bool> closed;
  };

  Brokers(broker::client::ConnectionOptions options, std::unique_ptr<broker::io::Transport>);

  template <class Request>
  std::future<broker::Result<typename Request::Response>> start(std::optional<std::int32_t> node,
                                                                Request request) {
    using Answer = broker::Result<typename Request::Response>;
    auto promise = std::make_shared<std::promise<Answer>>();
    auto future = promise->get_future();
    loop_.post([this, node, promise, request = std::move(request)]() mutable {
      const auto connection = connection_to(node);
      if (!connection.ok()) return promise->set_value(connection.error());
      (*connection)->call(std::move(request), [promise](Answer answer) {
        promise->set_value(std::move(answer));
      });
    });
    return future;
  }

  broker::Result<void> first_contact(const std::vector<broker::io::Endpoint>& bootstrap);
  /// On the loop.
  broker::Result<broker::client::Connection*> connection_to(std::optional<std::int32_t> node);

  const broker::client::ConnectionOptions options_;  // its endpoint is replaced
  const std::unique_ptr<broker::io::Transport> transport_;
  broker::protocol::MetadataResponse metadata_;
  std::string bootstrap_text_;
  // Owned by the loop.
  broker::io::Endpoint bootstrap_;
  std::map<std::int32_t, broker::io::Endpoint> endpoints_;
  std::map<std::optional<std::int32_t>, Link> links_;  // nullopt: the bootstrap address
  std::vector<Link> retired_;
  broker::io::posix::EventLoop loop_{"kafka"};
};

}  // namespace op::cli
