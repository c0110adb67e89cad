// DescribeLogDirs: what lies on this broker's disks, and how much room there is.
#include <algorithm>
#include <map>
#include <set>

#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/protocol/messages/describe_log_dirs_request.h"
#include "broker/protocol/messages/describe_log_dirs_response.h"
#include "broker/replication/replica_manager.h"

namespace broker::handlers {
namespace {

using protocol::DescribeLogDirsRequest;
using protocol::DescribeLogDirsResponse;

/// Null: everything. As in Kafka what is asked for and not here is left out.
bool is_asked_for(const DescribeLogDirsRequest& request,
                  const replication::PartitionGauges& partition) {
  if (!request.topics) return true;
  return std::any_of(request.topics->begin(), request.topics->end(), [&](const auto& topic) {
    return topic.topic == partition.topic &&
           std::find(topic.partitions.begin(), topic.partitions.end(), partition.partition) !=
               topic.partitions.end();
  });
}

DescribeLogDirsResponse::DescribeLogDirsResult describe_directory(
    const LogDirectory& directory, const DescribeLogDirsRequest& request,
    const replication::MetricsSnapshot& snapshot) {
  DescribeLogDirsResponse::DescribeLogDirsResult result;
  result.log_dir = directory.path;
  if (directory.is_offline) {
    result.error_code = wire(ErrorCode::kKafkaStorageError);
    return result;
  }
  result.total_bytes = directory.total_bytes;
  result.usable_bytes = directory.usable_bytes;
  result.is_cordoned = directory.is_cordoned;
  std::map<std::string, DescribeLogDirsResponse::DescribeLogDirsTopic> topics;
  for (const replication::PartitionGauges& partition : snapshot.partitions) {
    if (partition.log_dir != directory.path || !is_asked_for(request, partition)) continue;
    auto& topic = topics[partition.topic];
    topic.name = partition.topic;
    const std::int64_t lag = partition.high_watermark - partition.log_end_offset;
    topic.partitions.push_back({partition.partition,
                                static_cast<std::int64_t>(partition.size_bytes),
                                std::max<std::int64_t>(lag, 0), false});
  }
  for (auto& [name, topic] : topics) result.topics.push_back(std::move(topic));
  return result;
}

}  // namespace

void handle_describe_log_dirs(Services& services, Call<DescribeLogDirsRequest> call) {
  if (!Access(services, call).may_on_cluster(AclOperation::kDescribe)) {
    DescribeLogDirsResponse denied;
    denied.error_code = wire(ErrorCode::kClusterAuthorizationFailed);
    return call.reply(denied);
  }
  io::Strand& strand = call.strand();
  services.log_directories(
      strand, [&services, call = std::move(call)](std::vector<LogDirectory> directories) mutable {
        services.replicas->collect([call = std::move(call), directories = std::move(directories)](
                                       const replication::MetricsSnapshot& snapshot) mutable {
          DescribeLogDirsResponse response;
          for (const LogDirectory& directory : directories)
            response.results.push_back(describe_directory(directory, call.request, snapshot));
          call.reply(response);
        });
      });
}

}  // namespace broker::handlers
