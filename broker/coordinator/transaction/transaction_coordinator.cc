#include "broker/coordinator/transaction/transaction_coordinator.h"

#include <utility>

#include "broker/common/topic_name.h"
#include "broker/coordinator/transaction/partition_verifier.h"

namespace broker::coordinator::transaction {

namespace {

constexpr std::string_view kVersionFeature = "transaction.version";

ProducerAnswer refused(ErrorCode error) { return {.error = error}; }

}  // namespace

TransactionCoordinator::TransactionCoordinator(const TransactionOptions& options,
                                               const CoordinatorOptions& runtime_options,
                                               Ports ports)
    : options_(options),
      ports_(std::move(ports)),
      sender_(std::make_shared<MarkerSender>(
          MarkerSender::Ports{ports_.replicas.strands().main(), ports_.image, ports_.write_markers,
                              [this](const MarkerWork& work) { on_markers_written(work); }})),
      runtime_(runtime_options, ports_.replicas, [this](std::int32_t partition) {
        return std::make_unique<TransactionShard>(options_, partition, shard_ports(partition));
      }) {}

TransactionCoordinator::~TransactionCoordinator() = default;

TransactionShard::Ports TransactionCoordinator::shard_ports(std::int32_t partition) {
  // Posted, even from main: the shard is in the middle of something.
  io::Strand& main = ports_.replicas.strands().main();
  return {.send_markers =
              [&main, weak = std::weak_ptr(sender_)](MarkerWork work) {
                main.post([weak, work = std::move(work)]() mutable {
                  if (const auto sender = weak.lock()) sender->send(std::move(work));
                });
              },
          .forget_markers =
              [&main, weak = std::weak_ptr(sender_), partition] {
                main.post([weak, partition] {
                  if (const auto sender = weak.lock()) sender->forget(partition);
                });
              },
          .version = [this] { return ports_.image()->features.level(kVersionFeature); }};
}

void TransactionCoordinator::on_markers_written(const MarkerWork& work) {
  runtime_.run(
      work.coordinator_partition,
      [id = work.transactional_id, producer = work.producer](Shard& shard, const Now& now) {
        return static_cast<TransactionShard&>(shard).markers_written(id, producer, now);
      },
      [](ErrorCode) {});  // another coordinator has it now, and will write them once more
}

void TransactionCoordinator::apply(const metadata::MetadataUpdate& update) {
  if (!update.changes.partitions.empty() || !update.changes.topics_deleted.empty())
    sender_->on_metadata();
}

void TransactionCoordinator::stop() { sender_->stop(); }

Result<BrokerId> TransactionCoordinator::find_coordinator(const std::string& transactional_id,
                                                          const metadata::MetadataImage& image) {
  if (!image.topics.find(kTransactionStateTopic)) ports_.create_topic();
  return coordinator_of(transactional_id, image);
}

template <class Response>
Reply<Response> TransactionCoordinator::to_caller(Reply<Response> reply) const {
  // Posted even on the same strand: the shard may be in the middle of answering others.
  return [&origin = ports_.replicas.strands().current(),
          reply = std::move(reply)](Response response) mutable {
    origin.post([reply = std::move(reply), response = std::move(response)]() mutable {
      reply(std::move(response));
    });
  };
}

template <class Response, class Work, class Refusal>
void TransactionCoordinator::on_shard(const std::string& transactional_id, Reply<Response> reply,
                                      Work work, Refusal refusal) {
  // Exactly one of the two ways is taken.
  auto shared = std::make_shared<Reply<Response>>(to_caller(std::move(reply)));
  const std::int32_t partitions = runtime_.partition_count();
  if (partitions == 0) return (*shared)(refusal(ErrorCode::kCoordinatorNotAvailable));
  runtime_.run(
      partition_for(transactional_id, partitions),
      [shared, work = std::move(work)](Shard& shard, const Now& now) mutable {
        return work(static_cast<TransactionShard&>(shard), now, std::move(*shared));
      },
      [shared, refusal](ErrorCode error) mutable { (*shared)(refusal(error)); });
}

void TransactionCoordinator::init_producer(InitProducer request, Reply<ProducerAnswer> reply) {
  init_with(std::move(request), std::nullopt, std::move(reply));
}

void TransactionCoordinator::init_with(InitProducer request, std::optional<ProducerId> fresh,
                                       Reply<ProducerAnswer> reply) {
  io::Strand& origin = ports_.replicas.strands().current();
  const auto asked = std::make_shared<const InitProducer>(std::move(request));
  auto answered = [this, &origin, asked, reply = std::move(reply)](ProducerAnswer answer) mutable {
    if (!answer.needs_producer_id) return reply(answer);
    ports_.next_producer_id(origin,
                            [this, asked, reply = std::move(reply)](Result<ProducerId> id) mutable {
                              if (!id.ok()) return reply(refused(id.code()));
                              init_with(*asked, *id, std::move(reply));
                            });
  };
  on_shard<ProducerAnswer>(
      asked->transactional_id, std::move(answered),
      [asked, fresh](TransactionShard& shard, const Now& now, Reply<ProducerAnswer> answer) {
        return shard.init_producer(*asked, fresh, now, std::move(answer));
      },
      refused);
}

void TransactionCoordinator::end(EndTransaction request, Reply<ProducerAnswer> reply) {
  end_with(std::move(request), std::nullopt, std::move(reply));
}

void TransactionCoordinator::end_with(EndTransaction request, std::optional<ProducerId> fresh,
                                      Reply<ProducerAnswer> reply) {
  io::Strand& origin = ports_.replicas.strands().current();
  const auto asked = std::make_shared<const EndTransaction>(std::move(request));
  auto answered = [this, &origin, asked, reply = std::move(reply)](ProducerAnswer answer) mutable {
    if (!answer.needs_producer_id) return reply(answer);
    ports_.next_producer_id(origin,
                            [this, asked, reply = std::move(reply)](Result<ProducerId> id) mutable {
                              if (!id.ok()) return reply(refused(id.code()));
                              end_with(*asked, *id, std::move(reply));
                            });
  };
  on_shard<ProducerAnswer>(
      asked->transactional_id, std::move(answered),
      [asked, fresh](TransactionShard& shard, const Now& now, Reply<ProducerAnswer> answer) {
        return shard.end(*asked, fresh, now, std::move(answer));
      },
      refused);
}

void TransactionCoordinator::add_partitions(PartitionsOfTransaction request,
                                            TransactionVersion client_version,
                                            Reply<ErrorCode> reply) {
  const std::string id = request.transactional_id;
  on_shard<ErrorCode>(
      id, std::move(reply),
      [request = std::move(request), client_version](TransactionShard& shard, const Now& now,
                                                     Reply<ErrorCode> answer) {
        return shard.add_partitions(request, client_version, now, std::move(answer));
      },
      [](ErrorCode error) { return error; });
}

void TransactionCoordinator::verify_partitions(PartitionsOfTransaction request,
                                               Reply<Verdicts> reply) {
  const auto asked = std::make_shared<const PartitionsOfTransaction>(std::move(request));
  on_shard<Verdicts>(
      asked->transactional_id, std::move(reply),
      [asked](TransactionShard& shard, const Now&, Reply<Verdicts> answer) {
        return shard.verify_partitions(*asked, std::move(answer));
      },
      [asked](ErrorCode error) {
        Verdicts verdicts;
        for (const TopicPartition& at : asked->partitions) verdicts.emplace(at, error);
        return verdicts;
      });
}

void TransactionCoordinator::describe(const std::string& transactional_id,
                                      Reply<TransactionShard::Described> reply) {
  on_shard<TransactionShard::Described>(
      transactional_id, std::move(reply),
      [transactional_id](TransactionShard& shard, const Now&,
                         Reply<TransactionShard::Described> answer) {
        return shard.describe(transactional_id, std::move(answer));
      },
      [transactional_id](ErrorCode error) {
        TransactionShard::Described described;
        described.transactional_id = transactional_id;
        described.error_code = static_cast<std::int16_t>(error);
        return described;
      });
}

void TransactionCoordinator::list(ListFilter filter, Reply<Listing> reply) {
  // Shards answer once what they saw is committed, which may be before or after all were visited.
  struct Gather {
    Listing listing;
    std::optional<std::size_t> expected;
    std::size_t answered = 0;
    Reply<Listing> reply;

    void finish_if_complete() {
      // Moved out: a shard's strand may drop the last reference to this.
      if (expected && answered == *expected) std::exchange(reply, nullptr)(std::move(listing));
    }
  };
  const auto gather = std::make_shared<Gather>();
  gather->reply = std::move(reply);
  io::Strand& origin = ports_.replicas.strands().current();
  runtime_.run_on_all(
      [gather, &origin, filter](Shard& shard, const Now& now) {
        return static_cast<const TransactionShard&>(shard).list(
            filter, now.wall, [gather, &origin](TransactionShard::Listed listed) {
              origin.post([gather, listed = std::move(listed)]() mutable {
                ++gather->answered;
                auto& all = gather->listing.transactions;
                std::move(listed.begin(), listed.end(), std::back_inserter(all));
                gather->finish_if_complete();
              });
            });
      },
      [gather, &origin](CoordinatorRuntime::Visit visit) {
        origin.post([gather, visit] {
          if (visit.loading) gather->listing.error = ErrorCode::kCoordinatorLoadInProgress;
          gather->expected = visit.shards;
          gather->finish_if_complete();
        });
      });
}

}  // namespace broker::coordinator::transaction
