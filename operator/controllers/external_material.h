#pragma once

#include <string>
#include <vector>

#include "operator/api/user.h"
#include "operator/controllers/context.h"
#include "operator/kafka/cluster_view.h"
#include "operator/model/secrets.h"

namespace op::api {
struct ExternalCluster;
}

namespace op::controllers {

/// How to reach an ExternalCluster, with the Secrets that it names. Errors: kResourceNotFound and
/// kInvalidRequest with a sentence for its status.
broker::Result<kafka::ConnectionSpec> external_connection(const Context& context,
                                                          const api::ExternalCluster& cluster);
/// PEM of the CAs it is verified with; "" for the system's.
broker::Result<std::string> external_ca_bundle(const Context& context, const api::ClusterRef& ref);
/// Its listener as users' Secrets name it; empty when it does not take this kind of user.
std::vector<model::ClientListener> external_listeners(const Context& context,
                                                      const api::ClusterRef& ref,
                                                      api::UserAuth type);

}  // namespace op::controllers
