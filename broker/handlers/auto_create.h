#pragma once

#include <set>
#include <string>

#include "broker/common/function.h"

namespace broker::handlers {

struct Asker;
struct Services;

/// Asks the controller for topics with the broker's defaults. `done` runs on the asker's strand
/// when it has answered, whatever it said: Kafka answers the client at once, who then waits out its
/// back-off (a second with librdkafka) before it asks again.
void auto_create_topics(Services& services, const Asker& asker, const std::set<std::string>& names,
                        Task done);

}  // namespace broker::handlers
