#pragma once

#include <string>

namespace broker {

/// Prints what failed and where, then aborts. Stays on in release builds: a broken invariant must
/// not reach the log.
[[noreturn]] void check_failed(const char* condition, const char* file, int line,
                               const std::string& detail);

namespace detail {
template <class T>
std::string show(const T& value) {
  if constexpr (requires { std::to_string(value); }) {
    return std::to_string(value);
  } else if constexpr (requires { std::to_string(value.value); }) {
    return std::to_string(value.value);
  } else if constexpr (requires { std::string(value); }) {
    return std::string(value);
  } else {
    return "?";
  }
}
}  // namespace detail

#define CHECK(condition)                                          \
  do {                                                            \
    if (!(condition)) [[unlikely]]                                \
      ::broker::check_failed(#condition, __FILE__, __LINE__, ""); \
  } while (false)
#define CHECK_OP_IMPL(a, b, op)                                                             \
  do {                                                                                      \
    const auto& check_a = (a);                                                              \
    const auto& check_b = (b);                                                              \
    if (!(check_a op check_b)) [[unlikely]]                                                 \
      ::broker::check_failed(                                                               \
          #a " " #op " " #b, __FILE__, __LINE__,                                            \
          ::broker::detail::show(check_a) + " against " + ::broker::detail::show(check_b)); \
  } while (false)
#define CHECK_EQ(a, b) CHECK_OP_IMPL(a, b, ==)
#define CHECK_NE(a, b) CHECK_OP_IMPL(a, b, !=)
#define CHECK_LE(a, b) CHECK_OP_IMPL(a, b, <=)
#define CHECK_LT(a, b) CHECK_OP_IMPL(a, b, <)
#define CHECK_GE(a, b) CHECK_OP_IMPL(a, b, >=)
#define CHECK_GT(a, b) CHECK_OP_IMPL(a, b, >)

}  // namespace broker
