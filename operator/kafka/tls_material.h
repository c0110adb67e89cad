#pragma once

#include <memory>

#include "broker/io/transport.h"
#include "operator/kafka/cluster_view.h"

namespace op::kafka {

/// The client side of TLS from the PEM texts of `spec`; they touch no disk. Errors: kInvalidConfig
/// with what is wrong with them.
broker::Result<std::shared_ptr<broker::io::TlsContext>> make_tls(broker::io::Transport& transport,
                                                                 const ConnectionSpec& spec);

}  // namespace op::kafka
