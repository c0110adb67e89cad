#include "broker/app/metrics_history.h"

#include <numeric>

namespace broker::app {

double quantile_ms(const server::RequestTimes::Counts& counts, double part) {
  const auto total = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  if (total == 0) return 0;
  const double wanted = part * static_cast<double>(total);
  double below = 0;
  for (std::size_t cell = 0; cell < counts.size(); ++cell) {
    const auto here = static_cast<double>(counts[cell]);
    if (here == 0 || below + here < wanted) {
      below += here;
      continue;
    }
    const auto ms = [](std::size_t c) {
      return static_cast<double>(server::RequestTimes::bound(c).count()) / 1000;
    };
    const double low = cell == 0 ? 0 : ms(cell - 1);
    if (cell + 1 == counts.size()) return low;  // no bound: at least this
    return low + (ms(cell) - low) * (wanted - below) / here;
  }
  return 0;
}

}  // namespace broker::app
