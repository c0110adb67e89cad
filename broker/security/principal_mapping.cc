#include "broker/security/principal_mapping.h"

#include <algorithm>
#include <cctype>
#include <regex>
#include <vector>

namespace broker::security {
namespace {

// std::regex recurses per character; subjects are short, this keeps them so.
constexpr std::size_t kMaxSubject = 2048;

Error bad_rule(std::string_view rule, std::string_view why) {
  return Error{ErrorCode::kInvalidConfig,
               "ssl.principal.mapping.rules: \"" + std::string(rule) + "\": " + std::string(why)};
}

/// Takes the text up to the next '/' that no backslash escapes, and that '/' itself.
bool take_until_slash(std::string_view& text, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      ++i;
    } else if (text[i] == '/') {
      out = text.substr(0, i);
      text.remove_prefix(i + 1);
      return true;
    }
  }
  return false;
}

void skip_separators(std::string_view& text) {
  while (!text.empty() &&
         (text.front() == ',' || std::isspace(static_cast<unsigned char>(text.front()))))
    text.remove_prefix(1);
}

}  // namespace

struct PrincipalMapping::Rule {
  enum class Case { kKeep, kLower, kUpper };
  bool is_default = false;
  std::regex pattern;
  std::string replacement;
  Case letters = Case::kKeep;

  /// "$1" is a group, "$7" of a pattern with one group is itself, as in Kafka.
  std::string apply(const std::smatch& match) const {
    std::string name;
    for (std::size_t i = 0; i < replacement.size(); ++i) {
      const char c = replacement[i];
      if (c == '\\' && i + 1 < replacement.size()) {
        name += replacement[++i];
      } else if (c == '$' && i + 1 < replacement.size() &&
                 std::isdigit(static_cast<unsigned char>(replacement[i + 1]))) {
        const std::size_t group = static_cast<std::size_t>(replacement[i + 1] - '0');
        if (group < match.size())
          name += match[group].str(), ++i;
        else
          name += c;
      } else {
        name += c;
      }
    }
    if (letters != Case::kKeep)
      std::transform(name.begin(), name.end(), name.begin(), [this](unsigned char c) {
        return static_cast<char>(letters == Case::kLower ? std::tolower(c) : std::toupper(c));
      });
    return name;
  }
};

struct PrincipalMapping::Rules {
  std::vector<Rule> list;
};

PrincipalMapping::PrincipalMapping() : rules_(std::make_unique<Rules>()) {}
PrincipalMapping::~PrincipalMapping() = default;
PrincipalMapping::PrincipalMapping(PrincipalMapping&&) noexcept = default;
PrincipalMapping& PrincipalMapping::operator=(PrincipalMapping&&) noexcept = default;

Result<PrincipalMapping> PrincipalMapping::parse(std::string_view text) {
  auto rules = std::make_unique<Rules>();
  for (skip_separators(text); !text.empty(); skip_separators(text)) {
    const std::string_view whole = text;
    Rule rule;
    if (text.starts_with("DEFAULT")) {
      rule.is_default = true;
      text.remove_prefix(7);
    } else if (text.starts_with("RULE:")) {
      text.remove_prefix(5);
      std::string pattern;
      if (!take_until_slash(text, pattern) || !take_until_slash(text, rule.replacement))
        return bad_rule(whole, "expected RULE:pattern/replacement/[L|U]");
      if (!text.empty() && (text.front() == 'L' || text.front() == 'U')) {
        rule.letters = text.front() == 'L' ? Rule::Case::kLower : Rule::Case::kUpper;
        text.remove_prefix(1);
      }
      try {
        rule.pattern = std::regex(pattern, std::regex::ECMAScript | std::regex::optimize);
      } catch (const std::regex_error& error) {
        return bad_rule(whole,
                        std::string("the pattern is not a regular expression: ") + error.what());
      }
    } else {
      return bad_rule(whole, "expected DEFAULT or RULE:pattern/replacement/[L|U]");
    }
    while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())))
      text.remove_prefix(1);
    if (!text.empty() && text.front() != ',')
      return bad_rule(whole, "expected a comma after the rule");
    rules->list.push_back(std::move(rule));
  }
  PrincipalMapping mapping;
  mapping.rules_ = std::move(rules);
  return mapping;
}

Result<std::string> PrincipalMapping::name_of(std::string_view subject) const {
  if (subject.size() > kMaxSubject)
    return Error{ErrorCode::kSaslAuthenticationFailed, "the certificate's subject is too long"};
  const std::string text(subject);
  if (rules_->list.empty()) return text;
  try {
    for (const Rule& rule : rules_->list) {
      if (rule.is_default) return text;
      std::smatch match;
      if (std::regex_match(text, match, rule.pattern)) return rule.apply(match);
    }
  } catch (const std::regex_error& error) {  // too complex a pattern for this subject
    return Error{ErrorCode::kSaslAuthenticationFailed,
                 "ssl.principal.mapping.rules: " + std::string(error.what())};
  }
  return Error{ErrorCode::kSaslAuthenticationFailed,
               "no rule of ssl.principal.mapping.rules fits \"" + text + "\""};
}

}  // namespace broker::security
