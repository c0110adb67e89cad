#include "operator/provider/kubernetes_infrastructure.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

#include <memory>

namespace op::provider {
namespace {

std::string text_of(const addrinfo& found) {
  char text[INET6_ADDRSTRLEN] = {};
  const void* bytes = found.ai_family == AF_INET6
                          ? static_cast<const void*>(
                                &reinterpret_cast<const sockaddr_in6*>(found.ai_addr)->sin6_addr)
                          : static_cast<const void*>(
                                &reinterpret_cast<const sockaddr_in*>(found.ai_addr)->sin_addr);
  return inet_ntop(found.ai_family, bytes, text, sizeof text) != nullptr ? text : "";
}

}  // namespace

bool KubernetesInfrastructure::name_leads_to(const NodeName& node,
                                             const std::string& address) const {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (getaddrinfo(node.headless_dns.c_str(), nullptr, &hints, &list) != 0) return false;
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> found(list, freeaddrinfo);
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    if (text_of(*one) == address) return true;  // a pod may have one of each family
  }
  return false;
}

}  // namespace op::provider
