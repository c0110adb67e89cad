#pragma once

#include <string>
#include <string_view>

#include "broker/handlers/call.h"
#include "broker/handlers/services.h"
#include "broker/security/types.h"

namespace broker::handlers {

/// Asks the authorizer for one caller, on one state of the cluster. A refusal writes one audit
/// line.
class Access {
 public:
  template <class Request>
  Access(const Services& services, const Call<Request>& call)
      : Access(services.state.get(), call.principal(), call.host(), Request::kName) {}
  Access(std::shared_ptr<const ClusterState> state, const security::Principal& principal,
         const std::string& host, std::string_view api)
      : state_(std::move(state)), principal_(principal), host_(host), api_(api) {}

  const metadata::MetadataImage& image() const { return *state_->image; }

  bool may(security::AclOperation operation, security::ResourceType type,
           const std::string& name) const;
  bool may_on_cluster(security::AclOperation operation) const;
  /// Without an audit line: for lists that simply leave out what the caller may not see.
  bool sees(security::AclOperation operation, security::ResourceType type,
            const std::string& name) const;
  bool may_on_any(security::AclOperation operation, security::ResourceType type) const;
  /// The bit field of Metadata, DescribeGroups and DescribeCluster.
  std::int32_t authorized_operations(security::ResourceType type, const std::string& name) const;

 private:
  std::shared_ptr<const ClusterState> state_;
  security::Principal principal_;
  std::string host_;
  std::string_view api_;
};

using security::AclOperation;
using security::ResourceType;

}  // namespace broker::handlers
