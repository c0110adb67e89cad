// The records of examples/order-pipeline without its JVMs: a customer and the four services, each a
// thread with clients of its own (librdkafka). Orders fall due at a rate; each goes through
// orders, payments, the changelogs of the join and orders.enriched (one transaction each 100 ms),
// and stock.reserved.
//
// Arguments: BOOTSTRAP ORDERS_PER_SECOND SECONDS PARTITIONS
// Prints a line per second and at last one of JSON.

#include <librdkafka/rdkafka.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <initializer_list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using Settings = std::initializer_list<std::pair<const char*, const char*>>;

constexpr std::int64_t kCommitEveryUs = 100'000;  // as Kafka Streams does with exactly_once_v2
constexpr int kPatienceMs = 30'000;
constexpr std::size_t kAtOnce = 2'000;
constexpr std::size_t kStampBytes = 16;  // every value begins with when its order was due, in hex

// What the JSON of the example has, and the header with the trace.
constexpr std::size_t kOrderBytes = 150;
constexpr std::size_t kPaymentBytes = 90;
constexpr std::size_t kEnrichedBytes = 260;
constexpr std::size_t kReservedBytes = 95;
constexpr std::string_view kTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

std::string bootstrap;
std::atomic<bool> stopping{false};
std::atomic<std::int64_t> failures{0};
std::atomic<std::int64_t> due{0}, paid{0}, enriched{0}, reserved{0}, counted{0};

std::int64_t now_us() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000LL + t.tv_nsec / 1'000;
}

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "%s\n", why.c_str());
  std::_Exit(2);
}

void check(rd_kafka_resp_err_t error, const char* what) {
  if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
    give_up(std::string(what) + ": " + rd_kafka_err2str(error));
}

void check(rd_kafka_error_t* error, const char* what) {
  if (error != nullptr) give_up(std::string(what) + ": " + rd_kafka_error_string(error));
}

void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void*) {
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) failures++;
}

rd_kafka_t* make_client(rd_kafka_type_t type, Settings settings) {
  char error[512];
  rd_kafka_conf_t* config = rd_kafka_conf_new();
  const auto set = [&](const char* key, const char* value) {
    if (rd_kafka_conf_set(config, key, value, error, sizeof error) != RD_KAFKA_CONF_OK)
      give_up(error);
  };
  set("bootstrap.servers", bootstrap.c_str());
  for (const auto& [key, value] : settings) set(key, value);
  if (type == RD_KAFKA_PRODUCER) rd_kafka_conf_set_dr_msg_cb(config, on_delivery);
  rd_kafka_t* client = rd_kafka_new(type, config, error, sizeof error);
  if (client == nullptr) give_up(error);
  return client;
}

class Producer {
 public:
  explicit Producer(const char* transactional_id = nullptr)
      : client_(
            transactional_id == nullptr
                ? make_client(RD_KAFKA_PRODUCER, {{"enable.idempotence", "true"},
                                                  {"linger.ms", "5"},
                                                  {"delivery.report.only.error", "true"},
                                                  {"queue.buffering.max.messages", "2000000"}})
                : make_client(RD_KAFKA_PRODUCER, {{"transactional.id", transactional_id},
                                                  {"linger.ms", "5"},
                                                  {"delivery.report.only.error", "true"},
                                                  {"queue.buffering.max.messages", "2000000"}})) {}
  ~Producer() {
    rd_kafka_flush(client_, kPatienceMs);
    rd_kafka_destroy(client_);
  }
  Producer(const Producer&) = delete;

  rd_kafka_t* get() const { return client_; }

  /// A record whose value begins with `stamp` and has `bytes` bytes.
  void send(const char* topic, std::int32_t partition, std::string_view key, const char* stamp,
            std::size_t bytes) {
    std::memcpy(value_.data(), stamp, kStampBytes);
    while (true) {
      const auto error = rd_kafka_producev(
          client_, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
          RD_KAFKA_V_KEY(key.data(), key.size()), RD_KAFKA_V_VALUE(value_.data(), bytes),
          RD_KAFKA_V_HEADER("traceparent", kTrace.data(), static_cast<ssize_t>(kTrace.size())),
          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) return;
      if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) check(error, topic);
      rd_kafka_poll(client_, 1);
    }
  }
  void serve() { rd_kafka_poll(client_, 0); }

 private:
  rd_kafka_t* client_;
  std::array<char, 512> value_ = [] {
    std::array<char, 512> text{};
    text.fill('x');
    return text;
  }();
};

