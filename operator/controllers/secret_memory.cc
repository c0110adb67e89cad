#include "operator/controllers/secret_memory.h"

#include <nlohmann/json.hpp>

#include "broker/common/base64.h"

namespace op::controllers {

SecretData secret_data(const kube::Object& secret) {
  SecretData out;
  const auto document = nlohmann::json::parse(secret.json, nullptr, false);
  const auto data = document.find("data");
  if (data == document.end() || !data->is_object()) return out;
  for (const auto& [key, value] : data->items()) {
    if (!value.is_string()) continue;
    const auto bytes = broker::base64_decode(value.get_ref<const std::string&>());
    if (bytes.ok()) out.emplace(key, std::string(bytes->begin(), bytes->end()));
  }
  return out;
}

SecretData SecretMemory::recall(const kube::ObjectKey& secret, const std::string& owner_uid,
                                const kube::ObjectPtr& live) const {
  {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(secret);
    if (found != entries_.end() && found->second.owner_uid == owner_uid) return found->second.data;
  }
  return live ? secret_data(*live) : SecretData();
}

void SecretMemory::remember(const kube::ObjectKey& secret, const std::string& owner_uid,
                            SecretData data) {
  const std::lock_guard lock(mutex_);
  entries_[secret] = {owner_uid, std::move(data)};
}

void SecretMemory::forget(const kube::ObjectKey& secret) {
  const std::lock_guard lock(mutex_);
  entries_.erase(secret);
}

void SecretMemory::clear() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

std::string value_of(const SecretData& data, const std::string& key) {
  const auto found = data.find(key);
  return found == data.end() ? std::string() : found->second;
}

}  // namespace op::controllers
