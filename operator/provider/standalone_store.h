#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "operator/provider/local_store.h"
#include "operator/provider/resource_files.h"

namespace op::provider {

/// The local store on disk. `<data>/objects/` keeps every object, so that keys, passwords and
/// status outlive a restart; `resources` is a directory of YAML files that users edit; a Secret's
/// values are files under `<data>/secrets/<namespace>/<name>/`, as a pod has them mounted; status
/// is written beside each file as `<file>.status` (under `<data>/status/` when that directory
/// is not writable).
class StandaloneStore final : public LocalStore {
 public:
  StandaloneStore(std::string resources, std::string data);

  /// Loads what was kept, then the resource files.
  broker::Result<void> start() override;

  /// Makes the store agree with the files: new and changed resources are put, those that are in no
  /// file any more are deleted. A file that does not parse keeps its resources as they were.
  void sync_resources();
  /// Writes the status files that are due.
  void write_status_files();

  /// Called after every change, without a lock.
  void set_wake(std::function<void()> wake) { wake_ = std::move(wake); }

 protected:
  void on_changed(const ObjectPtr& old, const ObjectPtr& now) override;

 private:
  using Id = std::pair<std::string, ObjectKey>;

  broker::Result<void> load_objects();
  std::string object_path(const Kind& kind, const ObjectKey& key) const;
  void save(const Object& object);
  /// Puts one resource; returns what is wrong with it.
  std::string put_resource(const FileResource& resource, std::set<Id>& present);
  /// Deletes what is in no file any more.
  void drop_absent(const std::set<Id>& present, const std::set<std::string>& unreadable);
  // With mutex_ held.
  void set_source(const Id& id, const std::string& path);
  void drop_source(const Id& id);
  std::string status_text(const std::string& path);
  /// null: it is gone.
  void mount_secret(const ObjectKey& key, const ObjectPtr& secret);

  const std::string resources_;
  const std::string data_;
  std::function<void()> wake_;
  std::mutex disk_mutex_;                             // held while an object's files are written
  std::mutex mutex_;                                  // of what follows
  std::map<Id, std::string> sources_;                 // resource -> its file
  std::map<std::string, std::set<Id>> resources_of_;  // the same by file
  ResourceFiles files_;                               // only in sync_resources()
  std::map<std::string, std::vector<std::string>> problems_of_;  // by file, as last read
  std::set<std::string> due_;                                    // files whose status changed
  std::set<std::string> reported_;                               // problems already logged
};

}  // namespace op::provider
