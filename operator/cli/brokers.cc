#include "operator/cli/brokers.h"

#include <algorithm>

#include "broker/io/posix/transport.h"
#include "broker/protocol/frame.h"
#include "broker/protocol/messages/metadata_request.h"
#include "operator/kafka/tls_material.h"

namespace op::cli {

using broker::Error;
using broker::ErrorCode;
using broker::Result;
namespace client = broker::client;
namespace protocol = broker::protocol;

Brokers::Brokers(client::ConnectionOptions options,
                 std::unique_ptr<broker::io::Transport> transport)
    : options_(std::move(options)), transport_(std::move(transport)) {
  loop_.start();
}

Brokers::~Brokers() {
  loop_.post([this] {
    links_.clear();
    retired_.clear();
  });
  loop_.stop();
  loop_.join();
}

Result<std::unique_ptr<Brokers>> Brokers::connect(const kafka::ConnectionSpec& spec) {
  auto transport = broker::io::posix::make_posix_transport(
      {.connect_timeout = std::chrono::duration_cast<std::chrono::milliseconds>(kConnectTimeout)});
  client::ConnectionOptions options;
  options.client_id = "millrace-command";
  options.connect_timeout = kConnectTimeout;
  options.server_name = spec.tls_server_name;
  if (spec.tls) {
    ASSIGN_OR_RETURN(options.tls, kafka::make_tls(*transport, spec));
  }
  if (!spec.sasl_mechanism.empty())
    options.sasl = {spec.sasl_mechanism, spec.sasl_username, spec.sasl_password};
  std::unique_ptr<Brokers> brokers(new Brokers(std::move(options), std::move(transport)));
  RETURN_IF_ERROR(brokers->first_contact(spec.brokers));
  return brokers;
}

Result<void> Brokers::first_contact(const std::vector<broker::io::Endpoint>& bootstrap) {
  Error last{ErrorCode::kBrokerNotAvailable, "no bootstrap address"};
  std::string tried;
  for (const auto& endpoint : bootstrap) {
    protocol::MetadataRequest request;  // of no topic
    request.allow_auto_topic_creation = false;
    bootstrap_text_ = to_string(endpoint);
    loop_.post([this, endpoint] { bootstrap_ = endpoint; });
    const auto answer = ask(std::move(request));
    if (answer.ok()) {
      learn(*answer);
      return {};
    }
    last = answer.error();
    if (last.code == ErrorCode::kSaslAuthenticationFailed) return last;
    std::string why = last.detail.empty() ? std::string(error_name(last.code)) : last.detail;
    if (why.find(bootstrap_text_) == std::string::npos) why = bootstrap_text_ + ": " + why;
    if (!tried.empty()) tried += "; ";
    tried += why;
    loop_.post([this] {
      const auto link = links_.extract(std::nullopt);
      if (!link.empty()) retired_.push_back(std::move(link.mapped()));
    });
  }
  if (tried.empty()) return last;
  return Error{last.code, tried};
}

void Brokers::learn(const protocol::MetadataResponse& metadata) {
  metadata_.brokers = metadata.brokers;
  metadata_.controller_id = metadata.controller_id;
  metadata_.cluster_id = metadata.cluster_id;
  std::map<std::int32_t, broker::io::Endpoint> endpoints;
  for (const auto& node : metadata.brokers) {
    endpoints[node.node_id] = {node.host, static_cast<std::uint16_t>(node.port)};
  }
  loop_.post([this, endpoints = std::move(endpoints)] {
    for (const auto& [id, endpoint] : endpoints) {
      const auto known = endpoints_.find(id);
      if (known == endpoints_.end() || known->second == endpoint) continue;
      auto link = links_.extract(id);  // it moved
      if (!link.empty()) retired_.push_back(std::move(link.mapped()));
    }
    endpoints_ = endpoints;
  });
}

std::vector<std::int32_t> Brokers::ids() const {
  std::vector<std::int32_t> out;
  for (const auto& node : metadata_.brokers) out.push_back(node.node_id);
  std::sort(out.begin(), out.end());
  return out;
}

Result<client::Connection*> Brokers::connection_to(std::optional<std::int32_t> node) {
  const auto known = links_.find(node);
  if (known != links_.end()) {
    if (!*known->second.closed) return known->second.connection.get();
    // Its last callbacks may still be on their way.
    retired_.push_back(std::move(known->second));
    links_.erase(known);
  }
  client::ConnectionOptions options = options_;
  options.endpoint = bootstrap_;
  if (node) {
    const auto endpoint = endpoints_.find(*node);
    if (endpoint == endpoints_.end()) {
      return Error{ErrorCode::kBrokerNotAvailable,
                   "broker " + std::to_string(*node) + " is not up"};
    }
    options.endpoint = endpoint->second;
  }
  Link link;
  link.closed = std::make_shared<bool>(false);
  link.connection = std::make_unique<client::Connection>(loop_, *transport_, std::move(options));
  link.connection->on_closed([closed = link.closed](const Error&) { *closed = true; });
  client::Connection* const connection = link.connection.get();
  links_.emplace(node, std::move(link));
  return connection;
}

}  // namespace op::cli
