#include "operator/kube/object.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>

#include "operator/kube/object_json.h"

namespace op::kube {
namespace {

using nlohmann::json;

constexpr std::array<const Kind*, 18> kKinds{&kCluster,
                                             &kTopic,
                                             &kUser,
                                             &kAcl,
                                             &kExternalCluster,
                                             &kRebalance,
                                             &kService,
                                             &kStatefulSet,
                                             &kPod,
                                             &kConfigMap,
                                             &kSecret,
                                             &kServiceAccount,
                                             &kEvent,
                                             &kNetworkPolicy,
                                             &kLease,
                                             &kNamespace,
                                             &kNode,
                                             &kPodDisruptionBudget};

std::string text(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::map<std::string, std::string> text_map(const json& object, const char* key) {
  std::map<std::string, std::string> out;
  const auto found = object.find(key);
  if (found == object.end() || !found->is_object()) return out;
  for (const auto& [name, value] : found->items()) {
    if (value.is_string()) out.emplace(name, value.get<std::string>());
  }
  return out;
}

}  // namespace

ObjectPtr build_object(json& document, const Kind* kind) {
  auto object = std::make_shared<Object>();
  object->kind = kind;
  json& meta = document["metadata"];
  meta.erase("managedFields");
  if (const auto found = meta.find("annotations"); found != meta.end() && found->is_object()) {
    found->erase("kubectl.kubernetes.io/last-applied-configuration");
  }
  if (!document.contains("kind")) {  // items of a list carry neither
    document["apiVersion"] = kind->api_version();
    document["kind"] = kind->kind;
  }
  object->key = {text(meta, "namespace"), text(meta, "name")};
  object->uid = text(meta, "uid");
  object->resource_version = text(meta, "resourceVersion");
  object->generation = meta.value("generation", std::int64_t{0});
  object->deleting = meta.contains("deletionTimestamp");
  object->created = text(meta, "creationTimestamp");
  object->labels = text_map(meta, "labels");
  object->annotations = text_map(meta, "annotations");
  if (const auto found = meta.find("finalizers"); found != meta.end() && found->is_array()) {
    for (const json& item : *found) object->finalizers.push_back(item.get<std::string>());
  }
  object->json = document.dump();
  object->json.shrink_to_fit();
  return object;
}

std::string Kind::api_version() const {
  return group.empty() ? std::string(version) : std::string(group) + "/" + std::string(version);
}

const Kind* find_kind(std::string_view kind) {
  const auto* found =
      std::find_if(kKinds.begin(), kKinds.end(), [&](const Kind* k) { return k->kind == kind; });
  return found == kKinds.end() ? nullptr : *found;
}

std::string_view Object::label(const std::string& name) const {
  const auto found = labels.find(name);
  return found == labels.end() ? std::string_view() : std::string_view(found->second);
}

std::string_view Object::annotation(const std::string& name) const {
  const auto found = annotations.find(name);
  return found == annotations.end() ? std::string_view() : std::string_view(found->second);
}

bool Object::has_finalizer(std::string_view name) const {
  return std::find(finalizers.begin(), finalizers.end(), name) != finalizers.end();
}

broker::Result<ObjectPtr> parse_object(std::string_view text_in, const Kind* kind) {
  try {
    json document = json::parse(text_in);
    if (kind == nullptr) kind = find_kind(text(document, "kind"));
    if (kind == nullptr) {
      return broker::Error{broker::ErrorCode::kInvalidRequest,
                           "unknown kind '" + text(document, "kind") + "'"};
    }
    if (!document.is_object() || !document.contains("metadata")) {
      return broker::Error{broker::ErrorCode::kInvalidRequest, "an object without metadata"};
    }
    return build_object(document, kind);
  } catch (const json::exception& e) {
    return broker::Error{broker::ErrorCode::kInvalidRequest, e.what()};
  }
}

bool matches_selector(const std::map<std::string, std::string>& labels, std::string_view selector) {
  while (!selector.empty()) {
    const std::size_t comma = selector.find(',');
    const std::string_view term = selector.substr(0, comma);
    selector = comma == std::string_view::npos ? std::string_view() : selector.substr(comma + 1);
    const std::size_t equals = term.find('=');
    const auto found = labels.find(std::string(term.substr(0, equals)));
    if (found == labels.end()) return false;
    if (equals != std::string_view::npos && found->second != term.substr(equals + 1)) return false;
  }
  return true;
}

bool is_newer(std::string_view resource_version, std::string_view than) {
  const auto number = [](std::string_view t, std::uint64_t& out) {
    const auto [end, error] = std::from_chars(t.data(), t.data() + t.size(), out);
    return error == std::errc() && end == t.data() + t.size();
  };
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  if (!number(resource_version, a) || !number(than, b)) return true;
  return a > b;
}

}  // namespace op::kube
