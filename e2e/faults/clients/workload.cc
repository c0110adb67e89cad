// What Workload.java does, on librdkafka: a producer or a member of a group that writes down all it
// does (history.py explains the lines) and ends in order when its stdin ends.
//
// Arguments: produce|consume NAME TOPIC PARTITIONS RATE BYTES GROUP HISTORY key=value…

#include <librdkafka/rdkafka.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int kLimitMs = 60'000;
std::atomic<bool> stopping{false};

std::int64_t now() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}

// Lines of events; on disk at most 20 ms later.
class History {
 public:
  explicit History(const char* path) : file_(std::fopen(path, "w")) {
    if (file_ == nullptr) std::abort();
    std::setvbuf(file_, nullptr, _IOFBF, 1 << 16);
    std::thread([this] {
      while (true) {
        usleep(20'000);
        const std::lock_guard guard(mutex_);
        if (file_ == nullptr) return;
        std::fflush(file_);
      }
    }).detach();
  }
  ~History() {
    const std::lock_guard guard(mutex_);
    std::fclose(file_);
    file_ = nullptr;
  }

  void add(char kind, std::int64_t time, const std::string& fields) {
    const std::lock_guard guard(mutex_);
    std::fprintf(file_, "%c\t%" PRId64 "%s%s\n", kind, time, fields.empty() ? "" : "\t",
                 fields.c_str());
  }

 private:
  std::mutex mutex_;
  std::FILE* file_;
};

std::string tabbed(std::int64_t a, std::int64_t b) {
  return std::to_string(a) + "\t" + std::to_string(b);
}

History* history;
std::atomic<bool> given_up{false};  // the library has declared the producer's session broken
bool producing;
std::map<std::int32_t, std::int64_t> done;  // partition -> offset to commit next

rd_kafka_t* make_client(rd_kafka_type_t type, rd_kafka_conf_t* config) {
  char error[512];
  rd_kafka_t* client = rd_kafka_new(type, config, error, sizeof error);
  if (client != nullptr) return client;
  std::fprintf(stderr, "%s\n", error);
  std::exit(2);
}

void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void*) {
  const auto number = reinterpret_cast<std::intptr_t>(message->_private);
  const std::string what = tabbed(number, message->partition) + "\t";
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR)
    history->add('A', now(), what + std::to_string(message->offset));
  else
    history->add('F', now(), what + rd_kafka_err2name(message->err));
}

void on_error(rd_kafka_t* client, int error, const char* reason, void*) {
  char text[512];
  if (rd_kafka_fatal_error(client, text, sizeof text) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    if (!given_up.exchange(producing)) history->add(producing ? 'G' : 'X', now(), text);
    return;
  }
  const char* name = rd_kafka_err2name(static_cast<rd_kafka_resp_err_t>(error));
  history->add('E', now(), std::string(name) + " " + reason);
}

