#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker/security/acl.h"
#include "broker/security/types.h"

namespace broker::security {

/// Kafka's StandardAuthorizer rules as a plain value: built from bindings, asked by handlers. Copy,
/// change and publish it as `shared_ptr<const Authorizer>`; asking is const and thread-safe.
/// Any matching DENY wins, else any ALLOW, else (no ACL at all on the resource) the option below.
class Authorizer {
 public:
  struct Options {
    std::set<Principal> super_users;  // allowed everything
    bool allow_everyone_if_no_acl_found = false;
  };

  Authorizer() = default;
  explicit Authorizer(Options options) : options_(std::move(options)) {}
  Authorizer(Options options, const std::vector<AclBinding>& bindings);

  /// Adding twice needs removing twice: metadata records give every rule an id, ids may repeat a
  /// rule.
  void add(const AclBinding& binding);
  /// Ignored when there is no such rule.
  void remove(const AclBinding& binding);
  std::size_t size() const { return size_; }
  const Options& options() const { return options_; }
  void set_options(Options options) { options_ = std::move(options); }

  /// `resource` is literal. `host`: the peer's address text.
  bool authorize(const Principal& principal, std::string_view host, AclOperation operation,
                 ResourceType type, std::string_view name) const;
  bool authorize(const Principal& principal, std::string_view host, AclOperation operation,
                 const Resource& resource) const {
    return authorize(principal, host, operation, resource.type, resource.name);
  }
  /// Whether the operation is allowed on some resource of the type: on one that no rule names, or
  /// an allowing rule exists that no denying rule covers whole. Used for idempotent InitProducerId.
  bool authorize_by_resource_type(const Principal& principal, std::string_view host,
                                  AclOperation operation, ResourceType type) const;
  /// The bit field of Metadata, DescribeGroups and DescribeCluster: bit n = operation code n.
  std::int32_t authorized_operations(const Principal& principal, std::string_view host,
                                     ResourceType type, std::string_view name) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  template <class T>
  using ByName = std::unordered_map<std::string, T, Hash, std::equal_to<>>;
  template <class T>
  using Sorted = std::map<std::string, T, std::less<>>;

  struct Rule {
    std::string host;
    AclOperation operation;
    AclPermission permission;
    bool operator==(const Rule&) const = default;
  };
  using Rules = std::vector<Rule>;
  /// The rules of one principal on one resource type.
  struct PrincipalRules {
    ByName<Rules> literal;
    Sorted<Rules> prefixed;
  };
  /// All rules on one resource type, and how many rules name each pattern whoever they are for.
  struct TypeRules {
    ByName<PrincipalRules> by_principal;
    ByName<std::size_t> literal_count;
    Sorted<std::size_t> prefixed_count;
  };
  struct Verdict {
    bool allow = false;
    bool deny = false;
  };

  static void judge(const Rules& rules, std::string_view host, AclOperation operation,
                    Verdict& verdict);
  static void judge(const PrincipalRules& rules, std::string_view host, AclOperation operation,
                    std::string_view name, Verdict& verdict);
  static bool has_rules_on(const TypeRules& rules, std::string_view name);

  Options options_;
  std::map<ResourceType, TypeRules> types_;
  std::size_t size_ = 0;
};

/// "User:admin;User:CN=operator,O=millrace". Errors: kInvalidConfig.
Result<std::set<Principal>> parse_super_users(std::string_view text);

}  // namespace broker::security
