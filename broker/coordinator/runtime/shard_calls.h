#pragma once

#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "broker/coordinator/runtime/coordinator_runtime.h"

namespace broker::coordinator {

/// How a coordinator's front end asks its shards: from any of the strands, answered on the strand
/// of the call, never from inside a shard.
template <class ConcreteShard>
class ShardCalls {
 public:
  ShardCalls(CoordinatorRuntime& runtime, const replication::Strands& strands)
      : runtime_(runtime), strands_(strands) {}

  /// Runs `work(shard, now, reply)` on the shard of `key`, or answers `refusal(error)`.
  template <class Response, class Work, class Refusal>
  void ask(const std::string& key, Reply<Response> reply, Work work, Refusal refusal) {
    // Exactly one of the two ways is taken.
    auto shared = std::make_shared<Reply<Response>>(to_caller(std::move(reply)));
    const std::int32_t partitions = runtime_.partition_count();
    if (partitions == 0) return (*shared)(refusal(ErrorCode::kCoordinatorNotAvailable));
    runtime_.run(
        partition_for(key, partitions),
        [shared, work = std::move(work)](Shard& shard, const Now& now) mutable {
          return work(static_cast<ConcreteShard&>(shard), now, std::move(*shared));
        },
        [shared, refusal](ErrorCode error) mutable { (*shared)(refusal(error)); });
  }

  /// Runs `work(shard, now, reply)` on every active shard; `done(list, loading)` gets what all of
  /// them replied, behind each other, and whether some shard was left out because it still loads.
  template <class List, class Work, class Done>
  void ask_all(Work work, Done done) {
    // Shards answer once what they saw is committed, which may be before or after all were visited.
    struct Gather {
      explicit Gather(Done all_answered) : done(std::move(all_answered)) {}
      void finish_if_complete() {
        // Moved out: a shard's strand may drop the last reference to this.
        if (!visit || answered != visit->shards) return;
        auto finish = std::move(done);
        finish(std::move(list), visit->loading);
      }

      List list;
      std::optional<CoordinatorRuntime::Visit> visit;
      std::size_t answered = 0;
      Done done;
    };
    const auto gather = std::make_shared<Gather>(std::move(done));
    io::Strand& origin = strands_.current();
    runtime_.run_on_all(
        [gather, &origin, work = std::move(work)](Shard& shard, const Now& now) {
          return work(static_cast<const ConcreteShard&>(shard), now,
                      Reply<List>([gather, &origin](List part) {
                        origin.post([gather, part = std::move(part)]() mutable {
                          ++gather->answered;
                          std::move(part.begin(), part.end(), std::back_inserter(gather->list));
                          gather->finish_if_complete();
                        });
                      }));
        },
        [gather, &origin](CoordinatorRuntime::Visit visit) {
          origin.post([gather, visit] {
            gather->visit = visit;
            gather->finish_if_complete();
          });
        });
  }

 private:
  template <class Response>
  Reply<Response> to_caller(Reply<Response> reply) const {
    // Posted even on the same strand: the shard may be in the middle of answering others.
    return [&origin = strands_.current(), reply = std::move(reply)](Response response) mutable {
      origin.post([reply = std::move(reply), response = std::move(response)]() mutable {
        reply(std::move(response));
      });
    };
  }

  CoordinatorRuntime& runtime_;
  const replication::Strands& strands_;
};

}  // namespace broker::coordinator
