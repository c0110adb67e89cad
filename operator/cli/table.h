#pragma once

#include <string>
#include <vector>

#include "operator/cli/text.h"

namespace op::cli {

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
  bool wraps = false;  // takes several lines where the terminal is too narrow; at most one column
};

struct Cell {
  std::string text;
  Tone tone = Tone::kPlain;

  Cell(std::string t, Tone how = Tone::kPlain) : text(std::move(t)), tone(how) {}
  Cell(const char* t, Tone how = Tone::kPlain) : text(t), tone(how) {}
  Cell(std::int64_t number, Tone how = Tone::kPlain) : text(std::to_string(number)), tone(how) {}
};

/// Rows under a line of titles, three blanks between columns as kubectl has them. A column that is
/// empty in every row is left out.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  /// As many cells as there are columns.
  void add(std::vector<Cell> row);
  bool empty() const { return rows_.empty(); }
  /// Ends with a newline; "" without rows.
  std::string render(const Terminal& terminal) const;

 private:
  std::vector<std::size_t> widths(const Terminal& terminal) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

/// Names and values below each other, values aligned; a value too long for the terminal goes on
/// below itself. Ends with a newline.
struct Fact {
  std::string name;
  Cell value;
};
std::string render_facts(const std::vector<Fact>& facts, const Terminal& terminal);

}  // namespace op::cli
