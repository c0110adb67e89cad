#include "operator/cli/options.h"

#include <CLI/CLI.hpp>
#include <map>

#include "broker/common/version.h"

namespace op::cli {
namespace {

constexpr const char* kKubernetes = "Which cluster, on Kubernetes";
constexpr const char* kElsewhere = "Which cluster, without Kubernetes";

/// A broker::Result in CLI11's way.
template <class T>
T or_throw(broker::Result<T> result) {
  if (!result.ok()) throw CLI::ValidationError(result.error().detail);
  return std::move(*result);
}

void add_target_options(CLI::App& app, Options& options) {
  Target& target = options.target;
  const auto add = [&](const char* group, const char* name, std::string& value, const char* type,
                       const char* what) {
    app.add_option(name, value, what)->group(group)->type_name(type);
  };
  add(kKubernetes, "-n,--namespace", target.ns, "NAME", "Namespace; without it the context's");
  add(kKubernetes, "--cluster", target.cluster, "NAME", "The Cluster, where there are several");
  add(kKubernetes, "--user", target.user, "NAME",
      "The User as whom Kafka is asked, by its Secret; without it the only one");
  add(kKubernetes, "--listener", target.listener, "NAME",
      "The listener; without it one that is reachable from here");
  add(kKubernetes, "--kubeconfig", target.kubeconfig, "FILE",
      "Without it $KUBECONFIG, ~/.kube/config or the pod's account");
  add(kKubernetes, "--context", target.context, "NAME", "Context of the kubeconfig");
  add(kElsewhere, "--data", target.data, "DIR", "The data of a `millrace-operator standalone`");
  add(kElsewhere, "--bootstrap", target.bootstrap, "HOST:PORT", "Any cluster that speaks Kafka");
  add(kElsewhere, "--client-config", target.client_config, "FILE",
      "Client properties as Java's tools take them");
}

void add_format(CLI::App& command, Options& options) {
  static const std::map<std::string, Format> kFormats{
      {"table", Format::kTable}, {"json", Format::kJson}, {"yaml", Format::kYaml}};
  command
      .add_option_function<std::string>(
          "-o,--output",
          [&options](const std::string& word) { options.format = kFormats.at(word); },
          "table, json or yaml")
      ->type_name("FORMAT")
      ->check(CLI::IsMember(kFormats).description(""));
}

CLI::App& add_reset(CLI::App& offsets, Options& options) {
  CLI::App& reset =
      *offsets.add_subcommand("reset", "Moves the offsets of a group without members");
  reset.add_option("GROUP", options.names, "The group")->required()->expected(1)->type_name("");
  reset
      .add_option_function<std::vector<std::string>>(
          "--topic",
          [&options](const std::vector<std::string>& all) {
            for (const auto& text : all)
              options.topics.push_back(or_throw(parse_topic_choice(text)));
          },
          "TOPIC, or TOPIC:0,1 for some partitions; may be repeated")
      ->type_name("TOPIC");
  reset.add_flag("--all-topics", options.all_topics, "All topics where the group has offsets");
  CLI::Option_group* to = reset.add_option_group("Where to");
  to->require_option(1);
  const auto flag = [&](const char* name, ResetTo where, const char* what) {
    to->add_flag_callback(
        name, [&options, where] { options.reset_to = where; }, what);
  };
  const auto number = [&](const char* name, auto make, const char* type, const char* what) {
    to->add_option_function<std::int64_t>(
          name, [&options, make](std::int64_t n) { options.reset_to = make(n); }, what)
        ->type_name(type);
  };
  flag("--to-earliest", ToEarliest{}, "The beginning of the log");
  flag("--to-latest", ToLatest{}, "Its end");
  to->add_option_function<std::string>(
        "--to-datetime",
        [&options](const std::string& text) {
          options.reset_to = ToTime{or_throw(parse_datetime(text))};
        },
        "The first record at or after 2026-11-21T08:45:33[.120][Z|+01:00]; without a zone UTC")
      ->type_name("TIME");
  number(
      "--shift-by", [](std::int64_t n) { return ResetTo(ShiftBy{n}); }, "N",
      "N records forward, or back with a minus");
  number(
      "--to-offset", [](std::int64_t n) { return ResetTo(ToOffset{n}); }, "N", "This offset");
  reset.add_flag("--dry-run", options.dry_run, "Shows what would be written");
  add_format(reset, options);
  return reset;
}

CLI::App& add_produce(CLI::App& app, Options& options) {
  CLI::App& produce = *app.add_subcommand("produce", "Writes lines of standard input as records");
  produce.add_option("TOPIC", options.names, "The topic")->required()->expected(1)->type_name("");
  produce
      .add_option("--key-separator", options.key_separator,
                  "Lines are KEY<separator>VALUE; without it there are no keys")
      ->type_name("TEXT");
  produce
      .add_option("--partition", options.partition, "All to this one; without it by key, or spread")
      ->type_name("N");
  produce.add_flag("-q,--quiet", options.quiet, "Only errors on standard error");
  return produce;
}

CLI::App& add_consume(CLI::App& app, Options& options) {
  CLI::App& consume = *app.add_subcommand("consume", "Prints records as they come");
  consume.add_option("TOPIC", options.names, "The topic")->required()->expected(1)->type_name("");
  consume.add_flag("--from-beginning", options.from_beginning,
                   "Where the group (if any) has no offset: from the beginning, not the end");
  consume.add_flag("-e,--until-end", options.until_end, "Ends where the topic ends now");
  consume.add_option("-c,--count", options.count, "Ends after so many records")
      ->type_name("N")
      ->check(CLI::PositiveNumber.description(""));
  CLI::Option* group =
      consume
          .add_option("--group", options.group, "As a member of this group, whose offsets it keeps")
          ->type_name("GROUP");
  consume.add_option("--partition", options.partition, "Only this one; without a group")
      ->type_name("N")
      ->excludes(group);
  consume.add_flag("--read-committed", options.read_committed,
                   "No records of open or aborted transactions");
  consume.add_option("--key-separator", options.key_separator, "Prints KEY<separator>VALUE")
      ->type_name("TEXT");
  consume.add_flag("-q,--quiet", options.quiet, "Only errors on standard error");
  add_format(consume, options);
  return consume;
}

CLI::App& add_roll(CLI::App& app, Options& options) {
  CLI::App& roll =
      *app.add_subcommand("roll", "Restarts every node, one by one, and shows how it goes");
  CLI::Option* no_wait = roll.add_flag("--no-wait", options.no_wait, "Asks for it and ends");
  roll.add_flag("--watch", options.watch_only, "Asks for nothing: shows the one under way")
      ->excludes(no_wait);
  return roll;
}

CLI::App& add_rebalance(CLI::App& app, Options& options) {
  CLI::App& rebalance = *app.add_subcommand(
      "rebalance", "Rebalances; with a name, who holds how much before and after");
  rebalance.add_option("NAME", options.names, "Name of a Rebalance")->type_name("")->expected(0, 1);
  CLI::Option* approve =
      rebalance.add_flag("--approve", options.approve, "Has its proposal carried out");
  CLI::Option* cancel =
      rebalance.add_flag("--cancel", options.cancel, "Stops it; what was moved stays")
          ->excludes(approve);
  rebalance.add_flag("--refresh", options.refresh, "Asks for a new proposal")
      ->excludes(approve)
      ->excludes(cancel);
  add_format(rebalance, options);
  return rebalance;
}

/// What options say together. Throws.
void check_together(const Options& options) {
  const Target& target = options.target;
  if (!target.data.empty() && target.is_kafka_only())
    throw CLI::ValidationError("--data and --bootstrap or --client-config name two clusters");
  if (target.is_kafka_only() && (!target.user.empty() || !target.cluster.empty()))
    throw CLI::ValidationError(
        "--user and --cluster are of resources; with --bootstrap the user is in --client-config");
  if (options.command == Command::kResetOffsets && options.topics.empty() == !options.all_topics)
    throw CLI::ValidationError("name topics with --topic, or take --all-topics");
}

}  // namespace

Parsed parse_command_line(int argc, char** argv) {
  Parsed parsed;
  Options& options = parsed.options;
  CLI::App app("Millrace and Kafka clusters: how they are, and what is in them", "millrace");
  app.set_version_flag("--version", std::string("millrace ") + broker::kVersion);
  app.require_subcommand(1);
  app.fallthrough();
  add_target_options(app, options);

  CLI::App& status = *app.add_subcommand("status", "The cluster: nodes, health, how to connect");
  CLI::App& topics = *app.add_subcommand("topics", "Topics; with names, every partition of them");
  topics.add_option("TOPIC", options.names, "Names of topics")->type_name("");
  CLI::App& lag = *app.add_subcommand("lag", "Consumer groups; with names, partitions and members");
  lag.add_option("GROUP", options.names, "Names of groups")->type_name("");
  for (CLI::App* command : {&status, &topics, &lag}) add_format(*command, options);
  CLI::App& offsets = *app.add_subcommand("offsets", "Offsets of consumer groups");
  offsets.require_subcommand(1);
  CLI::App& reset = add_reset(offsets, options);
  CLI::App& roll = add_roll(app, options);
  CLI::App& rebalance = add_rebalance(app, options);
  CLI::App& produce = add_produce(app, options);
  CLI::App& consume = add_consume(app, options);
  const std::map<const CLI::App*, Command> commands{
      {&status, Command::kStatus},   {&topics, Command::kTopics},
      {&lag, Command::kLag},         {&reset, Command::kResetOffsets},
      {&roll, Command::kRoll},       {&produce, Command::kProduce},
      {&consume, Command::kConsume}, {&rebalance, Command::kRebalance}};
  for (CLI::App* command :
       {&status, &topics, &lag, &offsets, &reset, &roll, &rebalance, &produce, &consume})
    command->fallthrough();

  try {
    app.parse(argc, argv);
    for (const auto& [sub, command] : commands)
      if (sub->parsed()) options.command = command;
    check_together(options);
  } catch (const CLI::ParseError& e) {
    parsed.exit_code = app.exit(e) == 0 ? kDone : kWrongUsage;
    return parsed;
  }
  parsed.run = true;
  return parsed;
}

}  // namespace op::cli