class Consumer {
 public:
  Consumer(const char* group, std::initializer_list<const char*> topics, bool commits)
      : client_(make_client(RD_KAFKA_CONSUMER, {{"group.id", group},
                                                {"auto.offset.reset", "earliest"},
                                                {"isolation.level", "read_committed"},
                                                {"enable.auto.commit", commits ? "true" : "false"},
                                                {"auto.commit.interval.ms", "100"},
                                                {"fetch.wait.max.ms", "100"},
                                                {"queued.min.messages", "100000"}})) {
    rd_kafka_poll_set_consumer(client_);
    rd_kafka_topic_partition_list_t* list =
        rd_kafka_topic_partition_list_new(static_cast<int>(topics.size()));
    for (const char* topic : topics)
      rd_kafka_topic_partition_list_add(list, topic, RD_KAFKA_PARTITION_UA);
    check(rd_kafka_subscribe(client_, list), group);
    rd_kafka_topic_partition_list_destroy(list);
    queue_ = rd_kafka_queue_get_consumer(client_);
  }
  ~Consumer() {
    rd_kafka_queue_destroy(queue_);
    rd_kafka_consumer_close(client_);
    rd_kafka_destroy(client_);
  }
  Consumer(const Consumer&) = delete;

  rd_kafka_t* get() const { return client_; }

  /// Records that came within 50 ms.
  template <class Each>
  void poll(Each each) {
    const ssize_t n = rd_kafka_consume_batch_queue(queue_, 50, messages_.data(), messages_.size());
    for (ssize_t i = 0; i < n; i++) {
      rd_kafka_message_t* message = messages_[static_cast<std::size_t>(i)];
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        each(*message);
      else
        failures++;
      rd_kafka_message_destroy(message);
    }
  }

 private:
  rd_kafka_t* client_;
  rd_kafka_queue_t* queue_ = nullptr;
  std::array<rd_kafka_message_t*, kAtOnce> messages_{};
};

std::string_view key_of(const rd_kafka_message_t& message) {
  return {static_cast<const char*>(message.key), message.key_len};
}

const char* stamp_of(const rd_kafka_message_t& message) {
  return static_cast<const char*>(message.payload);
}

// --- the customer and the services ----------------------------------------------------------

