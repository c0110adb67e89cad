#include "operator/cli/text.h"

#include <algorithm>

#include "broker/common/rfc3339.h"
#include "broker/common/text.h"
#include "operator/plan/progress.h"

namespace op::cli {

std::string paint(std::string_view text, Tone tone, const Terminal& terminal) {
  const char* code = nullptr;
  switch (tone) {
    case Tone::kPlain:
      break;
    case Tone::kStrong:
      code = "1";
      break;
    case Tone::kDim:
      code = "2";
      break;
    case Tone::kGood:
      code = "32";
      break;
    case Tone::kWarning:
      code = "33";
      break;
    case Tone::kBad:
      code = "31";
      break;
  }
  if (!terminal.color || code == nullptr || text.empty()) return std::string(text);
  return "\033[" + std::string(code) + "m" + std::string(text) + "\033[0m";
}

std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  std::string line;
  while (!text.empty()) {
    const std::size_t space = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, space);
    text.remove_prefix(std::min(space + 1, text.size()));
    if (width > 0 && !line.empty() && columns_of(line) + 1 + columns_of(word) > width) {
      lines.push_back(std::move(line));
      line.clear();
    }
    if (!line.empty()) line += ' ';
    line += word;
  }
  if (!line.empty() || lines.empty()) lines.push_back(std::move(line));
  return lines;
}

std::string human_bytes(std::int64_t bytes) { return plan::human_bytes(bytes); }

std::string counted(std::int64_t count, std::string_view noun) {
  return std::to_string(count) + " " + std::string(noun) + (count == 1 ? "" : "s");
}

std::string ranges(std::vector<std::int32_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  std::string out;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    if (!out.empty()) out += ' ';
    out += std::to_string(numbers[i]);
    if (last > i + 2) {
      out += "-" + std::to_string(numbers[last]);
    } else {
      last = i;
    }
    i = last + 1;
  }
  return out;
}

std::string enumerated(const std::vector<std::string>& words) {
  if (words.size() < 2) return words.empty() ? "" : words.front();
  const std::vector<std::string> head(words.begin(), words.end() - 1);
  return broker::join(head, ", ") + " and " + words.back();
}

std::string timestamp_text(std::int64_t wall_ms) {
  return broker::to_rfc3339(std::chrono::milliseconds(wall_ms), broker::Fraction::kMillis);
}

}  // namespace op::cli
