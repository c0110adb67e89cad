#include "operator/cli/offsets_plan.h"

#include <gtest/gtest.h>

namespace op::cli {
namespace {

using broker::ErrorCode;

ResetInput at(std::optional<std::int64_t> committed, std::int64_t at_time = -1) {
  return {{"orders", 0}, committed, 10, 100, at_time};
}

std::int64_t reset(const ResetTo& to, const ResetInput& in) {
  const auto rows = plan_reset(to, {in});
  return rows.ok() ? rows->front().after : -1;
}

TEST(ResetPlan, GoesWhereItIsTold) {
  EXPECT_EQ(reset(ToEarliest{}, at(50)), 10);
  EXPECT_EQ(reset(ToLatest{}, at({})), 100);
  EXPECT_EQ(reset(ToOffset{42}, at({})), 42);
  EXPECT_EQ(reset(ShiftBy{-7}, at(50)), 43);
  EXPECT_EQ(reset(ToTime{5}, at({}, 77)), 77);
}

TEST(ResetPlan, StaysWithinTheLogAndSaysSo) {
  const auto before = plan_reset(ToOffset{3}, {at(50)});
  EXPECT_EQ(before->front().after, 10);
  EXPECT_EQ(before->front().note, "3 is before the log: its beginning");
  const auto behind = plan_reset(ShiftBy{1000}, {at(50)});
  EXPECT_EQ(behind->front().after, 100);
  EXPECT_EQ(behind->front().note, "1050 is behind the log: its end");
}

TEST(ResetPlan, ATimeAfterTheLastRecordIsTheEnd) {
  const auto rows = plan_reset(ToTime{5}, {at(50)});
  EXPECT_EQ(rows->front().after, 100);
  EXPECT_EQ(rows->front().note, "no record is that late: the end");
}

TEST(ResetPlan, AShiftNeedsAnOffsetToStartFrom) {
  const auto rows = plan_reset(ShiftBy{1}, {at(50), at({})});
  EXPECT_EQ(rows.code(), ErrorCode::kInvalidRequest);
  EXPECT_EQ(rows.error().detail, "cannot shift orders-0: the group has no offset there");
}

TEST(ResetPlan, IsShownWithWhatItDid) {
  std::vector<ResetRow> rows{{{"orders", 0}, 50, 10, "", false},
                             {{"orders", 1}, {}, 7, "no record is that late: the end", false}};
  EXPECT_EQ(render_reset("billing", rows, true, {}),
            "TOPIC    PARTITION   OFFSET   NEW OFFSET   NOTE\n"
            "orders           0       50           10\n"
            "orders           1        -            7   no record is that late: the end\n"
            "Dry run: nothing was written for group billing.\n");
  EXPECT_EQ(reset_json("billing", {rows[0]}, false),
            R"({"group":"billing","dryRun":false,"partitions":[{"topic":"orders","partition":0,)"
            R"("offset":50,"newOffset":10}]})");
}

TEST(Datetime, IsReadWithAndWithoutFractionAndZone) {
  EXPECT_EQ(*parse_datetime("1970-01-01T00:00:01Z"), 1000);
  EXPECT_EQ(*parse_datetime("1970-01-01T00:00:01"), 1000);
  EXPECT_EQ(*parse_datetime("1970-01-01T00:00:01.25"), 1250);
  EXPECT_EQ(*parse_datetime("1970-01-01T02:00:01.007+02:00"), 1007);
  EXPECT_EQ(*parse_datetime("1969-12-31T19:00:00-0500"), 0);
  EXPECT_EQ(*parse_datetime("2026-11-21T08:45:33.120Z"), 1795250733120);
}

TEST(Datetime, WhatIsNoneIsRefused) {
  for (const char* text :
       {"", "now", "2026-11-21", "2026-13-21T00:00:00", "2026-11-21T08:45", "2026-11-21T08:45:33.",
        "2026-11-21T08:45:33 CET", "2026-11-21T25:00:00"})
    EXPECT_EQ(parse_datetime(text).code(), ErrorCode::kInvalidConfig) << text;
}

TEST(TopicChoice, IsATopicOrSomeOfItsPartitions) {
  EXPECT_EQ(parse_topic_choice("orders")->topic, "orders");
  EXPECT_TRUE(parse_topic_choice("orders")->partitions.empty());
  EXPECT_EQ(parse_topic_choice("orders:0,12")->partitions, (std::vector<std::int32_t>{0, 12}));
  for (const char* text : {"", ":1", "orders:", "orders:1,", "orders:a", "orders:1,,2"})
    EXPECT_EQ(parse_topic_choice(text).code(), ErrorCode::kInvalidConfig) << text;
}

}  // namespace
}  // namespace op::cli