void customer(std::int64_t begin, std::int64_t rate, std::int64_t seconds, int partitions) {
  Producer producer;
  char key[24], stamp[kStampBytes + 1];
  for (std::int64_t sent = 0; sent < rate * seconds;) {
    const std::int64_t until = std::min(rate * seconds, (now_us() - begin) * rate / 1'000'000);
    for (; sent < until; sent++) {
      const int length = std::snprintf(key, sizeof key, "order-%010" PRId64, sent);
      std::snprintf(stamp, sizeof stamp, "%016" PRIx64, begin + sent * 1'000'000 / rate);
      producer.send("orders", static_cast<std::int32_t>(sent % partitions),
                    {key, static_cast<std::size_t>(length)}, stamp, kOrderBytes);
    }
    due = until;
    producer.serve();
    usleep(1'000);
  }
}

void payment() {
  Consumer orders("payment", {"orders"}, true);
  Producer producer;
  while (!stopping) {
    orders.poll([&](const rd_kafka_message_t& order) {
      producer.send("payments", order.partition, key_of(order), stamp_of(order), kPaymentBytes);
      paid++;
    });
    producer.serve();
  }
}

/// Consumes, writes and commits what it consumed in one transaction after the other.
void enrichment() {
  Consumer input("enrichment", {"orders", "payments"}, false);
  Producer producer("enrichment-1");
  check(rd_kafka_init_transactions(producer.get(), kPatienceMs), "init transactions");
  std::map<std::pair<std::string, std::int32_t>, std::int64_t> positions;
  bool open = false;
  std::int64_t commit_at = 0, emitted = 0;
  while (!stopping) {
    input.poll([&](const rd_kafka_message_t& message) {
      if (!open) {
        check(rd_kafka_begin_transaction(producer.get()), "begin");
        commit_at = now_us() + kCommitEveryUs;
        open = true;
      }
      const char* topic = rd_kafka_topic_name(message.rkt);
      const std::int32_t p = message.partition;
      if (std::strcmp(topic, "orders") == 0) {
        producer.send("join-this-changelog", p, key_of(message), stamp_of(message), kOrderBytes);
      } else {
        producer.send("join-other-changelog", p, key_of(message), stamp_of(message), kPaymentBytes);
        producer.send("orders.enriched", p, key_of(message), stamp_of(message), kEnrichedBytes);
        emitted++;
      }
      positions[{topic, p}] = message.offset + 1;
    });
    producer.serve();
    if (!open || now_us() < commit_at) continue;
    auto* offsets = rd_kafka_topic_partition_list_new(static_cast<int>(positions.size()));
    for (const auto& [where, offset] : positions)
      rd_kafka_topic_partition_list_add(offsets, where.first.c_str(), where.second)->offset =
          offset;
    auto* group = rd_kafka_consumer_group_metadata(input.get());
    check(rd_kafka_send_offsets_to_transaction(producer.get(), offsets, group, kPatienceMs),
          "send offsets");
    rd_kafka_consumer_group_metadata_destroy(group);
    rd_kafka_topic_partition_list_destroy(offsets);
    check(rd_kafka_commit_transaction(producer.get(), kPatienceMs), "commit");
    enriched = emitted;
    positions.clear();
    open = false;
  }
}

/// Latencies in tenths of a millisecond; what is above the last counts as that.
class Latencies {
 public:
  void add(std::int64_t us) {
    const std::lock_guard lock(mutex_);
    buckets_[static_cast<std::size_t>(std::clamp<std::int64_t>(us / 100, 0, kLast))]++;
    count_++;
  }
  double percentile_ms(double percent) {
    const std::lock_guard lock(mutex_);
    std::int64_t left = static_cast<std::int64_t>(static_cast<double>(count_) * percent / 100);
    for (std::size_t i = 0; i < buckets_.size(); i++)
      if ((left -= buckets_[i]) < 0) return static_cast<double>(i) / 10;
    return 0;
  }

 private:
  static constexpr std::int64_t kLast = 300'000;
  std::mutex mutex_;
  std::vector<std::int64_t> buckets_ = std::vector<std::int64_t>(kLast + 1);
  std::int64_t count_ = 0;
};

Latencies latencies;

void inventory() {
  Consumer orders("inventory", {"orders.enriched"}, true);
  Producer producer;
  while (!stopping) {
    orders.poll([&](const rd_kafka_message_t& order) {
      const std::string stamp(stamp_of(order), kStampBytes);
      latencies.add(now_us() - std::strtoll(stamp.c_str(), nullptr, 16));
      producer.send("stock.reserved", order.partition, key_of(order), stamp.c_str(),
                    kReservedBytes);
      reserved++;
    });
    producer.serve();
  }
}

void analytics() {
  Consumer orders("analytics", {"orders.enriched"}, true);
  while (!stopping) orders.poll([](const rd_kafka_message_t&) { counted++; });
}

std::int64_t mean(const std::vector<std::int64_t>& values, std::size_t from, std::size_t to) {
  std::int64_t sum = 0;
  for (std::size_t i = from; i < to; i++) sum += values[i];
  return to > from ? sum / static_cast<std::int64_t>(to - from) : 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 5) give_up("usage: replay BOOTSTRAP ORDERS_PER_SECOND SECONDS PARTITIONS");
  bootstrap = arguments[1];
  const std::int64_t rate = std::atoll(arguments[2]), seconds = std::atoll(arguments[3]);
  std::vector<std::thread> services;
  for (const auto& service :
       std::initializer_list<std::function<void()>>{payment, enrichment, inventory, analytics})
    services.emplace_back(service);
  sleep(3);  // until they have their partitions
  const std::int64_t begin = now_us();
  std::thread orders(customer, begin, rate, seconds, std::atoi(arguments[4]));
  std::vector<std::int64_t> lag;
  for (std::int64_t second = 1; second <= seconds + 30; second++) {
    while (now_us() < begin + second * 1'000'000) usleep(5'000);
    if (second <= seconds) lag.push_back(second * rate - reserved);
    std::printf("%" PRId64 " s: due %" PRId64 ", sent %" PRId64 ", paid %" PRId64
                ", enriched %" PRId64 ", reserved %" PRId64 ", counted %" PRId64 ", behind %" PRId64
                "\n",
                second, std::min(second, seconds) * rate, due.load(), paid.load(), enriched.load(),
                reserved.load(), counted.load(), std::min(second, seconds) * rate - reserved);
    std::fflush(stdout);
    if (reserved == rate * seconds && counted == reserved) break;
  }
  orders.join();
  stopping = true;
  for (std::thread& service : services) service.join();
  const std::size_t part = std::min<std::size_t>(60, lag.size() / 2);
  const double per_second =
      static_cast<double>(rate * seconds - lag.back()) / static_cast<double>(seconds);
  std::printf("{\"rate\": %.0f, \"p50_ms\": %.1f, \"p99_ms\": %.1f, \"lag_first\": %" PRId64
              ", \"lag_last\": %" PRId64 ", \"missing\": %" PRId64 ", \"failures\": %" PRId64 "}\n",
              per_second, latencies.percentile_ms(50), latencies.percentile_ms(99),
              mean(lag, 0, part), mean(lag, lag.size() - part, lag.size()),
              rate * seconds - reserved, failures.load());
  return reserved == rate * seconds && failures == 0 ? 0 : 1;
}
