#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "broker/common/result.h"

namespace broker::security {

/// ssl.principal.mapping.rules: "RULE:^CN=(.*?),.*$/$1/L, DEFAULT". The first rule whose pattern
/// matches the whole subject gives the name; DEFAULT gives the subject as it is.
class PrincipalMapping {
 public:
  PrincipalMapping();  // only DEFAULT
  ~PrincipalMapping();
  PrincipalMapping(PrincipalMapping&&) noexcept;
  PrincipalMapping& operator=(PrincipalMapping&&) noexcept;

  /// "" and "DEFAULT" are the same. Errors: kInvalidConfig naming the rule that does not parse.
  static Result<PrincipalMapping> parse(std::string_view rules);
  /// Errors: kSaslAuthenticationFailed when no rule matches, or the subject is longer than 2048.
  Result<std::string> name_of(std::string_view subject) const;

 private:
  struct Rule;
  struct Rules;
  std::unique_ptr<const Rules> rules_;
};

}  // namespace broker::security
