#include "operator/kafka/log_dirs_client.h"

#include <utility>

#include "broker/protocol/frame.h"
#include "broker/protocol/messages/describe_log_dirs_request.h"
#include "broker/protocol/messages/describe_log_dirs_response.h"

namespace op::kafka {

using broker::Error;
using broker::ErrorCode;
using broker::Result;
namespace protocol = broker::protocol;

namespace {

Error of_broker(std::int32_t id, ErrorCode code, const std::string& detail) {
  return {code, "broker " + std::to_string(id) + " does not tell the sizes of its logs: " +
                    (detail.empty() ? std::string(broker::error_name(code)) : detail)};
}

/// A log directory that is offline holds nothing that anybody could move.
Result<void> read(const protocol::DescribeLogDirsResponse& response, std::int32_t id,
                  LogSizes& sizes) {
  const ErrorCode whole = protocol::error_from_wire(response.error_code);
  if (whole != ErrorCode::kNone) return of_broker(id, whole, "");
  for (const auto& directory : response.results) {
    if (protocol::error_from_wire(directory.error_code) != ErrorCode::kNone) continue;
    for (const auto& topic : directory.topics) {
      auto& replicas = sizes.topics[topic.name];
      for (const auto& partition : topic.partitions) {
        if (partition.is_future_key) continue;
        replicas.push_back({partition.partition_index, id, partition.partition_size});
      }
    }
  }
  return {};
}

}  // namespace

LogDirsClient::LogDirsClient(broker::io::Strand& strand, broker::io::Transport& transport,
                             broker::client::ReconnectOptions brokers,
                             std::vector<std::int32_t> ids)
    : strand_(strand), transport_(transport), brokers_(std::move(brokers)), ids_(std::move(ids)) {}

void LogDirsClient::ask(Done done) {
  if (ids_.empty() || ids_.size() != brokers_.bootstrap.size())
    return done(Error{ErrorCode::kUnsupportedVersion, "the brokers' own addresses are not known"});
  waiting_.push_back(std::move(done));
  if (waiting_.size() > 1) return;
  sizes_ = {};
  failure_.reset();
  open_ = ids_.size();
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    broker::client::ReconnectOptions one = brokers_;
    one.bootstrap = {brokers_.bootstrap[i]};
    clients_.push_back(
        std::make_unique<broker::client::ReconnectingClient>(strand_, transport_, std::move(one)));
  }
  protocol::DescribeLogDirsRequest request;
  request.topics.reset();  // all of them
  for (std::size_t i = 0; i < ids_.size(); ++i) {
    clients_[i]->call(request, [this, i](Result<protocol::DescribeLogDirsResponse> response) {
      on_answer(response.ok() ? read(*response, ids_[i], sizes_)
                              : of_broker(ids_[i], response.error().code, response.error().detail));
    });
  }
}

void LogDirsClient::on_answer(Result<void> read) {
  if (!read.ok() && !failure_) failure_ = read.error();
  if (--open_ > 0) return;
  // Not from inside a client that is about to go.
  strand_.post([this, alive = alive_] {
    if (*alive) finish();
  });
}

void LogDirsClient::finish() {
  clients_.clear();
  const std::vector<Done> waiting = std::exchange(waiting_, {});
  const Result<LogSizes> answer =
      failure_ ? Result<LogSizes>(*failure_) : Result<LogSizes>(std::exchange(sizes_, {}));
  for (const Done& done : waiting) done(answer);
}

}  // namespace op::kafka
