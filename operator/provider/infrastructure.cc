#include "operator/provider/infrastructure.h"

namespace op::provider {

broker::Result<pki::ServedTls> Infrastructure::served_tls(const NodeName& node, std::uint16_t port,
                                                          const pki::ProbeOptions& options) const {
  const broker::io::Endpoint endpoint = node_endpoint(node, port);
  return pki::probe(endpoint.host, endpoint.port, options);
}

}  // namespace op::provider
