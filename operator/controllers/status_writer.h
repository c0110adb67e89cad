#pragma once

#include <string>

#include "operator/controllers/context.h"

namespace op::controllers {

/// The status of a resource as JSON text; for the kinds that have one (status_writer.cc).
template <class Status>
std::string status_text(const Status& status);

/// Writes `wanted` if it differs from what the object has. Returns whether it wrote: Events go with
/// a change of status, so that a loop that stays blocked does not repeat them.
template <class Status>
broker::Result<bool> write_status(const Context& context, const kube::Object& object,
                                  const Status& current, const Status& wanted) {
  if (current == wanted) return false;
  RETURN_IF_ERROR(context.store.write_status(object, status_text(wanted)));
  return true;
}

/// Ready=False with this verdict, everything else as it was.
template <class Status>
Status not_ready(const Status& current, const plan::Verdict& why, std::int64_t generation,
                 const api::Timestamp& now) {
  Status wanted = current;
  wanted.observed_generation = generation;
  plan::set_ready(wanted.conditions, false, why, generation, now);
  return wanted;
}

/// Ready=False with this verdict, and an Event when that is news. Returns whether it was.
template <class Status>
broker::Result<bool> refuse(const Context& context, const kube::Object& object,
                            const Status& current, const plan::Verdict& why) {
  ASSIGN_OR_RETURN(const bool wrote,
                   write_status(context, object, current,
                                not_ready(current, why, object.generation, context.timestamp())));
  if (wrote) context.store.event(object, true, std::string(why.reason), why.message);
  return wrote;
}

/// millrace.io/paused: Ready keeps its value and says why nothing moves.
template <class Status>
Status paused(const Status& current, std::int64_t generation, const api::Timestamp& now) {
  Status wanted = current;
  plan::set_ready(wanted.conditions, plan::is_ready(wanted.conditions),
                  {api::reason::kPaused, "annotation millrace.io/paused is true"}, generation, now);
  return wanted;
}

}  // namespace op::controllers
