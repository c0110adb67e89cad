#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "broker/common/ids.h"
#include "broker/protocol/messages/produce_request.h"
#include "broker/sim/requests.h"
#include "broker/sim/transactions.h"

namespace broker::sim {

/// A transactional producer: records on some partitions, often a group's offset too, then commit or
/// abort; whatever fails is asked again. A coordinator that thinks that it took too long ends it
/// too. Now and then it is replaced by a new one of the same
/// transactional id, in the middle of whatever it did, and goes on for a while as a zombie.
class Transactor {
 public:
  /// `explicit_partitions`: as clients before KIP-890 (transaction.version 2) do it.
  Transactor(ClientContext& context, std::int32_t id, int partitions, Duration max_pause,
             bool explicit_partitions, std::uint64_t seed);
  void start() { step(); }
  /// Nothing is under way, and the group has the last offset.
  bool idle() const { return idle_; }

 private:
  enum class Phase { kInit, kBegin, kWrite, kOffset, kEnd, kLookUp };
  struct Identity {
    std::int64_t id = -1;
    std::int16_t epoch = -1;
  };
  /// What is written next: `count` 0 is nothing.
  struct Piece {
    std::int32_t partition = 0;
    std::int64_t first_number = 0;
    int count = 0;
  };
  struct Zombie {
    Identity identity;
    std::int32_t partition = 0;
    std::int32_t sequence = 0;
  };
  enum class Verdict { kDone, kAgain, kFenced, kToAbort, kWrong };
  static Verdict judge(ErrorCode error);

  void step();
  void again();
  /// The phase is over; the next one begins after a while.
  void go(Phase phase, Duration max_pause = kMaxBackoff);
  void init();
  void on_identity(Identity identity);
  void begin();
  void write();
  void add_partition();
  void produce();
  protocol::ProduceRequest produce_request(Identity as, const Piece& piece, std::int32_t sequence,
                                           const Uuid& topic_id) const;
  void give_up_while_it_flies(const io::Endpoint& leader, protocol::ProduceRequest request);
  void on_written(ErrorCode error, std::int64_t base);
  void commit_offset();
  void add_group();
  void write_offset(const io::Endpoint& group_coordinator);
  void end();
  void on_ended(ErrorCode error, Identity next);
  void look_up();
  void haunt(const Zombie& zombie);
  /// After `error`, which was no success.
  void on_trouble(const char* what, ErrorCode error);
  /// How the open transaction ended, where one is open.
  void settle(bool committed, bool known);
  void replace();
  void wrong(const char* what, ErrorCode error);
  std::string text() const;
  void note(std::string_view what) const;

  /// For callbacks of what this one asked: nobody listens after it was replaced.
  template <class Request>
  void call(const io::Endpoint& to, Request request,
            UniqueFunction<void(Result<typename Request::Response>)> done);
  /// A request to the coordinator of the transactional id. `read` takes the answer's error out.
  template <class Request>
  void ask_coordinator(Request request, UniqueFunction<void(typename Request::Response&)> done);

  ClientContext& context_;
  Transactions& transactions_;
  const std::int32_t number_;
  const std::string transactional_id_, group_;
  const int partitions_;
  const Duration max_pause_;
  const bool explicit_partitions_;
  Rng rng_;

  Phase phase_ = Phase::kInit;
  std::uint64_t life_ = 0;
  bool idle_ = false;
  std::optional<io::Endpoint> coordinator_;
  Identity identity_;
  bool bump_epoch_ = false;  // the next InitProducerId names the identity (KIP-360)
  std::map<std::int32_t, std::int32_t> next_sequences_;  // of this epoch, by partition
  std::int64_t next_record_ = 0;

  // The transaction that is open.
  std::int64_t transaction_ = 0;
  int pieces_left_ = 0;
  Piece piece_;
  std::set<std::int32_t> added_;
  bool something_added_ = false;
  bool with_offset_ = false, group_added_ = false;
  bool commit_ = false;
  int commits_asked_ = 0;
  std::optional<Zombie> zombie_;
};

}  // namespace broker::sim
