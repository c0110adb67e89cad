#pragma once

#include <span>
#include <string>

#include "broker/protocol/generator/schema.h"

namespace generator {

/// The header of one message.
std::string emit_header(const Message& message);
/// read() and write() of a group of messages.
std::string emit_source(std::span<const Message> messages);
/// Functions that fill messages with values by a fixed rule, and a table of them for the tests.
std::string emit_cases(std::span<const Message> messages, int group);
/// all_message_cases() of message_case.h.
std::string emit_case_list(int groups);
/// The rows of the API table.
std::string emit_api_table(std::span<const Message> messages);

/// "" where `range` covers `all`, else a C++ condition on `version`.
std::string condition(Range range, Range all);
/// As condition(), but "true" and "false" for all and none.
std::string boolean(Range range, Range all);
/// C++ type of the field without std::optional.
std::string value_type(const Field& field);
/// "FetchRequest::FetchTopic".
std::string qualified(const Message& message, const std::string& struct_name);

}  // namespace generator
