#include <unistd.h>

#include <cstdlib>

#include "broker/common/log.h"
#include "operator/app/metrics.h"
#include "operator/app/process.h"
#include "operator/controllers/operator.h"
#include "operator/provider/standalone.h"

namespace op::app {
namespace {

/// Absolute without touching the disk: the directory may not exist yet.
std::string absolute(const std::string& path) {
  if (path.empty() || path.front() == '/') return path;
  char* current = getcwd(nullptr, 0);
  const std::string out = std::string(current == nullptr ? "." : current) + "/" + path;
  free(current);
  return out;
}

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

int run_standalone(const Options& options) {
  provider::Standalone standalone({without_slash(absolute(options.resources)),
                                   without_slash(absolute(options.data)), options.broker_program});
  KafkaRuntime kafka(options);
  controllers::OperatorSettings settings;
  settings.default_image = options.broker_image;
  settings.unknown_fields = api::Unknown::kRefused;
  controllers::Operator op({standalone.store(), standalone, kafka.connector(), kafka.scheduler()},
                           settings, {.workers = options.workers});
  controllers::MetricsCollector collector(standalone.store(), op.clusters());
  const auto http = start_http(
      options, [] { return true; }, [&] { return metrics_text(op, collector, true); });
  if (!http.ok()) return fail(http.error().detail);
  const auto started = standalone.start();
  if (!started.ok()) return fail(started.error().detail);
  op.start();
  broker::log_info("app", "standalone operator runs",
                   {{"resources", options.resources}, {"data", options.data}});
  wait_for_stop_signal();
  op.stop();
  standalone.stop();
  return 0;
}

}  // namespace op::app
