#include "broker/coordinator/transaction/transaction_coordinator.h"

#include <utility>

#include "broker/common/topic_name.h"

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
      runtime_(runtime_options, ports_.replicas,
               [this](std::int32_t partition) {
                 return std::make_unique<TransactionShard>(options_, partition,
                                                           shard_ports(partition));
               }),
      calls_(runtime_, ports_.replicas.strands()) {}

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
  return coordinator_of(kTransactionStateTopic, transactional_id, image);
}

template <class Request, class Work>
void TransactionCoordinator::with_fresh_id(std::shared_ptr<const Request> request,
                                           std::optional<ProducerId> fresh, Work work,
                                           Reply<ProducerAnswer> reply) {
  io::Strand& origin = ports_.replicas.strands().current();
  auto answered = [this, &origin, request, work,
                   reply = std::move(reply)](ProducerAnswer answer) mutable {
    if (!answer.needs_producer_id) return reply(answer);
    ports_.next_producer_id(
        origin, [this, request, work, reply = std::move(reply)](Result<ProducerId> id) mutable {
          if (!id.ok()) return reply(refused(id.code()));
          with_fresh_id(std::move(request), *id, work, std::move(reply));
        });
  };
  calls_.ask<ProducerAnswer>(
      request->transactional_id, std::move(answered),
      [request, fresh, work](TransactionShard& shard, const Now& now,
                             Reply<ProducerAnswer> answer) {
        return (shard.*work)(*request, fresh, now, std::move(answer));
      },
      refused);
}

void TransactionCoordinator::init_producer(InitProducer request, Reply<ProducerAnswer> reply) {
  with_fresh_id(std::make_shared<const InitProducer>(std::move(request)), std::nullopt,
                &TransactionShard::init_producer, std::move(reply));
}

void TransactionCoordinator::end(EndTransaction request, Reply<ProducerAnswer> reply) {
  with_fresh_id(std::make_shared<const EndTransaction>(std::move(request)), std::nullopt,
                &TransactionShard::end, std::move(reply));
}

void TransactionCoordinator::add_partitions(PartitionsOfTransaction request,
                                            TransactionVersion client_version,
                                            Reply<ErrorCode> reply) {
  const std::string id = request.transactional_id;
  calls_.ask<ErrorCode>(
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
  calls_.ask<Verdicts>(
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
  calls_.ask<TransactionShard::Described>(
      transactional_id, std::move(reply),
      [transactional_id](TransactionShard& shard, const Now&,
                         Reply<TransactionShard::Described> answer) {
        return shard.describe(transactional_id, std::move(answer));
      },
      [transactional_id](ErrorCode error) {
        TransactionShard::Described described;
        described.transactional_id = transactional_id;
        described.error_code = wire(error);
        return described;
      });
}

void TransactionCoordinator::list(ListFilter filter, Reply<Listing> reply) {
  using Listed = TransactionShard::Listed;
  calls_.ask_all<Listed>(
      [filter = std::move(filter)](const TransactionShard& shard, const Now& now,
                                   Reply<Listed> answer) {
        return shard.list(filter, now.wall, std::move(answer));
      },
      [reply = std::move(reply)](Listed transactions, bool loading) mutable {
        reply({loading ? ErrorCode::kCoordinatorLoadInProgress : ErrorCode::kNone,
               std::move(transactions)});
      });
}

}  // namespace broker::coordinator::transaction
