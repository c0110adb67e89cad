// CreateTopics, DeleteTopics, CreatePartitions: authorized here, decided by the controller.
#include <map>
#include <set>
#include <utility>

#include "broker/common/log.h"
#include "broker/common/topic_name.h"
#include "broker/handlers/access.h"
#include "broker/handlers/apis.h"
#include "broker/handlers/auto_create.h"
#include "broker/handlers/controller_call.h"
#include "broker/handlers/services.h"

namespace broker::handlers {
namespace {

using CreateRequest = protocol::CreateTopicsRequest;
using CreateResponse = protocol::CreateTopicsResponse;
using DeleteRequest = protocol::DeleteTopicsRequest;
using DeleteResponse = protocol::DeleteTopicsResponse;
using PartitionsRequest = protocol::CreatePartitionsRequest;
using PartitionsResponse = protocol::CreatePartitionsResponse;

CreateResponse::CreatableTopicResult refuse_creation(const std::string& name, ErrorCode error,
                                                     std::string message) {
  CreateResponse::CreatableTopicResult result;
  result.name = name;
  result.error_code = wire(error);
  result.error_message = std::move(message);
  return result;
}

/// Takes out of `request` what this caller may not create or names twice.
CreateResponse refuse_creations(const Access& access, CreateRequest& request) {
  CreateResponse refused;
  std::map<std::string, int> times;
  for (const auto& topic : request.topics) ++times[topic.name];
  const bool on_cluster = access.sees(AclOperation::kCreate, ResourceType::kCluster,
                                      std::string(security::kClusterName));
  std::set<std::string> answered;
  std::erase_if(request.topics, [&](const auto& topic) {
    if (times[topic.name] > 1) {
      if (answered.insert(topic.name).second) {
        refused.topics.push_back(
            refuse_creation(topic.name, ErrorCode::kInvalidRequest, "Duplicate topic name."));
      }
      return true;
    }
    if (on_cluster || access.may(AclOperation::kCreate, ResourceType::kTopic, topic.name)) {
      return false;
    }
    refused.topics.push_back(
        refuse_creation(topic.name, ErrorCode::kTopicAuthorizationFailed, kAuthorizationFailed));
    return true;
  });
  return refused;
}

}  // namespace

void handle_create_topics(Services& services, Call<CreateRequest> call) {
  Access access(services, call);
  auto request = std::move(call.request);
  CreateResponse refused = refuse_creations(access, request);
  if (request.topics.empty()) return call.reply(refused);
  auto asked = request.topics;
  const Asker asker = asker_of(services, call);
  ask_controller(
      services, asker, std::move(request),
      [call = std::move(call), access = std::move(access), refused = std::move(refused),
       asked = std::move(asked)](Result<CreateResponse> result) mutable {
        CreateResponse response;
        if (result.ok()) {
          response = std::move(*result);
        } else {
          for (const auto& topic : asked) {
            response.topics.push_back(
                refuse_creation(topic.name, result.error().code, result.error().detail));
          }
        }
        for (auto& topic : response.topics) {
          if (topic.error_code != 0) continue;
          if (access.sees(AclOperation::kDescribeConfigs, ResourceType::kTopic, topic.name))
            continue;
          topic.topic_config_error_code = wire(ErrorCode::kTopicAuthorizationFailed);
          topic.num_partitions = -1;
          topic.replication_factor = -1;
          topic.configs->clear();
        }
        for (auto& topic : refused.topics) response.topics.push_back(std::move(topic));
        call.reply(response);
      });
}

void auto_create_topics(Services& services, const Asker& asker, const std::set<std::string>& names,
                        Task done) {
  CreateRequest request;
  for (const std::string& name : names) {
    CreateRequest::CreatableTopic topic;
    topic.name = name;
    topic.num_partitions = -1;      // the broker's default
    topic.replication_factor = -1;  // likewise
    request.topics.push_back(std::move(topic));
  }
  ask_controller(services, asker, std::move(request),
                 [done = std::move(done)](Result<CreateResponse> result) mutable {
                   if (!result.ok()) return done();
                   for (const auto& topic : result->topics) {
                     const auto error = static_cast<ErrorCode>(topic.error_code);
                     if (error == ErrorCode::kNone) {
                       log_info("topics", "created on first use", {{"topic", topic.name}});
                     } else if (error != ErrorCode::kTopicAlreadyExists) {
                       log_warn("topics", "not created on first use",
                                {{"topic", topic.name},
                                 {"error", error_name(error)},
                                 {"reason", topic.error_message.value_or("")}});
                     }
                   }
                   done();
                 });
}

namespace {

DeleteResponse::DeletableTopicResult deletion(std::optional<std::string> name, const Uuid& id,
                                              ErrorCode error, std::optional<std::string> message) {
  return {std::move(name), id, wire(error), std::move(message)};
}

/// Names (up to version 5) and ids become one list; what may not be deleted or is not there is
/// answered in `refused`.
DeleteRequest checked_deletions(const Access& access, const DeleteRequest& request,
                                DeleteResponse& refused) {
  DeleteRequest accepted;
  accepted.timeout_ms = request.timeout_ms;
  auto wanted = request.topics;
  for (const auto& name : request.topic_names) wanted.push_back({name, kZeroUuid});
  for (const auto& topic : wanted) {
    const bool by_id = !topic.name.has_value();
    const auto* image = by_id ? access.image().topics.find(topic.topic_id)
                              : access.image().topics.find(*topic.name);
    if (by_id && image == nullptr) {
      refused.responses.push_back(
          deletion(std::nullopt, topic.topic_id, ErrorCode::kUnknownTopicId, std::nullopt));
      continue;
    }
    const std::string& name = by_id ? image->name : *topic.name;
    if (access.may(AclOperation::kDelete, ResourceType::kTopic, name)) {
      accepted.topics.push_back(topic);
    } else if (by_id && !access.sees(AclOperation::kDescribe, ResourceType::kTopic, name)) {
      // The name behind an id is not told to somebody who may not see the topic.
      refused.responses.push_back(
          deletion(std::nullopt, topic.topic_id, ErrorCode::kUnknownTopicId, std::nullopt));
    } else {
      refused.responses.push_back(deletion(
          name, topic.topic_id, ErrorCode::kTopicAuthorizationFailed, kAuthorizationFailed));
    }
  }
  return accepted;
}

}  // namespace

void handle_delete_topics(Services& services, Call<DeleteRequest> call) {
  const Access access(services, call);
  DeleteResponse refused;
  DeleteRequest request = checked_deletions(access, call.request, refused);
  if (request.topics.empty()) return call.reply(refused);
  auto asked = request.topics;
  const Asker asker = asker_of(services, call);
  ask_controller(services, asker, std::move(request),
                 [call = std::move(call), refused = std::move(refused),
                  asked = std::move(asked)](Result<DeleteResponse> result) mutable {
                   DeleteResponse response;
                   if (result.ok()) {
                     response = std::move(*result);
                   } else {
                     for (const auto& topic : asked) {
                       response.responses.push_back(deletion(
                           topic.name, topic.topic_id, result.error().code, result.error().detail));
                     }
                   }
                   for (auto& topic : refused.responses) {
                     response.responses.push_back(std::move(topic));
                   }
                   call.reply(response);
                 });
}

void handle_create_partitions(Services& services, Call<PartitionsRequest> call) {
  const Access access(services, call);
  PartitionsResponse refused;
  std::map<std::string, int> times;
  for (const auto& topic : call.request.topics) ++times[topic.name];
  auto request = std::move(call.request);
  std::set<std::string> answered;
  std::erase_if(request.topics, [&](const auto& topic) {
    if (times[topic.name] > 1) {
      if (answered.insert(topic.name).second) {
        refused.results.push_back(
            {topic.name, wire(ErrorCode::kInvalidRequest), "Duplicate topic name."});
      }
      return true;
    }
    if (access.may(AclOperation::kAlter, ResourceType::kTopic, topic.name)) return false;
    refused.results.push_back(
        {topic.name, wire(ErrorCode::kTopicAuthorizationFailed), kAuthorizationFailed});
    return true;
  });
  if (request.topics.empty()) return call.reply(refused);
  auto asked = request.topics;
  const Asker asker = asker_of(services, call);
  ask_controller(services, asker, std::move(request),
                 [call = std::move(call), refused = std::move(refused),
                  asked = std::move(asked)](Result<PartitionsResponse> result) mutable {
                   PartitionsResponse response;
                   if (result.ok()) {
                     response = std::move(*result);
                   } else {
                     for (const auto& topic : asked) {
                       response.results.push_back(
                           {topic.name, wire(result.error().code), result.error().detail});
                     }
                   }
                   for (auto& topic : refused.results) response.results.push_back(std::move(topic));
                   call.reply(response);
                 });
}

}  // namespace broker::handlers
