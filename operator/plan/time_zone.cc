#include "operator/plan/time_zone.h"

#include <algorithm>
#include <cctype>

namespace op::plan {

namespace {

constexpr std::int64_t kDay = 86'400;

std::int64_t big_endian(std::string_view bytes) {
  std::uint64_t out = 0;
  for (const char c : bytes) out = out << 8 | static_cast<unsigned char>(c);
  // Sign of the width that was read.
  const auto unused = static_cast<unsigned>(64 - 8 * bytes.size());
  return static_cast<std::int64_t>(out << unused) >> unused;
}

/// Takes bytes from the front; says so when there were too few.
class Bytes {
 public:
  explicit Bytes(std::string_view left) : left_(left) {}
  std::string_view take(std::size_t count) {
    if (count > left_.size()) {
      short_ = true;
      count = left_.size();
    }
    const std::string_view out = left_.substr(0, count);
    left_.remove_prefix(count);
    return out;
  }
  std::int64_t number(std::size_t width) { return big_endian(take(width)); }
  bool too_short() const { return short_; }
  std::string_view rest() const { return left_; }

 private:
  std::string_view left_;
  bool short_ = false;
};

struct Header {
  char version = 0;
  std::size_t utc_flags = 0, standard_flags = 0, leaps = 0, times = 0, types = 0, letters = 0;

  std::size_t size(std::size_t time_bytes) const {
    return times * time_bytes + times + types * 6 + letters + leaps * (time_bytes + 4) +
           standard_flags + utc_flags;
  }
};

std::optional<Header> read_header(Bytes& bytes) {
  if (bytes.take(4) != "TZif") return std::nullopt;
  Header out;
  const std::string_view version = bytes.take(1);
  out.version = version.empty() ? 0 : version[0];
  bytes.take(15);
  for (std::size_t* field :
       {&out.utc_flags, &out.standard_flags, &out.leaps, &out.times, &out.types, &out.letters})
    *field = static_cast<std::size_t>(bytes.number(4) & 0x7fffffff);
  if (bytes.too_short() || out.types == 0) return std::nullopt;
  return out;
}

}  // namespace

/// "CET-1CEST,M3.5.0,M10.5.0/3"
class RuleReader {
 public:
  explicit RuleReader(std::string_view text) : text_(text) {}

  std::optional<TimeZone::Rule> read() {
    TimeZone::Rule rule;
    name();
    rule.standard = -clock();
    if (text_.empty()) return valid_ ? std::optional(rule) : std::nullopt;
    name();
    rule.summer = text_.empty() || text_[0] == ',' ? rule.standard + 3600 : -clock();
    expect(',');
    rule.begins = day();
    expect(',');
    rule.ends = day();
    return valid_ && text_.empty() ? std::optional(rule) : std::nullopt;
  }

 private:
  bool next_is(char c) const { return !text_.empty() && text_[0] == c; }
  void expect(char c) {
    if (next_is(c)) {
      text_.remove_prefix(1);
    } else {
      valid_ = false;
    }
  }
  void name() {
    const bool quoted = next_is('<');
    std::size_t end = 0;
    while (end < text_.size() &&
           (quoted ? text_[end] != '>' : std::isalpha(static_cast<unsigned char>(text_[end])) != 0))
      ++end;
    if (quoted) ++end;
    valid_ = valid_ && end >= 3 && end <= text_.size();
    text_.remove_prefix(std::min(end, text_.size()));
  }
  int number() {
    int out = 0;
    std::size_t digits = 0;
    while (digits < text_.size() && digits < 4 && text_[digits] >= '0' && text_[digits] <= '9')
      out = out * 10 + (text_[digits++] - '0');
    valid_ = valid_ && digits > 0;
    text_.remove_prefix(digits);
    return out;
  }
  /// [+-]hh[:mm[:ss]] in seconds.
  std::int64_t clock() {
    const int sign = next_is('-') ? -1 : 1;
    if (next_is('-') || next_is('+')) text_.remove_prefix(1);
    std::int64_t out = number() * 3600;
    for (const int unit : {60, 1}) {
      if (!next_is(':')) break;
      text_.remove_prefix(1);
      out += number() * unit;
    }
    return sign * out;
  }
  TimeZone::YearDay day() {
    TimeZone::YearDay out;
    if (next_is('M')) {
      text_.remove_prefix(1);
      out.kind = TimeZone::YearDay::Kind::kWeekday;
      out.month = number();
      expect('.');
      out.week = number();
      expect('.');
      out.day = number();
      valid_ = valid_ && out.month >= 1 && out.month <= 12 && out.week >= 1 && out.week <= 5 &&
               out.day <= 6;
    } else {
      if (next_is('J')) {
        text_.remove_prefix(1);
        out.kind = TimeZone::YearDay::Kind::kJulian;
      }
      out.day = number();
    }
    if (next_is('/')) {
      text_.remove_prefix(1);
      out.second = clock();
    }
    return out;
  }

