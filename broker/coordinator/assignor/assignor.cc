#include "broker/coordinator/assignor/assignor.h"

namespace broker::coordinator::assignor {

Assignor find_assignor(std::string_view name) {
  if (name == "uniform") return assign_uniform;
  if (name == "range") return assign_range;
  return nullptr;
}

}  // namespace broker::coordinator::assignor
