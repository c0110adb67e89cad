#include "broker/security/authorizer.h"

#include <algorithm>

namespace broker::security {
namespace {

constexpr std::string_view kAnyPrincipal = "User:*";

/// Calls `visit` for every key that is a prefix of `name`, longest first, until it returns false.
/// Each seek either finds one or shortens the part of the name that can still match, so the cost is
/// a few look-ups and not one per length.
template <class Map, class Visit>
void for_each_prefix(const Map& prefixes, std::string_view name, Visit visit) {
  std::string_view key = name;
  while (true) {
    auto it = prefixes.upper_bound(key);
    if (it == prefixes.begin()) return;
    --it;
    const std::string_view candidate = it->first;
    if (name.starts_with(candidate)) {
      if (!visit(it->second) || candidate.empty()) return;
      key = name.substr(0, candidate.size() - 1);
      continue;
    }
    const auto mismatch =
        std::mismatch(candidate.begin(), candidate.end(), name.begin(), name.end());
    key = name.substr(0, static_cast<std::size_t>(mismatch.first - candidate.begin()));
  }
}

/// In Kafka the rules on "*" are not those of names that begin with it (such as a group "*x"): its
/// search takes "*" for a literal name that is too short. Decisions must be the same.
bool wildcard_applies(std::string_view name) { return !name.starts_with(kWildcard); }

bool host_matches(std::string_view rule_host, std::string_view host) {
  return rule_host == kWildcard || rule_host == host;
}

/// An allowed READ, WRITE, DELETE or ALTER implies DESCRIBE; ALTER_CONFIGS implies
/// DESCRIBE_CONFIGS. A denied READ denies only READ.
bool allow_covers(AclOperation rule, AclOperation asked) {
  if (rule == asked || rule == AclOperation::kAll) return true;
  if (asked == AclOperation::kDescribe)
    return rule == AclOperation::kRead || rule == AclOperation::kWrite ||
           rule == AclOperation::kDelete || rule == AclOperation::kAlter;
  return asked == AclOperation::kDescribeConfigs && rule == AclOperation::kAlterConfigs;
}

template <class Map>
void count_up(Map& counts, const std::string& name) {
  ++counts[name];
}

template <class Map>
void count_down(Map& counts, const std::string& name) {
  const auto it = counts.find(name);
  if (it != counts.end() && --it->second == 0) counts.erase(it);
}

}  // namespace

Authorizer::Authorizer(Options options, const std::vector<AclBinding>& bindings)
    : options_(std::move(options)) {
  for (const AclBinding& binding : bindings) add(binding);
}

void Authorizer::add(const AclBinding& binding) {
  TypeRules& type = types_[binding.resource.type];
  PrincipalRules& mine = type.by_principal[binding.principal];
  const std::string& name = binding.resource.name;
  const Rule rule{binding.host, binding.operation, binding.permission};
  if (binding.resource.pattern == PatternType::kPrefixed) {
    mine.prefixed[name].push_back(rule);
    count_up(type.prefixed_count, name);
  } else {
    mine.literal[name].push_back(rule);
    count_up(type.literal_count, name);
  }
  ++size_;
}

void Authorizer::remove(const AclBinding& binding) {
  const auto type = types_.find(binding.resource.type);
  if (type == types_.end()) return;
  const auto mine = type->second.by_principal.find(binding.principal);
  if (mine == type->second.by_principal.end()) return;
  const std::string& name = binding.resource.name;
  const Rule rule{binding.host, binding.operation, binding.permission};

  const auto erase_from = [&](auto& map, auto& counts) {
    const auto it = map.find(name);
    if (it == map.end()) return;
    const auto found = std::find(it->second.begin(), it->second.end(), rule);
    if (found == it->second.end()) return;
    it->second.erase(found);
    if (it->second.empty()) map.erase(it);
    count_down(counts, name);
    --size_;
  };
  if (binding.resource.pattern == PatternType::kPrefixed)
    erase_from(mine->second.prefixed, type->second.prefixed_count);
  else
    erase_from(mine->second.literal, type->second.literal_count);
  if (mine->second.literal.empty() && mine->second.prefixed.empty())
    type->second.by_principal.erase(mine);
}

void Authorizer::judge(const Rules& rules, std::string_view host, AclOperation operation,
                       Verdict& verdict) {
  for (const Rule& rule : rules) {
    if (!host_matches(rule.host, host)) continue;
    if (rule.permission == AclPermission::kAllow)
      verdict.allow |= allow_covers(rule.operation, operation);
    else
      verdict.deny |= rule.operation == operation || rule.operation == AclOperation::kAll;
  }
}

void Authorizer::judge(const PrincipalRules& rules, std::string_view host, AclOperation operation,
                       std::string_view name, Verdict& verdict) {
  if (const auto it = rules.literal.find(name); it != rules.literal.end())
    judge(it->second, host, operation, verdict);
  if (wildcard_applies(name)) {
    if (const auto it = rules.literal.find(kWildcard); it != rules.literal.end())
      judge(it->second, host, operation, verdict);
  }
  for_each_prefix(rules.prefixed, name, [&](const Rules& prefixed) {
    judge(prefixed, host, operation, verdict);
    return !verdict.deny;
  });
}

bool Authorizer::has_rules_on(const TypeRules& rules, std::string_view name) {
  if (rules.literal_count.contains(name)) return true;
  if (wildcard_applies(name) && rules.literal_count.contains(kWildcard)) return true;
  bool found = false;
  for_each_prefix(rules.prefixed_count, name, [&](std::size_t) {
    found = true;
    return false;
  });
  return found;
}

bool Authorizer::authorize(const Principal& principal, std::string_view host,
                           AclOperation operation, ResourceType type, std::string_view name) const {
  if (options_.super_users.contains(principal)) return true;
  const auto rules = types_.find(type);
  if (rules == types_.end()) return options_.allow_everyone_if_no_acl_found;

  Verdict verdict;
  const auto& by_principal = rules->second.by_principal;
  if (const auto it = by_principal.find(to_string(principal)); it != by_principal.end())
    judge(it->second, host, operation, name, verdict);
  if (const auto it = by_principal.find(kAnyPrincipal); it != by_principal.end())
    judge(it->second, host, operation, name, verdict);
  if (verdict.deny) return false;
  if (verdict.allow) return true;
  return options_.allow_everyone_if_no_acl_found && !has_rules_on(rules->second, name);
}

bool Authorizer::authorize_by_resource_type(const Principal& principal, std::string_view host,
                                            AclOperation operation, ResourceType type) const {
  // As Kafka: this name stands for one that no rule names.
  if (authorize(principal, host, operation, type, "hardcode")) return true;
  const auto rules = types_.find(type);
  if (rules == types_.end()) return false;

  std::vector<const PrincipalRules*> mine;
  const std::string own_key = to_string(principal);
  for (const std::string_view key : {std::string_view(own_key), kAnyPrincipal}) {
    const auto it = rules->second.by_principal.find(key);
    if (it != rules->second.by_principal.end()) mine.push_back(&it->second);
  }
  // Implied operations do not count here, as in Kafka.
  const auto has = [&](const Rules& list, AclPermission permission) {
    return std::any_of(list.begin(), list.end(), [&](const Rule& rule) {
      return rule.permission == permission && host_matches(rule.host, host) &&
             (rule.operation == operation || rule.operation == AclOperation::kAll);
    });
  };
  const auto denied_whole = [&](std::string_view name, bool literal) {
    for (const PrincipalRules* rules_of_one : mine) {
      if (literal) {
        const auto it = rules_of_one->literal.find(name);
        if (it != rules_of_one->literal.end() && has(it->second, AclPermission::kDeny)) return true;
      }
      bool denied = false;
      for_each_prefix(rules_of_one->prefixed, name, [&](const Rules& prefixed) {
        denied = has(prefixed, AclPermission::kDeny);
        return !denied;
      });
      if (denied) return true;
    }
    return false;
  };

  bool allowed_everywhere = false;
  for (const PrincipalRules* rules_of_one : mine) {
    const auto it = rules_of_one->literal.find(kWildcard);
    if (it == rules_of_one->literal.end()) continue;
    if (has(it->second, AclPermission::kDeny)) return false;
    allowed_everywhere |= has(it->second, AclPermission::kAllow);
  }
  if (allowed_everywhere) return true;
  for (const PrincipalRules* rules_of_one : mine) {
    for (const auto& [name, list] : rules_of_one->literal)
      if (has(list, AclPermission::kAllow) && !denied_whole(name, true)) return true;
    for (const auto& [name, list] : rules_of_one->prefixed)
      if (has(list, AclPermission::kAllow) && !denied_whole(name, false)) return true;
  }
  return false;
}

std::int32_t Authorizer::authorized_operations(const Principal& principal, std::string_view host,
                                               ResourceType type, std::string_view name) const {
  std::int32_t bits = 0;
  for (const AclOperation operation : supported_operations(type))
    if (authorize(principal, host, operation, type, name))
      bits |= std::int32_t{1} << static_cast<int>(operation);
  return bits;
}

Result<std::set<Principal>> parse_super_users(std::string_view text) {
  std::set<Principal> users;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(';'), text.size());
    std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
    while (!one.empty() && one.back() == ' ') one.remove_suffix(1);
    if (one.empty()) continue;
    auto principal = parse_principal(one);
    if (!principal) return Error{ErrorCode::kInvalidConfig, principal.error().detail};
    users.insert(std::move(*principal));
  }
  return users;
}

}  // namespace broker::security