  std::string_view text_;
  bool valid_ = true;
};

std::int64_t days_of(int year, int month, int day) {
  // Years begin in March, so that the leap day is the last one.
  const std::int64_t y = year - (month <= 2 ? 1 : 0);
  const std::int64_t era = (y >= 0 ? y : y - 399) / 400;
  const std::int64_t of_era = y - era * 400;
  const std::int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719'468;
}

Date date_of(std::int64_t days) {
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const std::int64_t of_era = days - era * 146'097;
  const std::int64_t year = (of_era - of_era / 1'460 + of_era / 36'524 - of_era / 146'096) / 365;
  const std::int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
  const std::int64_t shifted = (5 * of_year + 2) / 153;
  Date out;
  out.day = static_cast<int>(of_year - (153 * shifted + 2) / 5 + 1);
  out.month = static_cast<int>(shifted < 10 ? shifted + 3 : shifted - 9);
  out.year = static_cast<int>(year + era * 400 + (out.month <= 2 ? 1 : 0));
  return out;
}

std::optional<TimeZone> TimeZone::parse(std::string_view file) {
  Bytes bytes(file);
  auto header = read_header(bytes);
  if (!header || header->version < '2') return std::nullopt;
  bytes.take(header->size(4));  // the same again, for readers of 32 bits
  header = read_header(bytes);
  if (!header || header->size(8) > bytes.rest().size()) return std::nullopt;
  std::vector<std::int64_t> times;
  for (std::size_t i = 0; i < header->times; ++i) times.push_back(bytes.number(8));
  const std::string_view type_of = bytes.take(header->times);
  std::vector<std::int64_t> offsets;
  for (std::size_t i = 0; i < header->types; ++i) {
    offsets.push_back(bytes.number(4));
    bytes.take(2);
  }
  bytes.take(header->letters + header->leaps * 12 + header->standard_flags + header->utc_flags);
  TimeZone out;
  out.before_ = offsets[0];
  for (std::size_t i = 0; i < times.size(); ++i) {
    const auto type = static_cast<unsigned char>(type_of[i]);
    if (type >= offsets.size()) return std::nullopt;
    out.transitions_.emplace_back(times[i], offsets[type]);
  }
  std::string_view rule = bytes.rest();
  if (rule.size() < 2 || rule.front() != '\n' || rule.back() != '\n') return std::nullopt;
  rule = rule.substr(1, rule.size() - 2);
  if (rule.empty()) return out;
  out.rule_ = RuleReader(rule).read();
  return out.rule_ ? std::optional(out) : std::nullopt;
}

std::int64_t TimeZone::start_of(const YearDay& day, int year) {
  const std::int64_t first = days_of(year, 1, 1);
  const bool leap = days_of(year, 3, 1) - first == 60;
  std::int64_t days = 0;
  switch (day.kind) {
    case YearDay::Kind::kZeroBased:
      days = first + day.day;
      break;
    case YearDay::Kind::kJulian:  // without the leap day
      days = first + day.day - 1 + (leap && day.day >= 60 ? 1 : 0);
      break;
    case YearDay::Kind::kWeekday: {
      const std::int64_t begin = days_of(year, day.month, 1);
      const std::int64_t end =
          day.month == 12 ? days_of(year + 1, 1, 1) : days_of(year, day.month + 1, 1);
      const std::int64_t weekday = ((begin + 4) % 7 + 7) % 7;  // 1970-01-01 was a Thursday
      days = begin + (day.day - weekday + 7) % 7 + 7 * (day.week - 1);
      while (days >= end) days -= 7;
      break;
    }
  }
  return days * kDay + day.second;
}

std::int64_t TimeZone::by_rule(std::int64_t utc) const {
  if (!rule_->summer) return rule_->standard;
  const std::int64_t local = utc + rule_->standard;
  const int year = date_of((local >= 0 ? local : local - kDay + 1) / kDay).year;
  const std::int64_t begins = start_of(rule_->begins, year) - rule_->standard;
  const std::int64_t ends = start_of(rule_->ends, year) - *rule_->summer;
  // In the south summer goes over the end of the year.
  const bool summer = begins < ends ? utc >= begins && utc < ends : utc >= begins || utc < ends;
  return summer ? *rule_->summer : rule_->standard;
}

std::int64_t TimeZone::offset_at(std::int64_t utc) const {
  const auto after =
      std::upper_bound(transitions_.begin(), transitions_.end(), utc,
                       [](std::int64_t moment, const auto& entry) { return moment < entry.first; });
  if (after == transitions_.end() && rule_) return by_rule(utc);
  return after == transitions_.begin() ? before_ : std::prev(after)->second;
}

}  // namespace op::plan
