#include "broker/security/scram.h"

#include <map>
#include <set>

#include "broker/controller/credentials.h"
#include "broker/metadata/features.h"

namespace broker::controller {
namespace {

using protocol::AlterUserScramCredentialsRequest;
using security::ScramMechanism;
using Deletion = AlterUserScramCredentialsRequest::ScramCredentialDeletion;
using Upsertion = AlterUserScramCredentialsRequest::ScramCredentialUpsertion;

Result<ScramMechanism> check_user(const std::string& name, std::int8_t mechanism) {
  if (name.empty()) return Error{ErrorCode::kUnacceptableCredential, "Username must not be empty"};
  const auto known = static_cast<ScramMechanism>(mechanism);
  if (known != ScramMechanism::kSha256 && known != ScramMechanism::kSha512)
    return Error{ErrorCode::kUnsupportedSaslMechanism, "Unknown SCRAM mechanism"};
  return known;
}

Result<metadata::MetadataRecord> remove(const DecideContext& context, const Deletion& deletion) {
  ASSIGN_OR_RETURN(const ScramMechanism mechanism, check_user(deletion.name, deletion.mechanism));
  if (context.image.scram.find(deletion.name, mechanism) == nullptr)
    return Error{ErrorCode::kResourceNotFound,
                 "Attempt to delete a user credential that does not exist"};
  protocol::RemoveUserScramCredentialRecord record;
  record.name = deletion.name;
  record.mechanism = deletion.mechanism;
  return metadata::MetadataRecord(std::move(record));
}

Result<metadata::MetadataRecord> upsert(const Upsertion& upsertion) {
  ASSIGN_OR_RETURN(const ScramMechanism mechanism, check_user(upsertion.name, upsertion.mechanism));
  if (upsertion.iterations < security::kScramMinIterations)
    return Error{ErrorCode::kUnacceptableCredential, "Too few iterations"};
  if (upsertion.iterations > security::kScramMaxIterations)
    return Error{ErrorCode::kUnacceptableCredential, "Too many iterations"};
  ASSIGN_OR_RETURN(
      const security::ScramCredential credential,
      security::scram_credential_from_salted(
          mechanism, upsertion.salted_password.span(),
          security::Bytes(upsertion.salt.data(), upsertion.salt.data() + upsertion.salt.size()),
          upsertion.iterations));
  protocol::UserScramCredentialRecord record;
  record.name = upsertion.name;
  record.mechanism = upsertion.mechanism;
  record.salt = Slice::copy_of(credential.salt);
  record.stored_key = Slice::copy_of(credential.stored_key);
  record.server_key = Slice::copy_of(credential.server_key);
  record.iterations = credential.iterations;
  return metadata::MetadataRecord(std::move(record));
}

/// What happens to one user.
struct UserChange {
  metadata::MetadataRecords records;
  std::optional<Error> error;  // the first

  void add(Result<metadata::MetadataRecord> record) {
    if (record.ok())
      records.push_back(std::move(*record));
    else if (!error)
      error = record.error();
  }
};

}  // namespace

ControllerResult<protocol::AlterUserScramCredentialsResponse> decide(
    const DecideContext& context, const AlterUserScramCredentialsRequest& request) {
  std::map<std::string, UserChange> users;
  std::set<std::pair<std::string, std::int8_t>> named;
  const auto change_of = [&](const std::string& name, std::int8_t mechanism) -> UserChange& {
    UserChange& user = users[name];
    if (!named.emplace(name, mechanism).second && !user.error)
      user.error = Error{ErrorCode::kDuplicateResource,
                         "A user credential cannot be altered twice in the same request"};
    if (context.image.features.metadata_version() < metadata::kMetadataVersion3_5_IV2 &&
        !user.error)
      user.error = Error{ErrorCode::kUnsupportedVersion,
                         "The current metadata version does not support SCRAM"};
    return user;
  };
  for (const Deletion& deletion : request.deletions)
    change_of(deletion.name, deletion.mechanism).add(remove(context, deletion));
  for (const Upsertion& upsertion : request.upsertions)
    change_of(upsertion.name, upsertion.mechanism).add(upsert(upsertion));

  ControllerResult<protocol::AlterUserScramCredentialsResponse> out;
  for (auto& [name, user] : users) {
    protocol::AlterUserScramCredentialsResponse::AlterUserScramCredentialsResult result;
    result.user = name;
    result.error_message = std::nullopt;
    if (user.error) {
      result.error_code = static_cast<std::int16_t>(user.error->code);
      result.error_message = user.error->detail;
    } else {
      std::move(user.records.begin(), user.records.end(), std::back_inserter(out.records));
    }
    out.response.results.push_back(std::move(result));
  }
  return out;
}

}  // namespace broker::controller
