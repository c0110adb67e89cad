#include "broker/node/broker_lines.h"

namespace broker::node {

void BrokerLines::close() {
  closed_ = true;
  *alive_ = false;
  lines_.clear();
}

client::Connection* BrokerLines::find(BrokerId broker) {
  if (closed_) return nullptr;
  const metadata::ImagePtr image = image_();
  const auto* registration = image->cluster.broker(broker);
  const auto* endpoint =
      registration ? registration->find_endpoint(peers_.inter_broker_listener()) : nullptr;
  if (!endpoint) return nullptr;
  const io::Endpoint address{endpoint->host, endpoint->port};
  const auto known = lines_.find(broker);
  if (known != lines_.end()) {
    if (known->second.endpoint == address) return known->second.connection.get();
    retire(broker);  // it came back somewhere else
  }
  client::ConnectionOptions options = peers_.to_brokers();
  options.endpoint = address;
  options.client_id += "-transactions";
  options.request_timeout = request_timeout_;
  Line line{address, std::make_unique<client::Connection>(strand_, transport_, std::move(options))};
  client::Connection* connection = line.connection.get();
  connection->on_closed([this, alive = alive_, broker, connection](const Error&) {
    if (!*alive) return;
    const auto at = lines_.find(broker);
    if (at != lines_.end() && at->second.connection.get() == connection) retire(broker);
  });
  lines_.emplace(broker, std::move(line));
  return connection;
}

/// Destroyed later: this may come from inside one of its callbacks, and calls on it are still to be
/// told that it is lost.
void BrokerLines::retire(BrokerId broker) {
  auto retired = lines_.extract(broker);
  retired.mapped().connection->close("the broker is elsewhere");
  strand_.call_after(std::chrono::milliseconds(10),
                     [connection = std::move(retired.mapped().connection)] {});
}

}  // namespace broker::node
