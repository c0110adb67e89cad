#include "broker/metadata/broker_address.h"

namespace broker::metadata {

std::string address_listener(std::string_view listener) {
  return std::string(listener) + ".ADDRESS";
}

std::string address_of(const BrokerRegistration& broker, std::string_view listener) {
  const auto* endpoint = broker.find_endpoint(address_listener(listener));
  return endpoint != nullptr ? endpoint->host : std::string();
}

}  // namespace broker::metadata
