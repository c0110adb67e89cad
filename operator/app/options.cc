#include "operator/app/options.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdlib>

#include "broker/common/rng.h"
#include "broker/common/version.h"

namespace op::app {
namespace {

std::string environment(const char* name, const std::string& otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? otherwise : value;
}

std::string draw_identity() {
  char host[256] = "operator";
  gethostname(host, sizeof host - 1);
  broker::Rng rng(broker::Rng::os_seed());
  // A restarted container keeps its pod's name: it must not take its own old lease for granted.
  return environment("POD_NAME", host) + "_" + std::to_string(rng.next() % 1'000'000'000);
}

broker::io::Endpoint parse_endpoint(const std::string& text) {
  const auto colon = text.rfind(':');
  std::uint16_t port = 0;
  const char* end = text.data() + text.size();
  if (colon == std::string::npos || std::from_chars(text.data() + colon + 1, end, port) !=
                                        std::from_chars_result{end, std::errc()}) {
    throw CLI::ValidationError("--http", "'" + text + "' is not HOST:PORT or :PORT");
  }
  std::string host = text.substr(0, colon);
  if (host.empty()) host = "0.0.0.0";
  return {host, port};
}

void add_kubernetes_options(CLI::App& app, Options& options) {
  app.add_option("--kubeconfig", options.kubeconfig, "Kubeconfig file; without it: in-cluster");
  app.add_option("--context", options.context, "Context of the kubeconfig");
  app.add_option("--namespaces", options.namespaces, "Namespaces to watch; without it: all")
      ->delimiter(',')
      ->envname("MILLRACE_NAMESPACES");
  app.add_option("--operator-namespace", options.operator_namespace,
                 "Where the operator itself runs and keeps its Lease")
      ->envname("POD_NAMESPACE");
  app.add_option("--lease", options.lease, "Name of the Lease")->capture_default_str();
  app.add_option("--lease-seconds", options.lease_seconds,
                 "How long the other replicas wait for one that vanished")
      ->check(CLI::Range(3, 300))
      ->capture_default_str();
  app.add_flag("--leader-election,!--no-leader-election", options.leader_election,
               "Without it there must be a single replica")
      ->capture_default_str();
}

}  // namespace

Parsed parse_command_line(int argc, char** argv) {
  Parsed parsed;
  Options& options = parsed.options;
  options.identity = draw_identity();
  CLI::App app("Millrace operator: Clusters, Topics, Users and ACLs as Kubernetes resources",
               "millrace-operator");
  app.set_version_flag("--version", std::string("millrace-operator ") + broker::kVersion);
  add_kubernetes_options(app, options);
  app.add_option("--pod-labels", options.pod_labels,
                 "key=value labels of the operator's pods, for NetworkPolicies")
      ->delimiter(',')
      ->envname("MILLRACE_POD_LABELS");
  app.add_option("--broker-image", options.broker_image, "Image of new clusters")
      ->envname("MILLRACE_BROKER_IMAGE")
      ->capture_default_str();
  app.add_option("--workers", options.workers, "Reconciles at once")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option(
         "--offsets-seconds", options.offsets_seconds,
         "How often offsets are asked for, for the lag of groups, while metrics are scraped")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
  std::string http;
  int health_port = -1;
  app.add_option("--http", http, "HOST:PORT of /livez, /readyz and /metrics; standalone: none");
  app.add_option("--health-port", health_port, "The same on all addresses (8080); 0 for none")
      ->check(CLI::Range(0, 65535));
  app.add_option("--log-level", options.log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  app.add_flag("--log-text", options.text_log, "Log lines for people instead of JSON");

  app.require_subcommand(0, 1);
  app.add_subcommand("run", "In a cluster, or with --kubeconfig beside it (the default)")
      ->fallthrough();
  CLI::App* standalone = app.add_subcommand(
      "standalone", "Without Kubernetes: resources from YAML files, brokers as child processes");
  standalone->fallthrough();
  standalone->add_option("--resources", options.resources, "Directory of YAML files")->required();
  standalone->add_option("--data", options.data, "Directory for everything kept")->required();
  standalone->add_option("--broker", options.broker_program, "The broker program")
      ->capture_default_str();
  CLI::App* strip = app.add_subcommand(
      "strip-finalizers", "Before an uninstall: nothing of ours may hold an object or a namespace");
  strip->fallthrough();

  try {
    app.parse(argc, argv);
    if (standalone->parsed()) options.http.port = 0;
    if (health_port >= 0) options.http.port = static_cast<std::uint16_t>(health_port);
    if (!http.empty()) options.http = parse_endpoint(http);
  } catch (const CLI::ParseError& e) {
    parsed.exit_code = app.exit(e) == 0 ? 0 : 1;
    return parsed;
  }
  if (standalone->parsed()) options.mode = Mode::kStandalone;
  if (strip->parsed()) options.mode = Mode::kStripFinalizers;
  parsed.run = true;
  return parsed;
}

}  // namespace op::app
