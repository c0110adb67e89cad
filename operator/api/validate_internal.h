#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/api/cluster.h"
#include "operator/api/validate.h"

/// Shared by the validate*.cc of this folder.
namespace op::api::detail {

class Findings {
 public:
  void invalid(std::string field, std::string message);
  void not_yet(std::string field, std::string message);
  std::vector<FieldError> take();

 private:
  std::vector<FieldError> errors_;
};

/// Letters, digits and the characters of `extra` only.
bool consists_of(std::string_view text, std::string_view extra);
void check_tenants(const std::vector<TenantSpec>& tenants, Findings& findings);

}  // namespace op::api::detail
