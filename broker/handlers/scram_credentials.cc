// DescribeUserScramCredentials and AlterUserScramCredentials (KIP-554).
#include <map>
#include <set>
#include <utility>

#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/controller_call.h"
#include "broker/handlers/services.h"
#include "broker/protocol/messages/describe_user_scram_credentials_request.h"
#include "broker/protocol/messages/describe_user_scram_credentials_response.h"

namespace broker::handlers {
namespace {

using protocol::DescribeUserScramCredentialsResponse;
using UserResult = DescribeUserScramCredentialsResponse::DescribeUserScramCredentialsResult;

std::map<std::string, UserResult> all_users(const metadata::MetadataImage& image) {
  std::map<std::string, UserResult> users;
  for (const auto& [key, credential] : image.scram.credentials) {
    UserResult& result = users[key.first];
    result.user = key.first;
    result.error_message = std::nullopt;
    result.credential_infos.push_back(
        {static_cast<std::int8_t>(key.second), credential.iterations});
  }
  return users;
}

}  // namespace

void handle_describe_scram(Services& services,
                           Call<protocol::DescribeUserScramCredentialsRequest> call) {
  const Access access(services, call);
  DescribeUserScramCredentialsResponse response;
  response.error_message = std::nullopt;
  if (!access.may_on_cluster(AclOperation::kDescribe)) {
    response.error_code = wire(ErrorCode::kClusterAuthorizationFailed);
    response.error_message = kAuthorizationFailed;
    return call.reply(response);
  }
  auto users = all_users(access.image());
  const auto& wanted = call.request.users;
  if (!wanted || wanted->empty()) {
    for (auto& [name, result] : users) response.results.push_back(std::move(result));
    return call.reply(response);
  }
  std::map<std::string, int> times;
  for (const auto& user : *wanted) ++times[user.name];
  for (const auto& [name, count] : times) {
    UserResult result;
    if (count > 1) {
      result = {
          name,
          wire(ErrorCode::kDuplicateResource),
          "Cannot describe SCRAM credentials for the same user twice in a single request: " + name,
          {}};
    } else if (const auto found = users.find(name); found != users.end()) {
      result = std::move(found->second);
    } else {
      result = {name,
                wire(ErrorCode::kResourceNotFound),
                "Attempt to describe a user credential that does not exist: " + name,
                {}};
    }
    response.results.push_back(std::move(result));
  }
  call.reply(response);
}

void handle_alter_scram(Services& services, Call<protocol::AlterUserScramCredentialsRequest> call) {
  const Access access(services, call);
  std::set<std::string> users;
  for (const auto& d : call.request.deletions) users.insert(d.name);
  for (const auto& u : call.request.upsertions) users.insert(u.name);
  const auto refuse_all = [users](const Error& error) {
    protocol::AlterUserScramCredentialsResponse response;
    for (const auto& user : users) {
      response.results.push_back({user, wire(error.code), error.detail});
    }
    return response;
  };
  if (!access.may_on_cluster(AclOperation::kAlter)) {
    return call.reply(refuse_all({ErrorCode::kClusterAuthorizationFailed, kAuthorizationFailed}));
  }
  auto request = std::move(call.request);
  const Asker asker = asker_of(services, call);
  ask_controller(services, asker, std::move(request),
                 [call = std::move(call),
                  refuse_all](Result<protocol::AlterUserScramCredentialsResponse> result) mutable {
                   call.reply(result.ok() ? *result : refuse_all(result.error()));
                 });
}

}  // namespace broker::handlers
