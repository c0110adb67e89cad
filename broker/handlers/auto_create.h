#pragma once

#include <set>
#include <string>

namespace broker::io {
class Strand;
}
namespace broker::handlers {

struct Services;

/// Asks the controller for topics with the broker's defaults, and does not wait: whoever wanted
/// them asks again.
void auto_create_topics(Services& services, io::Strand& strand, const std::set<std::string>& names);

}  // namespace broker::handlers
