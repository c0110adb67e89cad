#include "broker/coordinator/assignor/assignor.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace broker::coordinator::assignor {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) parts.push_back(part);
  return parts;
}

Assignment assignment_of(const std::string& text) {
  Assignment assignment;
  if (text == "-") return assignment;
  for (const std::string& topic : split(text, ';')) {
    const auto halves = split(topic, ':');
    for (const std::string& partition : split(halves[1], ','))
      assignment[*Uuid::parse(halves[0])].insert(std::stoi(partition));
  }
  return assignment;
}

struct Case {
  std::string assignor;
  GroupSpec group;
  GroupAssignment want;
};

// What Apache Kafka's classes answered: testdata/AssignorCases.java.
std::vector<Case> kafka_cases() {
  std::vector<Case> cases;
  std::ifstream in(std::string(TEST_SOURCE_DIR) + "/testdata/kafka_4.3.1_assignments.tsv");
  for (std::string line; std::getline(in, line);) {
    const auto fields = split(line, '\t');
    if (fields[0] == "case") {
      cases.emplace_back();
      cases.back().assignor = fields[1];
      cases.back().group.homogeneous = fields[2] == "same";
    } else if (fields[0] == "topic") {
      cases.back().group.partition_counts[*Uuid::parse(fields[1])] = std::stoi(fields[2]);
    } else if (fields[0] == "member") {
      Member member;
      member.id = fields[1];
      if (fields[2] != "-") member.instance_id = fields[2];
      if (fields[3] != "-")
        for (const std::string& topic : split(fields[3], ';'))
          member.topics.insert(*Uuid::parse(topic));
      if (cases.back().group.homogeneous) {
        std::vector<Uuid>& order = cases.back().group.topic_order;
        order.clear();
        for (const std::string& topic : split(fields[3], ';')) order.push_back(*Uuid::parse(topic));
      }
      member.assignment = assignment_of(fields[4]);
      cases.back().group.members.push_back(std::move(member));
    } else {
      cases.back().want[fields[1]] = assignment_of(fields[2]);
    }
  }
  return cases;
}

TEST(Assignors, GiveTheAnswersOfKafkas) {
  const std::vector<Case> cases = kafka_cases();
  ASSERT_EQ(cases.size(), 300U);
  for (std::size_t i = 0; i < cases.size(); ++i) {
    SCOPED_TRACE(::testing::Message() << "case " << i << " " << cases[i].assignor);
    GroupAssignment got = find_assignor(cases[i].assignor)(cases[i].group);
    for (const Member& member : cases[i].group.members) got[member.id];
    EXPECT_EQ(got, cases[i].want);
  }
}

TEST(Assignors, OfOtherNamesAreNotKnown) { EXPECT_EQ(find_assignor("sticky"), nullptr); }

TEST(Assignors, HaveNothingToDoForNobody) {
  EXPECT_TRUE(assign_uniform({}).empty());
  EXPECT_TRUE(assign_range({}).empty());
}

}  // namespace
}  // namespace broker::coordinator::assignor
