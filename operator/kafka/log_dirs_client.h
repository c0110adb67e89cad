#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "broker/client/reconnecting_client.h"
#include "operator/kafka/cluster_view.h"

namespace op::kafka {

/// Asks every broker what its logs take (DescribeLogDirs): only a broker knows that of itself. The
/// connections are made for one question and closed after it, because it is asked rarely. Lives on
/// one strand; a question that is under way when it is destroyed is dropped.
class LogDirsClient {
 public:
  using Done = std::function<void(broker::Result<LogSizes>)>;

  /// `brokers.bootstrap` are the brokers with these ids, in their order.
  LogDirsClient(broker::io::Strand& strand, broker::io::Transport& transport,
                broker::client::ReconnectOptions brokers, std::vector<std::int32_t> ids);
  ~LogDirsClient() { *alive_ = false; }
  LogDirsClient(const LogDirsClient&) = delete;
  LogDirsClient& operator=(const LogDirsClient&) = delete;

  /// One question at a time: who asks while one is under way gets its answer too.
  void ask(Done done);

 private:
  void on_answer(broker::Result<void> read);
  void finish();

  broker::io::Strand& strand_;
  broker::io::Transport& transport_;
  const broker::client::ReconnectOptions brokers_;
  const std::vector<std::int32_t> ids_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // guards posted tasks
  std::vector<std::unique_ptr<broker::client::ReconnectingClient>> clients_;
  std::size_t open_ = 0;  // answers that are missing
  LogSizes sizes_;
  std::optional<broker::Error> failure_;
  std::vector<Done> waiting_;
};

}  // namespace op::kafka
