#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "operator/kube/object.h"

namespace op::controllers {

using SecretData = std::map<std::string, std::string>;  // decoded

/// The keys and passwords that we issued, so that a Secret deleted or edited by hand is written
/// again with the same content. Holds only what cannot be derived anew. In memory: after a restart
/// the Secret itself is what counts. Thread-safe.
class SecretMemory {
 public:
  /// What to go on with: what we remember for this owner, else what the live Secret says.
  SecretData recall(const kube::ObjectKey& secret, const std::string& owner_uid,
                    const kube::ObjectPtr& live) const;
  void remember(const kube::ObjectKey& secret, const std::string& owner_uid, SecretData data);
  void forget(const kube::ObjectKey& secret);
  void clear();

 private:
  struct Entry {
    std::string owner_uid;
    SecretData data;
  };
  mutable std::mutex mutex_;
  std::map<kube::ObjectKey, Entry> entries_;
};

/// The decoded `data` of a Secret; entries that are not base64 are left out.
SecretData secret_data(const kube::Object& secret);
/// Empty when there is no such key.
std::string value_of(const SecretData& data, const std::string& key);

}  // namespace op::controllers
