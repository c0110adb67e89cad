#include "operator/provider/resource_files.h"

#include <dirent.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

namespace op::provider {
namespace {

using nlohmann::json;

// Not .yaml: `kubectl apply -f` of the same directory must not take it for a resource.
constexpr std::string_view kStatusEnd = ".status";

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

bool is_resource_file(std::string_view name) {
  return name.front() != '.' && (ends_with(name, ".yaml") || ends_with(name, ".yml"));
}

json scalar(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;  // quoted
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
    return nullptr;
  }
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  // JSON's own grammar of numbers: "012" and "0x1f" stay text, as a version or an id should.
  const json number = json::parse(text, nullptr, false);
  return number.is_number() ? number : json(text);
}

json to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    json object = json::object();
    for (const auto& entry : node) object[entry.first.Scalar()] = to_json(entry.second);
    return object;
  }
  if (node.IsSequence()) {
    json array = json::array();
    for (const auto& element : node) array.push_back(to_json(element));
    return array;
  }
  return node.IsScalar() ? scalar(node) : json();
}

void add_document(const std::string& path, const json& document, std::vector<FileResource>& out) {
  if (!document.is_object()) return;  // an empty document
  if (document.value("kind", "") == "List") {
    for (const json& item : document.value("items", json::array())) add_document(path, item, out);
    return;
  }
  out.push_back({path, document.dump()});
}

/// Whether some YAML reader would take it for a number, a time, a boolean or null.
bool needs_quotes(const std::string& text) {
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text.front())) != 0) return true;
  std::string lower;
  for (const char c : text) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  static constexpr std::string_view kWords[] = {"true", "false", "null", "yes", "no",
                                                "on",   "off",   "~",    "y",   "n"};
  return json::accept(text) ||
         std::find(std::begin(kWords), std::end(kWords), lower) != std::end(kWords);
}

void emit(YAML::Emitter& out, const json& value) {
  if (value.is_object()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginMap;
    for (const auto& [key, element] : value.items()) {
      out << YAML::Key << key << YAML::Value;
      emit(out, element);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    if (value.empty()) out << YAML::Flow;  // on the line of its key
    out << YAML::BeginSeq;
    for (const json& element : value) emit(out, element);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    // What would be read back as something else is quoted.
    if (needs_quotes(text)) out << YAML::DoubleQuoted;
    out << text;
  } else if (value.is_null()) {
    out << YAML::Null;
  } else {
    out << value.dump();
  }
}

/// Sorted; nullopt (and errno) when the directory cannot be read.
std::optional<std::vector<std::string>> resource_file_names(const std::string& directory) {
  DIR* dir = opendir(directory.c_str());
  if (dir == nullptr) return std::nullopt;
  std::vector<std::string> names;
  while (const dirent* entry = readdir(dir)) {
    if (is_resource_file(entry->d_name)) names.emplace_back(entry->d_name);
  }
  closedir(dir);
  std::sort(names.begin(), names.end());
  return names;
}

/// Changes whenever the file does; "" while it cannot be looked at.
std::string stamp_of(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return "";
  std::string stamp;
  for (const auto number :
       {static_cast<long long>(info.st_ino), static_cast<long long>(info.st_size),
        static_cast<long long>(info.st_mtim.tv_sec),
        static_cast<long long>(info.st_mtim.tv_nsec)}) {
    stamp += std::to_string(number) + ",";
  }
  return stamp;
}

}  // namespace

bool ResourceFiles::changed() const {
  const auto names = resource_file_names(directory_);
  if (!names) return readable_;
  if (!readable_ || names->size() != known_.size()) return true;
  return std::any_of(names->begin(), names->end(), [&](const std::string& name) {
    const std::string path = directory_ + "/" + name;
    const auto known = known_.find(path);
    return known == known_.end() || known->second.stamp.empty() ||
           known->second.stamp != stamp_of(path);
  });
}

void ResourceFiles::forget(const std::string& path) {
  if (const auto known = known_.find(path); known != known_.end()) known->second.stamp.clear();
}

broker::Result<std::vector<ResourceFile>> ResourceFiles::read() {
  const auto names = resource_file_names(directory_);
  readable_ = names.has_value();
  if (!names) {
    return broker::Error{broker::ErrorCode::kKafkaStorageError,
                         directory_ + ": " + std::strerror(errno)};
  }
  std::vector<ResourceFile> out;
  std::map<std::string, Known> now;
  for (const std::string& name : *names) {
    const std::string path = directory_ + "/" + name;
    const std::string stamp = stamp_of(path);  // before the content: a change meanwhile is seen
    Known& known = now[path];
    const auto before = known_.find(path);
    const bool fresh = before == known_.end() || stamp.empty() || before->second.stamp != stamp;
    if (fresh) {
      known.stamp = stamp;
      try {
        for (const YAML::Node& node : YAML::LoadAllFromFile(path)) {
          add_document(path, to_json(node), known.resources);
        }
      } catch (const std::exception& e) {
        known.resources.clear();
        known.problem = e.what();
      }
    } else {
      known = std::move(before->second);
    }
    out.push_back(
        {path, fresh, fresh ? known.resources : std::vector<FileResource>(), known.problem});
  }
  known_ = std::move(now);
  return out;
}

std::string status_path(const std::string& path) {
  return path.substr(0, path.rfind('.')) + std::string(kStatusEnd);
}

std::string to_yaml(const std::string& text) {
  const json document = json::parse(text, nullptr, false);
  YAML::Emitter out;
  emit(out, document);
  return std::string(out.c_str()) + "\n";
}

broker::Result<DirectoryWatch> DirectoryWatch::open(const std::string& directory) {
  const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  const std::uint32_t events =
      IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_ATTRIB;
  if (fd < 0 || inotify_add_watch(fd, directory.c_str(), events) < 0) {
    const std::string reason = std::strerror(errno);
    if (fd >= 0) close(fd);
    return broker::Error{broker::ErrorCode::kResourceNotFound, directory + ": " + reason};
  }
  return DirectoryWatch(fd);
}

DirectoryWatch::DirectoryWatch(DirectoryWatch&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

DirectoryWatch::~DirectoryWatch() {
  if (fd_ >= 0) close(fd_);
}

bool DirectoryWatch::drain() {
  bool changed = false;
  alignas(inotify_event) char buffer[4096];
  for (;;) {
    const ssize_t n = read(fd_, buffer, sizeof buffer);
    if (n <= 0) return changed;
    for (const char* at = buffer; at < buffer + n;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      if (event->len == 0 || is_resource_file(event->name)) changed = true;
      at += sizeof(inotify_event) + event->len;
    }
  }
}

}  // namespace op::provider
