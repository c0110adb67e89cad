#pragma once

#include <map>
#include <string>
#include <vector>

#include "broker/common/result.h"

namespace op::provider {

/// One YAML document of a file, as JSON text.
struct FileResource {
  std::string path;
  std::string json;
};

/// What one file holds.
struct ResourceFile {
  std::string path;
  bool fresh = false;  // read in this call; else it is as it was in the last one
  std::vector<FileResource> resources;
  std::string problem;  // why it does not parse; it then has no resources
};

/// Every *.yaml and *.yml of a directory (not of directories below), each with any number of
/// documents, Lists unfolded. YAML scalars become JSON as Kubernetes reads them: quoted text stays
/// text. A file is parsed again when its size, inode or time changed: one edit among a thousand
/// files costs one file.
class ResourceFiles {
 public:
  explicit ResourceFiles(std::string directory) : directory_(std::move(directory)) {}

  /// Errors: kKafkaStorageError when the directory cannot be read.
  broker::Result<std::vector<ResourceFile>> read();
  /// Whether read() would find something else than last time.
  bool changed() const;
  /// The next read() parses this file again.
  void forget(const std::string& path);

 private:
  struct Known {
    std::string stamp;
    std::vector<FileResource> resources;
    std::string problem;
  };
  const std::string directory_;
  std::map<std::string, Known> known_;  // by path
  bool readable_ = false;
};

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
