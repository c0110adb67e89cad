#include "operator/kube/service_account.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "broker/common/base64.h"

namespace op::kube {

using nlohmann::json;

std::string service_account_uid(const std::string& token) {
  // A JSON Web Token: header, claims and signature, with dots between.
  const auto begin = token.find('.');
  if (begin == std::string::npos) return {};
  const auto end = token.find('.', begin + 1);
  if (end == std::string::npos) return {};
  const auto claims = broker::base64_decode(token.substr(begin + 1, end - begin - 1),
                                            broker::Base64::kUrlSafeNoPadding);
  if (!claims.ok()) return {};
  json at = json::parse(claims->begin(), claims->end(), nullptr, false);
  for (const char* name : {"kubernetes.io", "serviceaccount", "uid"}) {
    if (!at.is_object() || !at.contains(name)) return {};
    at = json(at.at(name));
  }
  return at.is_string() ? at.get<std::string>() : std::string();
}

std::string service_account_uid(const ApiServer& server) {
  std::string token = server.token;
  if (!server.token_path.empty()) {
    std::ifstream file(server.token_path);
    std::getline(file, token);
  }
  return service_account_uid(token);
}

}  // namespace op::kube
