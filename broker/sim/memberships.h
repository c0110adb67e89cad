#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "broker/common/time.h"
#include "broker/sim/history.h"

namespace broker::sim {

/// What members of consumer groups were given and what they committed: a partition is one member's
/// at a time, whoever lost it cannot commit, and offsets do not go back. A member is who the
/// coordinator thinks it is: whoever joins anew is another one.
class Memberships {
 public:
  explicit Memberships(History& history) : history_(history) {}

  /// For that long after it was heard a member keeps what it has.
  static constexpr Duration kSession = std::chrono::seconds(8);
  /// A request without an answer may still arrive and be obeyed.
  static constexpr Duration kDoubt = std::chrono::seconds(45);

  /// That coordinator answered what the member had sent at that time. One that was deposed and has
  /// not heard of it goes on answering, which is nothing to the one in its place.
  void heard(const std::string& member, const std::string& coordinator, Instant sent);
  /// Nobody answered it.
  void unanswered(const std::string& member, Instant now);
  /// It was given the partition.
  void owns(const std::string& group, std::int32_t partition, const std::string& member,
            const std::string& coordinator, Instant now);
  /// It lets go of the partition, before it says so.
  void releases(const std::string& group, std::int32_t partition, const std::string& member);

  struct Commit {
    std::string group;
    std::int32_t partition = 0;
    std::int64_t value = 0;
    std::string member;
    std::int64_t floor = 0;   // what was acknowledged before
    std::string others = {};  // who had the partition instead
  };
  Commit commit_started(const std::string& group, std::int32_t partition, std::int64_t value,
                        const std::string& member);
  enum class Answer { kDone, kRefused, kNone };
  void commit_ended(const Commit& commit, Answer answer, Instant now);

  /// A member begins at this offset. The answer of a coordinator that was deposed is not judged:
  /// what is committed on its ground is.
  void fetched(const std::string& group, std::int32_t partition, std::int64_t value);

  /// The last acknowledged offset; 0: none.
  std::int64_t committed(const std::string& group, std::int32_t partition) const;
  std::uint64_t handovers() const { return handovers_; }

 private:
  struct Place {
    std::string owner;  // empty: nobody
    std::int64_t committed = 0;
    std::int64_t last = 0;                                   // acknowledged, also if it is less
    std::vector<std::pair<std::int64_t, Instant>> doubtful;  // values, and until when
  };
  struct Member {
    std::string coordinator;  // which heard of it last
    Instant heard{};
    Instant in_doubt_until{};
  };

  History& history_;
  std::map<std::pair<std::string, std::int32_t>, Place> places_;
  std::map<std::string, Member> members_;
  std::uint64_t handovers_ = 0;
};

}  // namespace broker::sim
