#include "broker/server/server.h"

#include <algorithm>
#include <deque>
#include <set>
#include <utility>

#include "broker/common/log.h"
#include "broker/server/worker.h"

namespace broker::server {
namespace {

constexpr std::chrono::seconds kRefusalLogInterval{1};
constexpr std::size_t kMaxToBeClosed = 1000;

Error invalid(const ListenerOptions& listener, const std::string& why) {
  return Error{ErrorCode::kInvalidConfig, "listener " + listener.name + ": " + why};
}

Result<void> check(const ListenerOptions& listener, const CredentialStore* credentials) {
  if (security::uses_tls(listener.protocol) && !listener.tls)
    return invalid(listener, "needs a certificate and a private key");
  if (!security::uses_sasl(listener.protocol)) return {};
  if (credentials == nullptr) return invalid(listener, "SASL needs a store of credentials");
  if (listener.sasl.mechanisms.empty()) return invalid(listener, "no SASL mechanism is enabled");
  const auto& supported = security::supported_sasl_mechanisms();
  for (const std::string& mechanism : listener.sasl.mechanisms)
    if (std::find(supported.begin(), supported.end(), mechanism) == supported.end())
      return invalid(listener, "SASL mechanism " + mechanism +
                                   " is not supported, allowed are PLAIN, SCRAM-SHA-256, "
                                   "SCRAM-SHA-512 and OAUTHBEARER");
  const auto& wanted = listener.sasl.mechanisms;
  if (listener.sasl.bearers == nullptr &&
      std::find(wanted.begin(), wanted.end(), "OAUTHBEARER") != wanted.end())
    return invalid(listener, "OAUTHBEARER needs somebody who validates tokens");
  return {};
}

}  // namespace

/// The accept state is owned by the first strand, where every listener accepts; listeners, workers
/// and the flags by the server's thread.
struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  Impl(Ports p, ServerOptions o)
      : ports(std::move(p)), options(std::move(o)), gate(options.connection_rate_window) {
    CHECK(!ports.strands.empty());
    gate.set_limits(options.connections);
    const std::size_t share =
        std::max<std::size_t>(1, options.max_request_memory / ports.strands.size());
    for (io::Strand* strand : ports.strands)
      workers.push_back(std::make_shared<Worker>(*strand, ports.sink, ports.credentials, share,
                                                 options.max_strangers));
  }

  Result<std::shared_ptr<Listener>> open(const ListenerOptions& wanted);
  void on_accept(const std::shared_ptr<Listener>& listener, std::unique_ptr<io::Stream> stream);
  void serve_waiting(const std::shared_ptr<Listener>& listener);
  void serve_all_waiting();
  void admit(const std::shared_ptr<Listener>& listener, std::unique_ptr<io::Stream> stream);
  void refuse(const Listener& listener, std::unique_ptr<io::Stream> stream, const std::string& why,
              std::chrono::milliseconds close_after);
  void hand_over(const std::shared_ptr<Listener>& listener, std::unique_ptr<io::Stream> stream);
  void on_connection_closed(const std::shared_ptr<const Listener>& listener,
                            const std::string& host);
  void close_excess();
  void ask_to_close(std::size_t asked);
  void drop_waiting();

  io::Strand& accept_strand() { return *ports.strands.front(); }

  const Ports ports;
  const ServerOptions options;
  std::vector<std::shared_ptr<Worker>> workers;
  std::vector<std::shared_ptr<Listener>> listeners;
  std::map<std::string, io::Endpoint> bound;  // as start() found them
  bool started = false;
  bool stopped = false;

  struct Waiting {
    std::unique_ptr<io::Stream> stream;
    Instant not_before;
  };
  struct Queue {
    std::shared_ptr<Listener> listener;
    std::deque<Waiting> waiting;
    io::TimerId timer = io::kNoTimer;
  };
  std::size_t next_worker = 0;
  ConnectionGate gate;
  std::map<std::string, Queue> queues;  // by listener
  std::size_t to_be_closed = 0;         // refused ones that still look open to their peers
  bool closing_excess = false;
  bool accepting = true;
  Instant last_refusal_log{};
};

Result<std::shared_ptr<Listener>> Server::Impl::open(const ListenerOptions& wanted) {
  RETURN_IF_ERROR(check(wanted, ports.credentials));
  auto listener = std::make_shared<Listener>();
  listener->options = wanted;
  auto mapping = security::PrincipalMapping::parse(wanted.principal_mapping_rules);
  if (!mapping) return invalid(wanted, mapping.error().detail);
  listener->principal_mapping = std::move(*mapping);
  if (security::uses_tls(wanted.protocol)) {
    auto tls = ports.transport.make_server_tls(*wanted.tls);
    if (!tls) return invalid(wanted, tls.error().detail);
    listener->tls = std::move(*tls);
  }
  auto acceptor =
      ports.transport.listen(accept_strand(), wanted.bind, listener->tls,
                             [weak = weak_from_this(), target = std::weak_ptr<Listener>(listener)](
                                 std::unique_ptr<io::Stream> stream) {
                               const auto self = weak.lock();
                               const auto listener = target.lock();
                               if (self != nullptr && listener != nullptr)
                                 self->on_accept(listener, std::move(stream));
                             });
  if (!acceptor)
    return Error{acceptor.code(), "listener " + wanted.name + ": " + acceptor.error().detail};
  listener->acceptor = std::move(*acceptor);
  return listener;
}

