#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/common/rng.h"
#include "broker/sim/memberships.h"
#include "broker/sim/requests.h"

namespace broker::sim {

/// A member of a consumer group, which commits how far it is in what it is given. Now and then it
/// leaves, or falls silent until others have its partitions; and who it was comes back and commits
/// what is no longer its own. It does not read: an offset that it commits is one of an acknowledged
/// record.
class GroupMember {
 public:
  /// `router`: its own, as a join that waits for others holds up what follows on its connection.
  GroupMember(ClientContext& context, std::unique_ptr<Router> router, Memberships& memberships,
              std::string group, int number, std::uint64_t seed);
  virtual ~GroupMember() = default;
  void start() { go(kMaxBackoff); }

 protected:
  static constexpr std::int32_t kSessionMs = 8'000;
  using Partitions = std::set<std::int32_t>;
  using Answer = Memberships::Answer;

  /// Who it is to the coordinator.
  struct Identity {
    std::string id;           // empty: it has to join
    std::int32_t epoch = -1;  // or generation
    std::string name;         // to Memberships
  };

  /// These ask the coordinator, and end in go().
  virtual void join() = 0;
  virtual void beat() = 0;
  virtual void leave(const Identity& as) = 0;

  /// `done` gets what is not a coordinator's absence; that ends in go().
  template <class Request>
  void ask(Request request, UniqueFunction<void(typename Request::Response&, Instant sent)> done,
           Duration timeout = kRequestTimeout);
  /// The answer of a coordinator that is none (any more), or that could not store what it decided.
  void on_trouble(ErrorCode error);
  static bool is_trouble(ErrorCode error);
  void heard(Instant sent, Duration next_beat);
  /// What it said last. Otherwise the coordinator may think otherwise of it.
  bool was_answered() const { return answered_; }
  /// The partitions that it has from now on. Returns whether it had to let go of some.
  bool take(const Partitions& partitions);
  void release_all() { (void)take({}); }
  /// As somebody else.
  void join_anew();
  /// The next step, after a while.
  void go(Duration max_pause = std::chrono::milliseconds(400));
  Partitions owned() const;
  void wrong(const char* what, ErrorCode error);

  ClientContext& context_;
  const std::string group_;
  Rng rng_;
  Identity identity_;

 private:
  struct Zombie {
    Identity identity;
    std::int32_t partition;
    std::int64_t offset;
  };

  void step();
  void fetch_positions(const Partitions& partitions);
  void commit(std::int32_t partition);
  void send_commit(const Identity& as, std::int32_t partition, std::int64_t offset);
  void haunt();
  void fall_silent();
  void remember_zombie();
  Partitions without_position() const;

  const std::unique_ptr<Router> router_;
  Memberships& memberships_;
  const int number_;
  int lives_ = 0;
  std::optional<io::Endpoint> coordinator_;
  bool answered_ = false;
  Instant next_beat_{};
  std::map<std::int32_t, std::optional<std::int64_t>> positions_;  // of what it has
  std::optional<Zombie> zombie_;
};

/// JoinGroup, SyncGroup, Heartbeat: the leader among them assigns, and everybody lets go of
/// everything first.
std::unique_ptr<GroupMember> make_classic_member(ClientContext& context,
                                                 std::unique_ptr<Router> router,
                                                 Memberships& memberships, std::string group,
                                                 int number, int partitions, std::uint64_t seed);
/// ConsumerGroupHeartbeat (KIP-848).
std::unique_ptr<GroupMember> make_consumer_member(ClientContext& context,
                                                  std::unique_ptr<Router> router,
                                                  Memberships& memberships, std::string group,
                                                  int number, std::uint64_t seed);

// ---- details

template <class Request>
void GroupMember::ask(Request request,
                      UniqueFunction<void(typename Request::Response&, Instant sent)> done,
                      Duration timeout) {
  const io::Endpoint node = *coordinator_;
  router_->call<Request>(
      node, std::move(request),
      [this, node, sent = context_.strand.now(), name = identity_.name,
       done = std::move(done)](Result<typename Request::Response> response) mutable {
        if (response.ok()) return done(*response, sent);
        memberships_.unanswered(name, context_.strand.now());
        answered_ = false;
        if (response.code() == ErrorCode::kRequestTimedOut) router_->forget(node);
        coordinator_.reset();
        go(kMaxBackoff);
      },
      timeout);
}

}  // namespace broker::sim
