#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "operator/api/fwd.h"

namespace op::api {

/// What is wrong with one field. `reason` is kInvalid (can never work) or kNotSupportedYet (a
/// later version will); both leave the running cluster untouched.
struct FieldError {
  std::string_view reason;
  std::string field;    // "spec.pools[main].replicas"
  std::string message;  // a sentence without the field

  bool operator==(const FieldError&) const = default;
};

/// "spec.config[foo]: not a Kafka configuration key".
std::string to_string(const FieldError& error);
/// All errors in one message for a condition; the first one's reason is the condition's.
std::string to_string(const std::vector<FieldError>& errors);

/// What the CRD schema cannot judge, and for resources from files also what it would have judged.
/// Empty: the resource can be carried out by this version. kInvalid comes before kNotSupportedYet.
std::vector<FieldError> validate(const Cluster& cluster);
std::vector<FieldError> validate(const Topic& topic);
std::vector<FieldError> validate(const User& user);
std::vector<FieldError> validate(const Acl& acl);
std::vector<FieldError> validate(const Rebalance& rebalance);
std::vector<FieldError> validate(const ExternalCluster& cluster);

/// Principals that the cluster's own machinery uses ("User:CN=millrace-broker" …). No User may have
/// one of these names, whatever its namespace.
bool is_reserved_principal(std::string_view principal);

}  // namespace op::api
