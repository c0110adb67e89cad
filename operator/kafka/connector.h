#pragma once

#include <memory>

#include "broker/io/transport.h"
#include "operator/kafka/cluster_view.h"
#include "operator/kafka/offsets.h"

namespace op::kafka {

/// All connections live on `strand`, callbacks run there. Both outlive the connections, which are
/// destroyed before the strand stops. connect() errors: kInvalidRequest (no endpoints),
/// kInvalidConfig (TLS material that cannot be used), kUnsupportedVersion (Mode::kDescribe: not
/// supported yet).
std::unique_ptr<Connector> make_connector(broker::io::Strand& strand,
                                          broker::io::Transport& transport,
                                          OffsetsOptions offsets = {});

}  // namespace op::kafka
