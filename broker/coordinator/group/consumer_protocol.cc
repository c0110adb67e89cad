#include "broker/coordinator/group/consumer_protocol.h"

#include <algorithm>

#include "broker/coordinator/runtime/record_bytes.h"
#include "broker/protocol/messages/consumer_protocol_assignment.h"

namespace broker::coordinator::group {

namespace {

// A later version only appends fields.
template <class Message>
Result<std::int16_t> parse(const Slice& bytes, Message& message) {
  protocol::Reader reader(bytes);
  const std::int16_t version = reader.int16();
  if (!reader.ok()) return reader.status().error();
  if (version < Message::kVersions.min)
    return Error{ErrorCode::kInvalidRequest, "consumer protocol of a negative version"};
  RETURN_IF_ERROR(message.read(reader, std::min(version, Message::kVersions.max)));
  return version;
}

}  // namespace

Result<Subscription> parse_subscription(const Slice& bytes) {
  Subscription subscription;
  ASSIGN_OR_RETURN(subscription.version, parse(bytes, subscription.message));
  return subscription;
}

Result<assignor::Assignment> parse_assignment(const Slice& bytes,
                                              const metadata::MetadataImage& image) {
  assignor::Assignment assignment;
  if (bytes.size() == 0) return assignment;
  protocol::ConsumerProtocolAssignment message;
  ASSIGN_OR_RETURN(const std::int16_t version, parse(bytes, message));
  static_cast<void>(version);
  if (message.user_data && message.user_data->size() > 0)
    return Error{ErrorCode::kUnsupportedVersion, "userData from a custom assignor would be lost"};
  for (const auto& entry : message.assigned_partitions) {
    const metadata::TopicImage* topic = image.topics.find(std::string_view(entry.topic));
    if (topic) assignment[topic->id].insert(entry.partitions.begin(), entry.partitions.end());
  }
  return assignment;
}

Slice assignment_bytes(const assignor::Assignment& assignment, std::int16_t version,
                       const metadata::MetadataImage& image) {
  using Message = protocol::ConsumerProtocolAssignment;
  Message message;
  for (const auto& [id, partitions] : assignment)
    if (const metadata::TopicImage* topic = image.topics.find(id))
      message.assigned_partitions.push_back(
          {.topic = topic->name, .partitions = {partitions.begin(), partitions.end()}});
  version = std::clamp(version, Message::kVersions.min, Message::kVersions.max);
  return encode(version, message, version);
}

}  // namespace broker::coordinator::group
