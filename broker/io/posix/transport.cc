#include "broker/io/posix/transport.h"

#include <signal.h>

#include <atomic>
#include <cerrno>

#include "broker/common/log.h"
#include "broker/io/posix/socket_stream.h"

namespace broker::io::posix {
namespace {

constexpr int kAcceptsPerTurn = 64;
constexpr std::chrono::milliseconds kPauseWithoutDescriptors{100};

EventLoop& loop_of(Strand& strand) {
  auto* loop = dynamic_cast<EventLoop*>(&strand);
  CHECK(loop != nullptr);
  return *loop;
}

std::shared_ptr<PosixTlsContext> context_of(std::shared_ptr<TlsContext> tls, bool server) {
  if (tls == nullptr) return nullptr;
  auto context = std::dynamic_pointer_cast<PosixTlsContext>(std::move(tls));
  CHECK(context != nullptr);
  CHECK_EQ(context->is_server(), server);
  return context;
}

/// Lives on the loop; the Acceptor that users hold only tells it to go.
class ListeningSocket final : public FdHandler,
                              public std::enable_shared_from_this<ListeningSocket> {
 public:
  ListeningSocket(EventLoop& loop, const TransportOptions& options, UniqueFd fd,
                  std::shared_ptr<PosixTlsContext> tls, Transport::AcceptCallback on_accept)
      : loop_(loop),
        options_(options),
        fd_(std::move(fd)),
        tls_(std::move(tls)),
        on_accept_(std::move(on_accept)) {}

  void open() {
    if (closed_) return;
    loop_.add_fd(fd_.get(), EPOLLIN, *this);
    registered_ = true;
  }

  void close() {
    closed_ = true;
    if (registered_) loop_.remove_fd(fd_.get(), *this);
    registered_ = false;
    fd_.reset();
  }
  void refuse() { closed_ = true; }

  void on_events(std::uint32_t) override {
    const auto self = shared_from_this();
    for (int i = 0; i < kAcceptsPerTurn && !closed_; ++i) {
      SocketAddress address;
      address.size = sizeof address.storage;
      UniqueFd fd(::accept4(fd_.get(), address.get(), &address.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!fd) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) rest();
        return;
      }
      tune(fd.get());
      on_accept_(std::make_unique<SocketStream>(loop_, options_, std::move(fd),
                                                endpoint_of(address), tls_));
    }
  }

 private:
  /// The backlog stays readable while no descriptor is free: without a rest the loop would spin.
  void rest() {
    log_warn("io", "cannot accept a connection", {{"reason", system_reason(errno)}});
    loop_.modify_fd(fd_.get(), 0, *this);
    loop_.call_after(kPauseWithoutDescriptors, [self = shared_from_this()] {
      if (self->registered_) self->loop_.modify_fd(self->fd_.get(), EPOLLIN, *self);
    });
  }

  EventLoop& loop_;
  const TransportOptions options_;
  UniqueFd fd_;
  const std::shared_ptr<PosixTlsContext> tls_;
  const Transport::AcceptCallback on_accept_;
  std::atomic<bool> closed_ = false;
  bool registered_ = false;
};

class PosixAcceptor final : public Acceptor {
 public:
  PosixAcceptor(EventLoop& loop, Endpoint local, std::shared_ptr<ListeningSocket> socket)
      : loop_(loop), local_(std::move(local)), socket_(std::move(socket)) {
    loop_.post([socket = socket_] { socket->open(); });
  }
  ~PosixAcceptor() override {
    socket_->refuse();
    if (loop_.is_current())
      socket_->close();
    else
      loop_.post([socket = std::move(socket_)] { socket->close(); });
  }
  const Endpoint& local() const override { return local_; }

 private:
  EventLoop& loop_;
  const Endpoint local_;
  std::shared_ptr<ListeningSocket> socket_;
};

class PosixTransport final : public Transport {
 public:
  explicit PosixTransport(TransportOptions options) : options_(options) {
    ::signal(SIGPIPE,
             SIG_IGN);  // a peer that went away is an error code, not the end of the broker
  }

  Result<std::shared_ptr<TlsContext>> make_server_tls(const TlsServerOptions& options) override {
    ASSIGN_OR_RETURN(std::shared_ptr<TlsContext> context, PosixTlsContext::make(options));
    return context;
  }
  Result<std::shared_ptr<TlsContext>> make_client_tls(const TlsClientOptions& options) override {
    ASSIGN_OR_RETURN(std::shared_ptr<TlsContext> context, PosixTlsContext::make(options));
    return context;
  }

  Result<std::unique_ptr<Acceptor>> listen(Strand& strand, const Endpoint& endpoint,
                                           std::shared_ptr<TlsContext> tls,
                                           AcceptCallback on_accept) override {
    ASSIGN_OR_RETURN(UniqueFd fd, listen_on(endpoint, options_.listen_backlog));
    const Endpoint local{endpoint.host, local_endpoint(fd.get()).port};
    auto socket =
        std::make_shared<ListeningSocket>(loop_of(strand), options_, std::move(fd),
                                          context_of(std::move(tls), true), std::move(on_accept));
    return std::unique_ptr<Acceptor>(
        std::make_unique<PosixAcceptor>(loop_of(strand), local, std::move(socket)));
  }

  std::unique_ptr<Stream> connect(Strand& strand, const Endpoint& endpoint,
                                  std::shared_ptr<TlsContext> tls,
                                  const std::string& server_name) override {
    return std::make_unique<SocketStream>(loop_of(strand), options_, resolver_, endpoint,
                                          context_of(std::move(tls), false), server_name);
  }

  void move_to(Strand& strand, std::unique_ptr<Stream> stream,
               std::function<void(std::unique_ptr<Stream>)> on_moved) override {
    auto* socket = dynamic_cast<SocketStream*>(stream.get());
    CHECK(socket != nullptr);
    socket->move_to(loop_of(strand));
    strand.post([stream = std::move(stream), on_moved = std::move(on_moved)]() mutable {
      on_moved(std::move(stream));
    });
  }

 private:
  const TransportOptions options_;
  Resolver resolver_;
};

}  // namespace

std::unique_ptr<Transport> make_posix_transport(TransportOptions options) {
  return std::make_unique<PosixTransport>(options);
}

}  // namespace broker::io::posix
