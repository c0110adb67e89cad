#include "operator/cli/table.h"

#include <algorithm>

#include "broker/common/check.h"

namespace op::cli {
namespace {

constexpr std::size_t kGap = 3;
constexpr std::size_t kMinWrapped = 24;  // narrower is worse than a broken line

std::string padded(const std::string& text, std::size_t width, Align align, bool last) {
  const std::size_t have = columns_of(text);
  const std::string blanks(width > have ? width - have : 0, ' ');
  if (align == Align::kRight) return blanks + text;
  return last ? text : text + blanks;
}

}  // namespace

void Table::add(std::vector<Cell> row) {
  CHECK_EQ(row.size(), columns_.size());
  rows_.push_back(std::move(row));
}

std::vector<std::size_t> Table::widths(const Terminal& terminal) const {
  std::vector<std::size_t> out(columns_.size(), 0);  // 0: left out
  std::size_t total = 0;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    for (const auto& row : rows_) out[i] = std::max(out[i], columns_of(row[i].text));
    if (out[i] == 0) continue;
    out[i] = std::max(out[i], columns_of(columns_[i].title));
    total += out[i] + (total > 0 ? kGap : 0);
  }
  const auto limit = static_cast<std::size_t>(std::max(terminal.width, 0));
  if (limit == 0 || total <= limit) return out;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (!columns_[i].wraps || out[i] <= kMinWrapped) continue;
    const std::size_t too_much = total - limit;
    out[i] = out[i] > too_much + kMinWrapped ? out[i] - too_much : kMinWrapped;
    break;
  }
  return out;
}

std::string Table::render(const Terminal& terminal) const {
  if (rows_.empty()) return {};
  const std::vector<std::size_t> width = widths(terminal);
  std::size_t last = 0;
  for (std::size_t i = 0; i < width.size(); ++i) {
    if (width[i] > 0) last = i;
  }
  const auto line_of = [&](const auto& text_of, const auto& tone_of) {
    std::string line;
    for (std::size_t i = 0; i <= last; ++i) {
      if (width[i] == 0) continue;
      if (!line.empty()) line.append(kGap, ' ');
      // Padding stays outside the colour, so that nothing is drawn at the end of a line.
      const std::string text = text_of(i);
      std::string cell = padded(text, width[i], columns_[i].align, i == last);
      if (!text.empty()) {
        cell.replace(cell.find(text), text.size(), paint(text, tone_of(i), terminal));
      }
      line += cell;
    }
    while (!line.empty() && line.back() == ' ') line.pop_back();
    return line + "\n";
  };
  std::string out = line_of([&](std::size_t i) { return columns_[i].title; },
                            [](std::size_t) { return Tone::kDim; });
  for (const auto& row : rows_) {
    std::vector<std::vector<std::string>> cells;
    std::size_t height = 1;
    for (std::size_t i = 0; i < row.size(); ++i) {
      cells.push_back(columns_[i].wraps ? wrap(row[i].text, width[i])
                                        : std::vector<std::string>{row[i].text});
      height = std::max(height, cells.back().size());
    }
    for (std::size_t y = 0; y < height; ++y) {
      out +=
          line_of([&](std::size_t i) { return y < cells[i].size() ? cells[i][y] : std::string(); },
                  [&](std::size_t i) { return row[i].tone; });
    }
  }
  return out;
}

std::string render_facts(const std::vector<Fact>& facts, const Terminal& terminal) {
  std::size_t name_width = 0;
  for (const Fact& fact : facts) name_width = std::max(name_width, columns_of(fact.name));
  const std::size_t indent = name_width + kGap;
  const auto limit = static_cast<std::size_t>(std::max(terminal.width, 0));
  std::string out;
  for (const Fact& fact : facts) {
    std::string name = padded(fact.name, name_width, Align::kLeft, false);
    for (const std::string& line :
         wrap(fact.value.text, limit > indent + kMinWrapped ? limit - indent : 0)) {
      out += paint(name, Tone::kDim, terminal) + std::string(kGap, ' ') +
             paint(line, fact.value.tone, terminal) + "\n";
      name.assign(name_width, ' ');
    }
  }
  return out;
}

}  // namespace op::cli
