#pragma once

namespace op::cli {

/// From now on Ctrl-C and SIGTERM end nothing by themselves: stop_asked() tells. Call it before
/// there are other threads, which inherit it.
void hold_stop_signals();
bool stop_asked();

}  // namespace op::cli
