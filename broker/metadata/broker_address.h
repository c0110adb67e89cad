#pragma once

#include <string>
#include <string_view>

#include "broker/metadata/cluster_image.h"

namespace broker::metadata {

/// A broker may register, beside a listener of a name, where it is by number: a second endpoint
/// with this name. No client is ever given it, as none comes in by a listener of that name; to
/// other implementations it is one more listener. (The dot keeps it apart from those of users.)
std::string address_listener(std::string_view listener);

/// Where the broker said that `listener` is reached now; "": it did not.
std::string address_of(const BrokerRegistration& broker, std::string_view listener);

}  // namespace broker::metadata