void Server::Impl::on_accept(const std::shared_ptr<Listener>& listener,
                             std::unique_ptr<io::Stream> stream) {
  if (!accepting) return;
  const std::string& name = listener->options.name;
  Queue& queue = queues[name];
  queue.listener = listener;
  const Instant now = accept_strand().now();
  const auto wait = gate.arrive(name, now);
  if (queue.waiting.empty() && wait.count() == 0 && gate.has_slot(name))
    return admit(listener, std::move(stream));
  if (queue.waiting.size() >= options.max_waiting_connections)
    return refuse(*listener, std::move(stream), "too many wait for a connection",
                  std::chrono::milliseconds(0));
  queue.waiting.push_back({std::move(stream), now + wait});
  serve_waiting(listener);
}

/// In the order in which they came; the first that has to wait holds up the others, as a blocked
/// acceptor does.
void Server::Impl::serve_waiting(const std::shared_ptr<Listener>& listener) {
  Queue& queue = queues[listener->options.name];
  const Instant now = accept_strand().now();
  while (!queue.waiting.empty() && queue.waiting.front().not_before <= now &&
         gate.has_slot(listener->options.name)) {
    auto stream = std::move(queue.waiting.front().stream);
    queue.waiting.pop_front();
    admit(listener, std::move(stream));
  }
  // Without a slot the end of a connection comes back here.
  if (queue.waiting.empty() || queue.timer != io::kNoTimer ||
      queue.waiting.front().not_before <= now)
    return;
  queue.timer = accept_strand().call_at(queue.waiting.front().not_before,
                                        [weak = weak_from_this(), listener] {
                                          const auto self = weak.lock();
                                          if (self == nullptr) return;
                                          self->queues[listener->options.name].timer = io::kNoTimer;
                                          self->serve_waiting(listener);
                                        });
}

void Server::Impl::serve_all_waiting() {
  for (auto& [name, queue] : queues)
    if (!queue.waiting.empty()) serve_waiting(queue.listener);
}

void Server::Impl::admit(const std::shared_ptr<Listener>& listener,
                         std::unique_ptr<io::Stream> stream) {
  const auto verdict =
      gate.admit(listener->options.name, stream->peer().host, accept_strand().now());
  if (const auto* many = std::get_if<ConnectionGate::TooManyFromHost>(&verdict))
    return refuse(*listener, std::move(stream),
                  "max.connections.per.ip (" + std::to_string(many->limit) + ") is reached",
                  std::chrono::milliseconds(0));
  if (const auto* fast = std::get_if<ConnectionGate::TooFastFromHost>(&verdict))
    return refuse(*listener, std::move(stream), "above the connection_creation_rate of its address",
                  fast->close_after);
  hand_over(listener, std::move(stream));
  close_excess();
}

/// Who is closed later does not come back at once.
void Server::Impl::refuse(const Listener& listener, std::unique_ptr<io::Stream> stream,
                          const std::string& why, std::chrono::milliseconds close_after) {
  listener.metrics.connections_refused.add();
  const Instant time = accept_strand().now();
  if (time - last_refusal_log >= kRefusalLogInterval) {  // a storm of them must not fill the log
    last_refusal_log = time;
    log_warn("server", "connection refused",
             {{"listener", listener.options.name}, {"peer", stream->peer().host}, {"reason", why}});
  }
  if (close_after.count() == 0 || to_be_closed >= kMaxToBeClosed) return;
  ++to_be_closed;
  accept_strand().call_after(close_after, [weak = weak_from_this(), stream = std::move(stream)] {
    if (const auto self = weak.lock()) --self->to_be_closed;
  });
}

void Server::Impl::hand_over(const std::shared_ptr<Listener>& listener,
                             std::unique_ptr<io::Stream> stream) {
  const std::string host = stream->peer().host;
  listener->metrics.connections_accepted.add();
  const auto& worker = workers[next_worker++ % workers.size()];
  ports.transport.move_to(
      worker->strand, std::move(stream),
      [worker, listener, host, weak = weak_from_this()](std::unique_ptr<io::Stream> moved) {
        Task on_closed = [listener, host, weak] {
          const auto self = weak.lock();
          if (self == nullptr) return;
          self->accept_strand().post(
              [self, listener, host] { self->on_connection_closed(listener, host); });
        };
        worker->adopt(listener, std::move(moved), std::move(on_closed));
      });
}

