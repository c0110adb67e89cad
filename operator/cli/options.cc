#include "operator/cli/options.h"

#include <CLI/CLI.hpp>
#include <map>

namespace op::cli {
namespace {

constexpr const char* kKubernetes = "Where: Kubernetes";
constexpr const char* kElsewhere = "Where: without Kubernetes";

void add_target_options(CLI::App& app, Target& target) {
  app.add_option("-n,--namespace", target.ns, "Namespace; without it the context's")
      ->group(kKubernetes);
  app.add_option(
         "--kubeconfig", target.kubeconfig,
         "Kubeconfig file; without it $KUBECONFIG, ~/.kube/config, or the pod's own account")
      ->group(kKubernetes);
  app.add_option("--context", target.context, "Context of the kubeconfig")->group(kKubernetes);
  app.add_option("--cluster", target.cluster, "The Cluster, where a namespace has several")
      ->group(kKubernetes);
  app.add_option("--user", target.user, "The User whose Secret opens Kafka")->group(kKubernetes);
  app.add_option("--listener", target.listener,
                 "The listener to connect to; without it one that is reachable from here")
      ->group(kKubernetes);
  CLI::Option* data =
      app.add_option("--data", target.data, "Data directory of `millrace-operator standalone`")
          ->group(kElsewhere);
  app.add_option("--bootstrap", target.bootstrap, "HOST:PORT of any Kafka cluster, comma-separated")
      ->group(kElsewhere)
      ->excludes(data);
  app.add_option("--client-config", target.client_config,
                 "Client properties as Java's tools take them (security.protocol, sasl.*, ssl.*)")
      ->group(kElsewhere)
      ->excludes(data);
}

}  // namespace

Parsed parse_command_line(int argc, char** argv) {
  Parsed parsed;
  Options& options = parsed.options;
  CLI::App app("Millrace and Kafka clusters: how they are, and what is in them", "millrace");
  app.set_version_flag("--version", "millrace 0.1.0");
  add_target_options(app, options.target);
  const std::map<std::string, Format> formats{
      {"table", Format::kTable}, {"json", Format::kJson}, {"yaml", Format::kYaml}};
  app.add_option("-o,--output", options.format, "table, json or yaml")
      ->transform(CLI::CheckedTransformer(formats).description(""));
  app.require_subcommand(1);
  app.fallthrough();

  CLI::App* status = app.add_subcommand("status", "The cluster: nodes, health, how to connect");
  CLI::App* topics = app.add_subcommand("topics", "Topics; with names, every partition of them");
  topics->add_option("TOPIC", options.names, "Names of topics");
  CLI::App* lag = app.add_subcommand("lag", "Consumer groups; with names, partitions and members");
  lag->add_option("GROUP", options.names, "Names of groups");
  for (CLI::App* command : {status, topics, lag}) command->fallthrough();

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    parsed.exit_code = app.exit(e) == 0 ? kDone : kWrongUsage;
    return parsed;
  }
  if (status->parsed()) options.command = Command::kStatus;
  if (topics->parsed()) options.command = Command::kTopics;
  if (lag->parsed()) options.command = Command::kLag;
  parsed.run = true;
  return parsed;
}

}  // namespace op::cli
