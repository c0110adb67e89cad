#include <unistd.h>

#include <cstdio>

#include "operator/cli/access.h"
#include "operator/cli/commands.h"
#include "operator/cli/consumer.h"
#include "operator/cli/signals.h"

namespace op::cli {
namespace {

std::string line_of(const Options& options, const ReadRecord& record) {
  if (options.format == Format::kJson) return record_json(record) + "\n";
  if (options.format == Format::kYaml)
    return "---\n" + document_text(options.format, record_json(record));
  std::string line;
  if (!options.key_separator.empty()) line = record.key.value_or("") + options.key_separator;
  return line + record.value.value_or("") + "\n";
}

}  // namespace

int run_consume(const Options& options) {
  hold_stop_signals();
  const auto brokers = open_kafka(options.target);
  if (!brokers.ok()) return fail(brokers.error());
  const Terminal terminal = look_at_terminal(STDERR_FILENO);
  const auto say = [&](const std::string& text) {
    if (!options.quiet) std::fputs((paint(text, Tone::kDim, terminal) + "\n").c_str(), stderr);
  };
  const ConsumeOptions wanted{.topic = options.names.front(),
                              .group = options.group,
                              .partition = options.partition,
                              .from_beginning = options.from_beginning,
                              .until_end = options.until_end,
                              .read_committed = options.read_committed,
                              .count = options.count};
  Consumer consumer(
      **brokers, wanted, [&](const ReadRecord& record) { return print(line_of(options, record)); },
      stop_asked, say);
  if (isatty(STDERR_FILENO) != 0 && !options.until_end && options.count == 0)
    say("Reading " + wanted.topic + "; Ctrl-C ends.");
  const auto ran = consumer.run();
  if (!ran.ok()) return fail(ran.error());
  return kDone;
}

}  // namespace op::cli
