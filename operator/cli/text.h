#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace op::cli {

/// What the output is written for. Pure code renders; main asks the system once.
struct Terminal {
  int width = 0;       // columns; 0: no limit (a file or a pipe)
  bool color = false;  // ANSI colours
};

enum class Tone { kPlain, kStrong, kDim, kGood, kWarning, kBad };

/// `text` in the tone's colour where the terminal has colours.
std::string paint(std::string_view text, Tone tone, const Terminal& terminal);
/// How many columns UTF-8 text takes: one per code point.
std::size_t columns_of(std::string_view text);
/// Words in lines of at most `width` columns (0: one line). A longer word has a line of its own.
std::vector<std::string> wrap(std::string_view text, std::size_t width);

/// "0 B", "812 B", "1.5 KiB", "34 MiB", "1.2 TiB".
std::string human_bytes(std::int64_t bytes);
/// "1 partition", "12 partitions".
std::string counted(std::int64_t count, std::string_view noun);
/// "0 1 2"; long runs are shortened: "0-5 9".
std::string ranges(std::vector<std::int32_t> numbers);
/// "a, b and c".
std::string enumerated(const std::vector<std::string>& words);
/// "2026-11-21T08:45:33.120Z".
std::string timestamp_text(std::int64_t wall_ms);

}  // namespace op::cli
