#include "broker/replication/replica_sessions.h"

#include <utility>

#include "broker/replication/strands.h"

namespace broker::replication {

/// One follower's session. Requests are answered in their order: each feed answers them so.
class ReplicaSessions::Session final : public std::enable_shared_from_this<Session> {
 public:
  Session(io::Strand& strand, std::int32_t id, Reader reader)
      : strand_(strand), id_(id), reader_(reader) {}

  std::int32_t id() const { return id_; }
  const Reader& reader() const { return reader_; }
  bool is_idle(Instant now) const { return open_.empty() && now - last_used_ > kIdle; }

  std::int32_t next_epoch() const { return next_epoch_; }
  void begin_epoch() { next_epoch_ = next_epoch_ == INT32_MAX ? 1 : next_epoch_ + 1; }

  void ask(const Request& request, bool full, const HomeOf& home_of, Callback callback) {
    last_used_ = strand_.now();
    const std::uint64_t number = ++numbers_;
    Open& open = open_[number];
    open.callback = std::move(callback);
    open.response.session_id = id_;

    std::map<PartitionTable*, ReplicaFeed::Ask> asks;
    for (const auto& [table, feed] : feeds_) asks[table];
    split(request, home_of, asks);
    for (auto& [table, ask] : asks) {
      ask.number = number;
      // The answer that opens a session names everything, at once: the next one may wait.
      ask.all = full;
      ask.at_once = request.max_wait_ms <= 0;
      ask.max_bytes = request.max_bytes;
    }
    open.outstanding = asks.size();
    if (!full && request.max_wait_ms > 0)
      open.deadline =
          strand_.call_after(std::chrono::milliseconds(request.max_wait_ms),
                             [self = shared_from_this(), number] { self->on_deadline(number); });
    if (asks.empty() && open.deadline == io::kNoTimer) return finish(number);
    asking_ = true;
    for (auto& [table, ask] : asks) {
      const auto feed = feed_at(*table);
      run_on(table->strand(),
             [feed, ask = std::move(ask)]() mutable { feed->ask(std::move(ask)); });
    }
    asking_ = false;
    // A feed on this strand has answered from inside, when not all of the others had been asked.
    const auto at = open_.find(number);
    if (at != open_.end() && at->second.has_news) collect(number);
  }

  void close() {
    closed_ = true;
    for (const auto& [table, feed] : std::exchange(feeds_, {}))
      run_on(table->strand(), [feed = feed] { feed->close(); });
    while (!open_.empty()) finish(open_.begin()->first);
  }

 private:
  struct Open {
    Callback callback;
    Response response;
    std::size_t outstanding = 0;
    bool has_news = false;
    bool collecting = false;
    io::TimerId deadline = io::kNoTimer;
  };

  void split(const Request& request, const HomeOf& home_of,
             std::map<PartitionTable*, ReplicaFeed::Ask>& asks) {
    for (const auto& topic : request.topics) {
      for (const auto& asked : topic.partitions) {
        const PartitionKey key{topic.topic_id, asked.partition};
        FetchPosition position;
        position.offset = Offset{asked.fetch_offset};
        if (asked.current_leader_epoch >= 0)
          position.current_leader_epoch = LeaderEpoch{asked.current_leader_epoch};
        if (asked.last_fetched_epoch >= 0)
          position.last_fetched_epoch = LeaderEpoch{asked.last_fetched_epoch};
        asks[&home_of(key)].partitions.push_back(
            {key, position, Offset{asked.log_start_offset}, asked.partition_max_bytes});
      }
    }
    for (const auto& topic : request.forgotten_topics_data) {
      for (const std::int32_t partition : topic.partitions) {
        const PartitionKey key{topic.topic_id, partition};
        asks[&home_of(key)].forgotten.push_back(key);
      }
    }
  }

  std::shared_ptr<ReplicaFeed> feed_at(PartitionTable& table) {
    std::shared_ptr<ReplicaFeed>& feed = feeds_[&table];
    if (!feed) {
      feed = std::make_shared<ReplicaFeed>(
          table, reader_, [weak = weak_from_this(), &strand = strand_](ReplicaFeed::Part part) {
            run_on(strand, [weak, part = std::move(part)]() mutable {
              if (const auto self = weak.lock()) self->on_part(std::move(part));
            });
          });
    }
    return feed;
  }

