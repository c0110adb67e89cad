#include "broker/server/server.h"

#include <algorithm>
#include <set>

#include "broker/common/log.h"
#include "broker/server/worker.h"

namespace broker::server {
namespace {

constexpr std::chrono::seconds kRefusalLogInterval{1};

Error invalid(const ListenerOptions& listener, const std::string& why) {
  return Error{ErrorCode::kInvalidConfig, "listener " + listener.name + ": " + why};
}

Result<void> check(const ListenerOptions& listener, const CredentialStore* credentials) {
  if (security::uses_tls(listener.protocol) && !listener.tls)
    return invalid(listener, "needs a certificate and a private key");
  if (!security::uses_sasl(listener.protocol)) return {};
  if (credentials == nullptr) return invalid(listener, "SASL needs a store of credentials");
  if (listener.sasl_mechanisms.empty()) return invalid(listener, "no SASL mechanism is enabled");
  const auto& supported = security::supported_sasl_mechanisms();
  for (const std::string& mechanism : listener.sasl_mechanisms)
    if (std::find(supported.begin(), supported.end(), mechanism) == supported.end())
      return invalid(listener, "SASL mechanism " + mechanism +
                                   " is not supported, allowed are PLAIN, SCRAM-SHA-256 and "
                                   "SCRAM-SHA-512");
  return {};
}

}  // namespace

/// The accept state is owned by the first strand, where every listener accepts; listeners, workers
/// and the flags by the server's thread.
struct Server::Impl : std::enable_shared_from_this<Server::Impl> {
  Impl(Ports p, ServerOptions o) : ports(std::move(p)), options(std::move(o)) {
    CHECK(!ports.strands.empty());
    const std::size_t share =
        std::max<std::size_t>(1, options.max_request_memory / ports.strands.size());
    for (io::Strand* strand : ports.strands)
      workers.push_back(std::make_shared<Worker>(*strand, ports.sink, ports.credentials, share));
  }

  Result<std::shared_ptr<Listener>> open(const ListenerOptions& wanted);
  void on_accept(const std::shared_ptr<Listener>& listener, std::unique_ptr<io::Stream> stream);
  bool refuses(const Listener& listener, const std::string& host);
  void on_connection_closed(const std::shared_ptr<const Listener>& listener,
                            const std::string& host);

  io::Strand& accept_strand() { return *ports.strands.front(); }

  const Ports ports;
  const ServerOptions options;
  std::vector<std::shared_ptr<Worker>> workers;
  std::vector<std::shared_ptr<Listener>> listeners;
  std::map<std::string, io::Endpoint> bound;  // as start() found them
  bool started = false;
  bool stopped = false;

  struct Counts {
    std::int32_t all = 0;
    std::map<std::string, std::int32_t> by_host;
  };
  std::size_t next_worker = 0;
  std::int32_t connections = 0;
  std::map<const Listener*, Counts> counts;
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

bool Server::Impl::refuses(const Listener& listener, const std::string& host) {
  const Limits& limits = listener.options.limits;
  const Counts& now = counts[&listener];
  const auto from_host = now.by_host.find(host);
  const char* why = nullptr;
  if (connections >= options.max_connections)
    why = "max.connections is reached";
  else if (now.all >= limits.max_connections)
    why = "max.connections of the listener is reached";
  else if (from_host != now.by_host.end() && from_host->second >= limits.max_connections_per_ip)
    why = "max.connections.per.ip is reached";
  if (why == nullptr) return false;
  listener.metrics.connections_refused.add();
  const Instant time = accept_strand().now();
  if (time - last_refusal_log >= kRefusalLogInterval) {  // a storm of them must not fill the log
    last_refusal_log = time;
    log_warn("server", "connection refused",
             {{"listener", listener.options.name}, {"peer", host}, {"reason", why}});
  }
  return true;
}

void Server::Impl::on_accept(const std::shared_ptr<Listener>& listener,
                             std::unique_ptr<io::Stream> stream) {
  const std::string host = stream->peer().host;
  if (refuses(*listener, host)) return;
  ++connections;
  Counts& mine = counts[listener.get()];
  ++mine.all;
  ++mine.by_host[host];
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
  --connections;
  Counts& mine = counts[listener.get()];
  --mine.all;
  const auto from_host = mine.by_host.find(host);
  if (from_host != mine.by_host.end() && --from_host->second == 0) mine.by_host.erase(from_host);
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

void Server::stop_accepting() {
  for (const auto& listener : impl_->listeners) listener->acceptor.reset();
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
