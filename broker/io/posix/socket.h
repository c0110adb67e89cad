#pragma once

#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/common/result.h"
#include "broker/io/posix/unique_fd.h"
#include "broker/io/transport.h"

namespace broker::io::posix {

/// A socket address of either family.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

/// Numeric; an IPv4 address inside IPv6 is shown as IPv4, as ACL hosts are written.
Endpoint endpoint_of(const SocketAddress& address);
Endpoint local_endpoint(int fd);
/// "Connection refused", without the message's number.
std::string system_reason(int error_number);

/// Blocks for names. Errors: kNetworkException naming the host.
Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint, bool numeric_only);
/// A listening, non-blocking socket. Errors: kBrokerNotAvailable with the address and the reason.
Result<UniqueFd> listen_on(const Endpoint& endpoint, int backlog);
/// No delay, keep-alive.
void tune(int fd);

/// Looks names up on a thread of its own, so that no loop waits for a name server.
class Resolver {
 public:
  using Callback = std::function<void(Result<std::vector<SocketAddress>>)>;

  Resolver();
  ~Resolver();  // no callback is posted after it
  /// `done` runs on `strand`.
  void resolve(Strand& strand, const Endpoint& endpoint, Callback done);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace broker::io::posix
