#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "operator/provider/resource_store.h"

namespace op::controllers {

/// Brings child objects to what is desired, and writes nothing when they are there already.
/// Thread-safe.
class ObjectWriter {
 public:
  explicit ObjectWriter(provider::ResourceStore& store) : store_(store) {}

  /// Applies `desired` unless the live object has all its fields. A digest of `desired` goes into
  /// an annotation, so that a field that is desired no more shows too. What the server itself
  /// rewrites (quantities, defaults in lists) is remembered and does not count as a difference.
  /// Returns whether it wrote.
  broker::Result<bool> ensure(const kube::Kind& kind, const kube::ObjectKey& key,
                              const std::string& desired);

  /// Deletes the objects of `kind` with `selector` that are not in `keep`. Returns how many.
  broker::Result<int> prune(const kube::Kind& kind, const std::string& ns,
                            const std::string& selector, const std::set<std::string>& keep);

  static constexpr const char* kDigestAnnotation = "millrace.io/applied-digest";

 private:
  struct Applied {
    std::size_t desired = 0;  // hash of what was applied
    std::size_t live = 0;     // hash of the same fields as the server then had them
  };

  provider::ResourceStore& store_;
  std::mutex mutex_;
  std::map<reconcile::WorkKey, Applied> applied_;
};

}  // namespace op::controllers
