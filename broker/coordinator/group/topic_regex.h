#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "broker/common/result.h"
#include "broker/coordinator/group/consumer_group.h"
#include "broker/metadata/image.h"

namespace broker::coordinator::group {

/// Whether the member that asked may describe a topic. Called on any thread.
using TopicFilter = std::function<bool(const std::string& topic)>;

/// Regular expressions of a group to look up in one image, in the name of one of its members.
struct RegexJob {
  std::string group;
  std::set<std::string> regexes;
  metadata::ImagePtr image;
  TopicFilter may_see;
  WallMs now = 0;
};

/// RE2's syntax, as Kafka's. Errors: kInvalidRegularExpression.
Result<void> check_regex(const std::string& regex);

/// The topics whose whole name matches. Time grows with topics times expressions: not for the
/// strand of a shard.
std::map<std::string, ResolvedRegex> resolve(const RegexJob& job);

}  // namespace broker::coordinator::group
