#include "operator/api/json_reader.h"

#include <limits>

#include "operator/api/quantity.h"

namespace op::api::detail {

using nlohmann::json;

Reader::Reader(const json* value, std::string path, Problems& problems)
    : value_(value), path_(std::move(path)), problems_(&problems) {
  if (value_ && value_->is_null()) value_ = nullptr;
  if (value_ && !value_->is_object()) {
    problems_->add(path_, "wants an object");
    value_ = nullptr;
  }
}

Reader::~Reader() {
  if (!value_ || problems_->unknown == Unknown::kIgnored) return;
  for (const auto& [field, value] : value_->items())
    if (!asked_.contains(field)) problems_->add(path_of(field), "unknown field");
}

const json* Reader::get(std::string_view field) {
  asked_.emplace(field);
  if (!value_) return nullptr;
  const auto it = value_->find(std::string(field));
  return it == value_->end() || it->is_null() ? nullptr : &*it;
}

const json* Reader::get_array(std::string_view field) {
  const json* value = get(field);
  if (value && !value->is_array()) {
    fail(field, "wants a list");
    return nullptr;
  }
  return value;
}

Reader Reader::object(std::string_view field) {
  return Reader(get(field), path_of(field), *problems_);
}

std::optional<std::string> Reader::text(std::string_view field) {
  const json* value = get(field);
  if (!value) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  fail(field, "wants text");
  return std::nullopt;
}

std::string Reader::text_or(std::string_view field, std::string_view otherwise) {
  return text(field).value_or(std::string(otherwise));
}

std::string Reader::required_text(std::string_view field) {
  std::string value = text_or(field);
  if (value.empty()) fail(field, "is required");
  return value;
}

std::optional<std::int64_t> Reader::integer(std::string_view field) {
  const json* value = get(field);
  if (!value) return std::nullopt;
  if (value->is_number_integer()) return value->get<std::int64_t>();
  fail(field, "wants a whole number");
  return std::nullopt;
}

std::optional<std::int32_t> Reader::int32(std::string_view field) {
  const auto value = integer(field);
  if (!value) return std::nullopt;
  if (*value >= std::numeric_limits<std::int32_t>::min() &&
      *value <= std::numeric_limits<std::int32_t>::max())
    return static_cast<std::int32_t>(*value);
  fail(field, "is out of range");
  return std::nullopt;
}

std::optional<double> Reader::number(std::string_view field) {
  const json* value = get(field);
  if (!value) return std::nullopt;
  if (value->is_number()) return value->get<double>();
  fail(field, "wants a number");
  return std::nullopt;
}

bool Reader::boolean_or(std::string_view field, bool otherwise) {
  const json* value = get(field);
  if (!value) return otherwise;
  if (value->is_boolean()) return value->get<bool>();
  fail(field, "wants true or false");
  return otherwise;
}

std::optional<std::string> Reader::quantity(std::string_view field) {
  const json* value = get(field);
  if (!value) return std::nullopt;
  if (value->is_string()) return value->get<std::string>();
  if (value->is_number()) return value->dump();
  fail(field, "wants a quantity");
  return std::nullopt;
}

std::optional<std::int64_t> Reader::bytes(std::string_view field) {
  const auto given = quantity(field);
  if (!given) return std::nullopt;
  const auto parsed = parse_bytes(*given);
  if (parsed.ok()) return *parsed;
  fail(field, parsed.error().detail);
  return std::nullopt;
}

std::chrono::seconds Reader::duration_or(std::string_view field, std::chrono::seconds otherwise) {
  const auto given = text(field);
  if (!given) return otherwise;
  const auto parsed = parse_duration(*given);
  if (parsed.ok()) return *parsed;
  fail(field, parsed.error().detail);
  return otherwise;
}

std::vector<std::string> Reader::texts(std::string_view field) {
  std::vector<std::string> out;
  const json* array = get_array(field);
  if (!array) return out;
  for (const json& element : *array) {
    if (element.is_string())
      out.push_back(element.get<std::string>());
    else
      fail(field, "wants a list of text");
  }
  return out;
}

std::map<std::string, std::string> Reader::text_map(std::string_view field) {
  std::map<std::string, std::string> out;
  const json* value = get(field);
  if (!value) return out;
  if (!value->is_object()) {
    fail(field, "wants an object");
    return out;
  }
  for (const auto& [key, element] : value->items()) {
    if (element.is_string())
      out.emplace(key, element.get<std::string>());
    else if (element.is_number())
      out.emplace(key, element.dump());
    else
      problems_->add(path_of(field) + "[" + key + "]", "wants text");
  }
  return out;
}

std::map<std::string, std::string> Reader::scalar_map(std::string_view field) {
  std::map<std::string, std::string> out;
  const json* value = get(field);
  if (!value) return out;
  if (!value->is_object()) {
    fail(field, "wants an object");
    return out;
  }
  for (const auto& [key, element] : value->items()) {
    if (element.is_string())
      out.emplace(key, element.get<std::string>());
    else if (element.is_boolean() || element.is_number())
      out.emplace(key, element.dump());
    else
      problems_->add(path_of(field) + "[" + key + "]", "wants text, a number, true or false");
  }
  return out;
}

std::optional<RawJson> Reader::raw(std::string_view field, json::value_t type) {
  const json* value = get(field);
  if (!value) return std::nullopt;
  if (value->type() == type) return value->dump();
  fail(field, type == json::value_t::array ? "wants a list" : "wants an object");
  return std::nullopt;
}

void put(json& object, const char* field, const std::string& value) {
  if (!value.empty()) object[field] = value;
}

}  // namespace op::api::detail
