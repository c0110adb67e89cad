#pragma once

#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "operator/api/json.h"
#include "operator/api/meta.h"

/// Only for the json_*.cc of this folder: it brings in all of nlohmann.
namespace op::api::detail {

/// What the values of an enumeration are called in resources.
template <class Enum, std::size_t N>
using Names = std::array<std::pair<std::string_view, Enum>, N>;

/// The first thing that is wrong, and whether fields nobody knows count as wrong.
struct Problems {
  Unknown unknown = Unknown::kIgnored;
  std::string first;

  void add(const std::string& path, const std::string& what) {
    if (first.empty()) first = path + ": " + what;
  }
};

/// A JSON object that is read field by field. A wrong type is noted with its path and reads as
/// absent, so that reading code has no error branches.
class Reader {
 public:
  Reader(const nlohmann::json* value, std::string path, Problems& problems);
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;
  /// Notes the fields that nobody asked for.
  ~Reader();

  bool present() const { return value_ != nullptr; }
  const std::string& path() const { return path_; }
  Problems& problems() const { return *problems_; }
  std::string path_of(std::string_view field) const { return path_ + "." + std::string(field); }
  void fail(std::string_view field, const std::string& what) const {
    problems_->add(path_of(field), what);
  }

  /// The field's value; nullptr when it is absent or null.
  const nlohmann::json* get(std::string_view field);
  Reader object(std::string_view field);
  std::optional<std::string> text(std::string_view field);
  std::string text_or(std::string_view field, std::string_view otherwise = {});
  /// Notes an absent or empty field.
  std::string required_text(std::string_view field);
  std::optional<std::int64_t> integer(std::string_view field);
  std::optional<std::int32_t> int32(std::string_view field);
  std::optional<double> number(std::string_view field);
  bool boolean_or(std::string_view field, bool otherwise);
  /// A quantity: text or a bare number, kept as text.
  std::optional<std::string> quantity(std::string_view field);
  std::optional<std::int64_t> bytes(std::string_view field);
  std::chrono::seconds duration_or(std::string_view field, std::chrono::seconds otherwise);
  std::vector<std::string> texts(std::string_view field);
  std::map<std::string, std::string> text_map(std::string_view field);
  /// Values of any scalar type, as text: Kafka's configuration.
  std::map<std::string, std::string> scalar_map(std::string_view field);
  std::optional<RawJson> raw(std::string_view field, nlohmann::json::value_t type);

  /// Calls `read(Reader&)` for each element of an array of objects.
  template <class Read>
  auto list(std::string_view field, Read read) {
    std::vector<decltype(read(std::declval<Reader&>()))> out;
    const nlohmann::json* array = get_array(field);
    if (!array) return out;
    for (std::size_t i = 0; i < array->size(); ++i) {
      Reader element(&(*array)[i], path_of(field) + "[" + std::to_string(i) + "]", *problems_);
      out.push_back(read(element));
    }
    return out;
  }

  template <class Enum, std::size_t N>
  Enum choice(std::string_view field, const Names<Enum, N>& names, std::optional<Enum> otherwise) {
    const auto given = text(field);
    if (!given) {
      if (!otherwise) fail(field, "is required");
      return otherwise.value_or(names[0].second);
    }
    return one_of(path_of(field), *given, names);
  }
  template <class Enum, std::size_t N>
  std::vector<Enum> choices(std::string_view field, const Names<Enum, N>& names) {
    std::vector<Enum> out;
    for (const std::string& given : texts(field))
      out.push_back(one_of(path_of(field), given, names));
    return out;
  }

 private:
  template <class Enum, std::size_t N>
  Enum one_of(const std::string& path, const std::string& given, const Names<Enum, N>& names) {
    std::string known;
    for (const auto& [name, value] : names) {
      if (name == given) return value;
      known += (known.empty() ? "" : ", ") + std::string(name);
    }
    problems_->add(path, "\"" + given + "\" is none of " + known);
    return names[0].second;
  }
  const nlohmann::json* get_array(std::string_view field);

  const nlohmann::json* value_;
  std::string path_;
  Problems* problems_;
  std::set<std::string, std::less<>> asked_;
};

template <class Enum, std::size_t N>
std::string_view name_of(Enum wanted, const Names<Enum, N>& names) {
  for (const auto& [name, value] : names)
    if (value == wanted) return name;
  return {};
}

ObjectMeta read_meta(Reader& metadata);
ClusterRef read_cluster_ref(Reader& spec, const std::string& own_namespace);
KeyRef read_key_ref(Reader& ref);
LabelSelector read_selector(Reader& selector);
std::vector<Condition> read_conditions(Reader& status);
nlohmann::json write_conditions(const std::vector<Condition>& conditions);
/// Writes fields that are not empty.
void put(nlohmann::json& object, const char* field, const std::string& value);

/// Shared frame of every parse function: checks kind and metadata, hands spec and status to
/// `fill(kind, spec, status)`, turns problems and nlohmann's exceptions into an Error.
template <class Kind, class Fill>
broker::Result<Kind> parse_object(const nlohmann::json& object, Unknown unknown, Fill fill) {
  Problems problems{unknown, {}};
  Kind out;
  try {
    {
      Reader root(&object, std::string(Kind::kKind), problems);
      const std::string kind = root.text_or("kind", Kind::kKind);
      if (kind != Kind::kKind) root.fail("kind", "is \"" + kind + "\"");
      const std::string version = root.text_or("apiVersion", kApiVersion);
      if (version != kApiVersion)
        root.fail("apiVersion", "is \"" + version + "\", wants " + std::string(kApiVersion));
      Reader metadata(root.get("metadata"), "metadata", problems);
      out.metadata = read_meta(metadata);
      Reader spec(root.get("spec"), "spec", problems);
      if (!spec.present()) root.fail("spec", "is required");
      Reader status(root.get("status"), "status", problems);
      fill(out, spec, status);
    }
  } catch (const nlohmann::json::exception& e) {
    problems.add(std::string(Kind::kKind), e.what());
  }
  if (!problems.first.empty())
    return broker::Error{broker::ErrorCode::kInvalidRequest, problems.first};
  return out;
}

}  // namespace op::api::detail
