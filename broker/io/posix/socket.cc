#include "broker/io/posix/socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

namespace broker::io::posix {
namespace {

Error cannot_listen(const Endpoint& endpoint, const std::string& why) {
  return Error{ErrorCode::kBrokerNotAvailable,
               "cannot listen on " + to_string(endpoint) + ": " + why};
}

bool is_any(const std::string& host) { return host.empty() || host == "0.0.0.0" || host == "::"; }

SocketAddress any_address(int family, std::uint16_t port) {
  SocketAddress address;
  if (family == AF_INET6) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_addr = in6addr_any;
    v6->sin6_port = htons(port);
    address.size = sizeof *v6;
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
    v4->sin_family = AF_INET;
    v4->sin_addr.s_addr = htonl(INADDR_ANY);
    v4->sin_port = htons(port);
    address.size = sizeof *v4;
  }
  return address;
}

Result<UniqueFd> bind_one(const Endpoint& endpoint, const SocketAddress& address, int backlog) {
  UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return cannot_listen(endpoint, system_reason(errno));
  const int on = 1, off = 0;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.storage.ss_family == AF_INET6)
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(fd.get(), address.get(), address.size) != 0 || ::listen(fd.get(), backlog) != 0)
    return cannot_listen(endpoint, system_reason(errno));
  return fd;
}

}  // namespace

Endpoint endpoint_of(const SocketAddress& address) {
  char host[NI_MAXHOST] = "";
  char port[NI_MAXSERV] = "0";
  ::getnameinfo(address.get(), address.size, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
  std::string text = host;
  if (text.starts_with("::ffff:") && text.find('.') != text.npos) text.erase(0, 7);
  return {std::move(text), static_cast<std::uint16_t>(std::strtoul(port, nullptr, 10))};
}

Endpoint local_endpoint(int fd) {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (::getsockname(fd, address.get(), &address.size) != 0) return {};
  return endpoint_of(address);
}

std::string system_reason(int error_number) {
  char buffer[128];
  return ::strerror_r(error_number, buffer, sizeof buffer);
}

Result<std::vector<SocketAddress>> resolve(const Endpoint& endpoint, bool numeric_only) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (numeric_only ? AI_NUMERICHOST : 0);
  addrinfo* list = nullptr;
  const std::string port = std::to_string(endpoint.port);
  const int rc = ::getaddrinfo(endpoint.host.c_str(), port.c_str(), &hints, &list);
  if (rc != 0)
    return Error{ErrorCode::kNetworkException,
                 "cannot resolve " + endpoint.host + ": " +
                     (rc == EAI_SYSTEM ? system_reason(errno) : ::gai_strerror(rc))};
  std::vector<SocketAddress> addresses;
  for (const addrinfo* one = list; one != nullptr; one = one->ai_next) {
    SocketAddress address;
    std::memcpy(&address.storage, one->ai_addr, one->ai_addrlen);
    address.size = one->ai_addrlen;
    addresses.push_back(address);
  }
  ::freeaddrinfo(list);
  return addresses;
}

Result<UniqueFd> listen_on(const Endpoint& endpoint, int backlog) {
  if (is_any(endpoint.host)) {
    // One socket for both families; a machine without IPv6 gets IPv4 alone.
    auto both = bind_one(endpoint, any_address(AF_INET6, endpoint.port), backlog);
    if (both || errno == EADDRINUSE || errno == EACCES) return both;
    return bind_one(endpoint, any_address(AF_INET, endpoint.port), backlog);
  }
  auto addresses = resolve(endpoint, false);
  if (!addresses) return cannot_listen(endpoint, addresses.error().detail);
  return bind_one(endpoint, addresses->front(), backlog);
}

void tune(int fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

struct Resolver::State {
  struct Item {
    Strand* strand;
    Endpoint endpoint;
    Callback done;
  };
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Item> queue;  // guarded by mutex
  bool stopping = false;   // guarded by mutex
  bool busy = false;       // guarded by mutex
  std::thread thread;      // started by the first look-up

  static void work(const std::shared_ptr<State>& self) {
    std::unique_lock lock(self->mutex);
    while (true) {
      self->wake.wait(lock, [&] { return self->stopping || !self->queue.empty(); });
      if (self->stopping) return;
      Item item = std::move(self->queue.front());
      self->queue.pop_front();
      self->busy = true;
      lock.unlock();
      auto addresses = posix::resolve(item.endpoint, false);
      lock.lock();
      self->busy = false;
      if (self->stopping) return;
      item.strand->post([done = std::move(item.done), addresses = std::move(addresses)]() mutable {
        done(std::move(addresses));
      });
    }
  }
};

Resolver::Resolver() : state_(std::make_shared<State>()) {}

Resolver::~Resolver() {
  bool busy = false;
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    busy = state_->busy;
  }
  state_->wake.notify_all();
  if (!state_->thread.joinable()) return;
  // A name server that does not answer must not hold up the stop of the process.
  if (busy)
    state_->thread.detach();
  else
    state_->thread.join();
}

void Resolver::resolve(Strand& strand, const Endpoint& endpoint, Callback done) {
  if (auto numeric = posix::resolve(endpoint, true)) {
    strand.post([done = std::move(done), addresses = std::move(*numeric)]() mutable {
      done(std::move(addresses));
    });
    return;
  }
  const std::lock_guard lock(state_->mutex);
  if (!state_->thread.joinable())
    state_->thread = std::thread([state = state_] {
      pthread_setname_np(pthread_self(), "resolver");
      State::work(state);
    });
  state_->queue.push_back({&strand, endpoint, std::move(done)});
  state_->wake.notify_one();
}

}  // namespace broker::io::posix
