// Decisions of Apache's StandardAuthorizer, made by e2e/conformance/java/Decisions.java, which says
// what the lines mean. testdata/decisions.tsv is part of one such table; MILLRACE_DECISION_TABLE
// names another.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "broker/security/authorizer.h"

namespace broker::security {
namespace {

std::vector<std::string> fields_of(const std::string& line) {
  std::vector<std::string> fields(1);
  for (const char c : line) {
    if (c == '\t')
      fields.emplace_back();
    else
      fields.back() += c;
  }
  return fields;
}

template <class Enum>
Enum code(const std::string& text) {
  return static_cast<Enum>(std::stoi(text));
}

TEST(DecisionTable, IsThatOfKafkasAuthorizer) {
  const char* given = std::getenv("MILLRACE_DECISION_TABLE");
  std::ifstream table(given != nullptr ? given : TEST_SOURCE_DIR "/testdata/decisions.tsv");
  ASSERT_TRUE(table.is_open());
  Authorizer authorizer;
  std::string line, set;
  std::vector<std::string> rules;
  int decided = 0, different = 0;
  const auto compare = [&](bool ours, const std::string& theirs) {
    ++decided;
    if (ours == (theirs == "true") || ++different > 10) return;
    std::string all = set;
    for (const std::string& rule : rules) all += "\n" + rule;
    ADD_FAILURE() << all << "\n" << line << "\nours: " << ours;
  };
  while (std::getline(table, line)) {
    const auto f = fields_of(line);
    if (f[0] == "set") {
      Authorizer::Options options;
      options.allow_everyone_if_no_acl_found = f.at(1) == "true";
      options.super_users = *parse_super_users(f.at(2));
      authorizer = Authorizer(std::move(options));
      set = line;
      rules.clear();
    } else if (f[0] == "acl") {
      rules.push_back(line);
      AclBinding rule;
      rule.resource = {code<ResourceType>(f.at(1)), f.at(7), code<PatternType>(f.at(2))};
      rule.operation = code<AclOperation>(f.at(3));
      rule.permission = code<AclPermission>(f.at(4));
      rule.principal = f.at(5);
      rule.host = f.at(6);
      authorizer.add(rule);
    } else if (f[0] == "ask") {
      compare(authorizer.authorize(*parse_principal(f.at(1)), f.at(2), code<AclOperation>(f.at(3)),
                                   code<ResourceType>(f.at(4)), f.at(5)),
              f.at(6));
    } else {
      ASSERT_EQ(f[0], "any") << line;
      compare(authorizer.authorize_by_resource_type(*parse_principal(f.at(1)), f.at(2),
                                                    code<AclOperation>(f.at(3)),
                                                    code<ResourceType>(f.at(4))),
              f.at(5));
    }
  }
  EXPECT_EQ(different, 0);
  EXPECT_GE(decided, 2000);
  RecordProperty("decided", decided);
  std::cout << "decided " << decided << ", different " << different << "\n";
}

}  // namespace
}  // namespace broker::security
