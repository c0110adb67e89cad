#include "operator/cli/text.h"

#include <gtest/gtest.h>

#include "operator/cli/table.h"

namespace op::cli {
namespace {

TEST(Text, BytesAreShownWithTwoDigits) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1024), "1.0 KiB");
  EXPECT_EQ(human_bytes(10 * 1024 + 200), "10 KiB");
  EXPECT_EQ(human_bytes(1024 * 1024 - 1), "1.0 MiB");
  EXPECT_EQ(human_bytes(std::int64_t{5} << 40), "5.0 TiB");
}

TEST(Text, LongRunsOfNumbersAreShortened) {
  EXPECT_EQ(ranges({}), "");
  EXPECT_EQ(ranges({2, 0, 1}), "0 1 2");
  EXPECT_EQ(ranges({0, 1, 2, 3, 5, 7, 8, 9, 10}), "0-3 5 7-10");
}

TEST(Text, WrapsAtWordsAndLeavesLongWordsWhole) {
  EXPECT_EQ(wrap("one two three", 7), (std::vector<std::string>{"one two", "three"}));
  EXPECT_EQ(wrap("a verylongword b", 4), (std::vector<std::string>{"a", "verylongword", "b"}));
  EXPECT_EQ(wrap("", 4), std::vector<std::string>{""});
  EXPECT_EQ(wrap("no limit at all", 0), std::vector<std::string>{"no limit at all"});
}

TEST(Text, CountsColumnsAndNotBytes) { EXPECT_EQ(columns_of("über"), 4u); }

TEST(Table, LeavesOutColumnsWithoutContentAndBlanksAtTheEnd) {
  Table table({{"NAME"}, {"RACK"}, {"COUNT", Align::kRight}, {"NOTE"}});
  table.add({"a", "", 5, "x"});
  table.add({"long name", "", 1234, ""});
  EXPECT_EQ(table.render({}),
            "NAME        COUNT   NOTE\n"
            "a               5   x\n"
            "long name    1234\n");
}

TEST(Table, WrapsTheColumnThatMayWhereTheTerminalEnds) {
  Table table({{"NAME"}, {"MESSAGE", Align::kLeft, true}});
  table.add({"orders", "one two three four five six seven eight"});
  EXPECT_EQ(table.render({.width = 36}),
            "NAME     MESSAGE\n"
            "orders   one two three four five six\n"
            "         seven eight\n");
}

TEST(Table, ColoursTextAndNotPadding) {
  Table table({{"A"}, {"B"}});
  table.add({Cell("x", Tone::kBad), "y"});
  EXPECT_EQ(table.render({.color = true}),
            "\033[2mA\033[0m   \033[2mB\033[0m\n\033[31mx\033[0m   y\n");
}

TEST(Facts, AlignValuesAndContinueBelowThem) {
  EXPECT_EQ(render_facts({{"Name", "orders"}, {"Why", "one two three four five six seven"}},
                         {.width = 32}),
            "Name   orders\n"
            "Why    one two three four five\n"
            "       six seven\n");
}

}  // namespace
}  // namespace op::cli
