#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "broker/common/check.h"
#include "broker/common/error_code.h"

namespace broker {

/// An expected failure: Kafka's code, and a sentence for a person (may be empty).
struct Error {
  ErrorCode code = ErrorCode::kUnknownServerError;
  std::string detail;

  bool operator==(const Error&) const = default;
};

/// "INVALID_CONFIG: detail" for logs and messages.
std::string to_string(const Error& error);

/// A value or an Error (g++ 12 has no std::expected). Reading the wrong side is a CHECK failure.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  Result(ErrorCode code) : state_(std::in_place_index<1>, Error{code, {}}) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  const T& value() const& { return check(), std::get<0>(state_); }
  T& value() & { return check(), std::get<0>(state_); }
  /// By value, so that `for (x : make().value())` does not look at what is gone.
  T value() && { return check(), std::get<0>(std::move(state_)); }
  const T& operator*() const& { return value(); }
  T& operator*() & { return value(); }
  T operator*() && { return std::move(*this).value(); }
  const T* operator->() const { return &value(); }
  T* operator->() { return &value(); }
  const Error& error() const {
    CHECK(!ok());
    return std::get<1>(state_);
  }
  ErrorCode code() const { return ok() ? ErrorCode::kNone : std::get<1>(state_).code; }

 private:
  void check() const {
    if (!ok()) [[unlikely]]
      check_failed("Result is ok", __FILE__, __LINE__, to_string(std::get<1>(state_)));
  }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}
  Result(ErrorCode code) : error_(Error{code, {}}) {}

  bool ok() const { return !error_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    CHECK(error_.has_value());
    return *error_;
  }
  ErrorCode code() const { return error_ ? error_->code : ErrorCode::kNone; }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

#define MILLRACE_CONCAT_INNER(a, b) a##b
#define MILLRACE_CONCAT(a, b) MILLRACE_CONCAT_INNER(a, b)
#define ASSIGN_OR_RETURN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                          \
  if (!tmp.ok()) return tmp.error();          \
  lhs = std::move(*tmp)
/// ASSIGN_OR_RETURN(const T value, expression_of_Result_T): returns the error from the enclosing
/// function.
#define ASSIGN_OR_RETURN(lhs, ...) \
  ASSIGN_OR_RETURN_IMPL(MILLRACE_CONCAT(result_tmp_, __LINE__), lhs, (__VA_ARGS__))
#define RETURN_IF_ERROR(...)                                                          \
  do {                                                                                \
    if (auto status_tmp = (__VA_ARGS__); !status_tmp.ok()) return status_tmp.error(); \
  } while (false)

}  // namespace broker
