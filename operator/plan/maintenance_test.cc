#include "operator/plan/maintenance.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "operator/plan/types.h"

namespace op::plan {
namespace {

TimeZone zone(const std::string& name) {
  std::ifstream file("/usr/share/zoneinfo/" + name, std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  const auto parsed = TimeZone::parse(bytes.str());
  EXPECT_TRUE(parsed.has_value()) << name << ": is tzdata installed?";
  return parsed.value_or(TimeZone());
}

std::int64_t at(const char* text) { return to_wall_ms(text) / 1000; }

Window window(const char* schedule, std::chrono::seconds duration, TimeZone where = {}) {
  return {*api::parse_cron(schedule), duration, std::move(where)};
}

std::string opening(const Window& window, const char* from) {
  const auto next = next_opening(window, at(from));
  return next ? to_timestamp(*next * 1000) : "never";
}

TEST(TimeZone, KnowsThePastTheFutureAndBothHemispheres) {
  const TimeZone berlin = zone("Europe/Berlin");
  EXPECT_EQ(berlin.offset_at(at("2026-01-15T12:00:00Z")), 3600);
  EXPECT_EQ(berlin.offset_at(at("2026-07-15T12:00:00Z")), 7200);
  EXPECT_EQ(berlin.offset_at(at("2026-03-29T00:59:59Z")), 3600);
  EXPECT_EQ(berlin.offset_at(at("2026-03-29T01:00:00Z")), 7200);
  EXPECT_EQ(berlin.offset_at(at("2026-10-25T00:59:59Z")), 7200);
  EXPECT_EQ(berlin.offset_at(at("2026-10-25T01:00:00Z")), 3600);
  EXPECT_EQ(berlin.offset_at(at("2090-07-01T00:00:00Z")), 7200);  // by the rule at the end
  EXPECT_EQ(berlin.offset_at(at("2090-12-01T00:00:00Z")), 3600);
  const TimeZone sydney = zone("Australia/Sydney");
  EXPECT_EQ(sydney.offset_at(at("2026-01-01T00:00:00Z")), 39600);
  EXPECT_EQ(sydney.offset_at(at("2026-07-01T00:00:00Z")), 36000);
  EXPECT_EQ(sydney.offset_at(at("2095-01-01T00:00:00Z")), 39600);
  EXPECT_EQ(zone("Asia/Kolkata").offset_at(at("2026-01-01T00:00:00Z")), 19800);
  EXPECT_EQ(zone("America/St_Johns").offset_at(at("2060-01-01T00:00:00Z")), -12600);
  EXPECT_EQ(zone("Etc/GMT+5").offset_at(at("2060-01-01T00:00:00Z")), -18000);
  EXPECT_EQ(zone("Africa/Casablanca").offset_at(at("2026-06-01T00:00:00Z")), 3600);
}

TEST(TimeZone, IsNoFileThatIsCutOrSomethingElse) {
  std::ifstream file("/usr/share/zoneinfo/Europe/Berlin", std::ios::binary);
  std::stringstream bytes;
  bytes << file.rdbuf();
  const std::string whole = bytes.str();
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(TimeZone::parse(whole.substr(0, size)).has_value()) << size;
  EXPECT_FALSE(TimeZone::parse("UTC").has_value());
}

TEST(TimeZone, DatesGoThereAndBack) {
  for (std::int64_t days = -200'000; days < 200'000; days += 13) {
    const Date date = date_of(days);
    EXPECT_EQ(days_of(date.year, date.month, date.day), days);
  }
  EXPECT_EQ(days_of(2000, 2, 29), 11'016);
}

TEST(Schedule, SaysWhatItIsNot) {
  for (const char* text :
       {"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *",
        "* * * * 8", "5-1 * * * *", "*/0 * * * *", "a * * * *", "1, * * * *", "1--2 * * * *"})
    EXPECT_FALSE(api::parse_cron(text).ok()) << text;
  EXPECT_EQ(*api::parse_cron("0 2 * * SUN"), *api::parse_cron("0 2 * * 7"));
  EXPECT_EQ(*api::parse_cron("0 2 1 jan-mar *"), *api::parse_cron("0  2 1 1,2,3 *"));
  EXPECT_EQ(*api::parse_cron("*/20 0 * * *"), *api::parse_cron("0,20,40 0 */1 * *"));
}

TEST(MaintenanceWindow, OpensWhenTheScheduleSaysSo) {
  const Window nightly = window("0 2 * * *", std::chrono::hours(2));
  EXPECT_EQ(opening(nightly, "2026-11-21T02:00:00Z"), "2026-11-21T02:00:00Z");
  EXPECT_EQ(opening(nightly, "2026-11-21T02:00:01Z"), "2026-11-22T02:00:00Z");
  EXPECT_EQ(opening(window("30 4 * * SAT,SUN", {}), "2026-11-23T00:00:00Z"),
            "2026-11-28T04:30:00Z");
  EXPECT_EQ(opening(window("0 0 29 2 *", {}), "2026-11-23T00:00:00Z"), "2028-02-29T00:00:00Z");
  EXPECT_EQ(opening(window("0 0 31 2 *", {}), "2026-11-23T00:00:00Z"), "never");
  // Either day, where both are given.
  EXPECT_EQ(opening(window("0 0 13 * FRI", {}), "2026-11-21T00:00:00Z"), "2026-11-27T00:00:00Z");
}

TEST(MaintenanceWindow, KeepsLocalTime) {
  const Window berlin = window("0 2 * * *", std::chrono::hours(2), zone("Europe/Berlin"));
  EXPECT_EQ(opening(berlin, "2026-01-10T12:00:00Z"), "2026-01-11T01:00:00Z");
  EXPECT_EQ(opening(berlin, "2026-07-10T12:00:00Z"), "2026-07-11T00:00:00Z");
  // 02:00 is left out on the last Sunday of March, and is there twice in October.
  EXPECT_EQ(opening(berlin, "2026-03-28T12:00:00Z"), "2026-03-30T00:00:00Z");
  EXPECT_EQ(opening(berlin, "2026-10-24T12:00:00Z"), "2026-10-25T00:00:00Z");
  EXPECT_EQ(opening(berlin, "2026-10-25T00:30:00Z"), "2026-10-25T01:00:00Z");
}

TEST(MaintenanceWindow, IsOpenForItsDurationAndSaysWhenItOpensAgain) {
  const std::vector<Window> windows{window("0 2 * * *", std::chrono::hours(2)),
                                    window("0 12 * * MON", std::chrono::minutes(30))};
  const auto state = [&](const char* now) { return window_state(windows, to_wall_ms(now)); };
  EXPECT_EQ(state("2026-11-21T01:59:59Z"), (WindowState{false, "2026-11-21T02:00:00Z"}));
  EXPECT_EQ(state("2026-11-21T02:00:00Z"), WindowState{});
  EXPECT_EQ(state("2026-11-21T03:59:59Z"), WindowState{});
  EXPECT_EQ(state("2026-11-21T04:00:00Z"), (WindowState{false, "2026-11-22T02:00:00Z"}));
  EXPECT_EQ(state("2026-11-23T11:00:00Z"), (WindowState{false, "2026-11-23T12:00:00Z"}));
  EXPECT_EQ(state("2026-11-23T12:29:00Z"), WindowState{});
  EXPECT_EQ(window_state({}, 0), WindowState{});
  EXPECT_EQ(window_state({window("0 0 30 2 *", std::chrono::hours(1))}, 0),
            (WindowState{false, ""}));
}

}  // namespace
}  // namespace op::plan
