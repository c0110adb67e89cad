#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/rate.h"
#include "broker/io/published.h"
#include "broker/metadata/client_quotas.h"

namespace broker::server {

using metadata::QuotaKind;

/// What one group of clients that share a quota has used.
class QuotaBucket;

/// A client's part in the quotas, as it was found last: looked up once per connection and client
/// id, and again when a quota changes. Belongs to a connection's strand.
struct QuotaShares {
  struct Share {
    std::shared_ptr<QuotaBucket> bucket;  // null: without a limit
    double limit = 0;
  };
  std::uint64_t version = 0;  // of the quotas; 0: nothing was looked up
  std::string user;
  std::string client_id;
  std::array<std::optional<Share>, metadata::kQuotaKinds> by_kind;
};

/// Who asks.
struct QuotaClient {
  const std::string& user;  // the principal's name
  const std::string& client_id;
  QuotaShares* shares = nullptr;  // of the connection; null: nothing is remembered
};

/// Measures what clients use against their quotas, as Kafka does, for all connections of a broker:
/// a quota is shared by whoever it binds, on whichever strand. Thread-safe. While no quota of a
/// kind is set, asking costs one load; else a lock per group of clients, held for a sum over the
/// window.
class ClientQuotas {
 public:
  struct Options {
    RateWindow window;  // quota.window.num, quota.window.size.seconds
  };
  explicit ClientQuotas(Options options);
  ~ClientQuotas();

  /// From one strand, whenever the cluster's quotas change.
  void set_limits(const metadata::ClientQuotasImage& quotas);
  /// Whether anybody has a quota of this kind.
  bool limits(QuotaKind kind) const {
    return (kinds_.load(std::memory_order_relaxed) & bit(kind)) != 0;
  }

  /// Notes what was used (bytes; percent·seconds of a core for kRequest) and returns for how long
  /// the client is to be left alone; zero while it is within its quota. A request quota never asks
  /// for more than one sample's length, as in Kafka.
  std::chrono::milliseconds charge(QuotaKind kind, const QuotaClient& client, double amount,
                                   Instant now);
  /// Takes back what was charged a moment ago and did not happen.
  void take_back(QuotaKind kind, const QuotaClient& client, double amount, Instant now);
  /// The most that a client may use at once without being throttled; nullopt without a limit.
  std::optional<double> burst(QuotaKind kind, const QuotaClient& client, Instant now);

  /// One group of clients.
  struct Usage {
    QuotaKind kind = QuotaKind::kProduce;
    std::string user;       // "": any
    std::string client_id;  // "": any
    double per_second = 0;
    double average_throttle_ms = 0;
  };
  std::vector<Usage> usage(Instant now) const;

 private:
  struct Name {
    QuotaKind kind;
    std::string user;
    std::string client_id;

    auto operator<=>(const Name&) const = default;
  };
  static std::uint32_t bit(QuotaKind kind) { return 1u << static_cast<unsigned>(kind); }
  QuotaShares::Share share(QuotaKind kind, const QuotaClient& client, Instant now);
  QuotaShares::Share find(QuotaKind kind, const std::string& user, const std::string& client_id,
                          Instant now);
  void forget_idle(Instant now);

  const Options options_;
  std::atomic<std::uint32_t> kinds_{0};
  std::atomic<std::uint64_t> version_{1};
  io::Published<metadata::ClientQuotasImage> limits_;
  mutable std::mutex mutex_;  // of the map; a bucket has its own
  std::map<Name, std::shared_ptr<QuotaBucket>> buckets_;
  std::size_t look_at_size_ = 1024;  // when that many are there, idle ones are forgotten
};

}  // namespace broker::server
