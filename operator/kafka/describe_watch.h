#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "broker/client/reconnecting_client.h"
#include "broker/metadata/image.h"
#include "broker/protocol/messages/metadata_response.h"
#include "operator/kafka/cluster_view.h"

namespace op::kafka {

struct DescribeOptions {
  broker::Duration interval = std::chrono::seconds(5);  // from the end of a round to the next
  std::size_t topics_per_request = 500;                 // of DescribeConfigs
  broker::Duration min_backoff = std::chrono::milliseconds(200);
  broker::Duration max_backoff = std::chrono::seconds(10);
};

/// What the watch knows. Callbacks run on its strand, one at a time.
struct DescribeEvents {
  /// `changes` to the image before; everything for the first.
  std::function<void(broker::metadata::ImagePtr image, const Changes& changes)> on_image;
  std::function<void(bool synced, const std::string& problem)> on_state;
  std::function<void(const std::string& cluster_id)> on_cluster_id;
};

/// Observes a cluster that does not let us read its metadata log: describes topics, their
/// configuration, ACLs and SCRAM users over and over, one request at a time, and makes an image of
/// the answers. Between two rounds it rests, unless it was told that something was changed.
///
/// Keys of SCRAM credentials are never told by Kafka: those that we wrote ourselves are remembered,
/// all others are shown without keys, so that nobody takes them for known. Lives on one strand.
class DescribeWatch {
 public:
  DescribeWatch(broker::io::Strand& strand, broker::io::Transport& transport,
                broker::client::ReconnectOptions brokers, DescribeOptions options,
                DescribeEvents events);
  ~DescribeWatch();
  DescribeWatch(const DescribeWatch&) = delete;
  DescribeWatch& operator=(const DescribeWatch&) = delete;

  void start() { begin_round(); }
  /// Something was changed: looks at once, or again when a round is under way.
  void look_soon();
  /// A credential was written with these keys.
  void wrote(const ScramChange& change);

 private:
  using MetadataResponse = broker::protocol::MetadataResponse;

  void begin_round();
  void on_metadata(const MetadataResponse& response);
  void describe_configs();
  void describe_acls();
  void describe_users();
  void describe_quotas();
  void end_round();
  void fail(const std::string& what, const broker::Error& error);
  void rest(broker::Duration pause);
  /// Calls `on_answer(response)` unless the call failed; that ends the round.
  template <class Request, class F>
  void ask(Request request, const char* what, F on_answer);

  broker::io::Strand& strand_;
  const DescribeOptions options_;
  const DescribeEvents events_;
  broker::client::ReconnectingClient client_;
  broker::io::TimerId timer_ = broker::io::kNoTimer;
  bool round_ = false;
  bool again_ = false;
  int failures_ = 0;
  std::string cluster_id_;
  broker::metadata::ImagePtr image_;       // the last complete one
  broker::metadata::MetadataImage next_;   // of this round
  std::vector<std::string> configs_left_;  // topics
  std::map<std::pair<std::string, broker::security::ScramMechanism>,
           broker::security::ScramCredential>
      written_;
};

/// What differs, by name.
Changes compare_images(const broker::metadata::MetadataImage& before,
                       const broker::metadata::MetadataImage& after);

}  // namespace op::kafka
