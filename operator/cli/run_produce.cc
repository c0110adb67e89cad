#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "operator/cli/access.h"
#include "operator/cli/commands.h"
#include "operator/cli/lines.h"
#include "operator/cli/producer.h"

namespace op::cli {
namespace {

using broker::Error;
using broker::ErrorCode;
using broker::Result;

constexpr std::size_t kRoundBytes = 4 << 20;  // read ahead of what was acknowledged

bool has_more_now(int fd) {
  pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&waiting, 1, 0) > 0;
}

/// Whole lines as soon as somebody typed them, many at once from a file. False at the end.
Result<bool> read_some(Lines& lines, std::vector<NewRecord>& records) {
  std::array<char, 64 << 10> buffer;
  std::size_t total = 0;
  do {
    const ssize_t n = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0)
      return Error{ErrorCode::kKafkaStorageError,
                   std::string("cannot read standard input: ") + std::strerror(errno)};
    if (n == 0) {
      RETURN_IF_ERROR(lines.finish(records));
      return false;
    }
    total += static_cast<std::size_t>(n);
    RETURN_IF_ERROR(lines.take({buffer.data(), static_cast<std::size_t>(n)}, records));
  } while (total < kRoundBytes && (records.empty() || has_more_now(STDIN_FILENO)));
  return true;
}

}  // namespace

int run_produce(const Options& options) {
  const auto brokers = open_kafka(options.target);
  if (!brokers.ok()) return fail(brokers.error());
  const std::string& topic = options.names.front();
  auto producer = Producer::open(**brokers, topic, {.partition = options.partition});
  if (!producer.ok()) return fail(producer.error());
  const Terminal terminal = look_at_terminal(STDERR_FILENO);
  const auto say = [&](const std::string& text) {
    if (!options.quiet) std::fputs((text + "\n").c_str(), stderr);
  };
  if (isatty(STDIN_FILENO) != 0)
    say(paint("One record per line into " + topic + "; Ctrl-D ends.", Tone::kDim, terminal));
  Lines lines(options.key_separator);
  for (bool more = true; more;) {
    std::vector<NewRecord> records;
    const auto read = read_some(lines, records);
    // What was read before a wrong line is written all the same.
    const auto sent = records.empty() ? Result<void>() : producer->send(records);
    if (!sent.ok()) {
      if (producer->written() > 0)
        say(counted(producer->written(), "record") + " were written before.");
      return fail(sent.error());
    }
    if (!read.ok()) return fail(read.error());
    more = *read;
  }
  say(counted(producer->written(), "record") + " written to " + topic + ", " +
      counted(static_cast<std::int64_t>(producer->partitions_used()), "partition") + ".");
  return kDone;
}

}  // namespace op::cli
