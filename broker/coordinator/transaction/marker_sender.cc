#include "broker/coordinator/transaction/marker_sender.h"

#include <algorithm>

#include "broker/common/defect.h"
#include "broker/common/log.h"

namespace broker::coordinator::transaction {

namespace {

using protocol::WriteTxnMarkersRequest;
using protocol::WriteTxnMarkersResponse;

std::map<TopicPartition, ErrorCode> errors_of(
    const WriteTxnMarkersResponse::WritableTxnMarkerResult& result) {
  std::map<TopicPartition, ErrorCode> errors;
  for (const auto& topic : result.topics)
    for (const auto& partition : topic.partitions)
      errors[{topic.name, partition.partition_index}] =
          static_cast<ErrorCode>(partition.error_code);
  return errors;
}

}  // namespace

MarkerSender::MarkerSender(Ports ports) : ports_(std::move(ports)) {}

MarkerSender::~MarkerSender() { stop(); }

void MarkerSender::stop() {
  *alive_ = false;
  stopped_ = true;
  works_.clear();
  if (timer_ != io::kNoTimer) ports_.strand.cancel(std::exchange(timer_, io::kNoTimer));
}

void MarkerSender::send(MarkerWork work) {
  if (stopped_) return;
  const Key key{work.coordinator_partition, work.transactional_id};
  Work& entry = works_[key];
  entry = {};
  entry.waiting = work.partitions;
  entry.work = std::move(work);
  entry.number = ++next_number_;
  pump();
}

void MarkerSender::forget(std::int32_t coordinator_partition) {
  std::erase_if(works_,
                [&](const auto& each) { return each.first.first == coordinator_partition; });
}

void MarkerSender::on_metadata() {
  if (!works_.empty()) pump();
}

void MarkerSender::pump() {
  if (stopped_) return;
  const metadata::ImagePtr image = ports_.image();
  Batches batches;
  std::vector<MarkerWork> finished;
  for (auto at = works_.begin(); at != works_.end();) {
    Work& work = at->second;
    if (!work.waiting.empty()) collect(at->first, work, *image, batches);
    if (work.waiting.empty() && work.flying == 0) {
      finished.push_back(std::move(work.work));
      at = works_.erase(at);
    } else {
      ++at;
    }
  }
  for (auto& [broker, sent] : batches) dispatch(broker, std::move(sent));
  for (const MarkerWork& work : finished) ports_.finished(work);
}

void MarkerSender::collect(const Key& key, Work& work, const metadata::MetadataImage& image,
                           Batches& batches) {
  std::map<BrokerId, Sent> parts;
  for (auto at = work.waiting.begin(); at != work.waiting.end();) {
    const auto* topic = image.topics.find(std::string_view(at->topic));
    const auto* partition = topic ? topic->partitions.find(at->partition) : nullptr;
    if (!partition) {
      log_info("transaction", "no marker for a partition that is gone",
               {{"transactional_id", key.second}, {"partition", to_string(*at)}});
      at = work.waiting.erase(at);
      continue;
    }
    const BrokerId leader = partition->leader;
    Line& line = lines_[leader];
    if (leader == metadata::kNoLeader || line.busy) {
      ++at;  // new metadata, or the answer, bring it about
      continue;
    }
    if (line.not_before > ports_.strand.now()) {
      wake_at(line.not_before);
      ++at;
      continue;
    }
    parts[leader].partitions.insert(*at);
    at = work.waiting.erase(at);
    ++work.flying;
  }
  for (auto& [broker, sent] : parts) {
    sent.key = key;
    sent.number = work.number;
    sent.producer = work.work.producer;
    batches[broker].push_back(std::move(sent));
  }
}

void MarkerSender::dispatch(BrokerId broker, std::vector<Sent> sent) {
  WriteTxnMarkersRequest request;
  for (const Sent& each : sent) {
    const MarkerWork& work = works_.at(each.key).work;
    auto& marker = request.markers.emplace_back();
    marker.producer_id = work.producer.id.value;
    marker.producer_epoch = work.producer.epoch.value;
    marker.transaction_result = work.commit;
    marker.coordinator_epoch = work.coordinator_epoch.value;
    marker.transaction_version = static_cast<std::int8_t>(work.version);
    for (const TopicPartition& at : each.partitions) {
      if (marker.topics.empty() || marker.topics.back().name != at.topic)
        marker.topics.push_back({at.topic, {}});
      marker.topics.back().partition_indexes.push_back(at.partition);
    }
  }
  lines_[broker].busy = true;
  ports_.write(broker, std::move(request),
               [this, alive = alive_, broker,
                sent = std::move(sent)](const Result<WriteTxnMarkersResponse>& answer) {
                 if (*alive) on_answer(broker, sent, answer);
               });
}

void MarkerSender::on_answer(BrokerId broker, const std::vector<Sent>& sent,
                             const Result<WriteTxnMarkersResponse>& answer) {
  Line& line = lines_[broker];
  line.busy = false;
  bool again = !answer.ok();
  for (std::size_t i = 0; i < sent.size(); ++i) {
    const Sent& each = sent[i];
    const auto at = works_.find(each.key);
    if (at == works_.end() || at->second.number != each.number) continue;
    Work& work = at->second;
    std::map<TopicPartition, ErrorCode> errors;
    if (answer.ok()) {
      for (const auto& result : answer->markers)
        if (result.producer_id == each.producer.id.value) errors.merge(errors_of(result));
    }
    for (const TopicPartition& partition : each.partitions) {
      --work.flying;
      const auto found = errors.find(partition);
      if (found != errors.end() && !settle(work, partition, found->second)) continue;
      again = true;
      work.waiting.insert(partition);
    }
  }
  // A broker that does not answer, or does not know yet what it leads.
  line.not_before = again ? ports_.strand.now() + line.backoff : Instant{};
  line.backoff = again ? std::min(line.backoff * 2, kMaxBackoff) : kMinBackoff;
  pump();
}

bool MarkerSender::settle(Work& work, const TopicPartition& at, ErrorCode error) {
  switch (error) {
    case ErrorCode::kNone:
      return false;
    case ErrorCode::kInvalidProducerEpoch:
    case ErrorCode::kTransactionCoordinatorFenced:
      // Somebody else coordinates: it writes the markers, and this coordinator will hear of it.
      log_warn("transaction", "a marker was fenced",
               {{"transactional_id", work.work.transactional_id},
                {"partition", to_string(at)},
                {"error", error_name(error)}});
      ++work.flying;  // never finished here
      return false;
    default:
      if (has_defect(Defect::kMarkersGivenUp)) return false;
      log_debug("transaction", "a marker is tried again",
                {{"transactional_id", work.work.transactional_id},
                 {"partition", to_string(at)},
                 {"error", error_name(error)}});
      return true;
  }
}

void MarkerSender::wake_at(Instant when) {
  if (timer_ != io::kNoTimer) {
    if (timer_due_ <= when) return;
    ports_.strand.cancel(timer_);
  }
  timer_due_ = when;
  timer_ = ports_.strand.call_at(when, [this, alive = alive_] {
    if (!*alive) return;
    timer_ = io::kNoTimer;
    pump();
  });
}

}  // namespace broker::coordinator::transaction
