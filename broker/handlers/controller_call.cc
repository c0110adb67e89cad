#include "broker/handlers/controller_call.h"

namespace broker::handlers {

bool is_controller_listener(const Services& services, const std::string& listener) {
  const auto* found = services.config.find_listener(listener);
  return found != nullptr && found->is_controller;
}

}  // namespace broker::handlers