  void on_part(ReplicaFeed::Part part) {
    const auto at = open_.find(part.number);
    if (at == open_.end()) return;
    Open& open = at->second;
    auto& topics = open.response.responses;
    for (auto& [topic, data] : part.partitions) {
      if (topics.empty() || topics.back().topic_id != topic) {
        topics.emplace_back();
        topics.back().topic_id = topic;
      }
      topics.back().partitions.push_back(std::move(data));
    }
    if (--open.outstanding == 0) return finish(part.number);
    open.has_news = open.has_news || part.has_news;
    if (open.has_news && !asking_) collect(part.number);
  }

  void collect(std::uint64_t number) {
    Open& open = open_.at(number);
    if (std::exchange(open.collecting, true)) return;
    // A copy: a feed on this strand answers from inside, and the last answer may be the end.
    const auto feeds = feeds_;
    for (const auto& [table, feed] : feeds)
      run_on(table->strand(), [feed = feed, number] { feed->collect(number); });
  }

  void on_deadline(std::uint64_t number) {
    const auto at = open_.find(number);
    if (at == open_.end()) return;
    at->second.deadline = io::kNoTimer;
    if (at->second.outstanding == 0) return finish(number);
    collect(number);
  }

  void finish(std::uint64_t number) {
    auto node = open_.extract(number);
    Open& open = node.mapped();
    if (open.deadline != io::kNoTimer) strand_.cancel(open.deadline);
    last_used_ = strand_.now();
    std::exchange(open.callback, nullptr)(std::move(open.response));
  }

  io::Strand& strand_;
  const std::int32_t id_;  // 0: for one request only
  const Reader reader_;
  std::int32_t next_epoch_ = 1;
  std::uint64_t numbers_ = 0;
  bool closed_ = false;
  bool asking_ = false;  // not all feeds know the request yet: a collection would miss them
  Instant last_used_{};
  std::map<PartitionTable*, std::shared_ptr<ReplicaFeed>> feeds_;
  std::map<std::uint64_t, Open> open_;
};

ReplicaSessions::ReplicaSessions(io::Strand& strand, HomeOf home_of, std::uint64_t seed)
    : strand_(strand), home_of_(std::move(home_of)), rng_(seed) {}

ReplicaSessions::~ReplicaSessions() = default;

std::int32_t ReplicaSessions::new_id() {
  while (true) {
    const auto id = static_cast<std::int32_t>(rng_.next() & 0x7fffffff);
    if (id != 0 && !sessions_.contains(id)) return id;
  }
}

void ReplicaSessions::close_idle() {
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    if (!at->second->is_idle(strand_.now())) {
      ++at;
      continue;
    }
    at->second->close();
    at = sessions_.erase(at);
  }
}

Result<std::shared_ptr<ReplicaSessions::Session>> ReplicaSessions::find_or_make(
    const Request& request) {
  const Reader reader{BrokerId{request.replica_state.replica_id},
                      BrokerEpoch{request.replica_state.replica_epoch}};
  const auto known = sessions_.find(request.session_id);
  const auto close = [&] {
    if (known == sessions_.end()) return;
    known->second->close();
    sessions_.erase(known);
  };
  if (request.session_epoch == -1) {
    close();
    return std::make_shared<Session>(strand_, 0, reader);
  }
  if (request.session_epoch == 0) {
    close();
    close_idle();
    auto session = std::make_shared<Session>(strand_, new_id(), reader);
    sessions_.emplace(session->id(), session);
    return session;
  }
  if (known == sessions_.end() || known->second->reader().replica != reader.replica)
    return ErrorCode::kFetchSessionIdNotFound;
  if (known->second->next_epoch() != request.session_epoch)
    return ErrorCode::kInvalidFetchSessionEpoch;
  // A broker that registered again is another reader.
  if (known->second->reader().replica_epoch != reader.replica_epoch) {
    close();
    return ErrorCode::kFetchSessionIdNotFound;
  }
  known->second->begin_epoch();
  return known->second;
}

void ReplicaSessions::serve(Request request, Callback callback) {
  auto session = find_or_make(request);
  if (!session.ok()) {
    Response response;
    response.error_code = static_cast<std::int16_t>(session.code());
    return callback(std::move(response));
  }
  const bool once = request.session_epoch == -1;
  if (!once)
    return (*session)->ask(request, request.session_epoch == 0, home_of_, std::move(callback));
  auto ended = [session = *session, callback = std::move(callback)](Response response) mutable {
    session->close();
    callback(std::move(response));
  };
  (*session)->ask(request, true, home_of_, std::move(ended));
}

void ReplicaSessions::shut_down() {
  for (const auto& [id, session] : std::exchange(sessions_, {})) session->close();
}

}  // namespace broker::replication
