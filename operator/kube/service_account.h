#pragma once

#include <string>

#include "operator/kube/api_server.h"

namespace op::kube {

/// The uid of the ServiceAccount that a token of Kubernetes was issued for, by what the token says
/// of itself; "" when it says nothing. An account that is deleted and made again has another uid.
std::string service_account_uid(const std::string& token);

/// Of the account that `server` is asked as; "" outside a pod. Reads the token's file.
std::string service_account_uid(const ApiServer& server);

}  // namespace op::kube
