#pragma once

#include <string>
#include <vector>

#include "broker/common/result.h"

namespace op::provider {

/// One YAML document of a file, as JSON text.
struct FileResource {
  std::string path;
  std::string json;
};

/// Reads every *.yaml and *.yml of a directory (not of directories below), each
/// with any number of documents, Lists unfolded. YAML scalars become JSON as Kubernetes reads them:
/// quoted text stays text. A file that does not parse is left out and named in `problems`.
std::vector<FileResource> read_resource_files(const std::string& directory,
                                              std::vector<std::string>& problems);

/// Changes whenever one of these files does: their names, sizes, inodes and times. "" if the
/// directory cannot be read.
std::string resource_files_state(const std::string& directory);

/// "orders.yaml" -> "orders.status".
std::string status_path(const std::string& path);
/// JSON as YAML, for people.
std::string to_yaml(const std::string& json);

/// Calls wait() until something in the directory changes (inotify) or `timeout_ms` passes. A
/// missing directory is an error: kResourceNotFound.
class DirectoryWatch {
 public:
  static broker::Result<DirectoryWatch> open(const std::string& directory);
  DirectoryWatch(DirectoryWatch&& other) noexcept;
  DirectoryWatch& operator=(DirectoryWatch&&) = delete;
  ~DirectoryWatch();

  int fd() const { return fd_; }
  /// Reads what is pending; true if anything but our own status files changed.
  bool drain();

 private:
  explicit DirectoryWatch(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace op::provider
