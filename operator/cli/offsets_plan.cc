#include "operator/cli/offsets_plan.h"

#include <charconv>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>

#include "operator/cli/table.h"

namespace op::cli {
namespace {

using broker::Error;
using broker::ErrorCode;

/// Where it goes before the bounds of the log are looked at.
broker::Result<std::int64_t> wanted_offset(const ResetTo& to, const ResetInput& in,
                                           std::string& note) {
  if (std::holds_alternative<ToEarliest>(to)) return in.earliest;
  if (std::holds_alternative<ToLatest>(to)) return in.latest;
  if (const auto* offset = std::get_if<ToOffset>(&to)) return offset->offset;
  if (const auto* shift = std::get_if<ShiftBy>(&to)) {
    if (!in.committed) {
      return Error{ErrorCode::kInvalidRequest,
                   "cannot shift " + to_string(in.partition) + ": the group has no offset there"};
    }
    return *in.committed + shift->records;
  }
  if (in.at_time >= 0) return in.at_time;
  note = "no record is that late: the end";
  return in.latest;
}

/// Exactly `n` digits at the front of `text`, taken off.
std::optional<int> take_number(std::string_view& text, std::size_t n) {
  int value = 0;
  if (text.size() < n) return std::nullopt;
  const auto [end, error] = std::from_chars(text.data(), text.data() + n, value);
  if (error != std::errc() || end != text.data() + n) return std::nullopt;
  text.remove_prefix(n);
  return value;
}

bool take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

/// ".120" in milliseconds; 0 without one.
std::optional<int> take_fraction(std::string_view& text) {
  if (!take(text, '.')) return 0;
  int value = 0;
  std::size_t digits = 0;
  for (; !text.empty() && text.front() >= '0' && text.front() <= '9'; ++digits) {
    if (digits < 3) value = value * 10 + (text.front() - '0');
    text.remove_prefix(1);
  }
  if (digits == 0) return std::nullopt;
  for (; digits < 3; ++digits) value *= 10;
  return value;
}

/// "", "Z", "+02:00" or "+0200" in seconds east of Greenwich.
std::optional<int> take_zone(std::string_view& text) {
  if (text.empty() || text == "Z") return 0;
  const int sign = text.front() == '-' ? -1 : 1;
  if (!take(text, '+') && !take(text, '-')) return std::nullopt;
  const auto hours = take_number(text, 2);
  take(text, ':');
  const auto minutes = take_number(text, 2);
  if (!hours || !minutes || !text.empty()) return std::nullopt;
  return sign * (*hours * 3600 + *minutes * 60);
}

}  // namespace

broker::Result<std::vector<ResetRow>> plan_reset(const ResetTo& to,
                                                 const std::vector<ResetInput>& inputs) {
  std::vector<ResetRow> rows;
  for (const ResetInput& in : inputs) {
    ResetRow row{.partition = in.partition, .before = in.committed};
    ASSIGN_OR_RETURN(row.after, wanted_offset(to, in, row.note));
    if (row.after < in.earliest) {
      row.note = std::to_string(row.after) + " is before the log: its beginning";
      row.after = in.earliest;
    } else if (row.after > in.latest) {
      row.note = std::to_string(row.after) + " is behind the log: its end";
      row.after = in.latest;
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string render_reset(const std::string& group, const std::vector<ResetRow>& rows, bool dry_run,
                         const Terminal& terminal) {
  Table table({{"TOPIC"},
               {"PARTITION", Align::kRight},
               {"OFFSET", Align::kRight},
               {"NEW OFFSET", Align::kRight},
               {"NOTE", Align::kLeft, true}});
  for (const ResetRow& row : rows) {
    table.add({row.partition.topic, row.partition.partition,
               row.before ? std::to_string(*row.before) : "-", row.after,
               Cell(row.note, row.failed ? Tone::kBad : Tone::kDim)});
  }
  return table.render(terminal) +
         paint(dry_run ? "Dry run: nothing was written for group " + group + "."
                       : "Written for group " + group + ".",
               dry_run ? Tone::kWarning : Tone::kGood, terminal) +
         "\n";
}

std::string reset_json(const std::string& group, const std::vector<ResetRow>& rows, bool dry_run) {
  using json = nlohmann::ordered_json;
  json partitions = json::array();
  for (const ResetRow& row : rows) {
    json entry{{"topic", row.partition.topic},
               {"partition", row.partition.partition},
               {"offset", row.before ? json(*row.before) : json(nullptr)},
               {"newOffset", row.after}};
    if (!row.note.empty()) entry["note"] = row.note;
    if (row.failed) entry["failed"] = true;
    partitions.push_back(std::move(entry));
  }
  return json{{"group", group}, {"dryRun", dry_run}, {"partitions", std::move(partitions)}}.dump();
}

broker::Result<broker::WallMs> parse_datetime(std::string_view text) {
  const Error wrong{
      ErrorCode::kInvalidConfig,
      "'" + std::string(text) + "' is no time like 2026-11-21T08:45:33.120Z (without a zone: UTC)"};
  tm utc{};
  const auto year = take_number(text, 4);
  bool ok = year && take(text, '-');
  const auto month = ok ? take_number(text, 2) : std::nullopt;
  ok = month && take(text, '-');
  const auto day = ok ? take_number(text, 2) : std::nullopt;
  ok = day && (take(text, 'T') || take(text, ' '));
  const auto hour = ok ? take_number(text, 2) : std::nullopt;
  ok = hour && take(text, ':');
  const auto minute = ok ? take_number(text, 2) : std::nullopt;
  ok = minute && take(text, ':');
  const auto second = ok ? take_number(text, 2) : std::nullopt;
  if (!second) return wrong;
  const auto millis = take_fraction(text);
  const auto zone = millis ? take_zone(text) : std::nullopt;
  if (!zone || *month < 1 || *month > 12 || *day < 1 || *day > 31 || *hour > 23 || *minute > 59 ||
      *second > 60)
    return wrong;
  utc.tm_year = *year - 1900;
  utc.tm_mon = *month - 1;
  utc.tm_mday = *day;
  utc.tm_hour = *hour;
  utc.tm_min = *minute;
  utc.tm_sec = *second;
  return (static_cast<broker::WallMs>(timegm(&utc)) - *zone) * 1000 + *millis;
}

broker::Result<TopicChoice> parse_topic_choice(std::string_view text) {
  TopicChoice choice;
  const std::size_t colon = std::min(text.find(':'), text.size());
  choice.topic = std::string(text.substr(0, colon));
  std::string_view rest = text.substr(std::min(colon + 1, text.size()));
  const Error wrong{ErrorCode::kInvalidConfig,
                    "--topic: '" + std::string(text) + "' is not TOPIC or TOPIC:0,1,2"};
  if (choice.topic.empty() || (colon < text.size() && rest.empty())) return wrong;
  while (!rest.empty()) {
    std::int32_t number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error != std::errc() || number < 0) return wrong;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    choice.partitions.push_back(number);
    if (!rest.empty() && (!take(rest, ',') || rest.empty())) return wrong;
  }
  return choice;
}

}  // namespace op::cli
