// The only file that pays for CLI11.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "broker/app/commands.h"
#include "broker/common/version.h"

namespace broker::app {

int run_command_line(int argc, char** argv) {
  CLI::App app("Millrace: a Kafka-compatible broker", "millrace-broker");
  app.set_version_flag("--version", std::string("millrace-broker ") + kVersion);
  app.require_subcommand(1);
  int exit_code = 0;

  RunOptions run;
  auto* run_command = app.add_subcommand("run", "run a broker configured by server.properties");
  run_command->add_option("properties", run.properties_file, "server.properties, Kafka's keys")
      ->required();
  run_command->add_option("--override", run.overrides, "key=value, stronger than the file")
      ->take_all();
  run_command->add_option("--overlay", run.overlay_directory,
                          "DIR/<node id>.properties lies over the file");
  run_command->add_flag("--node-id-from-hostname", run.node_id_from_hostname,
                        "node.id is the number at the end of the host's name");
  run_command->add_option(
      "--bootstrap", run.bootstrap_file,
      "cluster.json with cluster id and initial controllers: formats an empty disk");
  run_command
      ->add_option("--http", run.http_listen, "health and metrics (host:port, empty for none)")
      ->capture_default_str();
  run_command->callback([&] { exit_code = run_broker(run); });

  DevOptions dev;
  auto* dev_command =
      app.add_subcommand("dev", "run one development broker; needs no configuration");
  dev_command->add_option("--listen", dev.listen, "host:port for clients; port 0 takes a free one")
      ->capture_default_str();
  dev_command->add_option("--advertise", dev.advertise,
                          "host:port that clients are told; default: where it listens");
  dev_command->add_option("--data", dev.data_directory,
                          "keep the data here; default: a temporary directory, removed at the end");
  dev_command->add_option("--http", dev.http_listen, "health and metrics on host:port");
  dev_command->add_option("--override", dev.overrides, "key=value of server.properties")
      ->take_all();
  dev_command->add_flag("--json", dev.json_output,
                        "print one line of JSON when ready, for test harnesses");
  dev_command->add_flag("--until-stdin-closes", dev.until_stdin_closes,
                        "stop when standard input ends: with the program that holds it");
  dev_command->callback([&] { exit_code = run_dev(dev); });

  FormatOptions format;
  auto* format_command = app.add_subcommand("format", "format empty log directories");
  format_command->add_option("properties", format.properties_file, "server.properties")->required();
  format_command->add_option("--cluster-id,-t", format.cluster_id,
                             "22 characters of URL-safe base64; default: a random one");
  format_command->add_option("--override", format.overrides, "key=value")->take_all();
  format_command->add_flag("--ignore-formatted", format.ignore_formatted,
                           "directories formatted before are no error");
  format_command->add_flag("--standalone,-s", format.standalone,
                           "this node is the quorum's first controller, and the only one");
  format_command->add_option("--initial-controllers,-I", format.initial_controllers,
                             "the quorum's first controllers: id@host:port:directory-id,…");
  format_command->add_flag(
      "--no-initial-controllers,-N", format.no_initial_controllers,
      "this node finds the quorum through controller.quorum.bootstrap.servers");
  format_command->add_option("--release-version,-r", format.release_version,
                             "metadata.version of a new cluster; default: the latest");
  format_command
      ->add_option("--feature,-f", format.features,
                   "name=level of a feature of a new cluster; 0 is without it")
      ->take_all();
  format_command->callback([&] { exit_code = run_format(format); });

  if (argc < 2) {
    std::fputs(app.help().c_str(), stderr);
    return 1;
  }
  const bool is_command =
      !app.get_subcommands([&](const CLI::App* command) { return command->check_name(argv[1]); })
           .empty();
  if (argv[1][0] != '-' && !is_command) {
    std::fprintf(stderr, "millrace-broker: no command '%s'; there are run, dev and format\n",
                 argv[1]);
    return 1;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 1;
  }
  return exit_code;
}

}  // namespace broker::app
