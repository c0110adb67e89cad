#include "broker/coordinator/group/consumer_target.h"

#include "broker/coordinator/assignor/java_order.h"
#include "broker/coordinator/runtime/types.h"

namespace broker::coordinator::group {

namespace {

std::vector<Uuid> ids_in_java_order(const std::set<std::string>& names,
                                    const metadata::MetadataImage& image) {
  const auto listed =
      assignor::in_java_order(names, assignor::copied_buckets(names.size()),
                              [](const std::string& name) { return java_hash_code(name); });
  std::vector<Uuid> ids;
  for (const std::string& name : listed)
    if (const metadata::TopicImage* topic = image.topics.find(std::string_view(name)))
      ids.push_back(topic->id);
  return ids;
}

}  // namespace

std::set<Uuid> topic_ids(const std::set<std::string>& names, const metadata::MetadataImage& image) {
  std::set<Uuid> ids;
  for (const std::string& name : names)
    if (const metadata::TopicImage* topic = image.topics.find(std::string_view(name)))
      ids.insert(topic->id);
  return ids;
}

assignor::GroupAssignment compute_target(const ConsumerGroup& group, const MemberChange& change,
                                         assignor::Assignor assign,
                                         const metadata::MetadataImage& image) {
  assignor::GroupSpec spec;
  spec.homogeneous = group.is_homogeneous(change);
  for (const ConsumerMember* member : group.members_in_order(change)) {
    const std::set<std::string> names = group.topics_of(*member);
    if (spec.homogeneous && spec.members.empty())
      spec.topic_order = ids_in_java_order(names, image);
    spec.members.push_back({.id = member->id,
                            .instance_id = member->instance_id,
                            .topics = topic_ids(names, image),
                            .assignment = group.target_of(*member)});
    for (const Uuid& id : spec.members.back().topics)
      spec.partition_counts[id] =
          static_cast<std::int32_t>(image.topics.find(id)->partitions.size());
  }
  return assign(spec);
}

}  // namespace broker::coordinator::group
