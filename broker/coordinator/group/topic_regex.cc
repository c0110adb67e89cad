#include "broker/coordinator/group/topic_regex.h"

#include <re2/re2.h>

#include <memory>

#include "broker/common/log.h"

namespace broker::coordinator::group {

namespace {

std::unique_ptr<RE2> compile(const std::string& regex) {
  RE2::Options options;
  options.set_log_errors(false);
  return std::make_unique<RE2>(regex, options);
}

}  // namespace

Result<void> check_regex(const std::string& regex) {
  const auto compiled = compile(regex);
  if (compiled->ok()) return {};
  return Error{ErrorCode::kInvalidRegularExpression,
               "SubscribedTopicRegex `" + regex +
                   "` is not a valid regular expression: " + compiled->error() + "."};
}

std::map<std::string, ResolvedRegex> resolve(const RegexJob& job) {
  std::map<std::string, ResolvedRegex> resolved;
  for (const std::string& regex : job.regexes) {
    ResolvedRegex& result = resolved[regex];
    result.version = job.image->provenance.offset.value;
    result.timestamp = job.now;
    const auto compiled = compile(regex);
    if (!compiled->ok()) {  // written by another version of the coordinator
      log_error("group", "regular expression cannot be read",
                {{"group", job.group}, {"regex", regex}});
      continue;
    }
    for (const auto& [name, id] : job.image->topics.ids)
      if (RE2::FullMatch(name, *compiled) && job.may_see(name)) result.topics.insert(name);
  }
  return resolved;
}

}  // namespace broker::coordinator::group
