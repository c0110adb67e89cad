#include "operator/provider/standalone_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "broker/common/base64.h"
#include "broker/common/log.h"
#include "operator/provider/resource_files.h"
#include "operator/provider/small_files.h"

namespace op::provider {
namespace {

using broker::Error;
using broker::ErrorCode;
using nlohmann::json;

constexpr std::string_view kSourceKey = "source";

bool is_map_of_text(const json& object, const char* field) {
  const auto found = object.find(field);
  if (found == object.end()) return true;
  return found->is_object() && std::all_of(found->begin(), found->end(),
                                           [](const json& value) { return value.is_string(); });
}

/// What an API server would refuse before anybody saw the object; "" if nothing.
std::string problem_of(const json& document) {
  const auto text = [](const json& object, const char* field) {
    const auto found = object.find(field);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const std::string kind = text(document, "kind");
  if (kind.empty()) return "kind: wants the name of a kind";
  if (kube::find_kind(kind) == nullptr) return "kind: there is no kind " + kind + " here";
  const auto meta = document.find("metadata");
  if (meta == document.end() || !meta->is_object() || text(*meta, "name").empty())
    return "metadata.name: wants a name";
  if (meta->contains("namespace") && text(*meta, "namespace").empty())
    return "metadata.namespace: wants a name";
  for (const std::string& name : {text(*meta, "name"), text(*meta, "namespace")}) {
    if (name.find('/') != std::string::npos) return "metadata: a name has no '/'";
  }
  if (!is_map_of_text(*meta, "labels")) return "metadata.labels: wants text by name";
  if (!is_map_of_text(*meta, "annotations")) return "metadata.annotations: wants text by name";
  if (!is_map_of_text(document, "data") || !is_map_of_text(document, "stringData"))
    return "data: wants text by name";
  if (document.contains("spec") && !document["spec"].is_object()) return "spec: wants an object";
  return {};
}

/// As an API server does: stringData is for writing only.
void encode_string_data(json& secret) {
  const auto found = secret.find("stringData");
  if (found == secret.end()) return;
  for (const auto& [name, value] : found->items()) {
    secret["data"][name] = broker::base64_encode(value.get<std::string>());
  }
  secret.erase("stringData");
}

/// Pods and what is derived anew at each start is not kept.
bool is_kept(const Kind& kind) { return !(kind == kube::kPod); }

}  // namespace

StandaloneStore::StandaloneStore(std::string resources, std::string data)
    : resources_(std::move(resources)), data_(std::move(data)), files_(resources_) {}

std::string StandaloneStore::object_path(const Kind& kind, const ObjectKey& key) const {
  return data_ + "/objects/" + std::string(kind.kind) + "/" + key.ns + "_" + key.name + ".json";
}

broker::Result<void> StandaloneStore::start() {
  RETURN_IF_ERROR(make_private_directory(data_));
  RETURN_IF_ERROR(make_private_directory(data_ + "/objects"));
  RETURN_IF_ERROR(load_objects());
  sync_resources();
  return {};
}

broker::Result<void> StandaloneStore::load_objects() {
  std::error_code error;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(data_ + "/objects", error)) {
    if (!entry.is_regular_file() || entry.path().extension() != ".json") continue;
    const auto text = read_small_file(entry.path().string());
    if (!text.ok()) return text.error();
    const json kept = json::parse(*text, nullptr, false);
    const auto object = kept.is_object() ? kube::parse_object(kept.value("object", ""), nullptr)
                                         : broker::Result<ObjectPtr>(ErrorCode::kInvalidRequest);
    if (!object.ok()) {
      return Error{ErrorCode::kKafkaStorageError,
                   entry.path().string() + " is damaged: " + to_string(object.error())};
    }
    restore(*object, kept.value("applied", ""));
    const std::string source = kept.value(kSourceKey, "");
    const std::lock_guard lock(mutex_);
    if (!source.empty()) set_source({std::string((*object)->kind->kind), (*object)->key}, source);
  }
  return {};
}

void StandaloneStore::set_source(const Id& id, const std::string& path) {
  drop_source(id);
  sources_[id] = path;
  resources_of_[path].insert(id);
}

void StandaloneStore::drop_source(const Id& id) {
  const auto found = sources_.find(id);
  if (found == sources_.end()) return;
  const auto file = resources_of_.find(found->second);
  file->second.erase(id);
  if (file->second.empty()) resources_of_.erase(file);
  sources_.erase(found);
}

std::string StandaloneStore::put_resource(const FileResource& resource, std::set<Id>& present) {
  json document = json::parse(resource.json);
  if (const std::string problem = problem_of(document); !problem.empty()) return problem;
  const Kind* kind = kube::find_kind(document["kind"].get<std::string>());
  if (*kind == kube::kSecret) encode_string_data(document);
  json& meta = document["metadata"];
  const std::string name = meta["name"];
  if (kind->namespaced && !meta.contains("namespace")) meta["namespace"] = "default";
  const Id id{std::string(kind->kind), {kind->namespaced ? meta.value("namespace", "") : "", name}};
  present.insert(id);
  {
    const std::lock_guard lock(mutex_);
    set_source(id, resource.path);
  }
  const auto put_result = put(document.dump());
  if (put_result.ok()) return {};
  files_.forget(resource.path);  // tried again with the next change
  return to_string(put_result.error());
}

void StandaloneStore::drop_absent(const std::set<Id>& present,
                                  const std::set<std::string>& unreadable) {
  std::vector<Id> gone;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, path] : sources_) {
      // Absence from a file that could not be read proves nothing.
      if (!present.contains(id) && !unreadable.contains(path)) gone.push_back(id);
    }
    for (const Id& id : gone) drop_source(id);
  }
  for (const auto& [kind, key] : gone) {
    const auto removed = remove_as_user(*kube::find_kind(kind), key);
    if (!removed.ok() && removed.code() != ErrorCode::kResourceNotFound) {
      broker::log_error("standalone", "resource not deleted",
                        {{"error", to_string(removed.error())}});
    }
  }
}

