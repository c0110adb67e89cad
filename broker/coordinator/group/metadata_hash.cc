#include "broker/coordinator/group/metadata_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace broker::coordinator::group {

namespace {

/// Bytes as hash4j's stream puts them: numbers little-endian, strings as UTF-16 and then their
/// length.
class Bytes {
 public:
  template <class T>
  void number(T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i)
      bytes_.push_back(static_cast<unsigned char>(static_cast<std::uint64_t>(value) >> (8 * i)));
  }
  // Topic names and racks: what is not ASCII in a rack only makes another hash than Kafka's.
  void string(std::string_view text) {
    for (const char c : text) number(static_cast<std::uint16_t>(static_cast<unsigned char>(c)));
    number(static_cast<std::int32_t>(text.size()));
  }
  std::int64_t hash() const {
    return static_cast<std::int64_t>(XXH3_64bits(bytes_.data(), bytes_.size()));
  }

 private:
  std::vector<unsigned char> bytes_;
};

constexpr std::uint8_t kMagic = 0;

std::int64_t topic_hash(const metadata::TopicImage& topic, const metadata::ClusterImage& cluster) {
  Bytes bytes;
  bytes.number(kMagic);
  bytes.number(topic.id.msb);
  bytes.number(topic.id.lsb);
  bytes.string(topic.name);
  bytes.number(static_cast<std::int32_t>(topic.partitions.size()));
  for (const auto& [partition, registration] : topic.partitions) {
    bytes.number(partition);
    std::vector<std::string> racks;
    for (const BrokerId replica : registration.replicas) {
      const metadata::BrokerRegistration* broker = cluster.brokers.find(replica);
      if (broker && broker->rack) racks.push_back(*broker->rack);
    }
    std::sort(racks.begin(), racks.end());
    for (const std::string& rack : racks) {
      bytes.number(static_cast<std::int32_t>(rack.size()));
      bytes.string(rack);
    }
  }
  return bytes.hash();
}

}  // namespace

std::int64_t metadata_hash(const std::set<std::string>& topics,
                           const metadata::MetadataImage& image) {
  Bytes bytes;
  bool any = false;
  for (const std::string& name : topics) {
    const metadata::TopicImage* topic = image.topics.find(std::string_view(name));
    if (!topic) continue;
    bytes.number(topic_hash(*topic, image.cluster));
    any = true;
  }
  return any ? bytes.hash() : 0;
}

}  // namespace broker::coordinator::group