void Server::Impl::on_connection_closed(const std::shared_ptr<const Listener>& listener,
                                        const std::string& host) {
  gate.closed(listener->options.name, host);
  closing_excess = false;
  serve_all_waiting();
  close_excess();
}

/// One after the other: each is counted before the next is chosen.
void Server::Impl::close_excess() {
  if (!gate.has_excess() || std::exchange(closing_excess, true)) return;
  ask_to_close(0);
}

/// Asks the workers in turn until one had a connection that may be closed; its end comes back
/// through on_connection_closed.
void Server::Impl::ask_to_close(std::size_t asked) {
  if (asked == workers.size()) {
    closing_excess = false;
    return;
  }
  const auto& worker = workers[next_worker++ % workers.size()];
  std::set<std::string> closable;
  for (const ListenerOptions& listener : options.listeners)
    if (gate.may_be_closed_for_others(listener.name)) closable.insert(listener.name);
  worker->strand.post([worker, asked, weak = weak_from_this(), closable = std::move(closable)] {
    const bool closed = worker->close_least_active(closable);
    const auto self = weak.lock();
    if (self == nullptr) return;
    self->accept_strand().post([self, asked, closed] {
      if (!closed) self->ask_to_close(asked + 1);
    });
  });
}

void Server::Impl::drop_waiting() {
  accepting = false;
  for (auto& [name, queue] : queues) {
    if (queue.timer != io::kNoTimer) accept_strand().cancel(queue.timer);
    queue.timer = io::kNoTimer;
    queue.waiting.clear();
  }
}

Server::Server(Ports ports, ServerOptions options)
    : impl_(std::make_shared<Impl>(std::move(ports), std::move(options))) {}

Server::~Server() = default;

Result<void> Server::start() {
  CHECK(!impl_->started);
  std::set<std::string> names;
  std::vector<std::shared_ptr<Listener>> opened;
  for (const ListenerOptions& wanted : impl_->options.listeners) {
    if (!names.insert(wanted.name).second) return invalid(wanted, "the name is used twice");
    ASSIGN_OR_RETURN(auto listener, impl_->open(wanted));
    opened.push_back(std::move(listener));
  }
  impl_->listeners = std::move(opened);
  for (const auto& listener : impl_->listeners)
    impl_->bound[listener->options.name] = listener->acceptor->local();
  impl_->started = true;
  return {};
}

std::map<std::string, io::Endpoint> Server::bound_endpoints() const { return impl_->bound; }

void Server::set_connection_limits(ConnectionLimits limits) {
  impl_->accept_strand().post([impl = impl_, limits = std::move(limits)]() mutable {
    impl->gate.set_limits(std::move(limits));
    impl->serve_all_waiting();
    impl->close_excess();
  });
}

void Server::stop_accepting() {
  for (const auto& listener : impl_->listeners) listener->acceptor.reset();
  impl_->accept_strand().post([impl = impl_] { impl->drop_waiting(); });
}

void Server::stop(std::chrono::milliseconds patience, Task on_stopped) {
  CHECK(!impl_->stopped);
  impl_->stopped = true;
  stop_accepting();
  // Counted down on the first strand only.
  struct Countdown {
    std::size_t left;
    Task done;
  };
  auto countdown =
      std::make_shared<Countdown>(Countdown{impl_->workers.size(), std::move(on_stopped)});
  for (const auto& worker : impl_->workers) {
    Task on_worker_stopped = [impl = impl_, countdown] {
      impl->accept_strand().post([impl, countdown] {
        if (--countdown->left == 0) countdown->done();
      });
    };
    worker->strand.post([worker, patience, done = std::move(on_worker_stopped)]() mutable {
      worker->stop(patience, std::move(done));
    });
  }
}

Result<bool> Server::reload_tls() {
  bool any = false;
  std::optional<Error> first;
  for (const auto& listener : impl_->listeners) {
    if (listener->tls == nullptr) continue;
    auto changed = listener->tls->reload_if_changed();
    if (!changed) {
      log_error("server", "certificates not reloaded, the old ones stay in force",
                {{"listener", listener->options.name}, {"reason", changed.error().detail}});
      if (!first) first = invalid(listener->options, changed.error().detail);
    } else if (*changed) {
      log_info("server", "certificates reloaded", {{"listener", listener->options.name}});
      any = true;
    }
  }
  if (first) return *first;
  return any;
}

const ListenerMetrics& Server::metrics(const std::string& listener) const {
  for (const auto& one : impl_->listeners)
    if (one->options.name == listener) return one->metrics;
  check_failed("a listener of that name exists", __FILE__, __LINE__, listener);
}

}  // namespace broker::server