void StandaloneStore::sync_resources() {
  if (!files_.changed()) return;
  std::set<std::string> problems;
  std::set<std::string> unreadable;
  std::set<Id> present;
  const auto files = files_.read();
  if (!files.ok()) {
    problems.insert(files.error().detail);
  } else {
    for (const ResourceFile& file : *files) {
      std::vector<std::string>& wrong = problems_of_[file.path];
      if (file.fresh) {
        wrong.clear();
        if (!file.problem.empty()) wrong.push_back(file.path + ": " + file.problem);
        for (const FileResource& resource : file.resources) {
          const std::string problem = put_resource(resource, present);
          if (!problem.empty()) wrong.push_back(file.path + ": " + problem);
        }
      } else {
        const std::lock_guard lock(mutex_);
        const auto known = resources_of_.find(file.path);
        if (known != resources_of_.end()) {
          present.insert(known->second.begin(), known->second.end());
        }
      }
      problems.insert(wrong.begin(), wrong.end());
      if (!wrong.empty()) unreadable.insert(file.path);
    }
    drop_absent(present, unreadable);
  }
  for (const std::string& problem : problems) {
    if (!reported_.contains(problem)) {
      broker::log_error("standalone", "resource file not used", {{"problem", problem}});
    }
  }
  reported_ = std::move(problems);
}

void StandaloneStore::save(const Object& object) {
  const Id id{std::string(object.kind->kind), object.key};
  std::string source;
  {
    const std::lock_guard lock(mutex_);
    const auto found = sources_.find(id);
    if (found != sources_.end()) {
      source = found->second;
      due_.insert(source);
    }
  }
  const std::string path = object_path(*object.kind, object.key);
  const auto made = make_private_directory(data_ + "/objects/" + id.first);
  const json kept{{"object", object.json},
                  {"applied", applied_fields(*object.kind, object.key)},
                  {kSourceKey, source}};
  const auto written = made.ok() ? replace_small_file(path, kept.dump()) : made;
  if (!written.ok()) {
    broker::log_error("standalone", "object not kept", {{"error", to_string(written.error())}});
  }
}

void StandaloneStore::mount_secret(const ObjectKey& key, const ObjectPtr& secret) {
  const std::string directory = data_ + "/secrets/" + key.ns + "/" + key.name;
  std::error_code ignored;
  if (!secret) {
    std::filesystem::remove_all(directory, ignored);
    return;
  }
  const json document = json::parse(secret->json);
  const json values = document.value("data", json::object());
  broker::Result<void> written = make_private_directory(directory);
  for (const auto& [name, value] : values.items()) {
    if (!written.ok()) break;
    if (!value.is_string() || name.find('/') != std::string::npos) continue;
    const auto bytes = broker::base64_decode(value.get<std::string>());
    if (!bytes.ok()) continue;  // an API server would have refused it
    const auto updated = update_small_file(
        directory + "/" + name, {reinterpret_cast<const char*>(bytes->data()), bytes->size()});
    if (!updated.ok()) written = updated.error();
  }
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored)) {
    if (!values.contains(entry.path().filename().string())) {
      std::filesystem::remove(entry.path(), ignored);
    }
  }
  if (!written.ok()) {
    broker::log_error("standalone", "secret not written", {{"error", to_string(written.error())}});
  }
}

void StandaloneStore::on_changed(const ObjectPtr& old, const ObjectPtr& now) {
  const Object& object = now ? *now : *old;
  if (is_kept(*object.kind)) {
    // Several threads may tell of one object, in any order: what is newest is what is kept.
    const std::lock_guard lock(disk_mutex_);
    const ObjectPtr newest = get(*object.kind, object.key);
    if (newest) {
      save(*newest);
    } else {
      unlink(object_path(*object.kind, object.key).c_str());
    }
    if (*object.kind == kube::kSecret) mount_secret(object.key, newest);
  }
  if (wake_) wake_();
}

std::string StandaloneStore::status_text(const std::string& path) {
  std::set<Id> ids;
  {
    const std::lock_guard lock(mutex_);
    const auto found = resources_of_.find(path);
    if (found != resources_of_.end()) ids = found->second;
  }
  std::string text = "# Written by millrace-operator; changes here have no effect.\n";
  for (const auto& [kind, key] : ids) {
    const ObjectPtr object = get(*kube::find_kind(kind), key);
    if (!object) continue;
    const json document = json::parse(object->json);
    if (!document.contains("status")) continue;
    const json shown{{"apiVersion", document["apiVersion"]},
                     {"kind", document["kind"]},
                     {"metadata",
                      {{"name", object->key.name},
                       {"namespace", object->key.ns},
                       {"generation", object->generation}}},
                     {"status", document["status"]}};
    text += "---\n" + to_yaml(shown.dump());
  }
  return text;
}

void StandaloneStore::write_status_files() {
  std::set<std::string> due;
  {
    const std::lock_guard lock(mutex_);
    due.swap(due_);
  }
  for (const std::string& path : due) {
    const std::string text = status_text(path);
    const std::string beside = status_path(path);
    if (show_small_file(beside, text).ok()) continue;
    const std::string aside = data_ + "/status/" + beside.substr(beside.rfind('/') + 1);
    const auto made = make_private_directory(data_ + "/status");
    const auto written = made.ok() ? show_small_file(aside, text) : made;
    if (!written.ok()) {
      broker::log_error("standalone", "status not written",
                        {{"error", to_string(written.error())}});
    }
  }
}

}  // namespace op::provider