// A producer and the thread that serves its delivery reports.
class Producer {
 public:
  explicit Producer(const rd_kafka_conf_t* config)
      : client_(make_client(RD_KAFKA_PRODUCER, rd_kafka_conf_dup(config))), reports_([this] {
          while (!done_) rd_kafka_poll(client_, 50);
        }) {}
  // Waits for what is under way, unless the library has given up: then that fails now.
  ~Producer() {
    if (given_up) rd_kafka_purge(client_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_flush(client_, kLimitMs);
    done_ = true;
    reports_.join();
    rd_kafka_destroy(client_);
  }
  rd_kafka_t* get() const { return client_; }

 private:
  std::atomic<bool> done_{false};
  rd_kafka_t* client_;
  std::thread reports_;
};

void produce(const rd_kafka_conf_t* config, const std::string& name, const char* topic,
             int partitions, int rate, std::size_t bytes) {
  auto producer = std::make_unique<Producer>(config);
  const std::int64_t start = now();
  for (std::int64_t seq = 0; !stopping; seq++) {
    const std::int64_t due = start + seq * 1'000'000'000LL / rate;
    for (std::int64_t left = due - now(); left > 0 && !stopping; left = due - now())
      usleep(static_cast<useconds_t>(std::min<std::int64_t>(left / 1000 + 1, 50'000)));
    if (given_up) {  // what the library asks of an application: a new session, with a new
                     // producer id
      producer.reset();
      given_up = false;
      producer = std::make_unique<Producer>(config);
    }
    const std::int32_t partition = static_cast<std::int32_t>(seq % partitions);
    std::string value = name + ":" + std::to_string(seq) + ":";
    value.resize(std::max(bytes, value.size()), 'x');
    history->add('S', now(), tabbed(seq, partition));
    while (!stopping) {
      const auto error = rd_kafka_producev(
          producer->get(), RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
          RD_KAFKA_V_KEY(name.data(), name.size()), RD_KAFKA_V_VALUE(value.data(), value.size()),
          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
          RD_KAFKA_V_OPAQUE(reinterpret_cast<void*>(static_cast<std::intptr_t>(seq))),
          RD_KAFKA_V_END);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) break;
      if (error != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        history->add('F', now(), tabbed(seq, partition) + "\t" + rd_kafka_err2name(error));
        break;
      }
      usleep(10'000);
    }
  }
}

void commit(rd_kafka_t* client, const char* topic) {
  if (done.empty()) return;
  rd_kafka_topic_partition_list_t* list =
      rd_kafka_topic_partition_list_new(static_cast<int>(done.size()));
  for (const auto& [partition, offset] : done)
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
  const auto error = rd_kafka_commit(client, list, 0);
  const std::int64_t time = now();
  for (int i = 0; i < list->cnt; i++) {
    const bool good =
        error == RD_KAFKA_RESP_ERR_NO_ERROR && list->elems[i].err == RD_KAFKA_RESP_ERR_NO_ERROR;
    history->add(good ? 'C' : 'c', time, tabbed(list->elems[i].partition, list->elems[i].offset));
    if (good) done.erase(list->elems[i].partition);
  }
  rd_kafka_topic_partition_list_destroy(list);
}

void on_rebalance(rd_kafka_t* client, rd_kafka_resp_err_t error,
                  rd_kafka_topic_partition_list_t* list, void*) {
  if (error != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    if (list->cnt > 0 && rd_kafka_assignment_lost(client) == 0)
      commit(client, list->elems[0].topic);
    done.clear();
    for (int i = 0; i < list->cnt; i++)
      history->add('-', now(), std::to_string(list->elems[i].partition));
    rd_kafka_assign(client, nullptr);
    return;
  }
  done.clear();
  const std::int64_t asked = now();
  auto found = RD_KAFKA_RESP_ERR__TIMED_OUT;
  for (int attempt = 0; attempt < 12 && found != RD_KAFKA_RESP_ERR_NO_ERROR; attempt++)
    found = rd_kafka_committed(client, list, kLimitMs / 12);
  if (found != RD_KAFKA_RESP_ERR_NO_ERROR) history->add('X', now(), rd_kafka_err2name(found));
  for (int i = 0; i < list->cnt; i++) {
    rd_kafka_topic_partition_t& one = list->elems[i];
    const bool none = one.offset < 0;
    history->add('P', asked, tabbed(one.partition, none ? -1 : one.offset));
    if (none) one.offset = RD_KAFKA_OFFSET_BEGINNING;
  }
  rd_kafka_assign(client, list);
}

void consume(rd_kafka_t* client, const char* topic) {
  rd_kafka_poll_set_consumer(client);
  rd_kafka_topic_partition_list_t* topics = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
  rd_kafka_subscribe(client, topics);
  rd_kafka_topic_partition_list_destroy(topics);
  std::int64_t commit_at = now();
  while (!stopping) {
    if (rd_kafka_message_t* message = rd_kafka_consumer_poll(client, 100)) {
      if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const std::string value(static_cast<const char*>(message->payload), message->len);
        const auto end = value.find(':', value.find(':') + 1);
        history->add('R', now(),
                     tabbed(message->partition, message->offset) + "\t" + value.substr(0, end));
        done[message->partition] = message->offset + 1;
      } else {
        history->add('E', now(), rd_kafka_err2name(message->err));
      }
      rd_kafka_message_destroy(message);
    }
    if (now() - commit_at > 200'000'000) {
      commit(client, topic);
      commit_at = now();
    }
  }
  commit(client, topic);
  rd_kafka_consumer_close(client);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 9) return 2;
  producing = std::strcmp(argv[1], "produce") == 0;
  char error[512];
  rd_kafka_conf_t* config = rd_kafka_conf_new();
  const auto set = [&](const std::string& key, const std::string& value) {
    if (rd_kafka_conf_set(config, key.c_str(), value.c_str(), error, sizeof error) ==
        RD_KAFKA_CONF_OK)
      return;
    std::fprintf(stderr, "%s\n", error);
    std::exit(2);
  };
  for (int i = 9; i < argc; i++) {
    const std::string pair = argv[i];
    set(pair.substr(0, pair.find('=')), pair.substr(pair.find('=') + 1));
  }
  History lines(argv[8]);
  history = &lines;
  rd_kafka_conf_set_error_cb(config, on_error);
  if (producing) {
    rd_kafka_conf_set_dr_msg_cb(config, on_delivery);
  } else {
    set("group.id", argv[7]);
    rd_kafka_conf_set_rebalance_cb(config, on_rebalance);
  }
  std::thread([] {
    char byte = 0;
    while (read(0, &byte, 1) > 0) continue;
    stopping = true;
  }).detach();
  if (producing) {
    produce(config, argv[2], argv[3], std::atoi(argv[4]), std::atoi(argv[5]),
            static_cast<std::size_t>(std::atoi(argv[6])));
  } else {
    rd_kafka_t* client = make_client(RD_KAFKA_CONSUMER, rd_kafka_conf_dup(config));
    consume(client, argv[3]);
    rd_kafka_destroy(client);
  }
  rd_kafka_conf_destroy(config);
  history->add('Z', now(), "");
  return 0;
}
